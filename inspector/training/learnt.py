"""Which pictures a bundle was trained with, so that nobody takes them for witnesses of what it does on others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from inspector import files
from inspector.errors import DataError
from inspector.inference.bundle import HISTORY, Bundle
from inspector.training import data
from inspector.training.data import GOOD, Sample

MARKS = "pictures.txt"
"""In a bundle's history: the `mark` of each picture, a line each."""

DIGITS = 16
"""Of a sha256, hex: enough for no two of a million pictures to have the same."""


def mark(picture: Path) -> str:
    """What tells a picture, which may be a stack, from others, wherever it lies. Raises OSError."""
    return data.data_hash([Sample(picture, GOOD)])[:DIGITS]


def write(folder: Path, samples: Iterable[Sample]) -> Path:
    """Write down the pictures that are trained with, references too; where that is."""
    shown = {path for sample in samples for path in (sample.picture, sample.reference) if path is not None}
    path = folder / MARKS
    path.write_text("".join(f"{one}\n" for one in sorted(map(mark, shown))), encoding="ascii")
    return path


def seen(bundle: Bundle, samples: Sequence[Sample]) -> list[Sample]:
    """Those of the samples whose pictures the bundle was trained with.

    One that was made before bundles told each picture only tells whether these are all that it was trained with.
    """
    marks = _marks(bundle.folder)
    if marks is None:
        readable, _ = data.readable(samples, bundle.channels, whole=True)
        taken = data.as_trained(readable, bundle.card.training)
        return taken if data.data_hash(taken) == bundle.card.training.get("data_sha256") else []
    found = []
    for sample in samples:
        with suppress(OSError):  # whoever leaves out what cannot be read says so
            if mark(sample.picture) in marks:
                found.append(sample)
    return found


def _marks(folder: Path) -> frozenset[str] | None:
    path = folder / HISTORY / MARKS
    try:
        return frozenset(files.read(path, within=folder).decode(errors="replace").split())
    except FileNotFoundError:
        return None
    except DataError as error:
        raise DataError(f"{path} is {error}") from error
