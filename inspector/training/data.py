"""Finds the pictures of a data set and reads them.

Two layouts are known, and no others are guessed at:

    train/good/*                                  normal pictures, to train with
    train_defective/<kind>/*                      optional defective ones
    train_ground_truth/<kind>/<stem>_mask.png     optional masks: 0 is normal, 255 is defective
    train_reference/<kind>/<stem>.*               optional: the same part without its defect, aligned; of the kind
                                                  "good": another good part of the same place
    test/good/*  test/<kind>/*                    pictures to evaluate with
    ground_truth/<kind>/<stem>_mask.png           and their masks
    reference/<kind>/<stem>.*                     and their defect-free twins
    MANIFEST.tsv                                  optional: columns `path` and `group` (the part that is shown)

    normal/*  defective/*                         the plain layout: pictures only

Where a part has several modalities, each folder of pictures or references has a folder a modality instead, with the
same names in them: train/good/visible/*, train/good/infrared/* (modalities.py). A part has one mask.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from inspector import files
from inspector.errors import DataError
from inspector.inference import channels as formats
from inspector.training.modalities import PICTURES, SAME_FOLDERS, check_name, divisions, files_of, pictures_in, stacked
from inspector.types import Image, Mask

SPREAD = 16
"""Pictures that are looked at to learn what all are like."""

MANIFEST = "MANIFEST.tsv"
GOOD = "good"
PLAIN_DEFECT = "defect"


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture of a data set.

    picture: its path, or the name of a stack of modalities, whose files `files_of` has; a reference is named likewise
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
    """The pictures to train with, good ones first; raises DataError where there is none, or by `_check_plain`."""
    samples = find_training(root)
    if not any(sample.good for sample in samples):
        raise DataError(
            f"{root} has no normal pictures: put them into {root / 'train' / GOOD} or {root / 'normal'} "
            f"(files that end in {', '.join(sorted(PICTURES))})"
        )
    _check_plain(root, samples)
    return with_groups(root, samples)


def find_training(root: Path) -> list[Sample]:
    """Whatever there is to train with, good ones first, without groups."""
    if (root / "train" / GOOD).is_dir():
        samples = _folder(root / "train" / GOOD, GOOD, references=root / "train_reference")
        for folder in _folders(root / "train_defective"):
            samples += _folder(folder, folder.name, root / "train_ground_truth", root / "train_reference")
        return samples
    return _plain(root)


def test_samples(root: Path) -> list[Sample]:
    """The pictures to evaluate with; raises DataError where there are none, or by `_check_plain`."""
    samples = find_test(root)
    if not samples:
        raise DataError(f"{root} has no pictures to evaluate: neither test/<kind>/* nor normal/* and defective/*")
    _check_plain(root, samples)
    return with_groups(root, samples)


def find_test(root: Path) -> list[Sample]:
    """Whatever there is to evaluate with, good ones first, without groups."""
    if (root / "test").is_dir():
        samples = _folder(root / "test" / GOOD, GOOD, references=root / "reference")
        for folder in _folders(root / "test"):
            if folder.name != GOOD:
                samples += _folder(folder, folder.name, root / "ground_truth", root / "reference")
        return samples
    return _plain(root)


def loose_samples(root: Path, kind: str, divided: bool = True) -> list[Sample]:
    """The pictures in `root` itself, all of one kind; `divided`: or in folders of their modalities below it."""
    return with_groups(root, _folder(root, kind) if divided or not divisions(root) else [])


def _plain(root: Path) -> list[Sample]:
    return _folder(root / "normal", GOOD) + _folder(root / "defective", PLAIN_DEFECT)


def _check_plain(root: Path, samples: Iterable[Sample]) -> None:
    """Raise DataError where pictures of the plain layout are divided differently: kinds would pass for modalities."""
    normal, defective = root / "normal", root / "defective"
    if {sample.picture.parent for sample in samples} == {normal, defective}:
        good, bad = (", ".join(below.name for below in divisions(folder)) for folder in (normal, defective))
        if good != bad:
            raise DataError(
                f"{normal} is divided into {good or 'nothing'}, {defective} into {bad or 'nothing'}; {SAME_FOLDERS}"
            )


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _folder(folder: Path, kind: str, masks: Path | None = None, references: Path | None = None) -> list[Sample]:
    pictures = pictures_in(folder)
    twins = {} if references is None else {path.stem: path for path in pictures_in(references / kind)}
    samples = []
    for picture in pictures:
        mask = None if masks is None else masks / kind / f"{picture.stem}_mask.png"
        samples.append(Sample(picture, kind, mask if mask and mask.is_file() else None, twins.get(picture.stem)))
    return samples


def read_manifest(root: Path) -> list[dict[str, str]] | None:
    """The rows of the manifest, by column, or None where there is no manifest; raises DataError where it is none."""
    manifest = root / MANIFEST
    if not manifest.is_file():
        return None
    try:
        with manifest.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets put a mark before it
            rows = csv.DictReader(file, delimiter="\t", restval="")
            columns, content = set(rows.fieldnames or ()), list(rows)
    except UnicodeDecodeError as error:
        raise DataError(f"{manifest} is not UTF-8; save it as UTF-8, or remove it") from error
    except csv.Error as error:
        raise DataError(f"{manifest} is no table divided by tabs ({error}); mend or remove it") from error
    if not {"path", "group"} <= columns:
        raise DataError(f"{manifest} lacks the columns `path` and `group`, divided by tabs; add them or remove it")
    return content


def with_groups(root: Path, samples: list[Sample]) -> list[Sample]:
    """The samples with the groups that the manifest gives them; raises DataError where the manifest is none."""
    rows = read_manifest(root)
    if rows is None:
        return samples
    groups = {row["path"]: row["group"] for row in rows}
    return [replace(sample, group=_group(root, sample, groups)) for sample in samples]


def _group(root: Path, sample: Sample, groups: Mapping[str, str]) -> str:
    """The group of a picture, or of the first of its files that has one."""
    paths = (path.relative_to(root).as_posix() for path in files_of(sample.picture))
    return next((group for path in paths if (group := groups.get(path))), "")


def modalities(samples: Sequence[Sample]) -> dict[str, int]:
    """The channels of each modality by its name, in their order; none where pictures are not divided into folders.

    Of the first picture that can be read. Raises DataError for a name that a bundle cannot have.
    """
    for sample in samples:
        files = files_of(sample.picture)
        if len(files) > 1:
            names = [check_name(file.parent) for file in files]
            with suppress(DataError):  # whoever leaves out what cannot be read says so
                return {name: read_as_stored(file).shape[2] for name, file in zip(names, files, strict=True)}
    return {}


def check_modalities(samples: Sequence[Sample], takes: Mapping[str, int]) -> None:
    """Raise DataError where pictures and bundle both name modalities, and not the same ones."""
    for folder in {sample.picture.parent for sample in samples}:
        names = [below.name for below in divisions(folder)]
        if names and takes and names != list(takes):
            raise DataError(
                f"{folder} has the modalities {', '.join(names)}, and the bundle takes {', '.join(takes)}; give "
                "pictures in folders of these names"
            )


def readable(samples: Iterable[Sample], channels: int, whole: bool = False) -> tuple[list[Sample], list[str]]:
    """The samples whose pictures can be had with `channels`, and a sentence for each other.

    whole: their masks must fit too, and their references be readable
    """
    kept, problems = [], []
    for sample in samples:
        try:
            height, width, _ = read_picture(sample.picture, channels).shape
            if whole and sample.mask is not None:
                read_mask(sample.mask, (height, width))
            if whole and sample.reference is not None:
                read_picture(sample.reference, channels)
        except DataError as error:
            problems.append(str(error))
        else:
            kept.append(sample)
    return kept, problems


def as_trained(samples: Iterable[Sample], training: Mapping[str, Any]) -> list[Sample]:
    """What a training that a card tells of as `training` takes of `samples` that are wholly `readable`.

    Its data_sha256 is the `data_hash` of them if it was these pictures that it took.
    """
    return [sample for sample in samples if sample.good or training.get("mode") != "normal"]


def read_picture(path: Path, channels: int, convert: bool = True) -> Image:
    """A picture as uint8 [height, width, channels]; raises DataError, naming the file.

    convert: False leaves a grey or colour picture that is no stack as it was taken, for a model of either
    """
    files = files_of(path)
    if len(files) == 1:
        return _read(files[0], lambda data: formats.decode(data, channels, convert))
    image = read_as_stored(path)
    try:
        return formats.converted(image, channels)
    except DataError as error:
        raise DataError(f"{path} is {error}") from error


def read_as_stored(path: Path) -> Image:
    """A picture as uint8 [height, width, C], with the channels that its file or files have; raises DataError."""

    def decode(data: bytes) -> Image | None:
        found = formats.stored(data)
        return None if found is None else formats.to_bytes(found)

    images = {file.parent.name: _read(file, decode) for file in files_of(path)}
    return stacked(path, images) if len(images) > 1 else next(iter(images.values()))


def read_grey(path: Path) -> Image:
    """A picture of any number of channels as uint8 [height, width, 1]; raises DataError, naming the file."""
    return formats.grey(read_as_stored(path))


def _read(path: Path, decode: Callable[[bytes], Image | None]) -> Image:
    try:
        image = decode(files.read(path))
    except FileNotFoundError as error:
        raise DataError(f"{path} is not there; add it") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); mend its rights, or remove it") from error
    except DataError as error:
        raise DataError(f"{path} is {error}") from error
    if image is None:
        raise DataError(f"{path} is not a picture that OpenCV can read; replace or remove it")
    return image


def read_mask(path: Path, shape: tuple[int, int]) -> Mask:
    """A mask as uint8 [height, width], 0 or 255; raises DataError where it is not of the picture's `shape`."""
    mask = read_picture(path, 1)[:, :, 0]
    if mask.shape != shape:
        raise DataError(
            f"{path} is {mask.shape[1]}x{mask.shape[0]}, its picture {shape[1]}x{shape[0]}; make them equal"
        )
    return np.where(mask > 127, 255, 0).astype(np.uint8)


