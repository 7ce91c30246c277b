"""Pictures of the simulated line as a training set, in the folders of MVTec AD and beside them what that lacks.

    train/good                              test/good                     good parts
    train_defective/<kind>                  test/<kind>                   defective parts
    train_ground_truth/<kind>/<stem>_mask   ground_truth/<kind>/<stem>_mask   0 or 255, the defect's pixels
    train_reference/<kind>                  reference/<kind>              the same pictures without the defect
    MANIFEST.tsv                            path, sha256, upstream_path, group (the line's seed)

All files are PNG. No line is in both train and test.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2

from inspector.errors import DataError
from inspector.simulation.line import Line, Part
from inspector.types import Image

PARTS_A_LINE = 32  # so that a set shows many belts, lamps and pieces of metal


def write_dataset(
    folder: Path,
    seed: int,
    good: int,
    defective: int,
    *,
    test_good: int | None = None,
    test_defective: int | None = None,
    width: int = 640,
    height: int = 480,
    channels: int = 3,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write `good` and `defective` parts to train on, and to test as many as given (default: half as many).

    Lines have the seeds `seed`, `seed` + 1, ...: first those of the training parts, then those of the test's.
    `progress` hears the number of parts written and their total.
    Raises DataError where the folder has something in it already, or a picture cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{str(folder)!r} exists and is not an empty folder; give a new folder for the pictures")
    test_good = (good + 1) // 2 if test_good is None else test_good
    test_defective = (defective + 1) // 2 if test_defective is None else test_defective
    total, done = good + defective + test_good + test_defective, 0
    rows = ["path\tsha256\tupstream_path\tgroup"]
    for purpose, goods, parts in ("train", good, good + defective), ("test", test_good, test_good + test_defective):
        lines = -(-parts // PARTS_A_LINE)
        if purpose == "train":  # which holds whole lines back, to validate on
            lines = max(lines, min(parts, 2))
        for line in (Line(seed + offset, width, height, channels=channels) for offset in range(lines)):
            for index in range(line.seed - seed, parts, lines):
                part = line.part(index + 1, defective=index >= goods)
                for path, picture in _files(purpose, line, part):
                    sha256 = _write(folder / path, picture)
                    rows.append(f"{path}\t{sha256}\tline {line.seed}, part {part.number}\t{line.seed}")
                done += 1
                progress(done, total)
        seed += lines
    (folder / "MANIFEST.tsv").write_text("\n".join(rows) + "\n")


def _files(purpose: str, line: Line, part: Part) -> Iterator[tuple[Path, Image]]:
    stem = f"{line.seed:06d}_{part.number:06d}"
    if part.kind is None:
        yield Path(purpose, "good", f"{stem}.png"), part.image
        return
    prefix = "train_" if purpose == "train" else ""
    yield Path("train_defective" if prefix else "test", part.kind, f"{stem}.png"), part.image
    yield Path(f"{prefix}ground_truth", part.kind, f"{stem}_mask.png"), part.mask
    yield Path(f"{prefix}reference", part.kind, f"{stem}.png"), part.reference


def _write(path: Path, picture: Image) -> str:
    """Write a PNG; returns its sha256."""
    content = cv2.imencode(".png", picture)[1].tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()
