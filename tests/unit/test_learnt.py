"""Which pictures a bundle says that it was trained with."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

from inspector.calibrate.session import Session
from inspector.errors import DataError
from inspector.inference.bundle import load
from inspector.sources import open_source
from inspector.training import learnt
from inspector.training.data import Sample
from tests.bundles import make_bundle
from tests.pictures import noise, write


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = make_bundle(tmp_path / "bundle")
    (folder / "history").mkdir()
    return folder


def samples(folder: Path, *seeds: int) -> list[Sample]:
    return [Sample(write(folder / f"{seed}.png", noise(seed)), "good") for seed in seeds]


def test_a_picture_is_known_wherever_it_lies_and_whatever_it_is_called(bundle: Path, tmp_path: Path) -> None:
    shown = samples(tmp_path / "shown", 1, 2, 3)
    learnt.write(bundle / "history", shown)
    old = Path(shutil.copy(shown[1].picture, tmp_path / "old.png"))
    mask = write(tmp_path / "mask.png", noise(9))
    others = [*samples(tmp_path / "others", 4, 5), Sample(old, "dent", mask, group="7")]
    assert learnt.seen(load(bundle), others) == others[2:]
    assert learnt.seen(load(bundle), shown) == shown


def test_what_it_was_compared_with_it_knows_too(bundle: Path, tmp_path: Path) -> None:
    picture, reference = samples(tmp_path, 1, 2)
    learnt.write(bundle / "history", [Sample(picture.picture, "dent", None, reference.picture)])
    assert learnt.seen(load(bundle), [reference]) == [reference]


def test_a_stack_is_known_by_all_its_files(bundle: Path, tmp_path: Path) -> None:
    for modality in "ab":
        write(tmp_path / f"shown/{modality}/1.png", noise(ord(modality)))
    shutil.copytree(tmp_path / "shown", tmp_path / "others")
    learnt.write(bundle / "history", [Sample(tmp_path / "shown/1.png", "good")])
    other = [Sample(tmp_path / "others/1.png", "good")]
    assert learnt.seen(load(bundle), other) == other
    write(tmp_path / "others/b/1.png", noise(3))
    assert learnt.seen(load(bundle), other) == []


def names(bundle: Path, url: str, frames: int) -> list[str]:
    """The pictures that calibration takes of a source."""
    return [one.name for one in Session([url], [], frames, load(bundle), open_source).pictures()]


def test_what_a_source_shows_of_it_counts_for_no_frame(bundle: Path, tmp_path: Path) -> None:
    learnt.write(bundle / "history", samples(tmp_path / "shown", 1, 2, 3))
    url = f"folder:{tmp_path / 'shown'}"
    assert names(bundle, f"{url}?loop=1", 9) == []  # and ends
    samples(tmp_path / "shown", 4, 5)
    assert names(bundle, url, 1) == [f"{url}, frame 4"]
    assert names(bundle, f"{url}?loop=1", 3) == [f"{url}?loop=1, frame {number}" for number in (4, 5, 9)]


def test_a_history_that_cannot_be_read_lets_no_source_pass(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> list[Sample]:
        raise PermissionError(errno.EACCES, "Permission denied", "pictures.txt")

    samples(tmp_path / "shown", 1)
    monkeypatch.setattr(learnt, "seen", refused)
    with pytest.raises(PermissionError):
        names(bundle, f"folder:{tmp_path / 'shown'}", 1)


def test_what_cannot_be_read_is_not_known(bundle: Path, tmp_path: Path) -> None:
    shown = samples(tmp_path, 1)
    learnt.write(bundle / "history", shown)
    assert learnt.seen(load(bundle), [Sample(tmp_path / "away.png", "good"), *shown]) == shown


def test_a_link_out_of_the_bundle_is_not_followed(bundle: Path, tmp_path: Path) -> None:
    shown = samples(tmp_path, 1)
    (bundle / "history/pictures.txt").symlink_to(learnt.write(tmp_path, shown))
    with pytest.raises(DataError, match=r"history/pictures.txt is a link out of .*; put the file itself there"):
        learnt.seen(load(bundle), shown)
