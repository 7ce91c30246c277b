"""The work on a frame by OpenCV, NumPy and ONNX Runtime alone, nothing of inspector in it.

It is what the limit is made of, and what the afternoon script calls in its loop; it gives what the daemon gives: the
same windows are repaired (held by a test), the same payloads encoded.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

Picture: TypeAlias = NDArray[np.uint8]
Box: TypeAlias = tuple[int, int, int, int]
Patch: TypeAlias = tuple[Box, Picture]

MARGIN = 12
INPAINTERS = {"telea": cv2.INPAINT_TELEA, "ns": cv2.INPAINT_NS}


@dataclass(frozen=True, slots=True)
class Defect:
    """A connected region above the threshold, in pixels of the frame."""

    box: Box
    area: int
    centroid: tuple[float, float]
    score: float


class Model:
    """A bundle's sessions, one thread each, and its numbers; for colour bundles with a repairer."""

    def __init__(self, folder: Path) -> None:
        card = tomllib.loads((folder / "bundle.toml").read_text())
        size = card["input"]
        self.size = (size["width"], size["height"])
        self.threshold: float = card["decision"]["threshold"]
        self.min_area: int = card["decision"]["min_area"]
        self.windows: list[int] = card["repair"]["windows"]
        self.methods: list[dict[str, Any]] = card["repair"].get("methods", [{"method": "network"}])
        side = 2 * card["repair"].get("rim", 2) + 1
        self.rim = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
        self.detector = _session(folder / "detector.onnx")
        self.repairer = _session(folder / "repairer.onnx")
        self.row = np.empty((1, size["height"], size["width"], size["channels"]), np.uint8)

    def detect(self, frame: Picture) -> tuple[float, NDArray[np.float32]]:
        """Score and probability map [h, w] of a frame [H, W, 3]."""
        self.resize(frame)
        return self.infer(self.row)

    def resize(self, frame: Picture) -> None:
        """Into the model's input."""
        cv2.resize(frame, self.size, dst=self.row[0], interpolation=cv2.INTER_AREA)

    def infer(self, batch: Picture) -> tuple[float, NDArray[np.float32]]:
        """Score and map of a batch of one."""
        scores, maps = self.detector.run(None, {"image": batch})
        return float(scores[0]), maps[0]

    def judge(self, probability: NDArray[np.float32], frame: Picture) -> tuple[Picture, list[Defect]]:
        """Mask at the frame's size and the defects in it; none if the frame is good."""
        height, width = frame.shape[:2]
        least = self.min_area * height * width / probability.size
        if probability.shape != (height, width):
            probability = cv2.resize(probability, (width, height), interpolation=cv2.INTER_LINEAR)
        mask = cv2.compare(probability, self.threshold, cv2.CMP_GT)
        left, top, width, height = cv2.boundingRect(mask)
        if width == 0:
            return mask, []
        piece = (slice(top, top + height), slice(left, left + width))
        kind = cv2.CV_16U if width * height < 200_000 else cv2.CV_32S
        _, labels, stats, centroids = cv2.connectedComponentsWithStats(mask[piece], connectivity=8, ltype=kind)
        defects = []
        for label in range(1, len(stats)):
            x, y, w, h, area = (int(value) for value in stats[label])
            inside = (slice(y, y + h), slice(x, x + w))
            mine = labels[inside] == label
            if area < least:
                mask[piece][inside][mine] = 0
                continue
            score = float(probability[piece][inside][mine].max())
            centre = (float(centroids[label, 0]) + left, float(centroids[label, 1]) + top)
            defects.append(Defect((x + left, y + top, w, h), area, centre, score))
        return mask, defects

    def repair(self, frame: Picture, mask: Picture, defects: list[Defect]) -> tuple[Picture, list[Patch]]:
        """The whole repaired frame, and its repaired pieces with their boxes."""
        repaired = frame.copy()
        height, width = mask.shape
        planned = plan([defect.box for defect in defects], height, width, self.windows)
        for x, y, side, hole in planned:
            self._fill(repaired, mask, x, y, side, self._method(mask, hole))
        return repaired, [((x, y, w, h), repaired[y : y + h, x : x + w]) for *_, (x, y, w, h) in planned]

    def _method(self, mask: Picture, hole: Box) -> str:
        """By the hole's depth, as the bundle's card says."""
        x, y, w, h = hole
        around = mask[max(y - 1, 0) : y + h + 1, max(x - 1, 0) : x + w + 1]
        deep = cv2.distanceTransform(around, cv2.DIST_L2, cv2.DIST_MASK_3).max()
        return next(str(row["method"]) for row in self.methods if deep <= row.get("max_depth", deep))

    def _fill(self, repaired: Picture, mask: Picture, x: int, y: int, side: int, method: str) -> None:
        inside = (slice(y, y + side), slice(x, x + side))
        picture, hole = repaired[inside], mask[inside]
        size = min(side, self.windows[-1])
        if size != side:
            picture = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
            hole = cv2.compare(cv2.resize(hole, (size, size), interpolation=cv2.INTER_AREA), 0, cv2.CMP_GT)
        hole = cv2.dilate(hole, self.rim)
        if method in INPAINTERS:
            filled = cv2.inpaint(np.ascontiguousarray(picture), hole, 3.0, INPAINTERS[method])
        else:
            batch = np.ascontiguousarray(picture)[np.newaxis]
            filled = self.repairer.run(None, {"image": batch, "mask": hole[np.newaxis]})[0][0]
        if size != side:
            filled = cv2.resize(filled, (side, side), interpolation=cv2.INTER_LINEAR)
        np.copyto(repaired[inside], filled, where=mask[inside][:, :, np.newaxis] != 0)


def plan(boxes: list[Box], height: int, width: int, sizes: list[int]) -> list[tuple[int, int, int, Box]]:
    """x, y and side of each window to repair, and the box of what it is to repair there."""
    planned: list[tuple[int, int, int, Box]] = []
    for box in sorted(boxes, key=lambda box: (-max(box[2:]), box)):
        x, y, w, h = box
        for index, (left, top, side, hole) in enumerate(planned):
            if (
                left + MARGIN <= x <= left + side - MARGIN - w
                and top + MARGIN <= y <= top + side - MARGIN - h
            ):  # fmt: skip
                planned[index] = (left, top, side, _union(hole, box))
                break
        else:
            needed = max(w, h) + 2 * MARGIN
            side = next((size for size in sizes if size >= needed), needed)
            side = min(side, height, width)
            left = min(max(x + w // 2 - side // 2, 0), width - side)
            top = min(max(y + h // 2 - side // 2, 0), height - side)
            planned.append((left, top, side, box))
    return planned


def encode(mask: Picture, patches: list[Patch]) -> list[bytes]:
    """The mask as a PNG of one bit a pixel, and each patch as a PNG."""
    pictures: list[tuple[Any, list[int]]] = [(mask, [cv2.IMWRITE_PNG_BILEVEL, 1, cv2.IMWRITE_PNG_COMPRESSION, 1])]
    pictures += [(patch, []) for _, patch in patches]
    return [cv2.imencode(".png", picture, options)[1].tobytes() for picture, options in pictures]


def _union(a: Box, b: Box) -> Box:
    left, top = min(a[0], b[0]), min(a[1], b[1])
    return left, top, max(a[0] + a[2], b[0] + b[2]) - left, max(a[1] + a[3], b[1] + b[3]) - top


def _session(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
