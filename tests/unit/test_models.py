"""Versions on disk, the control socket, the shadow and the list of bundles, each by itself."""

from __future__ import annotations

import io
import json
import os
import shutil
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from inspector.adoption import Adoption
from inspector.cli import build_parser
from inspector.clock import SystemClock
from inspector.condition.limits import fixed
from inspector.condition.monitor import CALM, Monitor
from inspector.condition.presence import Presence
from inspector.errors import BundleError, ConfigError, DataError, ModelError, OutputError
from inspector.inference.bundle import load
from inspector.inference.engine import Team, start
from inspector.inference.view import View
from inspector.judge import Judge
from inspector.judging import prepare
from inspector.mailbox import Batch, BatchEnd
from inspector.metrics import Metrics
from inspector.models import control, listing
from inspector.models.change import Changes
from inspector.models.control import Control, NobodyError, ask
from inspector.models.hold import hold
from inspector.models.shadow import Shadow, Wish
from inspector.models.versions import Judged, Version, Versions, configured
from inspector.models.wanted import USE, Use
from inspector.settings import Camera, Settings, Workers
from inspector.sources.state import CameraState
from inspector.types import Cause, Event, Frame, Inspection, Verdict
from inspector.wire import Encoder
from inspector.worker import Station
from tests.bundles import make_bundle, picture
from tests.calibrations import calibration_text
from tests.waiting import until

# ---- versions


def camera(**keys: Any) -> Camera:
    return Camera(**({"name": "cam1", "source": "sim://line", "bundle": Path("/a")} | keys))


def row(sha256: str, chosen: bool, of: Camera | None = None, **keys: Any) -> Judged:
    rest = {"calibration": None, "threshold": None, "min_area": None} | keys
    return Judged(name="m", version="1", sha256=sha256, configured=configured(of or camera()), chosen=chosen, **rest)


def version(why: str, one: Judged) -> Version:
    return Version(at="2026-01-31T12:00:00Z", why=why, cameras={"cam1": one})


def test_what_was_chosen_judges_while_the_configuration_stays(tmp_path: Path) -> None:
    versions = Versions(tmp_path, keep=10)
    settings = Settings(camera=(camera(),))
    assert versions.effective(settings) == settings
    versions.put(version("use", row("b" * 64, chosen=True, threshold=0.25, calibration="c.toml")))
    again = Versions(tmp_path, keep=10)
    (one,) = again.effective(settings).camera
    assert (one.bundle, one.threshold) == (tmp_path / "bundles" / ("b" * 64), 0.25)
    assert one.calibration == tmp_path / "calibrations" / "c.toml"
    for changed in (camera(bundle=Path("/other")), camera(threshold=0.5), camera(min_area=9)):
        assert again.effective(Settings(camera=(changed,))).camera == (changed,)
    moved = camera(deadline=0.25)  # which has nothing to do with it
    assert again.effective(Settings(camera=(moved,))).camera[0].bundle == one.bundle
    other = camera(name="cam2")
    assert again.effective(Settings(camera=(other,))).camera == (other,)


def test_what_was_not_chosen_is_the_configurations(tmp_path: Path) -> None:
    versions = Versions(tmp_path, keep=10)
    versions.put(version("start", row("a" * 64, chosen=False)))
    settings = Settings(camera=(camera(),))
    assert versions.effective(settings) == settings
    assert versions.now is not None
    assert versions.back(settings, versions.now).camera[0].bundle == tmp_path / "bundles" / ("a" * 64)


def test_versions_are_gone_back_from_and_the_oldest_forgotten(tmp_path: Path) -> None:
    versions = Versions(tmp_path, keep=3)
    assert versions.before is None
    bundles = [make_bundle(tmp_path / name, threshold=t) for name, t in zip("abcd", (0.7, 0.6, 0.5, 0.4), strict=True)]
    for folder in bundles:
        sha256 = load(folder).sha256
        versions.keep_bundle(folder, sha256)
        versions.put(version(folder.name, row(sha256, chosen=True)))
    assert [one.why for one in Versions(tmp_path, keep=3).all] == ["b", "c", "d"]
    kept = {path.name for path in (tmp_path / "bundles").iterdir()}
    assert kept == {load(folder).sha256 for folder in bundles[1:]}
    assert versions.before is not None
    versions.put_back(versions.before)
    assert [one.why for one in Versions(tmp_path, keep=3).all] == ["b", "c"]


