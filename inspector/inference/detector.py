"""The detector: frames of any size in, a score and a probability map each out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inspector.errors import BundleError
from inspector.inference.bundle import Bundle
from inspector.inference.fit import fit
from inspector.inference.runtimes import Model
from inspector.types import Detection, Image


class Detector:
    """Runs a bundle's detector on batches of up to `max_batch` frames; owned by one thread.

    Each frame goes straight into its row of one preallocated batch, resized on the way if it has another size.
    """

    def __init__(self, model: Model, bundle: Bundle, max_batch: int) -> None:
        expected = bundle.card.input.shape
        shape = model.inputs.get("image", ())
        if tuple(shape[1:]) != expected or model.outputs != ("score", "map"):
            raise BundleError(
                f"bundle {bundle.card.name!r}: detector.onnx takes {dict(model.inputs)} and gives {model.outputs}; "
                f"its card wants image [N, {', '.join(map(str, expected))}] -> score, map; export it again"
            )
        self._model = model
        self._batch = np.empty((max_batch, *expected), np.uint8)

    def detect(self, images: Sequence[Image]) -> list[Detection]:
        """Detect on 1 to `max_batch` images [H,W,C]; maps are [height, width] of the model. Raises ModelError."""
        for image, row in zip(images, self._batch, strict=False):
            fit(image, row)
        scores, maps = self._model.run(image=self._batch[: len(images)])
        return [Detection(float(score), probability) for score, probability in zip(scores, maps, strict=True)]
