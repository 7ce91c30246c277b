"""The repairer: masked pixels are blanked and a generative CNN fills them; no other pixel changes, bit for bit.

It works at the frame's own resolution, on windows around the defects. For holes of a depth at which one of OpenCV's
inpainters did better than the network, when the bundle was made, its card names that one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence

import cv2
import numpy as np

from inspector.errors import BundleError, ModelError
from inspector.inference.bundle import Bundle, RepairMethod
from inspector.inference.channels import in_turns
from inspector.inference.fit import with_channels
from inspector.inference.runtimes import Model
from inspector.inference.windows import Window, plan
from inspector.types import Box, Image, Mask, Patch

INPAINTERS = {"telea": cv2.INPAINT_TELEA, "ns": cv2.INPAINT_NS}
"""OpenCV's: fast marching (Telea 2004) and Navier-Stokes (Bertalmio et al. 2001)."""

INPAINT_RADIUS = 3.0


class Repairer:
    """Runs a bundle's repairer; owned by one thread."""

    def __init__(self, model: Model, bundle: Bundle) -> None:
        names = {"image", "mask", "reference"} if bundle.card.input.reference else {"image", "mask"}
        if bundle.card.repair is None or set(model.inputs) != names or model.outputs != ("repaired",):
            raise BundleError(
                f"bundle {bundle.card.name!r}: repairer.onnx takes {sorted(model.inputs)} and gives {model.outputs}; "
                f"it should take {', '.join(sorted(names))} and give repaired; export it again"
            )
        self._model = model
        self._reference: Image | None = None
        self._channels = bundle.card.input.channels
        self._sizes = bundle.card.repair.windows
        self._methods = bundle.card.repair.methods
        self.rim = bundle.card.repair.rim

    def beside(self, reference: Image | None) -> Repairer:
        """The same repairer, that takes `reference` for whatever it is shown."""
        bound = copy.copy(self)
        bound._reference = reference
        return bound

    def repair(
        self,
        image: Image,
        mask: Mask,
        defects: Sequence[Box],
        reference: Image | None = None,
        between: Callable[[], None] = lambda: None,
    ) -> tuple[Image, tuple[Patch, ...]]:
        """Fill the 255s of `mask` [H,W] in `image` [H,W,C]; `defects` are boxes that cover them.

        reference: how `image` should look, laid under it, [H,W,1 or 3]; given if and only if the bundle compares
        between: called before each of its steps, the windows above all; what it raises ends the repair. It may use the
            repairer itself meanwhile
        Returns the whole repaired frame and its changed pieces, which may overlap. Raises ModelError.
        """
        reference = self._reference if reference is None else reference
        repaired = image.copy()
        height, width = mask.shape
        windows = plan(defects, height, width, self._sizes, between)
        for window in windows:
            between()
            self._fill(repaired, mask, window, reference)
        # Cut only now: a later window may have filled a neighbour's defect better than the window that brushed it.
        pieces = []
        for x, y, w, h in (window.hole for window in windows):
            # A copy: a piece that waits to be published shall not keep the whole frame in memory.
            pieces.append(Patch((x, y, w, h), repaired[y : y + h, x : x + w].copy()))
        return repaired, tuple(pieces)

    def _fill(self, repaired: Image, mask: Mask, window: Window, reference: Image | None) -> None:
        height, width = mask.shape
        top, bottom = max(window.y, 0), min(window.y + window.side, height)
        left, right = max(window.x, 0), min(window.x + window.side, width)
        inside = (slice(top, bottom), slice(left, right))
        border = (top - window.y, window.y + window.side - bottom, left - window.x, window.x + window.side - right)

        hole = mask[inside]
        method = method_for(depth(mask[_around(window.hole)]), self._methods)
        pictures = {"image": self._shown(repaired[inside], border, window)}
        if reference is not None:
            pictures["reference"] = self._shown(reference[inside], border, window)
        if any(border):
            hole = cv2.copyMakeBorder(hole, *border, cv2.BORDER_CONSTANT, value=255)  # nobody knows what is there
        if window.size != window.side:
            hole = cv2.compare(
                cv2.resize(hole, (window.size, window.size), interpolation=cv2.INTER_AREA), 0, cv2.CMP_GT
            )
        # The rim is added at the model's scale, so that enlarging the fill again draws on fill alone.
        result = self._filled(pictures, widened(hole, self.rim), method)
        if window.size != window.side:
            side = window.side, window.side
            result = in_turns(result, lambda part: cv2.resize(part, side, interpolation=cv2.INTER_LINEAR))
        result = result[border[0] : window.side - border[1], border[2] : window.side - border[3]]
        # Promise 3 rests on this line alone, whatever the model returned.
        np.copyto(repaired[inside], with_channels(result, repaired.shape[2]), where=mask[inside][:, :, np.newaxis] != 0)

    def _shown(self, piece: Image, border: tuple[int, int, int, int], window: Window) -> Image:
        """A piece of a picture as the model takes it: [size,size,C]."""
        picture = with_channels(piece, self._channels)
        if any(border):
            picture = in_turns(picture, lambda part: cv2.copyMakeBorder(part, *border, cv2.BORDER_REPLICATE))
        if window.size != window.side:
            size = window.size, window.size
            picture = in_turns(picture, lambda part: cv2.resize(part, size, interpolation=cv2.INTER_AREA))
        return picture

    def _filled(self, pictures: Mapping[str, Image], hole: Mask, method: str) -> Image:
        """The `image` [S,S,C] of `pictures` with its hole filled."""
        if method in INPAINTERS:
            return inpaint(pictures["image"], hole, method)
        batches = {name: np.ascontiguousarray(picture)[np.newaxis] for name, picture in pictures.items()}
        (filled,) = self._model.run(mask=hole[np.newaxis], **batches)
        if filled.shape != batches["image"].shape or filled.dtype != np.uint8:
            raise ModelError(
                f"repairer.onnx gave {filled.dtype} {list(filled.shape)}, and should give uint8 "
                f"{list(batches['image'].shape)}; export it again"
            )
        result: Image = filled[0]
        return result


