"""Pictures of the simulated line as a training set, in the folders of MVTec AD and beside them what that lacks.

    train/good                              test/good                     good parts
    train_defective/<kind>                  test/<kind>                   defective parts
    train_ground_truth/<kind>/<stem>_mask   ground_truth/<kind>/<stem>_mask   0 or 255, the defect's pixels
    train_reference/<kind>                  reference/<kind>              the same pictures without the defect
    MANIFEST.tsv                            path, sha256, upstream_path, group (the line's seed)

All files are PNG. No line is in both train and test. Of several modalities each has a folder of its own, with the same
names in it: train/good/visible/*, train/good/infrared/*; a part has one mask.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import cv2

from inspector.errors import DataError
from inspector.simulation.line import INFRARED, Line, Part
from inspector.simulation.tray import Tray, make_line
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
    modalities: Sequence[str] = (),
    defect_size: float | None = None,
    columns: int = 1,
    rows: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write `good` and `defective` parts to train on, and to test as many as given (default: half as many).

    Lines have the seeds `seed`, `seed` + 1, ...: first those of the training parts, then those of the test's.
    channels: of visible light;  modalities: which cameras look at each part; none: one, without hidden defects
    defect_size, columns, rows: see `make_line`; of a tray a file has the whole, and "part" means it
    `progress` hears the number of parts written and their total.
    Raises DataError where the folder has something in it already, or a picture cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{str(folder)!r} exists and is not an empty folder; give a new folder for the pictures")
    test_good = (good + 1) // 2 if test_good is None else test_good
    test_defective = (defective + 1) // 2 if test_defective is None else test_defective
    total, done = good + defective + test_good + test_defective, 0
    manifest = ["path\tsha256\tupstream_path\tgroup"]

    def line(seed: int, modality: str | None) -> Line | Tray:
        seen = 1 if modality == INFRARED else channels
        return make_line(
            seed, width, height, channels=seen, modality=modality, defect_size=defect_size, columns=columns, rows=rows
        )

    for purpose, goods, parts in ("train", good, good + defective), ("test", test_good, test_good + test_defective):
        lines = -(-parts // PARTS_A_LINE)
        if purpose == "train":  # which holds whole lines back, to validate on
            lines = max(lines, min(parts, 2))
        for offset in range(lines):
            views = {modality: line(seed + offset, modality) for modality in modalities or (None,)}
            for index in range(offset, parts, lines):
                shown = {name: view.part(index + 1, defective=index >= goods) for name, view in views.items()}
                for path, picture in _files(purpose, f"{seed + offset:06d}_{index + 1:06d}", shown):
                    sha256 = _write(folder / path, picture)
                    manifest.append(f"{path}\t{sha256}\tline {seed + offset}, part {index + 1}\t{seed + offset}")
                done += 1
                progress(done, total)
        seed += lines
    (folder / "MANIFEST.tsv").write_text("\n".join(manifest) + "\n")


def _files(purpose: str, stem: str, shown: Mapping[str | None, Part]) -> Iterator[tuple[Path, Image]]:
    """The files of one part, which is `shown` to each modality; None where there is but one."""
    prefix = "train_" if purpose == "train" else ""
    part = next(iter(shown.values()))
    folder = Path(purpose, "good") if part.kind is None else Path("train_defective" if prefix else "test", part.kind)
    for modality, view in shown.items():
        yield folder / (modality or "") / f"{stem}.png", view.image
    if part.kind is not None:
        yield Path(f"{prefix}ground_truth", part.kind, f"{stem}_mask.png"), part.mask
        for modality, view in shown.items():
            yield Path(f"{prefix}reference", part.kind, modality or "", f"{stem}.png"), view.reference


def _write(path: Path, picture: Image) -> str:
    """Write a PNG; returns its sha256."""
    content = cv2.imencode(".png", picture)[1].tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()
