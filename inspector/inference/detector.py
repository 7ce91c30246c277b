"""The detector: frames of any size in, a score and a probability map each out."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.errors import BundleError, ModelError
from inspector.inference.bundle import Bundle
from inspector.inference.fit import fit, with_channels
from inspector.inference.runtimes import Model
from inspector.inference.tiles import Plan, plan
from inspector.types import Box, Detection, Image, Map

ROUNDING = 1e-5
"""By so much the sum of a pixel's weighted probabilities may exceed 1."""


@dataclass(frozen=True, slots=True)
class Look:
    """What the detector is to look at: a picture [H,W,C], and how it should look, given if and only if it compares.

    overlap: pixels by which it is cut into overlapping tiles; None: it is resized
    """

    picture: Image
    reference: Image | None = None
    overlap: int | None = None


@dataclass(slots=True)
class _Job:
    """A look that is being worked on: the tiles to come, and what those before them said."""

    look: Look
    plan: Plan | None
    left: list[int]
    score: float = 0.0
    map: Map = field(default_factory=lambda: np.empty((0, 0), np.float32))

    def add(self, tile: int, score: float, probability: Map) -> None:
        self.left.remove(tile)
        if self.plan is None:
            self.score, self.map = score, probability
            return
        # Not max(): what is not a number must not get lost among those that are.
        self.score = float(np.maximum(self.score, score))
        self.plan.add(tile, probability, self.map)

    def detection(self) -> Detection:
        if self.plan is None:
            return Detection(self.score, self.map)
        peak = self.map.max()
        if 1.0 < peak <= 1.0 + ROUNDING:
            peak = np.minimum(self.map, np.float32(1), out=self.map).max()
        return Detection(float(np.minimum(self.score, peak)), self.map)


