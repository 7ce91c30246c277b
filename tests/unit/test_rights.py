"""What may not be looked at is one sentence with the exit code that is documented for it, and no traceback."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inspector.challenges import pictures
from inspector.cli import main
from inspector.doctor import trial
from inspector.errors import BundleError, ConfigError, DataError, InspectorError, OutputError, SourceError
from inspector.inference import bundle, references
from inspector.journal.reading import Reader
from inspector.models import listing
from inspector.recorder.folder import probe
from inspector.settings import Camera, Journal, Settings
from inspector.sources import open_source, producers
from inspector.sources.file import VideoFile
from inspector.view.access import read_token


@pytest.fixture
def barred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is there and may not be entered, also not by root."""
    folder = tmp_path / "barred"
    folder.mkdir()
    real: Callable[..., os.stat_result] = os.stat

    def stat(path: Any, *rest: Any, **more: Any) -> os.stat_result:
        if not isinstance(path, int) and folder in Path(os.fsdecode(path)).parents:
            raise PermissionError(errno.EACCES, "Permission denied", os.fsdecode(path))
        return real(path, *rest, **more)

    monkeypatch.setattr(os, "stat", stat)
    monkeypatch.setattr(producers, "harvesters", lambda: None)
    return folder


@pytest.mark.parametrize(
    ("look", "refused", "code"),
    [
        (bundle.load, BundleError, 65),
        (lambda path: references.load(path, 1), ConfigError, 78),
        (pictures.load, ConfigError, 78),
        (probe, OutputError, 74),
        (Reader, DataError, 65),
        (read_token, ConfigError, 78),
        (lambda path: open_source(f"file:{path}"), ConfigError, 78),
        (lambda path: open_source(f"folder:{path}"), ConfigError, 78),
        (lambda path: open_source(f"genicam://x?producer={path}"), ConfigError, 78),
    ],
)
def test_what_may_not_be_looked_at_is_one_sentence(
    barred: Path, look: Callable[[Path], object], refused: type[InspectorError], code: int
) -> None:
    with pytest.raises(refused) as caught:
        look(barred / "it")
    assert f"'{barred}/it' cannot be read (Permission denied); mend its rights" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == code


@pytest.fixture
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What may be looked at, whatever it is, and not be opened, also not by root."""
    path = tmp_path / "closed"

    def refusing(real: Callable[..., Any]) -> Callable[..., Any]:
        def opened(place: Any, *rest: Any, **more: Any) -> Any:
            if Path(place) == path:
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return real(place, *rest, **more)

        return opened

    monkeypatch.setattr(Path, "open", refusing(Path.open))
    monkeypatch.setattr(os, "scandir", refusing(os.scandir))
    return path


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_source_that_may_not_be_opened_is_told_of_at_once(closed: Path, kind: str) -> None:
    closed.mkdir() if kind == "folder" else closed.touch()
    with pytest.raises(ConfigError) as caught:
        open_source(f"{kind}:{closed}")
    assert f"{kind}:{closed}: '{closed}' cannot be read (Permission denied); mend its rights" in str(caught.value)


def test_a_video_that_may_not_be_opened_any_more_is_not_said_to_be_none(closed: Path) -> None:
    closed.touch()
    with pytest.raises(SourceError, match=r"closed' cannot be read \(Permission denied\); mend its rights"):
        list(VideoFile(closed).frames())


def test_challenges_whose_pictures_may_not_be_looked_at_are_too(barred: Path) -> None:
    with pytest.raises(ConfigError, match=r"defective' cannot be read \(Permission denied\); mend its rights"):
        pictures.load(barred)


@pytest.mark.parametrize("place", ["", "it"])
def test_bundles_that_may_not_be_looked_at_are_told_of(barred: Path, place: str) -> None:
    (row,) = listing.rows(listing.found([barred / place]), None)
    assert row.error is not None
    assert str(barred / place) in row.error
    assert row.code == 65


@pytest.mark.parametrize("place", ["", "it"])
def test_recordings_that_may_not_be_looked_at_are_too(
    barred: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", str(barred / place)]) == 65
    (told,) = capsys.readouterr().err.splitlines()
    assert f"{barred / place}" in told
    assert "cannot be read (Permission denied); mend its rights" in told


def test_a_line_is_tried_where_its_journal_may_not_be_looked_at(barred: Path) -> None:
    settings = Settings(
        camera=(Camera(name="cam1", source="sim://line", bundle=Path("a")),),
        journal=Journal(path=barred / "journals" / "j.sqlite"),
    )
    with trial._journal(settings) as path:
        assert path is not None
        assert path.parent.is_dir()
