"""Finds the pictures of a data set and reads them.

Two layouts are known, and no others are guessed at:

    train/good/*                                  normal pictures, to train with
    train_defective/<kind>/*                      optional defective ones
    train_ground_truth/<kind>/<stem>_mask.png     optional masks: 0 is normal, 255 is defective
    train_reference/<kind>/<stem>.*               optional: the same part without its defect, aligned
    test/good/*  test/<kind>/*                    pictures to evaluate with
    ground_truth/<kind>/<stem>_mask.png           and their masks
    reference/<kind>/<stem>.*                     and their defect-free twins
    MANIFEST.tsv                                  optional: columns `path` and `group` (the part that is shown)

    normal/*  defective/*                         the plain layout: pictures only
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from inspector.errors import DataError
from inspector.types import Image, Mask

PICTURES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
GOOD = "good"
PLAIN_DEFECT = "defect"


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture of a data set.

    kind: "good", or the name of the defect
    mask, reference: where its mask and its defect-free twin are, if there are any
    group: the part or place that it shows; empty where nobody tells
    """

    picture: Path
    kind: str
    mask: Path | None = None
    reference: Path | None = None
    group: str = ""

    @property
    def good(self) -> bool:
        """Whether it shows a part without a defect."""
        return self.kind == GOOD


def training_samples(root: Path) -> list[Sample]:
    """The pictures to train with, good ones first; raises DataError where there is no good one."""
    if (root / "train" / GOOD).is_dir():
        samples = _folder(root / "train" / GOOD, GOOD)
        for folder in _folders(root / "train_defective"):
            samples += _folder(folder, folder.name, root / "train_ground_truth", root / "train_reference")
    else:
        samples = _plain(root)
    if not any(sample.good for sample in samples):
        raise DataError(
            f"{root} has no normal pictures: put them into {root / 'train' / GOOD} or {root / 'normal'} "
            f"(files that end in {', '.join(sorted(PICTURES))})"
        )
    return _with_groups(root, samples)


def test_samples(root: Path) -> list[Sample]:
    """The pictures to evaluate with; raises DataError where there are none."""
    if (root / "test").is_dir():
        samples = _folder(root / "test" / GOOD, GOOD)
        for folder in _folders(root / "test"):
            if folder.name != GOOD:
                samples += _folder(folder, folder.name, root / "ground_truth", root / "reference")
    else:
        samples = _plain(root)
    if not samples:
        raise DataError(f"{root} has no pictures to evaluate: neither test/<kind>/* nor normal/* and defective/*")
    return _with_groups(root, samples)


def loose_samples(root: Path, kind: str) -> list[Sample]:
    """The pictures that lie in `root` itself, all of one kind."""
    return _with_groups(root, _folder(root, kind))


def _plain(root: Path) -> list[Sample]:
    return _folder(root / "normal", GOOD) + _folder(root / "defective", PLAIN_DEFECT)


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _folder(folder: Path, kind: str, masks: Path | None = None, references: Path | None = None) -> list[Sample]:
    pictures = _pictures(folder)
    twins = {} if references is None else {path.stem: path for path in _pictures(references / kind)}
    samples = []
    for picture in pictures:
        mask = None if masks is None else masks / kind / f"{picture.stem}_mask.png"
        samples.append(Sample(picture, kind, mask if mask and mask.is_file() else None, twins.get(picture.stem)))
    return samples


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES and path.is_file())


def _with_groups(root: Path, samples: list[Sample]) -> list[Sample]:
    manifest = root / "MANIFEST.tsv"
    if not manifest.is_file():
        return samples
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file, delimiter="\t")
        if not {"path", "group"} <= set(rows.fieldnames or ()):
            raise DataError(f"{manifest} lacks the columns `path` and `group`, divided by tabs; add them or remove it")
        groups = {row["path"]: row["group"] or "" for row in rows}
    return [
        Sample(s.picture, s.kind, s.mask, s.reference, groups.get(s.picture.relative_to(root).as_posix(), ""))
        for s in samples
    ]


def readable(samples: Iterable[Sample]) -> tuple[list[Sample], list[str]]:
    """The samples whose pictures can be decoded, and a sentence for each that cannot."""
    kept, problems = [], []
    for sample in samples:
        try:
            read_picture(sample.picture, 1)
        except DataError as error:
            problems.append(str(error))
        else:
            kept.append(sample)
    return kept, problems


def read_picture(path: Path, channels: int) -> Image:
    """A picture as uint8 [height, width, channels]; raises DataError, naming the file."""
    data = np.fromfile(path, np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise DataError(f"{path} is not a picture that OpenCV can read; replace or remove it")
    return np.asarray(image, np.uint8).reshape(*image.shape[:2], channels)


def read_mask(path: Path, shape: tuple[int, int]) -> Mask:
    """A mask as uint8 [height, width], 0 or 255; raises DataError where it is not of the picture's `shape`."""
    mask = read_picture(path, 1)[:, :, 0]
    if mask.shape != shape:
        raise DataError(
            f"{path} is {mask.shape[1]}x{mask.shape[0]}, its picture {shape[1]}x{shape[0]}; make them equal"
        )
    return np.where(mask > 127, 255, 0).astype(np.uint8)


def is_grey(samples: list[Sample], tolerance: float = 2.0) -> bool:
    """Whether a spread of the pictures has no colour: its channels differ by less than `tolerance` on average."""
    spread = samples[:: max(1, len(samples) // 16)]
    for sample in spread:
        image = read_picture(sample.picture, 3).astype(np.int16)
        if np.abs(image - image[:, :, 1:2]).mean() > tolerance:
            return False
    return True


def data_hash(samples: Iterable[Sample]) -> str:
    """sha256, hex, over the contents of all pictures, masks and references, in their order."""
    digest = hashlib.sha256()
    for sample in samples:
        for path in (sample.picture, sample.mask, sample.reference):
            digest.update(b"-" if path is None else hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