class Detector:
    """Runs a bundle's detector on batches of up to `max_batch` pictures or tiles, or of one where the model takes no
    more; owned by one thread.

    Each goes straight into its row of one preallocated batch, resized on the way if it has another size; so does its
    reference picture, where the bundle compares.
    """

    def __init__(self, model: Model, bundle: Bundle, max_batch: int) -> None:
        expected = bundle.card.input.shape
        names = ("image", "reference") if bundle.card.input.reference else ("image",)
        shapes = {name: tuple(shape[1:]) for name, shape in model.inputs.items()}
        if shapes != dict.fromkeys(names, expected) or model.outputs != ("score", "map"):
            raise BundleError(
                f"bundle {bundle.card.name!r}: detector.onnx takes {dict(model.inputs)} and gives {model.outputs}; "
                f"its card wants {' and '.join(names)} [N, {', '.join(map(str, expected))}] -> score, map; "
                "export it again"
            )
        sizes = {shape[0] for shape in model.inputs.values() if isinstance(shape[0], int)}
        if sizes - {1}:
            raise BundleError(
                f"bundle {bundle.card.name!r}: detector.onnx takes batches of {max(sizes)} alone; export it for any "
                "number of pictures, or for one"
            )
        self._model = model
        self._most, self._shape = 1 if sizes else max_batch, expected
        self._batch = {name: np.empty((self._most, *expected), np.uint8) for name in names}
        self._reference: Image | None = None
        self._overlap: int | None = None

    @property
    def compares(self) -> bool:
        """Whether it wants a reference picture with each frame."""
        return "reference" in self._batch

    def beside(self, reference: Image | None, overlap: int | None = None) -> Detector:
        """The same detector, whose `detect` takes `reference` for whatever it is shown, and cuts it into tiles."""
        bound = copy.copy(self)
        bound._reference, bound._overlap = reference, overlap
        return bound

    def detect(self, images: Sequence[Image], references: Sequence[Image] | None = None) -> list[Detection]:
        """Detect on images [H,W,C]; maps are [height, width] of the model, or [H,W] where `beside` gave an overlap.

        references: for each image how it should look, laid under it; given if and only if the bundle compares
        Raises ModelError.
        """
        under: Sequence[Image | None] = references or [self._reference] * len(images)
        found = dict(
            self.look([Look(*pair, self._overlap) for pair in zip(images, under, strict=True)], lambda _: True)
        )
        return [found[index] for index in range(len(images))]

    def look(self, looks: Sequence[Look], goes_on: Callable[[int], bool]) -> Iterator[tuple[int, Detection]]:
        """Look at pictures and tiles, as many at once as a batch holds; each detection as soon as it is complete.

        goes_on: asked, between two runs of the model, whether the look with this index is still wanted; it may use the
            detector itself meanwhile. What is not wanted any more gets no detection.
        Raises ModelError.
        """
        if any((one.reference is None) == self.compares for one in looks):
            given = "image" if self.compares else "image and reference"
            raise ValueError(f"the detector takes {' and '.join(self._batch)}, and was given {given}")
        jobs = [self._job(one) for one in looks]
        rows = [(index, tile) for index, job in enumerate(jobs) for tile in job.left]
        ran = False
        while rows:
            first = rows[0][0]
            if ran and not goes_on(first):
                rows = [row for row in rows if row[0] != first]
                continue
            now, rows = rows[: self._most], rows[self._most :]
            self._run(jobs, now)
            ran = True
            for index in dict.fromkeys(index for index, _ in now):
                if not jobs[index].left:
                    yield index, jobs[index].detection()

    def again(
        self, look: Look, changed: Sequence[Box], before: Detection, between: Callable[[], None] = lambda: None
    ) -> Detection:
        """Look again at a picture in tiles that was changed inside of boxes: only the tiles that show them run.

        before: what was said of it; its map becomes the new one, made anew in the boxes
        between: called before each run of the model; what it raises ends the look, and leaves `before` as it was
        Raises ModelError.
        """
        job = self._job(look)
        assert job.plan is not None  # noqa: S101 - it is the caller who has a picture in tiles
        job.left = job.plan.touching(changed)
        rows = [(0, tile) for tile in job.left]
        for start in range(0, len(rows), self._most):
            between()
            self._run([job], rows[start : start + self._most])
        for x, y, width, height in changed:
            inside = (slice(y, y + height), slice(x, x + width))
            before.map[inside] = job.map[inside]
        job.map = before.map
        job.score = float(np.maximum(job.score, before.score))
        return job.detection()

    def _job(self, look: Look) -> _Job:
        if look.overlap is None:
            return _Job(look, None, [0])
        size = look.picture.shape[:2]
        cut = plan(*size, *self._shape[:2], look.overlap)
        return _Job(look, cut, list(range(len(cut.boxes))), map=np.zeros(size, np.float32))

    def _run(self, jobs: Sequence[_Job], rows: Sequence[tuple[int, int]]) -> None:
        """Run the model once, on tiles of several jobs."""
        for number, (index, tile) in enumerate(rows):
            job = jobs[index]
            pictures = {"image": job.look.picture, "reference": job.look.reference}
            for name, batch in self._batch.items():
                picture = pictures[name]
                assert picture is not None  # noqa: S101 - looked at before
                if job.plan is None:
                    fit(picture, batch[number])
                else:
                    _cut(picture, job.plan.boxes[tile], batch[number])
        scores, maps = self._model.run(**{name: batch[: len(rows)] for name, batch in self._batch.items()})
        self._check(scores, maps, len(rows))
        for (index, tile), score, probability in zip(rows, scores, maps, strict=True):
            jobs[index].add(tile, float(score), probability)

    def _check(self, scores: NDArray[Any], maps: NDArray[Any], count: int) -> None:
        """Raise ModelError unless the model gave what all that follows counts on."""
        wanted = (count,), (count, *self._shape[:2])
        if (scores.shape, maps.shape) != wanted or {scores.dtype, maps.dtype} != {np.dtype(np.float32)}:
            given = ", ".join(f"{name} {of.dtype} {list(of.shape)}" for name, of in (("score", scores), ("map", maps)))
            raise ModelError(
                f"detector.onnx gave {given} for {count} picture(s), and should give float32 {list(wanted[0])} and "
                f"{list(wanted[1])}; export it again"
            )


def _cut(picture: Image, box: Box, into: Image) -> None:
    """A tile of `picture` [H,W,C] into `into` [h,w,c]; one smaller than that is continued by its border's pixels."""
    x, y, width, height = box
    tile = with_channels(picture[y : y + height, x : x + width], into.shape[2])
    into[:height, :width] = tile
    if (height, width) != into.shape[:2]:
        into[height:, :width] = into[height - 1 : height, :width]
        into[:, width:] = into[:, width - 1 : width]