def inpaint(image: Image, hole: Mask, method: str) -> Image:
    """`image` [H,W,C] with the 255s of `hole` [H,W] filled by one of INPAINTERS; a stack is filled by the channel."""
    at_once = image.shape[2] if image.shape[2] in (1, 3) else 1
    flag = INPAINTERS[method]
    return in_turns(image, lambda part: np.asarray(cv2.inpaint(part, hole, INPAINT_RADIUS, flag), np.uint8), at_once)


def widened(mask: Mask, rim: int) -> Mask:
    """`mask` [H,W] grown by `rim` pixels on every side; itself where that is 0."""
    if rim == 0:
        return mask
    return np.asarray(cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * rim + 1, 2 * rim + 1))))


def depth(hole: Mask) -> float:
    """Pixels from the deepest point of `hole` [H,W] to the nearest pixel that is not 255; there are none past its edge.

    It tells how far what surrounds a hole must reach: a scratch is shallow however long it is, and a hole at the
    frame's border is deeper than one that is healthy all around.
    """
    return float(cv2.distanceTransform(hole, cv2.DIST_L2, cv2.DIST_MASK_3).max())


def _around(box: Box) -> tuple[slice, slice]:
    """Rows and columns of the box and one pixel more on each side, as far as the frame goes."""
    x, y, w, h = box
    return slice(max(y - 1, 0), y + h + 1), slice(max(x - 1, 0), x + w + 1)


def method_for(deep: float, methods: Sequence[RepairMethod]) -> str:
    """The name of the first of `methods` that takes holes of this depth."""
    return next(row.method for row in methods if row.max_depth is None or deep <= row.max_depth)
