"""What each picture is compared with when a bundle that compares is measured, found as the daemon finds it."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np

from inspector.errors import DataError
from inspector.inference import references
from inspector.inference.bundle import Bundle
from inspector.inference.channels import in_turns
from inspector.inference.engine import Engine
from inspector.inference.references import References
from inspector.inference.view import View
from inspector.training.data import Sample, read_picture
from inspector.training.exemplars import Disturbance, exemplar, relit
from inspector.training.synthetic import is_two_toned
from inspector.types import Image

SHIFT, DEGREES = 4.0, 0.5
"""How far a good picture that must be its own reference is moved, at most."""


@dataclass
class Comparisons:
    """Engines with each picture's reference laid under it; for a bundle that does not compare, the engine as it is.

    view: how pictures become the model's input
    positions: the reference pictures of a camera, for all pictures; else each picture has its own
    origins: of each picture seen, where its reference came from
    """

    bundle: Bundle
    view: View
    positions: References | None = None
    origins: dict[Path, str] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """How many pictures were compared with what: a `position`, one `given`, their `own` disturbed, or `none`."""
        return dict(Counter(self.origins.values()))

    def engine(self, running: Engine, sample: Sample, image: Image) -> Engine | None:
        """`running` for `image` [H,W,C], the sample's picture; None where it lies on no reference."""
        if not self.bundle.card.input.reference:
            return running.beside(None, self.view.overlap)
        found, origin = self._references(sample, image)
        match = None if found is None else found.match(image)
        self.origins[sample.picture] = "none" if match is None else origin
        return None if match is None else running.beside(match.image, self.view.overlap)

    def unmatched(self, sample: Sample) -> str:
        """Why a picture for which there is no `engine` cannot be judged."""
        if self.positions is None and sample.reference is None and not sample.good:
            return f"{sample.picture} has no reference to be compared with"
        return f"{sample.picture} lies on no reference, the daemon would call it unknown"

    def said(self) -> Iterator[str]:
        """What a reader of the figures must know of the references."""
        if own := self.counts.get("own"):
            yield (
                f"{own} good pictures have no reference: each was compared with itself, its edges roughened, moved by "
                f"up to {SHIFT:.0f} pixels and {DEGREES} degrees, relit, and registered again."
            )

    def _references(self, sample: Sample, image: Image) -> tuple[References | None, str]:
        channels = self.bundle.channels
        if self.positions is not None:
            return self.positions, "position"
        if sample.reference is not None:
            return References([(sample.reference.stem, read_picture(sample.reference, channels))], channels), "given"
        if sample.good:
            return References([(sample.picture.stem, disturbed(image, sample.picture.name))], channels), "own"
        return None, "none"


def comparisons(bundle: Bundle, folder: Path | None, view: View) -> Comparisons:
    """folder: reference pictures by position, as for a camera. Raises DataError where the bundle does not compare."""
    if folder is None:
        return Comparisons(bundle, view)
    if not bundle.card.input.reference:
        raise DataError(f"--references {folder}: bundle {bundle.card.name!r} does not compare; leave the option out")
    return Comparisons(bundle, view, references.load(folder, bundle.channels))


def disturbed(image: Image, name: str) -> Image:
    """A good picture [H,W,C] as its own reference: another exemplar, moved and relit; the same for the same `name`."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    settings = replace(Disturbance(), far=SHIFT, rotation=DEGREES)
    other = exemplar(image, is_two_toned(image), settings, rng)
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), rng.uniform(-DEGREES, DEGREES), 1.0)
    matrix[:, 2] += rng.uniform(-SHIFT, SHIFT, 2)
    moved = in_turns(
        other, lambda part: cv2.warpAffine(part, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)
    )
    return relit(moved, settings, rng)
