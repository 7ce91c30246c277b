"""Rules about the folder: files that no layout rule takes, and a manifest that does not fit the files."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from inspector.training.check.findings import Finding, error, note, warning
from inspector.training.data import GOOD, MANIFEST, Sample
from inspector.training.modalities import PICTURES, SAME_FOLDERS, divisions, files_of

LAYOUT = (
    "train", "train_defective", "train_ground_truth", "train_reference", "test", "ground_truth", "reference",
    "normal", "defective",
)  # fmt: skip
OTHER_PICTURES = frozenset({".gif", ".heic", ".jp2", ".avif", ".raw", ".dng", ".npy", ".pgm", ".ppm", ".tga"})
"""Extensions of pictures that training does not read."""

_TESTS = ("test", "ground_truth", "reference")
_MASKS = ("train_ground_truth", "ground_truth")
_TWINS = ("train_reference", "reference")


def strays(root: Path, samples: list[Sample]) -> Iterator[Finding]:
    """What lies in the folder and is not taken."""
    named = {path for sample in samples for path in (sample.picture, sample.mask, sample.reference) if path}
    taken = {file for path in named for file in files_of(path)}
    stems = {(sample.kind, sample.picture.stem) for sample in samples}
    left: dict[str, list[str]] = defaultdict(list)
    elsewhere: Counter[str] = Counter()
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if path in taken or any(part.startswith(".") for part in parts) or not path.is_file():
            continue
        suffix = path.suffix.lower()
        if suffix not in PICTURES | OTHER_PICTURES:
            continue
        if parts[0] not in LAYOUT:
            elsewhere[f"{parts[0]}/" if len(parts) > 1 else "the folder itself"] += 1
        else:
            left[_why(parts, suffix, stems)].append("/".join(parts))
    for why, files in left.items():
        rule, what, remedy = _STRAYS[why]
        yield warning(rule, f"{what}: {len(files)}", remedy, files)
    if elsewhere:
        places = ", ".join(f"{place} ({count})" for place, count in elsewhere.most_common())
        yield note(
            "ignored", f"pictures lie where no layout rule looks: {places}",
            "move them below train/, train_defective/ or test/ if they are meant to be used",
        )  # fmt: skip


_STRAYS = {
    "extension": (
        "extension", "pictures with an extension that is not read",
        f"save them anew as one of {', '.join(sorted(PICTURES))}",
    ),
    "good mask": (
        "good-mask", "masks of good pictures, which have no defect",
        "move the pictures to the kind of their defect, or remove the masks",
    ),
    "mask": (
        "orphan-mask", "masks of no picture",
        "name each mask <stem of its picture>_mask.png, in the folder of the same kind, or remove it",
    ),
    "mask name": (
        "mask-name", "masks with another name than a mask has, so that their pictures count as without",
        "name each mask <stem of its picture>_mask.png",
    ),
    "twin": (
        "orphan-reference", "references of no picture",
        "give each reference the stem of its picture, in the folder of the same kind, or remove it",
    ),
    "place": (
        "place", "pictures beside the folders that are read, or too deep in them",
        "move them to train/good/, train_defective/<kind>/ or test/<kind>/, with no folder below",
    ),
    "plain": (
        "two-layouts", "pictures in normal/ or defective/, which are not read where train/good/ and test/ are",
        "move their pictures to train/good/ and train_defective/<kind>/, or remove them",
    ),
}  # fmt: skip


def _why(parts: tuple[str, ...], suffix: str, stems: set[tuple[str, str]]) -> str:
    folder, kind, stem = parts[0], parts[1] if len(parts) > 2 else "", Path(parts[-1]).stem
    if folder in _MASKS:
        if kind == GOOD:
            return "good mask"
        named = (kind, stem.removesuffix("_mask")) in stems
        return "mask name" if named and not (stem.endswith("_mask") and suffix == ".png") else "mask"
    if suffix in OTHER_PICTURES:
        return "extension"
    if folder in _TWINS:
        return "twin"
    return "plain" if folder in ("normal", "defective") and len(parts) == 2 else "place"


def dangling(root: Path, test: bool) -> Iterator[Finding]:
    """Links to pictures, or to folders of them, that are not there: what they name would silently not exist.

    test: also those among the pictures to evaluate with
    """
    tops = [root / name for name in LAYOUT if test or name not in _TESTS]
    places = [*tops, *(path for top in tops for depth in ("*", "*/*", "*/*/*") for path in top.glob(depth))]
    names = [
        path.relative_to(root).as_posix() for path in places
        if path.suffix.lower() in PICTURES | {""} and not path.name.startswith(".")
        and path.is_symlink() and not path.exists()
    ]  # fmt: skip
    if names:
        yield error(
            "dangling", f"links to what is not there, so that nothing is read in their place: {len(names)}",
            "bring back what they point to, or remove them", sorted(names),
        )  # fmt: skip


def modalities(root: Path, samples: list[Sample]) -> Iterator[Finding]:
    """Folders that are divided into other modalities than most, or not at all."""
    named = {path for sample in samples for path in (sample.picture, sample.reference) if path}
    divided = {folder: tuple(below.name for below in divisions(folder)) for folder in {p.parent for p in named}}
    if len(set(divided.values())) > 1:
        usual = Counter(names for names in divided.values() if names).most_common(1)[0][0]
        odd = sorted(folder.relative_to(root).as_posix() for folder, names in divided.items() if names != usual)
        yield error(
            "modalities", f"folders that are not divided into {', '.join(usual)} as others are: {len(odd)}",
            SAME_FOLDERS, odd,
        )  # fmt: skip


def ambiguous(root: Path, samples: list[Sample]) -> Iterator[Finding]:
    """Pictures of one folder and stem, such as 1.png and 1.jpg: they would share a mask."""
    by_stem: dict[tuple[Path, str], list[str]] = defaultdict(list)
    for sample in samples:
        by_stem[sample.picture.parent, sample.picture.stem].append(sample.picture.relative_to(root).as_posix())
    files = [name for names in by_stem.values() if len(names) > 1 for name in names]
    if files:
        yield warning(
            "stem", f"pictures that share folder and stem with another, and so its mask: {len(files)}",
            "give each picture of a folder a stem of its own", files,
        )  # fmt: skip


def manifest(
    root: Path, rows: list[dict[str, str]] | None, samples: list[Sample], sums: Mapping[Path, str]
) -> Iterator[Finding]:
    """A manifest names what is there, all of it, and with the checksums that it has.

    sums: sha256 of files that were read already
    """
    if rows is None:
        return
    paths = Counter(row["path"] for row in rows)
    missing = [path for path in paths if not (root / path).is_file()]
    if missing:
        yield warning(
            "manifest-missing", f"files that {MANIFEST} names and that are not there: {len(missing)}",
            "bring the files back or take their rows out", missing,
        )  # fmt: skip
    files = (file for sample in samples for file in files_of(sample.picture))
    unnamed = [name for file in files if (name := file.relative_to(root).as_posix()) not in paths]
    if unnamed:
        yield warning(
            "manifest-unnamed",
            f"pictures that {MANIFEST} does not name, so that their group is guessed: {len(unnamed)}",
            "add a row with path and group for each", unnamed,
        )  # fmt: skip
    twice = [path for path, count in paths.items() if count > 1]
    if twice:
        yield warning(
            "manifest-twice", f"files that {MANIFEST} names more than once, of which the last row counts: {len(twice)}",
            "keep one row for each file", twice,
        )  # fmt: skip
    changed = [
        row["path"] for row in rows
        if row.get("sha256") and (root / row["path"]).is_file()
        and _sum(root / row["path"], sums) != row["sha256"].strip().lower()
    ]  # fmt: skip
    if changed:
        yield error(
            "manifest-sha256", f"files whose sha256 is not that of {MANIFEST}: {len(changed)}",
            "copy the files again, or write the manifest anew if the change was meant", changed,
        )  # fmt: skip


def _sum(path: Path, sums: Mapping[Path, str]) -> str:
    return sums.get(path) or hashlib.sha256(path.read_bytes()).hexdigest()