def test_calibrations_go_with_the_last_version_that_needs_them(tmp_path: Path) -> None:
    versions = Versions(tmp_path, keep=2)
    names = {text: versions.keep_calibration(text) for text in (b"one", b"two", b"three")}
    (tmp_path / "calibrations" / f"{'a' * 64}.toml.new").touch()  # of a daemon that was killed

    def kept() -> set[str]:
        return {path.name for path in (tmp_path / "calibrations").iterdir()}

    for text in (b"one", b"two", b"one"):
        versions.keep_calibration(text)
        versions.put(version("use", row("a" * 64, chosen=True, calibration=names[text])))
    assert kept() == {names[b"one"], names[b"two"]}
    versions.put(version("use", row("a" * 64, chosen=True)))
    assert kept() == {names[b"one"]}
    versions.put_back(version("rollback", row("a" * 64, chosen=True)))
    assert kept() == set()


def test_copies_are_on_the_disk_before_a_version_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    sync = os.fsync

    def noted(file: int) -> None:
        order.append(str(Path(f"/proc/self/fd/{file}").readlink()))
        sync(file)

    monkeypatch.setattr(os, "fsync", noted)
    state = tmp_path / "state"
    versions = Versions(state, keep=1)
    folder = make_bundle(tmp_path / "a")
    (folder / "notes.txt").symlink_to("nowhere")
    sha256 = load(folder).sha256
    versions.keep_bundle(folder, sha256)
    name = versions.keep_calibration(b"one")
    versions.put(version("start", row(sha256, chosen=False, calibration=name)))
    half = state / "bundles" / f"{sha256}.half"
    written = [half / path.relative_to(folder) for path in folder.rglob("*") if not path.is_symlink()]
    assert len(written) > 3
    before = order[: order.index(str(state / "versions.json.new"))]
    assert {*map(str, written), str(half), f"{state}/bundles", f"{state}/calibrations"} <= set(before)


@pytest.mark.parametrize("damaged", ["detector.onnx", "bundle.toml", "golden/bad.png"])
def test_a_damaged_copy_is_made_anew(tmp_path: Path, damaged: str) -> None:
    versions = Versions(tmp_path / "state", keep=1)
    folder = make_bundle(tmp_path / "a")
    sha256 = load(folder).sha256
    versions.keep_bundle(folder, sha256)
    copy = tmp_path / "state" / "bundles" / sha256
    before = (copy / "detector.onnx").stat().st_ino
    versions.keep_bundle(folder, sha256)
    assert (copy / "detector.onnx").stat().st_ino == before  # a whole one is left alone
    (copy / damaged).write_bytes(b"")
    versions.keep_bundle(copy, sha256)  # it judges, and there is nothing to copy it from
    versions.keep_bundle(folder, sha256)
    assert (copy / damaged).read_bytes() == (folder / damaged).read_bytes()
    assert [path.name for path in copy.parent.iterdir()] == [sha256]


def test_what_others_keep_beside_the_copies_stays(tmp_path: Path) -> None:
    own = make_bundle(tmp_path / "bundles" / "scratches")
    (tmp_path / "calibrations").mkdir()
    (tmp_path / "calibrations" / "cam1.toml").touch()
    left = [tmp_path / "bundles" / f"{'a' * 64}{end}" for end in ("", ".half")]
    for path in left:
        path.mkdir()
    versions = Versions(tmp_path, keep=1)
    sha256 = load(own).sha256
    versions.keep_bundle(own, sha256)
    versions.put(version("start", row(sha256, chosen=False)))
    assert {path.name for path in (tmp_path / "bundles").iterdir()} == {"scratches", sha256}
    assert [path.name for path in (tmp_path / "calibrations").iterdir()] == ["cam1.toml"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root works in other users' folders")
def test_what_root_writes_is_the_daemons(tmp_path: Path) -> None:
    versions = Versions(tmp_path / "state", keep=3)
    os.chown(versions.folder, 4711, 4712)
    folder = make_bundle(tmp_path / "a")
    versions.keep_bundle(folder, load(folder).sha256)
    name = versions.keep_calibration(b"one")
    versions.put(version("use", row(load(folder).sha256, chosen=True, calibration=name)))
    written = [path for path in versions.folder.rglob("*") if path != versions.folder / "bundles"]
    assert len(written) > 6
    assert {(path.stat().st_uid, path.stat().st_gid) for path in written} == {(4711, 4712)}


def test_a_bundle_that_was_changed_meanwhile_is_not_kept(tmp_path: Path) -> None:
    versions = Versions(tmp_path / "state", keep=3)
    folder = make_bundle(tmp_path / "a")
    old = load(folder).sha256
    shutil.rmtree(folder)
    make_bundle(folder, threshold=0.5)
    with pytest.raises(BundleError, match="was changed since it was loaded"):
        versions.keep_bundle(folder, old)
    assert not (tmp_path / "state" / "bundles" / old).exists()
    versions.keep_bundle(folder, load(folder).sha256)  # what was left half done is no hindrance


@pytest.mark.parametrize("content", [b"{", b'[{"at": 1}]', b"\xff"])
def test_a_damaged_list_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "versions.json").write_bytes(content)
    with pytest.raises(ConfigError, match=r"versions.json is damaged .*; remove it"):
        Versions(tmp_path, keep=3)


