"""The flight recorder's parts: what belongs to a recording, what memory and disk it takes, and what is read of it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector import settings as configuration
from inspector.cli import main
from inspector.clock import Clock, ManualClock, SystemClock
from inspector.errors import ConfigError, DataError, OutputError
from inspector.inference import bundle
from inspector.judging import prepare
from inspector.recorder.draft import Draft
from inspector.recorder.folder import Bounds, Folder, probe
from inspector.recorder.recorder import Recorder
from inspector.recorder.recording import Recording
from inspector.recorder.ring import Kept, Ring, Terms, Window
from inspector.recorder.setup import STORE, Setup, Setups, digest_of
from inspector.settings import Settings
from inspector.types import Frame, Image, Inspection, Mask, Patch, Reason, Verdict
from inspector.wire import Encoder
from tests.bundles import make_bundle
from tests.calibrations import calibration_text
from tests.daemon import configure
from tests.inspections import ng
from tests.pictures import noise
from tests.pictures import write as write_picture
from tests.waiting import until

TERMS = Terms(("ng", "unknown:deadline", "late"), 2.0, 1.0, 5.0, 10.0, 0.5, True, 1 << 20)
ENCODER = Encoder("line1", 1, "0" * 64)
ROOMY = Bounds(1 << 30, 100, 3600.0)


def inspection(
    number: int, captured: float, verdict: Verdict = Verdict.OK, reason: Reason | None = None, side: int = 10
) -> Inspection:
    image = np.full((side, side, 1), number % 256, np.uint8)
    return Inspection(Frame("cam1", number, round(captured * 1e9), captured, captured + 0.5, image), verdict, reason)


def add(ring: Ring, one: Inspection, late: bool = False) -> bool:
    return ring.add(one, (ENCODER.late(one, 1) if late else ENCODER.verdict(one, 1, 0.0))[1], late)


def drained(ring: Ring, now: float = 1e9) -> list[tuple[Window, list[int]]]:
    """The numbers of the frames of each recording."""
    found: list[tuple[Window, list[int]]] = []
    numbers: list[int] = []
    while (step := ring.take(now)) is not None:
        if step.frame is None:
            found.append((step.window, numbers))
            numbers = []
        else:
            numbers.append(step.frame.number)
    return found


def test_the_frames_before_and_after_are_recorded() -> None:
    ring = Ring(TERMS)
    for number in range(100):
        add(ring, inspection(number, number / 10, Verdict.NG if number == 50 else Verdict.OK))
    ((window, numbers),) = drained(ring)
    assert numbers == list(range(30, 61))
    assert (window.triggers, window.lost, window.skipped) == ([(50, "ng")], 0, 0)


def test_a_recording_waits_for_the_verdicts_of_its_last_frames() -> None:
    ring = Ring(TERMS)
    add(ring, inspection(1, 0.0, Verdict.NG))
    assert ring.take(0.0) is not None
    assert ring.take(1.4) is None
    add(ring, inspection(2, 1.0))
    assert [numbers for _, numbers in drained(ring, 1.6)] == [[2]]


def test_a_recording_waits_for_as_long_as_verdicts_take_that_have_no_deadline() -> None:
    ring = Ring(replace(TERMS, live=False))
    add(ring, inspection(1, 0.0, Verdict.NG))
    assert ring.take(1e9) is not None
    for number, captured in ((3, 1.1), (2, 1.0)):  # of two workers one is faster
        assert ring.take(1e9) is None
        add(ring, inspection(number, captured))
    add(ring, inspection(4, 1.6))
    assert [numbers for _, numbers in drained(ring, 2.0)] == [[2]]
    add(ring, inspection(5, 50.0, Verdict.NG))
    assert drained(ring) == []
    assert [ring.take(0.0, flush=True) is None for _ in range(2)] == [False, True]


def test_defects_that_follow_make_it_longer_up_to_a_limit() -> None:
    ring = Ring(TERMS)
    for number in range(120):
        add(ring, inspection(number, number / 10, Verdict.NG if number >= 20 else Verdict.OK))
    ((window, numbers),) = drained(ring)
    assert numbers == list(range(71))
    assert len(window.triggers) == ring.recorded == 51
    assert ring.skipped == 49
    add(ring, inspection(200, 20.0, Verdict.NG))
    ((window, _),) = drained(ring)
    assert window.skipped == 49


@pytest.mark.parametrize(
    ("verdict", "reason", "recorded"),
    [
        (Verdict.UNKNOWN, Reason.DEADLINE, True),
        (Verdict.UNKNOWN, Reason.OVERLOAD, False),
        (Verdict.OK, None, False),
        (Verdict.NG, None, True),
    ],
)
def test_what_is_recorded_is_chosen(verdict: Verdict, reason: Reason | None, recorded: bool) -> None:
    assert add(Ring(TERMS), inspection(1, 0.0, verdict, reason)) is recorded


def test_a_late_result_is_evidence_without_a_picture() -> None:
    ring = Ring(replace(TERMS, on=("late",)))
    add(ring, inspection(1, 0.0, Verdict.UNKNOWN, Reason.DEADLINE))
    add(ring, inspection(1, 0.0, Verdict.NG), late=True)
    kept = [step.frame for step in iter(lambda: ring.take(0.0), None)]
    assert [(one.number, one.image is None) for one in kept if one] == [(1, False), (1, True)]


def test_a_result_of_a_frame_before_a_recording_is_nothing_that_it_was_made_for() -> None:
    ring = Ring(TERMS)
    add(ring, inspection(1, 0.0, Verdict.UNKNOWN, Reason.OVERLOAD))
    add(ring, inspection(9, 5.0, Verdict.NG))
    add(ring, inspection(1, 0.0, Verdict.NG), late=True)
    ((window, numbers),) = drained(ring)
    assert (window.triggers, numbers) == ([(9, "ng")], [9])
    assert (ring.recorded, ring.skipped) == (1, 1)


def test_pictures_are_kept_without_a_copy_and_let_go_when_they_are_old() -> None:
    ring = Ring(TERMS)
    one = inspection(1, 0.0, Verdict.NG)
    add(ring, one)
    step = ring.take(0.0)
    assert step is not None
    assert step.frame is not None
    assert step.frame.image is one.frame.image
    quiet = Ring(TERMS)
    for number in range(1000):
        add(quiet, inspection(number, number / 10))
    assert quiet.bytes < 30 * (100 + 500 + 1000)


def test_of_a_view_all_that_it_keeps_alive_is_counted() -> None:
    ring = Ring(replace(TERMS, max_bytes=1 << 30))
    whole = np.zeros((1000, 1000, 1), np.uint8)
    frame = Frame("cam1", 1, 0, 0.0, 1.0, whole[:10])
    add(ring, Inspection(frame, Verdict.OK))
    assert ring.bytes > 1_000_000


@given(
    frames=st.lists(st.tuples(st.floats(0, 0.7), st.booleans(), st.integers(1, 40)), max_size=60),
    takes=st.lists(st.integers(0, 4), min_size=60, max_size=60),
    room=st.integers(1, 20_000),
    pause=st.sampled_from([0.0, 3.0]),
)
def test_it_never_holds_more_than_it_may(
    frames: list[tuple[float, bool, int]], takes: list[int], room: int, pause: float
) -> None:
    ring = Ring(replace(TERMS, max_bytes=room, pause=pause))
    now, given_out, lost = 0.0, [], 0
    for number, ((gap, is_ng, side), steps) in enumerate(zip(frames, takes, strict=False)):
        now += gap
        add(ring, inspection(number, now, Verdict.NG if is_ng else Verdict.OK, side=side))
        assert 0 <= ring.bytes <= room
        for _ in range(steps):
            step = ring.take(now)
            assert 0 <= ring.bytes <= room
            if step is not None and step.frame is not None:
                assert step.window.holds(step.frame.captured)
                given_out.append(step.frame.number)
            elif step is not None:
                lost += step.window.lost
    assert len(set(given_out)) == len(given_out)
    for window, numbers in drained(ring):
        given_out += numbers
        lost += window.lost
    assert len(set(given_out)) == len(given_out)
    drained(ring)
    assert ring.bytes <= room
    if lost == 0 and room == 20_000:
        assert ring.recorded + ring.skipped == sum(is_ng for _, is_ng, _ in frames)


@given(
    gaps=st.lists(st.tuples(st.floats(0.01, 0.7), st.booleans()), max_size=60), pause=st.sampled_from([0.0, 0.5, 3.0])
)
def test_recordings_hold_just_the_frames_around(gaps: list[tuple[float, bool]], pause: float) -> None:
    ring = Ring(replace(TERMS, pause=pause, max_bytes=1 << 40))
    times, now = [], 0.0
    for number, (gap, is_ng) in enumerate(gaps):
        now += gap
        times.append((now, is_ng))
        add(ring, inspection(number, now, Verdict.NG if is_ng else Verdict.OK))
    expected: list[list[float]] = []
    for at, is_ng in times:
        if not is_ng:
            continue
        if expected and at <= expected[-1][1]:
            expected[-1][1] = min(max(expected[-1][1], at + TERMS.after), expected[-1][2])
        elif not expected or at > expected[-1][1] + pause:
            expected.append([at - TERMS.before, at + TERMS.after, at + TERMS.longest])
    taken: set[int] = set()
    wanted = []
    for begin, end, _ in expected:
        inside = [n for n, (at, _) in enumerate(times) if begin <= at <= end and n not in taken]
        taken |= set(inside)
        wanted.append(inside)
    assert [numbers for _, numbers in drained(ring)] == wanted


# on disk


def kept(number: int, image: Image | None, mask: Mask | None = None, patches: tuple[Patch, ...] = ()) -> Kept:
    one = Inspection(Frame("cam1", number, 5, 1.0, 2.0, image), Verdict.OK)
    return Kept(number, 1.0, image, ENCODER.verdict(one, 1, 0.0)[1], mask, patches, 3, (float("-inf"), 7.5), 100)


ABOUT = {
    "line": "line1",
    "session": 1,
    "camera": "cam1",
    "captured_ns": 5,
    "config_sha256": "0" * 64,
    "max_batch": 1,
    "runtime": {},
    "triggers": [{"frame": 1, "end": "ng"}],
    "frames": 1,
    "lost": 0,
    "skipped": 0,
    "setup": {"config": "setup/config.json", "bundles": {}},
}


def write(root: Path, *frames: Kept) -> Path:
    draft = Draft(root, "cam1-x")
    for frame in frames:
        draft.add(frame)
    return draft.finish(ABOUT)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 16])
def test_what_is_read_is_what_was_written(tmp_path: Path, channels: int) -> None:
    one = ng(size=(48, 64, channels))
    frames = kept(1, one.frame.image, one.mask, one.patches), kept(2, None)
    header = ENCODER.verdict(one, 1, 0.0)[1]
    folder = write(tmp_path, replace(frames[0], header=header), frames[1])
    first, second = Recording(folder).frames()
    assert np.array_equal(first.image, one.frame.image)
    assert np.array_equal(first.mask, one.mask)
    assert [patch.box for patch in first.patches] == [patch.box for patch in one.patches]
    assert np.array_equal(first.patches[0].image, one.patches[0].image)
    assert (first.batch, first.reports, first.damage) == (3, (float("-inf"), 7.5), ())
    assert first.header == json.loads(header)
    assert second.image is None


def test_pictures_are_in_numpys_format(tmp_path: Path) -> None:
    image = ng().frame.image
    assert image is not None
    folder = write(tmp_path, kept(1, image[:, ::2]))
    assert np.array_equal(np.load(folder / "frames/1.npy", allow_pickle=False), image[:, ::2])


def test_each_damaged_file_is_named(tmp_path: Path) -> None:
    one = ng()
    folder = write(tmp_path, replace(kept(1, one.frame.image, one.mask), header=ENCODER.verdict(one, 1, 0.0)[1]))
    picture = folder / "frames/1.npy"
    content = bytearray(picture.read_bytes())
    content[-1] ^= 1
    picture.write_bytes(content)
    (folder / "frames/1-mask.png").unlink()
    (read,) = Recording(folder).frames()
    assert "frames/1.npy is not what was recorded" in read.damage[0]
    assert "1-mask.png cannot be read" in read.damage[1]
    assert read.image is not None
    assert read.mask is None


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\x93NUMPY\x01\x00",
        b"\x93NUMPY\x01\x00\x10\x00{'descr': 'O'}  \n",
        b"\x93NUMPY\x01\x00\x10\x00{'descr': '|u1' \n",  # a bracket that nobody closes
        b"\x93NUMPY\x01\x00\x46\x00{'descr': '|u1', 'fortran_order': True, 'shape': (2, 2, 1), } \n1234",
        b"\x93NUMPY\x01\x00\x46\x00{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2, 1), }\n123",
        b"no picture" * 20,
    ],
)
def test_what_is_no_picture_is_named(tmp_path: Path, head: bytes) -> None:
    folder = write(tmp_path, kept(1, np.zeros((4, 4, 1), np.uint8)))
    (folder / "frames/1.npy").write_bytes(head)
    (read,) = Recording(folder).frames()
    assert read.image is None
    assert read.damage


def test_half_a_recording_is_none(tmp_path: Path) -> None:
    draft = Draft(tmp_path, "cam1-x")
    draft.add(kept(1, np.zeros((4, 4, 1), np.uint8)))
    with pytest.raises(DataError, match="cut off"):
        Recording(draft.folder)
    folder = draft.finish(ABOUT)
    (folder / "frames.jsonl").write_bytes((folder / "frames.jsonl").read_bytes()[:-2])
    with pytest.raises(DataError, match=r"frames.jsonl: is not what was recorded"):
        Recording(folder)
    (folder / "recording.json").write_text("{")
    with pytest.raises(DataError, match="copy the recording again"):
        Recording(folder)
    (folder / "recording.json").unlink()
    with pytest.raises(DataError, match="is no recording"):
        Recording(folder)


@pytest.mark.parametrize(
    "change", [{"version": 2}, {"frames": "many"}, {"setup": []}, {"triggers": 1}, {"camera": "../../out"}]
)
def test_an_index_that_makes_no_sense_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    folder = write(tmp_path)
    index = json.loads((folder / "recording.json").read_text())
    (folder / "recording.json").write_text(json.dumps(index | change))
    with pytest.raises(DataError):
        Recording(folder)


def test_no_file_outside_of_the_recording_is_read(tmp_path: Path) -> None:
    folder = write(tmp_path, kept(1, np.zeros((4, 4, 1), np.uint8)))
    (tmp_path / "secret.npy").write_bytes((folder / "frames/1.npy").read_bytes())
    (folder / "frames/1.npy").unlink()
    (folder / "frames/1.npy").symlink_to(tmp_path / "secret.npy")
    recording = Recording(folder)
    (read,) = recording.frames()
    assert read.image is None
    assert "frames/1.npy does not lie in the recording" in read.damage[0]
    (folder / "loop").symlink_to("loop")
    for name in ("../secret.npy", str(tmp_path / "secret.npy"), "frames/1.npy", "loop", "no\0name"):
        with pytest.raises(DataError, match="does not lie in the recording"):
            recording.path(name)


# the folder


def finished(folder: Folder, name: str, size: int = 1000) -> None:
    draft = Draft(folder.path, name)
    draft.add(kept(1, np.zeros((size, 1, 1), np.uint8)))
    draft.finish(ABOUT)
    folder.add(name)


def test_the_oldest_recordings_make_way(tmp_path: Path) -> None:
    folder = Folder(tmp_path, Bounds(20_000, 100, 3600.0))
    for number in range(20):
        assert folder.has_room(3_000)
        finished(folder, f"r{number:02}")
        assert folder.size <= 20_000
    left = sorted(path.name for path in tmp_path.glob("r*"))
    assert 2 <= len(left) < 20
    assert left[-1] == "r19"
    assert folder.has_room(20_000)
    assert folder.recordings == 0
    folder.close()


@pytest.mark.parametrize(("shared", "size"), [(0, 20_001), (15_000, 5_001)])
def test_none_makes_way_for_what_does_not_fit_anyway(tmp_path: Path, shared: int, size: int) -> None:
    folder = Folder(tmp_path, Bounds(20_000, 1, 3600.0))
    finished(folder, "r")
    folder.shared = shared
    assert not folder.has_room(size)
    assert (folder.recordings, (tmp_path / "r").is_dir()) == (1, True)
    folder.close()


def test_number_and_age_are_bounded_too(tmp_path: Path) -> None:
    folder = Folder(tmp_path, Bounds(1 << 30, 3, 3600.0))
    for number in range(5):
        folder.has_room(0)
        finished(folder, f"r{number}")
    assert sorted(path.name for path in tmp_path.glob("r*")) == ["r2", "r3", "r4"]
    shutil.rmtree(tmp_path / "r3")
    folder.keep_house(time.time())
    assert folder.recordings == 2
    folder.keep_house(time.time() + 7200)
    assert (folder.recordings, list(tmp_path.glob("r*"))) == (0, [])
    folder.close()


@pytest.mark.parametrize("bounds", [Bounds(1 << 30, 3, 3600.0), Bounds(10_000, 100, 3600.0)])
def test_bounds_that_were_lowered_hold_without_another_recording(
    line: tuple[Settings, dict[str, Path]], tmp_path: Path, bounds: Bounds
) -> None:
    root = tmp_path / "rec"
    folder = Folder(root, ROOMY)
    for number in range(9):
        finished(folder, f"r{number}")
    folder.close()
    again = Folder(root, bounds)
    one = recorder(again, line)
    one.stop()
    run(one)
    left = sorted(path.name for path in root.glob("r*"))
    assert 1 <= len(left) == again.recordings <= 3
    assert again.size <= bounds.max_bytes
    for _ in range(3):
        one._keep_house()  # makes no room for one that nobody has begun
    assert sorted(path.name for path in root.glob("r*")) == left
    assert left[-1] == "r8"
    again.close()


def test_what_was_cut_off_is_taken_away_and_the_rest_found_again(tmp_path: Path) -> None:
    folder = Folder(tmp_path, ROOMY)
    finished(folder, "r1")
    draft = Draft(tmp_path, "cam-1-20260131T060102.123Z-4711")
    draft.add(kept(1, np.zeros((4, 4, 1), np.uint8)))
    shutil.copytree(draft.folder, tmp_path / ".cam_2-20260131T060102.123Z-0")
    shutil.copytree(draft.folder, tmp_path / ".deleted-cam-1-20260131T060102.123Z-4710")
    draft.abandon()
    assert not draft.folder.exists()
    (tmp_path / "notes.txt").write_text("somebody's")
    folder.close()
    again = Folder(tmp_path, ROOMY)
    again.tidy()
    assert again.recordings == 1
    assert again.size == folder.size
    assert {path.name for path in tmp_path.iterdir()} == {".lock", "r1", "notes.txt"}
    again.close()


def test_what_may_not_be_entered_keeps_nothing_else_from_being_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder(tmp_path, ROOMY)
    names = [f"r{number}" for number in range(9)]
    for name in names:
        finished(folder, name)
    folder.close()
    (tmp_path / "lost+found").mkdir()
    (tmp_path / ".cam1-20260131T060102.123Z-4711").mkdir()
    real: Callable[..., os.stat_result] = os.stat

    def stat(path: Any, *rest: Any, **more: Any) -> os.stat_result:
        if path == tmp_path / "lost+found" / "recording.json":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, *rest, **more)

    monkeypatch.setattr(os, "stat", stat)
    again = Folder(tmp_path, ROOMY)
    again.tidy()
    assert (again.recordings, again.size) == (9, folder.size)
    assert {path.name for path in tmp_path.iterdir()} == {".lock", "lost+found", *names}
    again.close()


def test_one_daemon_alone_has_it(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "rec", ROOMY)
    with pytest.raises(OutputError, match=r"is in use; stop the daemon that records there"):
        Folder(tmp_path / "rec", ROOMY)
    folder.close()
    Folder(tmp_path / "rec", ROOMY).close()
    (tmp_path / "file").touch()
    for refuse in (lambda path: Folder(path, ROOMY), probe):
        with pytest.raises(OutputError, match=r"cannot be written"):
            refuse(tmp_path / "file" / "rec")
    probe(tmp_path / "new" / "one")
    assert not (tmp_path / "new").exists()


# what came along


@pytest.fixture
def line(bright: Path, tmp_path: Path) -> tuple[Settings, dict[str, Path]]:
    own = shutil.copytree(bright, tmp_path / "model")
    config = configure(tmp_path / "c.toml", own, "rtsp://user:hunter2@host/path")
    return configuration.load(config, {}), {bundle.load(own).sha256: own}


def setup(settings: Settings, folders: dict[str, Path]) -> Setup:
    return Setup(settings, {"cam1": next(iter(folders), "")}, folders, {"cam1": {}})


def test_the_bundle_comes_along_without_its_bytes(line: tuple[Settings, dict[str, Path]], tmp_path: Path) -> None:
    settings, folders = line
    ((sha256, own),) = folders.items()
    root = tmp_path / "rec"
    setups = Setups(root, setup(settings, folders))
    setups.carry()
    (own / "detector.onnx").write_bytes(b"another")  # swapped in place, after the start
    laid = []
    for name in ("a", "b"):
        (root / name).mkdir()
        told = setups.lay(setups.now, "cam1", [sha256], root / name)
        laid.append(root / name / told["bundles"][sha256])
    assert [bundle.load(one).sha256 for one in laid] == [sha256, sha256]
    assert len({(one / "detector.onnx").stat().st_ino for one in laid}) == 1
    assert "hunter2" not in (root / "a" / "setup" / "config.json").read_text()


def test_what_is_in_the_store_comes_along_whatever_it_was_called(
    line: tuple[Settings, dict[str, Path]], tmp_path: Path
) -> None:
    settings, folders = line
    ((sha256, own),) = folders.items()
    root, mask = tmp_path / "rec", tmp_path / "mask.png"
    mask.write_bytes(b"white")
    for number in range(2):
        own, mask = own.rename(tmp_path / f"model{number}"), mask.rename(tmp_path / f"mask{number}.png")
        camera = settings.camera[0].model_copy(update={"ignore": mask, "reference": own / "golden"})
        setups = Setups(root, setup(settings.model_copy(update={"camera": (camera,)}), {sha256: own}))
        setups.carry()
        recording = root / f"{number}"
        recording.mkdir()
        told = setups.lay(setups.now, "cam1", [sha256], recording)
        assert bundle.load(recording / told["bundles"][sha256]).sha256 == sha256
        assert told["ignore"]["path"] == f"setup/ignore/mask{number}.png"
        assert (recording / told["ignore"]["path"]).read_bytes() == b"white"
        assert list((recording / told["reference"]["path"]).iterdir())
    assert len(list((root / STORE).iterdir())) == 3


def test_a_place_in_the_store_that_is_empty_is_filled(line: tuple[Settings, dict[str, Path]], tmp_path: Path) -> None:
    settings, folders = line
    ((sha256, own),) = folders.items()
    root = tmp_path / "rec"
    (root / STORE / digest_of(own)).mkdir(parents=True)
    setups = Setups(root, setup(settings, folders))
    setups.carry()
    told = setups.lay(setups.now, "cam1", [sha256], root)
    assert bundle.load(root / told["bundles"][sha256]).sha256 == sha256


def test_a_place_in_the_store_whose_file_was_changed_is_filled_again(
    line: tuple[Settings, dict[str, Path]], tmp_path: Path
) -> None:
    """Recordings share the store's files, so that who changes one in a recording changes it in the store."""
    settings, folders = line
    ((sha256, _),) = folders.items()
    root = tmp_path / "rec"
    found = []
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        told = Setups(root, setup(settings, folders)).lay(setup(settings, folders), "cam1", [sha256], root / name)
        picture = next((root / name / told["bundles"][sha256] / "golden").iterdir())
        found.append(picture.read_bytes())
        picture.write_bytes(b"another")
    assert found[0] == found[1]