def count_channels(samples: list[Sample]) -> int:
    """The channels to train with: 1 or 3, or those of stacked modalities; by a spread of the readable pictures.

    Raises DataError where stacks are mixed with others.
    """
    found = set()
    for sample in samples[:: max(1, len(samples) // SPREAD)]:
        with suppress(DataError):  # whoever leaves out what cannot be read says so
            image = read_as_stored(sample.picture)
            found.add(1 if is_grey(image) else image.shape[2])
    found = found or {3}
    if found <= {1, 3}:
        return max(found)
    if len(found) > 1:
        raise DataError(
            f"the pictures have {' and '.join(map(str, sorted(found)))} channels; a model takes one number of them: "
            "keep only the pictures of one kind"
        )
    return found.pop()


def is_grey(image: Image, tolerance: float = 2.0) -> bool:
    """Whether a picture [H,W,C] has no colour: one channel, or three that differ by at most `tolerance` on average."""
    channels: int = image.shape[2]
    if channels != 3:
        return channels == 1
    wide = image.astype(np.int16)
    difference = float(np.abs(wide - wide[:, :, 1:2]).mean())
    return difference <= tolerance


def data_hash(samples: Iterable[Sample]) -> str:
    """sha256, hex, over the contents of all pictures, masks and references, in their order."""
    digest = hashlib.sha256()
    for sample in samples:
        for path in (sample.picture, sample.mask, sample.reference):
            for file in () if path is None else files_of(path):
                digest.update(hashlib.sha256(file.read_bytes()).digest())
            digest.update(b"-" if path is None else b"")
    return digest.hexdigest()