@pytest.mark.parametrize("make", [True, False])
@pytest.mark.parametrize("place", ["file", "file/state"])
def test_a_folder_that_is_none_is_a_sentence(tmp_path: Path, place: str, make: bool) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"models.state = .* cannot be used .*; be root .* or name a folder"):
        Versions(tmp_path / place, keep=3, make=make)


# ---- control


def at_once(job: Callable[[], str]) -> Future[str]:
    future: Future[str] = Future()
    try:
        future.set_result(job())
    except Exception as error:
        future.set_exception(error)
    return future


def act(request: Any, tell: Callable[[str], None]) -> str:
    tell("on it")
    match request["verb"]:
        case "refused":
            raise BundleError("a damaged one")
        case "bug":
            raise RuntimeError("oh")
        case "disk":
            raise FileNotFoundError(2, "No such file", "c.toml")
    return f"done: {request['verb']}"


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Control]:
    door = Control(tmp_path, act, at_once)
    thread = threading.Thread(target=door.run, args=(lambda: None,))
    thread.start()
    yield door
    door.stop()
    thread.join(30)
    door.close()
    assert not thread.is_alive()
    assert not door.path.exists()


def test_the_door_answers_its_own_user_alone(
    door: Control, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert stat.S_IMODE(door.path.stat().st_mode) == 0o600
    told: list[str] = []
    assert ask(door.path.parent, {"verb": "use"}, told.append) == ("done: use", 0)
    assert told == ["on it"]
    assert ask(door.path.parent, {"verb": "refused"}, told.append) == ("a damaged one", 65)
    outcome, code = ask(door.path.parent, {"verb": "bug"}, told.append)
    assert (outcome, code) == ("a bug: RuntimeError('oh'); the daemon's log has more", 1)
    outcome, code = ask(door.path.parent, {"verb": "disk"}, told.append)
    assert (outcome, code) == ("a bug: FileNotFoundError(2, 'No such file'); the daemon's log has more", 1)
    monkeypatch.setattr(control, "_user", lambda _: 12345)
    with pytest.raises(OutputError, match="refused, or ended"):
        ask(door.path.parent, {"verb": "use"}, told.append)
    assert "control: user 12345 was refused; only the daemon's own user and root may ask" in caplog.messages


@pytest.mark.parametrize("nonsense", [b"\n", b"[]\n", b"\xff\n", b"x" * 70_000, b"", b"[" * 60_000 + b"\n"])
def test_nonsense_is_answered_and_survived(door: Control, nonsense: bytes) -> None:
    with control.socket.socket(control.socket.AF_UNIX) as visitor:
        visitor.settimeout(30)
        visitor.connect(str(door.path))
        try:
            visitor.sendall(nonsense)
            visitor.shutdown(control.socket.SHUT_WR)
            answer = visitor.recv(4096)
        except OSError:
            answer = b'{"code": 2}'  # cut off with more to be read
        assert json.loads(answer)["code"] == 2
    assert ask(door.path.parent, {"verb": "use"}, lambda _: None)[1] == 0


def test_who_goes_away_leaves_it_standing(door: Control) -> None:
    for _ in range(3):
        with control.socket.socket(control.socket.AF_UNIX) as visitor:
            visitor.connect(str(door.path))
            visitor.sendall(b'{"verb": "use"}\n')
    assert ask(door.path.parent, {"verb": "use"}, lambda _: None)[1] == 0


def test_a_second_daemon_does_not_take_the_folder_from_the_first(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with hold(folder):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        with pytest.raises(OutputError, match=r"state is another daemon's, .*; try again .* its own models.state"):
            hold(folder).__enter__()
    with hold(folder):
        pass
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"models.state = .* cannot be used"):
        hold(tmp_path / "file").__enter__()


def test_one_that_was_killed_leaves_no_hindrance(tmp_path: Path) -> None:
    Control(tmp_path, act, at_once)._listener.close()
    with pytest.raises(NobodyError, match="no daemon answers"):
        ask(tmp_path, {"verb": "use"}, lambda _: None)
    Control(tmp_path, act, at_once).close()


def test_a_path_that_is_too_long_is_a_sentence(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    with pytest.raises(OutputError, match="shorter path"):
        Control(folder, act, at_once)


# ---- shadow


class Gallery:
    """A shadow with a bright bundle in it, and frames to show it."""

    def __init__(self, folder: Path) -> None:
        self.idle = True
        self.events: list[Event] = []
        self.clock = SystemClock()
        self.shadow = Shadow(lambda: self.idle, self.events.append, self.clock)
        one = load(folder)
        team = Team(one, [start(one, "cpu", 1)])
        self.station = Station("cam1", team, Judge(0.7, 4), True, View((48, 64, 1)))
        self.number = 0

    def offer(self, verdict: Verdict, square: tuple[int, int, int, int] | None = None, camera: str = "cam1") -> None:
        self.number += 1
        frame = Frame(camera, self.number, 0, 0.0, 9.0, picture(square=square))
        self.shadow.offer(Inspection(frame, verdict, score=None if verdict is Verdict.UNKNOWN else 0.5))

    def watch(self, frames: int, within: float = 60.0, agree: float | None = None) -> Future[str]:
        future: Future[str] = Future()
        told = threading.Event()

        def run() -> None:
            try:
                future.set_result(
                    self.shadow.watch({"cam1": self.station}, Wish(frames, within, agree), lambda _: told.set())
                )
            except ModelError as error:
                future.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        assert told.wait(30)
        until(lambda: bool(self.shadow._stations) or future.done())
        return future

    def seen(self) -> int:
        return self.shadow.counts.total()


@pytest.fixture
def gallery(bright: Path) -> Gallery:
    return Gallery(bright)


def test_what_it_says_is_counted_and_disagreement_published(gallery: Gallery) -> None:
    future = gallery.watch(3)
    for number, (verdict, square) in enumerate(
        ((Verdict.OK, None), (Verdict.OK, (8, 8, 6, 6)), (Verdict.NG, (8, 8, 6, 6))), 1
    ):
        gallery.offer(verdict, square)
        until(lambda number=number: gallery.seen() == number)  # type: ignore[misc]
    assert future.result(30) == "in shadow it said the same of 2 of 3 frames"
    assert gallery.shadow.counts == {("cam1", "agreed"): 2, ("cam1", "disagreed"): 1}
    (event,) = gallery.events
    assert (event.subject, event.state) == ("cam1", "shadow")
    assert "frame 2: ok with score 0.500 by no model, ng with score 0.980 by bright" in event.detail
    gallery.offer(Verdict.OK)  # nobody watches any more
    assert gallery.seen() == 3


def test_at_its_end_no_frame_that_it_failed_on_is_left_out_of_the_log(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ModelError("out of memory")

    monkeypatch.setattr(gallery.station.team.engines[0].detector, "look", fail)
    future = gallery.watch(3)
    for number in range(1, 4):
        gallery.offer(Verdict.OK)
        until(lambda number=number: gallery.seen() == number)  # type: ignore[misc]
    future.result(30)
    assert sum(record.count for record in caplog.records if hasattr(record, "count")) == 3


def test_it_sees_nothing_while_all_are_busy_and_says_so(gallery: Gallery) -> None:
    gallery.idle = False
    future = gallery.watch(1, within=0.5)
    gallery.offer(Verdict.OK)
    with pytest.raises(ModelError, match=r"saw 0 of 1 frames in 0.5 s, for it sees only what comes while"):
        future.result(30)
    assert gallery.seen() == 0


def test_a_frame_that_waited_is_left_alone_when_a_worker_needs_its_core(gallery: Gallery) -> None:
    gallery.shadow._stations = {"cam1": gallery.station}
    gallery.offer(Verdict.OK)
    assert gallery.shadow._seen.full()
    gallery.idle = False
    with pytest.raises(ModelError, match="saw 0 of 1"):
        gallery.shadow.watch({"cam1": gallery.station}, Wish(1, 0.3), lambda _: None)
    assert gallery.seen() == 0


def test_other_cameras_and_what_no_model_judged_are_not_looked_at(gallery: Gallery) -> None:
    future = gallery.watch(1)
    gallery.offer(Verdict.OK, camera="cam2")
    gallery.offer(Verdict.UNKNOWN)
    assert not gallery.shadow._seen.full()
    gallery.offer(Verdict.OK)
    assert future.result(30) == "in shadow it said the same of 1 of 1 frames"


def test_too_little_agreement_is_a_refusal(gallery: Gallery) -> None:
    future = gallery.watch(1, agree=0.5)
    gallery.offer(Verdict.NG)
    with pytest.raises(ModelError, match=r"said the same of 0 of 1 frames, less than 50.00%"):
        future.result(30)


def test_the_end_of_the_daemon_is_its_end(gallery: Gallery) -> None:
    future = gallery.watch(1)
    gallery.shadow.stop()
    with pytest.raises(ModelError, match="saw 0 of 1"):
        future.result(30)


# ---- changes


class Glass(Shadow):
    """A shadow that only remembers what it was to show; `meanwhile` happens while it would."""

    meanwhile: Callable[[], object] = staticmethod(lambda: None)

    def watch(self, stations: Mapping[str, Station], wish: Wish, tell: Callable[[str], None]) -> str:
        self.shown = stations
        self.meanwhile()
        return "seen"


class Shop:
    """Changes of a line of two cameras, `cam1` judged by one bundle and `cam2` by `second`."""

    def __init__(self, folder: Path, second: Path, room: int | None = None) -> None:
        self.first = make_bundle(folder / "first")
        cameras = (camera(bundle=self.first), camera(name="cam2", bundle=second))
        settings = Settings(camera=cameras, workers=Workers(device="cpu", count=1))
        self.before = prepare(settings)
        self.shadow = Glass(lambda: True, lambda _: None, SystemClock())
        self.events: list[Event] = []
        self.changes = Changes(
            settings,
            self.before,
            None,
            Versions(folder / "state", keep=3),
            self.shadow,
            room,
            lambda _, __: None,
            self.events.append,
            SystemClock(),
            lambda: (),
            lambda _: None,
        )


@pytest.mark.parametrize("use", [{"cameras": ("cam1",), "threshold": 0.6}, {"cameras": ("cam2",)}])
def test_no_worker_has_the_engine_of_a_shadow(tmp_path: Path, use: dict[str, Any]) -> None:
    shop = Shop(tmp_path, make_bundle(tmp_path / "second", threshold=0.5))
    shop.changes.use(Use(shop.first, **use), Wish(1, 1.0))
    (name,) = use["cameras"]
    team = shop.before.stations["cam1"].team
    assert shop.changes.judging.stations[name].team is team
    shown = shop.shadow.shown[name]
    assert shown.judge == shop.changes.judging.stations[name].judge
    assert shown.tag == team.tag
    detectors = [one.detector for one in (*team.engines, *shown.team.engines)]
    assert len({id(detector._batch["image"]) for detector in detectors}) == len(detectors)


def test_the_engine_of_a_shadow_needs_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop(tmp_path, make_bundle(tmp_path / "second", threshold=0.5), room=4 << 20)
    bytes_resident = iter((0, 5 << 20))
    monkeypatch.setattr("inspector.budget.resident_bytes", lambda: next(bytes_resident))
    with pytest.raises(ConfigError, match=r"need 5 MB beside those that judge, and daemon.memory_mb leaves 4 MB"):
        shop.changes.use(Use(shop.first, ("cam1",), threshold=0.6), Wish(1, 1.0))
    assert shop.changes.judging is shop.before


def test_a_calibration_that_vanished_meanwhile_is_a_refusal(tmp_path: Path) -> None:
    shop = Shop(tmp_path, make_bundle(tmp_path / "second", threshold=0.5))
    calibration = tmp_path / "c.toml"
    calibration.write_text(calibration_text(shop.first))
    shop.shadow.meanwhile = calibration.unlink
    use = {"bundle": str(shop.first), "cameras": ["cam1"], "calibration": str(calibration)}
    with pytest.raises(ConfigError, match=r"calibration .*c.toml cannot be read any more \(No such file.*\); put it"):
        shop.changes.act({"verb": "use", "use": use, "shadow": {"frames": 1, "within": 1.0}}, lambda _: None)
    assert [event.state for event in shop.events] == ["change-refused"]
    assert shop.changes.judging is shop.before


BAD_KEYS = [
    ("threshold", "0", "above 0 and below 1"),
    ("threshold", "1", "above 0 and below 1"),
    ("threshold", "nan", "above 0 and below 1"),
    ("threshold", "much", "above 0 and below 1"),
    ("min_area", "0", "is not a whole number from 1"),
    ("min_area", "67108865", "from 1 to 67108864"),
]


@pytest.mark.parametrize(("key", "value", "sentence"), BAD_KEYS)
def test_what_no_configuration_may_have_cannot_be_asked_for(
    capsys: pytest.CaptureFixture[str], key: str, value: str, sentence: str
) -> None:
    option = f"--{key.replace('_', '-')}"
    with pytest.raises(SystemExit):
        build_parser().parse_args(["model", "use", "c.toml", "bundle", option, value])
    assert f"argument {option}: {value!r} " in (told := capsys.readouterr().err)
    assert sentence in told
    with pytest.raises(ValidationError, match=key):
        USE.validate_python({"bundle": "bundle", key: value})


@pytest.mark.parametrize("own", [{"threshold": 0.6}, {"min_area": 4}])
def test_a_calibration_alone_says_the_threshold_and_the_area(tmp_path: Path, own: dict[str, Any]) -> None:
    shop = Shop(tmp_path, make_bundle(tmp_path / "second", threshold=0.5))
    calibration = tmp_path / "c.toml"
    calibration.write_text(calibration_text(shop.first))
    with pytest.raises(ConfigError, match=r"come from the calibration '.*c.toml'; leave --threshold"):
        shop.changes.use(Use(shop.first, ("cam1",), calibration, **own), None)
    assert shop.changes.judging is shop.before


@pytest.mark.parametrize("seconds", ["nan", "inf", "0", "-1", "soon"])
def test_a_shadow_has_an_end(tmp_path: Path, capsys: pytest.CaptureFixture[str], seconds: str) -> None:
    with pytest.raises(SystemExit):
        build_parser().parse_args(["model", "use", "c.toml", "bundle", "--shadow", "1", f"--within={seconds}"])
    assert f"argument --within: {seconds!r} is not a number of seconds above 0" in capsys.readouterr().err
    shop = Shop(tmp_path, make_bundle(tmp_path / "second", threshold=0.5))
    use = {"bundle": str(shop.first), "cameras": ["cam1"], "threshold": 0.6}
    with pytest.raises(DataError, match=r"the request makes no sense: (?s:.*)within"):
        shop.changes.act({"verb": "use", "use": use, "shadow": {"frames": 1, "within": seconds}}, lambda _: None)


@pytest.mark.parametrize(("verb", "state"), [("use", "change-refused"), ("reload", "reload-refused")])
def test_a_bug_in_a_change_is_told_as_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, state: str
) -> None:
    shop = Shop(tmp_path, make_bundle(tmp_path / "second", threshold=0.5))

    def fail(*_: object, **__: object) -> str:
        raise RuntimeError("oh")

    monkeypatch.setattr(shop.changes, verb, fail)
    with pytest.raises(RuntimeError, match="oh"):
        shop.changes.act({"verb": verb, "use": {"bundle": str(shop.first)}}, lambda _: None)
    assert [(event.state, event.detail) for event in shop.events] == [(state, "RuntimeError('oh')")]


class InForce(dict[str, Station]):
    """Stations, by which a worker judges a frame in the very moment that they are in force."""

    def __init__(self, stations: Mapping[str, Station], metrics: Metrics) -> None:
        super().__init__(stations)
        self.metrics = metrics

    def update(self, stations: Mapping[str, Station]) -> None:  # type: ignore[override]
        super().update(stations)
        frame = Frame("cam1", 1, 0, 0.0, 9.0, picture(), standard=self["cam1"])
        self.metrics.batch(Batch([frame], 0.0, BatchEnd.FULL))


def test_a_model_is_counted_from_its_first_frame_on(tmp_path: Path) -> None:
    shop = Shop(tmp_path, make_bundle(tmp_path / "second"))
    other = make_bundle(tmp_path / "other")
    card = other / "bundle.toml"
    card.write_text(card.read_text().replace('name = "bright"', 'name = "bright-2"'))
    shop.changes.use(Use(other, ("cam1",)), None)
    before, now = shop.before, shop.changes.judging
    metrics = Metrics(("cam1", "cam2"), before.tags)
    stations = InForce(before.stations, metrics)
    challenged: list[str] = []
    Adoption(stations, metrics, Encoder("line1", 1, "0" * 64), None, challenged.extend, {}, {})(before, now)
    assert stations == now.stations
    assert challenged == ["cam1"]
    assert ("inspector_batch_closed_total", ("bright-2", "full"), 1) in metrics.samples()


def test_what_fails_while_another_calibration_comes_is_well_again_by_it(tmp_path: Path) -> None:
    shop = Shop(tmp_path, make_bundle(tmp_path / "second"))
    calibration = tmp_path / "c.toml"
    calibration.write_text(calibration_text(shop.first))
    shop.changes.use(Use(shop.first, ("cam1",), calibration), None)
    state = CameraState(Presence(live=True), Monitor(fixed(live=True)))
    state.monitor.look(np.zeros((48, 64, 1), np.uint8), 0)
    before, now = shop.before, shop.changes.judging
    stations, metrics = dict(before.stations), Metrics(("cam1", "cam2"), before.tags)
    encoder, cameras, live = Encoder("line1", 1, "0" * 64), {"cam1": state}, {"cam1": True}
    Adoption(stations, metrics, encoder, None, lambda _: None, cameras, live)(before, now)
    found = [state.monitor.look(np.full((48, 64, 1), 60 + number, np.uint8), 0) for number in range(CALM)]
    assert [one.over for one in found] == [*(CALM - 1) * [()], (Cause.BLACK,)]


# ---- the list


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    good = make_bundle(tmp_path / "shelf" / "good")
    make_bundle(tmp_path / "shelf" / "compares", reference=True, repairs=False)
    liar = make_bundle(tmp_path / "shelf" / "liar")
    shutil.copy(liar / "golden" / "good.png", liar / "golden" / "bad.png")
    cut = make_bundle(tmp_path / "shelf" / "cut")
    (cut / "detector.onnx").write_bytes((good / "detector.onnx").read_bytes()[:-1])
    return tmp_path / "shelf"


def test_bundles_are_listed_and_a_damaged_one_is_told_of(shelf: Path) -> None:
    rows = {Path(one.folder).name: one for one in listing.rows(listing.found([shelf]), None)}
    assert list(rows) == ["compares", "cut", "good", "liar"]
    good = rows["good"]
    assert (good.name, good.version, good.licence) == ("bright", "1", "Apache-2.0")
    assert (good.sha256, good.input, good.heads) == (load(shelf / "good").sha256, "64x48x1", ("detector", "repairer"))
    assert (good.precisions, good.proven, good.error, good.code) == (("fp32",), None, None, 0)
    assert rows["compares"].compares
    assert rows["compares"].heads == ("detector",)
    assert rows["liar"].code == 0  # nobody asked it
    assert (rows["cut"].code, "copy the bundle again" in (rows["cut"].error or "")) == (65, True)


def test_bundles_prove_themselves_on_this_machine(shelf: Path, reduced: Path) -> None:
    folders = listing.found([shelf / "good", shelf / "liar", shelf / "none", reduced])
    good, liar, none, several = listing.rows(folders, "cpu")
    assert (good.proven or "").startswith("CPUExecutionProvider in fp32")
    assert (liar.code, "does not prove itself on this machine" in (liar.error or "")) == (65, True)
    assert (none.code, "is not a folder" in (none.error or "")) == (65, True)
    assert "in int8" in (several.proven or "")
    assert "in fp32" in (several.proven or "")
    out = io.StringIO()
    listing.write_json([good, liar], out)
    assert [one["proven"] for one in json.loads(out.getvalue())] == [good.proven, None]
    out = io.StringIO()
    listing.write_table([good, liar], out)
    assert good.sha256[:12] in out.getvalue()
    assert liar.error is not None
    assert liar.error in out.getvalue()
