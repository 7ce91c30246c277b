"""The detector: frames of any size in, a score and a probability map each out."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np

from inspector.errors import BundleError
from inspector.inference.bundle import Bundle
from inspector.inference.fit import fit
from inspector.inference.runtimes import Model
from inspector.types import Detection, Image


class Detector:
    """Runs a bundle's detector on batches of up to `max_batch` frames; owned by one thread.

    Each frame goes straight into its row of one preallocated batch, resized on the way if it has another size; so does
    its reference picture, where the bundle compares.
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
        self._model = model
        self._batch = {name: np.empty((max_batch, *expected), np.uint8) for name in names}
        self._reference: Image | None = None

    @property
    def compares(self) -> bool:
        """Whether it wants a reference picture with each frame."""
        return "reference" in self._batch

    def beside(self, reference: Image | None) -> Detector:
        """The same detector, that takes `reference` for whatever it is shown: for one part seen several times."""
        bound = copy.copy(self)
        bound._reference = reference
        return bound

    def detect(self, images: Sequence[Image], references: Sequence[Image] | None = None) -> list[Detection]:
        """Detect on 1 to `max_batch` images [H,W,C]; maps are [height, width] of the model.

        references: for each image how it should look, laid under it; given if and only if the bundle compares
        Raises ModelError.
        """
        if references is None and self._reference is not None:
            references = [self._reference] * len(images)
        given = {"image": images} if references is None else {"image": images, "reference": references}
        if given.keys() != self._batch.keys():
            raise ValueError(f"the detector takes {' and '.join(self._batch)}, and was given {' and '.join(given)}")
        for name, pictures in given.items():
            for picture, row in zip(pictures, self._batch[name], strict=False):
                fit(picture, row)
        scores, maps = self._model.run(**{name: batch[: len(images)] for name, batch in self._batch.items()})
        return [Detection(float(score), probability) for score, probability in zip(scores, maps, strict=True)]
