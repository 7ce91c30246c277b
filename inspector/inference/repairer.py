"""The repairer: masked pixels are blanked and a generative CNN fills them; no other pixel changes, bit for bit.

It works at the frame's own resolution, on windows around the defects.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from inspector.errors import BundleError
from inspector.inference.bundle import Bundle
from inspector.inference.channels import in_turns
from inspector.inference.fit import with_channels
from inspector.inference.runtimes import Model
from inspector.inference.windows import Window, plan
from inspector.types import Box, Image, Mask, Patch

RIM = 2
"""Pixels around the mask that the model must not see either: a defect's edge is soft, and would be continued."""


class Repairer:
    """Runs a bundle's repairer; owned by one thread."""

    def __init__(self, model: Model, bundle: Bundle, rim: int = RIM) -> None:
        if bundle.card.repair is None or set(model.inputs) != {"image", "mask"} or model.outputs != ("repaired",):
            raise BundleError(
                f"bundle {bundle.card.name!r}: repairer.onnx takes {sorted(model.inputs)} and gives {model.outputs}; "
                f"it should take image and mask and give repaired; export it again"
            )
        self._model = model
        self._channels = bundle.card.input.channels
        self._sizes = bundle.card.repair.windows
        self._rim = None if rim == 0 else cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * rim + 1, 2 * rim + 1))

    def repair(self, image: Image, mask: Mask, defects: Sequence[Box]) -> tuple[Image, tuple[Patch, ...]]:
        """Fill the 255s of `mask` [H,W] in `image` [H,W,C]; `defects` are boxes that cover them.

        Returns the whole repaired frame and its changed pieces, which may overlap. Raises ModelError.
        """
        repaired = image.copy()
        height, width = mask.shape
        windows = plan(defects, height, width, self._sizes)
        for window in windows:
            self._fill(repaired, mask, window)
        # Cut only now: a later window may have filled a neighbour's defect better than the window that brushed it.
        pieces = []
        for x, y, w, h in (window.hole for window in windows):
            pieces.append(Patch((x, y, w, h), repaired[y : y + h, x : x + w]))
        return repaired, tuple(pieces)

    def _fill(self, repaired: Image, mask: Mask, window: Window) -> None:
        height, width = mask.shape
        top, bottom = max(window.y, 0), min(window.y + window.side, height)
        left, right = max(window.x, 0), min(window.x + window.side, width)
        inside = (slice(top, bottom), slice(left, right))
        border = (top - window.y, window.y + window.side - bottom, left - window.x, window.x + window.side - right)

        hole = mask[inside]
        picture = with_channels(repaired[inside], self._channels)
        if any(border):
            picture = in_turns(picture, lambda part: cv2.copyMakeBorder(part, *border, cv2.BORDER_REPLICATE))
            hole = cv2.copyMakeBorder(hole, *border, cv2.BORDER_CONSTANT, value=0)
        if window.size != window.side:
            size = window.size, window.size
            picture = in_turns(picture, lambda part: cv2.resize(part, size, interpolation=cv2.INTER_AREA))
            hole = cv2.compare(
                cv2.resize(hole, (window.size, window.size), interpolation=cv2.INTER_AREA), 0, cv2.CMP_GT
            )
        if self._rim is not None:  # at the model's scale, so that enlarging the fill again draws on fill alone
            hole = cv2.dilate(hole, self._rim)
        batch = np.ascontiguousarray(picture).reshape(1, window.size, window.size, self._channels)
        (filled,) = self._model.run(image=batch, mask=hole[np.newaxis])
        result: Image = filled[0]
        if window.size != window.side:
            side = window.side, window.side
            result = in_turns(result, lambda part: cv2.resize(part, side, interpolation=cv2.INTER_LINEAR))
        result = result[border[0] : window.side - border[1], border[2] : window.side - border[3]]
        # Promise 3 rests on this line alone, whatever the model returned.
        np.copyto(repaired[inside], with_channels(result, repaired.shape[2]), where=mask[inside][:, :, np.newaxis] != 0)