def test_what_the_store_holds_is_on_the_disk(
    line: tuple[Settings, dict[str, Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, safe = os.fsync, set[int]()

    def fsync(descriptor: int) -> None:
        safe.add(os.fstat(descriptor).st_ino)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    Setups(tmp_path / "rec", setup(*line)).carry()
    held = {file.stat().st_ino for file in (tmp_path / "rec" / STORE).rglob("*") if file.is_file()}
    assert held <= safe
    assert len(held) > 3


def test_what_changes_while_it_is_copied_is_not_kept(
    line: tuple[Settings, dict[str, Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setups = Setups(tmp_path / "rec", setup(*line))
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copyfile", lambda source, target: target.write_bytes(source.read_bytes() + b" "))
        with pytest.raises(OSError, match="was changed while it was copied"):
            setups.carry()
    setups.carry()


def test_a_folder_among_pictures_is_left_out(line: tuple[Settings, dict[str, Path]], tmp_path: Path) -> None:
    settings, folders = line
    ((sha256, own),) = folders.items()
    (own / "golden" / "@eaDir").mkdir()
    (own / "golden" / "old.png").mkdir()
    camera = settings.camera[0].model_copy(update={"reference": own / "golden"})
    setups = Setups(tmp_path, setup(settings.model_copy(update={"camera": (camera,)}), folders))
    told = setups.lay(setups.now, "cam1", [sha256], tmp_path)
    assert bundle.load(tmp_path / told["bundles"][sha256]).sha256 == sha256
    assert all(file.is_file() for file in (tmp_path / told["reference"]["path"]).iterdir())


def test_a_bundle_that_is_another_by_now_does_not_come_along(
    line: tuple[Settings, dict[str, Path]], tmp_path: Path
) -> None:
    settings, folders = line
    setups = Setups(tmp_path / "rec", setup(settings, {"f" * 64: next(iter(folders.values()))}))
    (tmp_path / "rec").mkdir()
    assert setups.lay(setups.now, "cam1", ["f" * 64], tmp_path / "rec")["bundles"] == {"f" * 64: None}


def test_what_no_recording_needs_any_more_is_taken_out(line: tuple[Settings, dict[str, Path]], tmp_path: Path) -> None:
    settings, folders = line
    ((sha256, own),) = folders.items()
    root = tmp_path / "rec"
    (root / "a").mkdir(parents=True)
    setups = Setups(root, setup(settings, folders))
    setups.lay(setups.now, "cam1", [sha256], root / "a")
    places = list((root / STORE).iterdir())
    Setups(root, setup(settings, {})).carry()
    assert list((root / STORE).iterdir()) == places
    shutil.rmtree(root / "a")
    Setups(root, setup(settings, {})).carry()
    assert list((root / STORE).iterdir()) == []
    assert digest_of(own) == places[0].name


def test_a_file_that_was_read_again_comes_along_as_it_was_read(bright: Path, tmp_path: Path) -> None:
    mask, root = tmp_path / "mask.png", tmp_path / "rec"
    settings = configuration.load(configure(tmp_path / "c.toml", bright, "sim://line", camera=f'ignore = "{mask}"'), {})
    found = []
    mask.write_bytes(b"first")
    setups = Setups(root, setup(settings, {}))
    for content, name in ((b"second", "a"), (b"third", "b")):
        setups.carry()
        before = setups.now
        mask.write_bytes(content)
        setups.judge_by(setup(settings, {}))
        setups.carry()
        for number, one in enumerate((before, setups.now)):
            (root / f"{name}{number}").mkdir()
            told = setups.lay(one, "cam1", [], root / f"{name}{number}")
            found.append((root / f"{name}{number}" / told["ignore"]["path"]).read_bytes())
    assert found == [b"first", b"second", b"second", b"third"]


def test_a_reference_picture_comes_along_as_the_camera_is_judged_by_it(tmp_path: Path) -> None:
    """It is read again where the camera's station is another one, and at no other reload."""
    comparing, picture = make_bundle(tmp_path / "comparing", reference=True), tmp_path / "golden" / "top.png"
    config = configure(tmp_path / "c.toml", comparing, "sim://line", camera='reference = "golden"')
    write_picture(picture, noise(1, 48, 64))
    judging, root = prepare(configuration.load(config, {})), tmp_path / "rec"
    setups = Setups(root, Setup.of(judging))
    first = picture.read_bytes()
    setups.carry()
    write_picture(picture, noise(2, 48, 64))
    found = []
    for number, threshold in enumerate((None, None, 0.25)):
        camera = judging.settings.camera[0].model_copy(update={"threshold": threshold})
        before, judging = judging, prepare(judging.settings.model_copy(update={"camera": (camera,)}), judging)
        changed = [name for name, station in judging.stations.items() if station is not before.stations[name]]
        setups.judge_by(Setup.of(judging, setups.now, changed))
        (root / f"{number}").mkdir()
        told = setups.lay(setups.now, "cam1", [], root / f"{number}")
        found.append((root / f"{number}" / told["reference"]["path"] / "top.png").read_bytes())
    assert found == [first, first, picture.read_bytes()]


# what did not come along whole


@pytest.fixture
def carried(line: tuple[Settings, dict[str, Path]], tmp_path: Path) -> Path:
    """A recording without frames that has everything beside them."""
    settings, folders = line
    ((sha256, own),) = folders.items()
    files = {"reference": own / "golden", "calibration": tmp_path / "calibration.toml", "ignore": tmp_path / "mask.png"}
    files["calibration"].write_text(calibration_text(own))
    write_picture(files["ignore"], np.zeros((48, 64), np.uint8))
    camera = settings.camera[0].model_copy(update=files)
    setups = Setups(tmp_path / "rec", setup(settings.model_copy(update={"camera": (camera,)}), folders))
    draft = Draft(tmp_path / "rec", "cam1-x")
    told = {"setup": setups.lay(setups.now, "cam1", [sha256], draft.folder)}
    return shutil.copytree(draft.finish(ABOUT | told), tmp_path / "elsewhere")


def replayed(recording: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    code = main(["replay", str(recording), "--json"])
    return code, json.loads(capsys.readouterr().out)["damage"]


def test_each_file_beside_the_frames_that_was_changed_is_named(
    carried: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replayed(carried, capsys) == (0, [])
    files = [file for file in (carried / "setup").rglob("*") if file.is_file()]
    assert len(files) > 9
    for file in files:
        content, name = file.read_bytes(), file.relative_to(carried)
        file.write_bytes(content + b"\n")
        assert replayed(carried, capsys) == (3, [f"{name} is not what was recorded (sha256)"])
        assert main(["replay", str(carried)]) == 3
        assert f"{name} is not what was recorded (sha256)\n" in capsys.readouterr().out
        file.write_bytes(content)
    (carried / "setup" / "reference" / "golden" / "more.png").write_bytes(b"")
    assert replayed(carried, capsys) == (3, ["setup/reference/golden is not what was recorded (sha256)"])


def test_a_recording_of_an_earlier_version_has_digests_of_some(
    carried: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = json.loads((carried / "recording.json").read_text())
    del index["setup"]["files"]
    (carried / "recording.json").write_text(json.dumps(index))
    (carried / "setup" / "config.json").write_text((carried / "setup" / "config.json").read_text() + "\n")
    assert replayed(carried, capsys) == (0, [])
    named = [index["setup"][key]["path"] for key in ("reference", "calibration", "ignore")]
    (next((carried / named[0]).iterdir())).unlink()
    (carried / named[1]).write_text("")
    (carried / named[2]).unlink()
    assert replayed(carried, capsys) == (3, [f"{name} is not what was recorded (sha256)" for name in named])


@pytest.mark.parametrize("key", ["config", "reference"])
def test_no_file_outside_of_the_recording_judges(carried: Path, capsys: pytest.CaptureFixture[str], key: str) -> None:
    index = json.loads((carried / "recording.json").read_text())
    inside = index["setup"][key]
    (carried / (inside["path"] if key == "reference" else inside)).rename(carried.parent / "outside")
    outside = "../outside"
    index["setup"] |= {key: inside | {"path": outside} if key == "reference" else outside, "files": {}}
    (carried / "recording.json").write_text(json.dumps(index))
    assert main(["replay", str(carried)]) == 65
    assert "outside does not lie in the recording" in capsys.readouterr().err


# the recorder


def recorder(
    folder: Folder, line: tuple[Settings, dict[str, Path]], terms: Terms = TERMS, clock: Clock | None = None
) -> Recorder:
    settings, folders = line
    about = {key: ABOUT[key] for key in ("line", "session", "max_batch", "runtime")}
    setups = Setups(folder.path, setup(settings, folders))
    return Recorder(folder, setups, {"cam1": terms}, about, clock or SystemClock())


def test_what_a_recorder_leaves_is_taken_away_and_nothing_of_others(
    line: tuple[Settings, dict[str, Path]], tmp_path: Path
) -> None:
    root = tmp_path / "rec"
    folder = Folder(root, ROOMY)
    one = recorder(folder, line)
    tell(one, inspection(5, 0.0, Verdict.NG))
    one.stop()
    run(one)
    (place,) = root.glob("cam1-*-5")
    shutil.copytree(place, root / f".deleted-{place.name}")
    place.rename(root / f".{place.name}")  # as one that is being written
    folder.close()
    others = [".git", ".deleted-mail", ".copy-of-cam1-5", "notes"]
    for name in others:
        (root / name).mkdir()
        (root / name / "HEAD").touch()
    (root / ".git" / "recording.json").touch()
    again = Folder(root, ROOMY)
    again.tidy()
    assert again.recordings == 0
    assert {path.name for path in root.iterdir()} == {".lock", STORE, *others}
    assert all((root / name / "HEAD").exists() for name in others)
    again.close()


def test_a_clock_that_is_set_forward_takes_no_recording_for_old(
    line: tuple[Settings, dict[str, Path]], tmp_path: Path
) -> None:
    folder, clock = Folder(tmp_path / "rec", Bounds(1 << 30, 9, 3600.0)), ManualClock(wall_ns=time.time_ns())
    one = recorder(folder, line, clock=clock)
    finished(folder, "r1")
    clock.step(7200.0)
    one._keep_house()
    assert folder.recordings == 1
    clock.advance(7200.0)
    one._keep_house()
    assert folder.recordings == 0
    folder.close()


def tell(one: Recorder, *inspections: Inspection) -> None:
    for each in inspections:
        one.verdict(each, ENCODER.verdict(each, 1, 0.0)[1])


def run(one: Recorder) -> None:
    """In a thread of its own, which is given back: it gives way to others for good."""
    with ThreadPoolExecutor(1) as threads:
        threads.submit(one.run, lambda: None).result()


def test_stopping_ends_the_recordings_that_are_begun(line: tuple[Settings, dict[str, Path]], tmp_path: Path) -> None:
    folder = Folder(tmp_path / "rec", ROOMY)
    one = recorder(folder, line)
    tell(one, *(inspection(n, n / 10, Verdict.NG if n == 5 else Verdict.OK) for n in range(10)))
    one.stop()
    run(one)
    (place,) = (tmp_path / "rec").glob("cam1-*-5")
    assert [frame.number for frame in Recording(place).frames()] == list(range(10))
    assert (one.recordings, one.failures, one.written, one.lost) == (1, 0, {"cam1": 10}, {"cam1": 0})
    assert one.rings["cam1"].bytes == 0
    folder.close()


def test_a_camera_that_outruns_the_disk_holds_up_nothing_else(
    bright: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = configuration.load(configure(tmp_path / "c.toml", bright, "sim://line", "sim://line"), {})
    sha256 = bundle.load(bright).sha256
    folder, clock = Folder(tmp_path / "rec", ROOMY), ManualClock(wall_ns=time.time_ns())
    setups = Setups(
        folder.path, Setup(settings, {"cam1": sha256, "cam2": sha256}, {sha256: bright}, {"cam1": {}, "cam2": {}})
    )
    about = {key: ABOUT[key] for key in ("line", "session", "max_batch", "runtime")}
    one = Recorder(folder, setups, {"cam1": TERMS, "cam2": TERMS}, about, clock)
    done, add, keep_house = [], Draft.add, Folder.keep_house

    def write(self: Draft, frame: Kept) -> None:
        done.append(self.name[:4])
        clock.advance(61.0)
        if done[-1] == "cam1" and frame.number < 50:  # the next one is there before this one is written
            tell(one, inspection(frame.number + 1, (frame.number + 1) / 100))
        add(self, frame)

    def tidy_up(self: Folder, now: float) -> None:
        done.append("house")
        keep_house(self, now)

    monkeypatch.setattr(Draft, "add", write)
    monkeypatch.setattr(Folder, "keep_house", tidy_up)
    first = inspection(0, 0.0, Verdict.NG)
    tell(one, first, replace(first, frame=replace(first.frame, camera="cam2")))
    one.stop()
    run(one)
    assert done[:6] == ["house", "cam1", "cam2", "house", "cam1", "house"]
    assert (one.recordings, one.written) == (2, {"cam1": 51, "cam2": 1})
    folder.close()


def test_at_the_end_no_frame_that_began_no_recording_is_left_out_of_the_log(
    line: tuple[Settings, dict[str, Path]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    folder = Folder(tmp_path / "rec", ROOMY)
    one = recorder(folder, line, clock=ManualClock())
    tell(one, *(inspection(n, n / 10, Verdict.NG) for n in range(60)))
    one.stop()
    run(one)
    told = [record.count for record in caplog.records if hasattr(record, "count")]
    assert told == [1, one.rings["cam1"].skipped - 1]
    folder.close()


def test_recordings_carry_the_settings_in_force_when_they_began(
    line: tuple[Settings, dict[str, Path]], tmp_path: Path
) -> None:
    settings, _ = line
    camera = settings.camera[0].model_copy(update={"threshold": 0.25})
    chosen = settings.model_copy(update={"camera": (camera,)})
    folder = Folder(tmp_path / "rec", ROOMY)
    one = recorder(folder, line, replace(TERMS, pause=0.0))
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(one.run, lambda: None)
        tell(one, inspection(1, 0.0, Verdict.NG))
        until(lambda: one.recordings == 1)
        one.judge_by(prepare(chosen), ["cam1"])
        tell(one, inspection(2, 50.0, Verdict.NG))
        until(lambda: one.recordings == 2)
        one.stop()
        running.result()
    told = [Recording(next((tmp_path / "rec").glob(f"cam1-*-{number}"))) for number in (1, 2)]
    assert [one.config["camera"][0]["threshold"] for one in told] == [None, 0.25]
    shas = [configuration.config_sha256(one) for one in (settings, chosen)]
    assert [one.index.config_sha256 for one in told] == shas
    folder.close()


def test_a_recording_that_cannot_be_written_is_told_and_counted_and_the_next_one_is(
    line: tuple[Settings, dict[str, Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder(tmp_path / "rec", ROOMY)
    one = recorder(folder, line, replace(TERMS, pause=0.0))
    real = Draft.add
    full = True

    def write(self: Draft, frame: Kept) -> None:
        if full and frame.number == 5:
            raise OSError(28, "No space left on device")
        real(self, frame)

    monkeypatch.setattr(Draft, "add", write)
    tell(one, *(inspection(n, n / 10, Verdict.NG if n == 3 else Verdict.OK) for n in range(10)))
    one.stop()
    run(one)
    assert one.failing
    ((state, detail),) = one.news()
    assert state == "failing"
    assert "No space left on device" in detail
    assert one.news() == []
    assert list((tmp_path / "rec").glob("*cam1-*")) == []
    assert (one.recordings, one.failures, one.lost["cam1"]) == (0, 1, 10)
    full = False
    tell(one, inspection(50, 50.0, Verdict.NG))
    run(one)
    assert not one.failing
    assert [state for state, _ in one.news()] == ["recovered"]
    assert (one.recordings, one.written["cam1"]) == (1, 1)
    folder.close()


def test_one_recording_may_not_take_more_than_all_may(line: tuple[Settings, dict[str, Path]], tmp_path: Path) -> None:
    folder = Folder(tmp_path / "rec", Bounds(60_000, 100, 3600.0))
    one = recorder(folder, line)
    tell(one, *(inspection(n, n / 100, Verdict.NG if n == 0 else Verdict.OK, side=100) for n in range(20)))
    one.stop()
    run(one)
    assert "recorder.max_gb is too little" in one.news()[0][1]
    assert list((tmp_path / "rec").glob("*cam1-*")) == []
    folder.close()


def test_a_disk_that_hangs_is_told(
    line: tuple[Settings, dict[str, Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    from inspector.recorder import recorder as module

    monkeypatch.setattr(module, "HANGS_AFTER", 0.05)
    goes_on, real = threading.Event(), Draft.add

    def write(self: Draft, frame: Kept) -> None:
        assert goes_on.wait(60)
        real(self, frame)

    monkeypatch.setattr(Draft, "add", write)
    folder = Folder(tmp_path / "rec", ROOMY)
    one = recorder(folder, line)
    thread = threading.Thread(target=one.run, args=(lambda: None,))
    thread.start()
    tell(one, *(inspection(n, n / 1000, Verdict.NG, side=200) for n in range(100)))
    until(lambda: one.failing)
    assert one.rings["cam1"].bytes <= TERMS.max_bytes
    assert "no answer for" in one.news()[0][1]
    goes_on.set()
    until(lambda: not one.failing)
    one.stop()
    thread.join(60)
    assert [state for state, _ in one.news()] == ["recovered"]
    assert one.recordings == 1
    assert one.lost["cam1"] > 0
    assert one.written["cam1"] + one.lost["cam1"] == 100
    folder.close()


# its settings


@pytest.mark.parametrize(("on", "wrong"), [('["nok"]', "'nok' is nothing to record for"), ("[]", "name something")])
def test_what_to_record_for_is_checked(bright: Path, tmp_path: Path, on: str, wrong: str) -> None:
    config = configure(tmp_path / "c.toml", bright, "sim://line", publish=f'[recorder]\npath = "rec"\non = {on}\n')
    with pytest.raises(ConfigError, match=wrong):
        configuration.load(config, {})


def test_it_is_off_unless_it_has_a_place_which_is_beside_the_configuration(bright: Path, tmp_path: Path) -> None:
    config = configure(tmp_path / "c.toml", bright, "sim://line")
    assert configuration.load(config, {}).recorder.path is None
    config = configure(tmp_path / "c.toml", bright, "sim://line", publish='[recorder]\npath = "rec"\n')
    assert configuration.load(config, {}).recorder.path == tmp_path / "rec"
