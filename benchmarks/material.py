"""What every load runs on: the same clips of the simulated line, the same bundle, and how long to look."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2

from inspector.simulation import Line
from inspector.types import Image

SEEDS = (11, 23, 42, 77)
"""One line a clip; models are trained on seeds from 1000."""
WIDTH, HEIGHT = 640, 480
DEFECTS = 0.1
CAMERAS = 4


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to look. window, warm_up, overload: seconds;  clip: frames of each clip"""

    rounds: int
    window: float
    warm_up: float
    clip: int
    overload: float


FULL = Plan(rounds=3, window=10.0, warm_up=1.5, clip=200, overload=60.0)
QUICK = Plan(rounds=1, window=2.0, warm_up=0.5, clip=40, overload=3.0)


@dataclass(frozen=True, slots=True)
class Material:
    """folder: for whatever a load has to write"""

    plan: Plan
    folder: Path
    bundle: Path
    clips: tuple[Path, ...]


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def prepare(plan: Plan, folder: Path, bundle: Path) -> Material:
    """Write the clips into `folder`."""
    with ThreadPoolExecutor(cores()) as pool:
        clips = tuple(pool.map(lambda seed: write_clip(folder / f"line{seed}.avi", seed, plan.clip), SEEDS))
    return Material(plan, folder, bundle.absolute(), clips)


def write_clip(path: Path, seed: int, frames: int) -> Path:
    """`frames` parts of a simulated line as Motion JPEG; a share of `DEFECTS` is defective, at random places."""
    line = Line(seed, WIDTH, HEIGHT)
    bad = defective(seed, frames)
    fourcc = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, fourcc, 25.0, (WIDTH, HEIGHT))
    if not writer.isOpened():
        raise RuntimeError(f"OpenCV cannot write {path} as Motion JPEG; it was built without FFmpeg")
    for number in range(1, frames + 1):
        writer.write(line.part(number, defective=number in bad).image)
    writer.release()
    return path


def defective(seed: int, frames: int) -> frozenset[int]:
    """Which parts of a clip, counted from 1, have a defect."""
    return frozenset(random.Random(seed).sample(range(1, frames + 1), round(DEFECTS * frames)))


def open_clip(path: Path) -> cv2.VideoCapture:
    """A clip, decoded by one thread as the daemon does it."""
    return cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])


def read_clip(path: Path) -> Iterator[Image]:
    """The frames of a clip, uint8 [height, width, 3]."""
    capture = open_clip(path)
    while True:
        there, image = capture.read()
        if not there:
            return
        yield image
