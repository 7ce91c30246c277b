"""Models exchanged while the line runs: a real daemon, its control socket, and a subscriber that hears every frame.

1. exchanged again and again under load, between models of different sizes, with their thresholds: no frame is lost,
   none is `unknown`, each is judged by one model and its own threshold, and nothing is left behind
   (INSPECTOR_FAULTS=100 does it so often with a model that ships, which CI has no time for, and prints figures)
2. a bundle that does not prove itself, one that no camera takes, and none at all: all stays as it was, with a reason
3. what was chosen judges after a restart, and after another; and after going back, what was before
4. the configuration has the last word: a key that changed is in force again, by SIGHUP or at the start
5. a bundle that was trained anew into its folder: the daemon's copy is what one goes back to
6. in shadow: disagreements are published and counted, and too many of them leave the old one in charge
7. a calibrated camera is not judged without one unawares
8. while the daemon is stopped: what is chosen is proven, and judges from its next start on; going back needs nothing of
   what was chosen last, which may be why it does not start
"""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

import cv2
import pytest

from inspector.client import Subscriber
from inspector.inference.bundle import load
from inspector.messages import BeatMessage, EventMessage, VerdictMessage
from inspector.models.control import ask
from inspector.models.hold import hold
from inspector.types import Event, Verdict
from tests.bundles import make_bundle, picture
from tests.calibrations import calibration_text
from tests.daemon import Process, configure, run
from tests.waiting import until

SHIPPED = Path(__file__).parents[2] / "models" / "simulated-line"
LONG = "INSPECTOR_FAULTS" in os.environ
TIMES = int(os.environ.get("INSPECTOR_FAULTS", "10"))
WARM = 4
"""Exchanges until both models, and what they need once, were there."""
MIB = 1 << 20


class Ear:
    """Hears all that a daemon tells, in a thread of its own."""

    def __init__(self, endpoint: str) -> None:
        self.verdicts: list[VerdictMessage] = []
        self.events: list[Event] = []
        self._subscriber = Subscriber(endpoint)
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Ear:
        self._subscriber.__enter__()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()
        assert not self._subscriber.missing
        self._subscriber.__exit__(None, None, None)

    def _listen(self) -> None:
        for message in self._subscriber.messages(timeout=60):
            if isinstance(message, VerdictMessage):
                self.verdicts.append(message)
            elif isinstance(message, EventMessage):
                self.events.append(message.event)
            elif isinstance(message, BeatMessage) and message.final:
                return

    def of(self, camera: str) -> list[VerdictMessage]:
        return sorted((m for m in self.verdicts if m.camera == camera), key=lambda m: m.frame)

    def wait_for_more(self, frames: int = 5) -> None:
        """Frames that are captured from now on."""
        enough = len(self.verdicts) + frames
        until(lambda: len(self.verdicts) >= enough)

    def wait_for_model(self, sha256: str, cameras: Sequence[str]) -> None:
        """Until it has judged a frame of each camera that is heard of from now on."""
        heard = len(self.verdicts)

        def judges(camera: str) -> bool:
            return any(m.camera == camera and m.model and m.model.sha256 == sha256 for m in self.verdicts[heard:])

        until(lambda: all(map(judges, cameras)), f"{sha256} judges")

    def wait_for(self, state: str) -> Event:
        until(lambda: any(event.state == state for event in self.events), state)
        return next(event for event in self.events if event.state == state)


class Held:
    """What a process holds."""

    def __init__(self, pid: int) -> None:
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        self.bytes = int(status["VmRSS"].split()[0]) << 10
        self.threads = int(status["Threads"])
        self.files = len(list(Path(f"/proc/{pid}/fd").iterdir()))


def bundle(folder: Path, threshold: float, **options: int) -> Path:
    return make_bundle(folder, threshold=threshold, **options)


def judged_by(ear: Ear, camera: str) -> list[str]:
    """The models, as the frames go on."""
    shas = [m.model.sha256 for m in ear.of(camera) if m.model is not None]
    return [sha256 for sha256, _ in groupby(shas)]


@pytest.fixture
def line(tmp_path: Path, pictures: Path) -> Callable[..., Path]:
    def write(bundle: Path, *sources: str, camera: str = "", cameras: Sequence[str] = ()) -> Path:
        return configure(
            tmp_path / "c.toml",
            bundle,
            *(sources or ("sim://line?seed=1&rate=20",)),
            more='models = { state = "state" }',
            publish="buffer_mb = 4096",  # an ear that stands still for a while misses nothing
            camera=f"deadline = 100\n{camera}",
            cameras=cameras,
        )

    return write


def use(config: Path, bundle: Path, **keys: object) -> tuple[str, int]:
    shadow = keys.pop("shadow", None)
    request = {"verb": "use", "use": {"bundle": str(bundle), **keys}, "shadow": shadow}
    return ask(config.parent / "state", request, lambda _: None)


@pytest.mark.timeout(7200 if LONG else 1200)
def test_1_exchanged_under_load_no_frame_is_lost(line: Callable[..., Path], pictures: Path, tmp_path: Path) -> None:
    pair = SHIPPED if LONG else bundle(tmp_path / "large", 0.7), bundle(tmp_path / "small", 0.6, height=24, width=32)
    thresholds = {one.sha256: one.card.decision.threshold for one in map(load, pair)}
    names = ["cam1", "cam2", "cam3"]
    full = f"folder:{pictures}?loop=1&rate=max"  # which waits, where the live one goes first
    config = line(pair[0], full, full, "sim://line?seed=1&rate=4", cameras=["", "", "queue = 400"])
    with Process(config) as daemon:
        daemon.keep_reading()
        with Ear(daemon.endpoint) as ear:
            until(lambda: all(len(ear.of(camera)) >= 5 for camera in names))
            # Workers are not through with frames in their order: one before these may have been told of unheard.
            first = {camera: max(m.frame for m in ear.of(camera)) for camera in names}
            held: list[Held] = []
            for time in range(1, TIMES + WARM + 1):
                told, code = use(config, pair[time % 2], cameras=names)
                assert code == 0, told
                ear.wait_for_model(load(pair[time % 2]).sha256, names)
                if time % 2 == 0:
                    held.append(Held(daemon.pid))
            metrics = daemon.metrics()
            daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0
    for camera in names:
        told_of = [m for m in ear.of(camera) if m.frame >= first[camera]]
        assert [m.frame for m in told_of] == list(range(first[camera], first[camera] + len(told_of)))
        judged = [m for m in told_of if m.reason is None or m.reason.value != "shutdown"]
        assert {m.verdict for m in judged} <= {Verdict.OK, Verdict.NG}, [m.reason for m in judged if m.reason]
        assert all(m.model is not None and m.threshold == thresholds[m.model.sha256] for m in judged)
        assert len(judged_by(ear, camera)) == TIMES + WARM + 1
    assert metrics['inspector_model_changes_total{change="taken"}'] == TIMES + WARM
    assert metrics['inspector_model_changes_total{change="refused"}'] == 0
    assert [event.subject for event in ear.events if event.state == "model"].count("cam1") == TIMES + WARM
    warm, last = held[WARM // 2 - 1], held[-1]
    print(
        f"{TIMES} exchanges, {len(ear.verdicts)} frames; memory {warm.bytes / MIB:.0f} -> {last.bytes / MIB:.0f} MiB, "
        f"threads {warm.threads} -> {last.threads}, files {warm.files} -> {last.files}"
    )
    assert last.bytes - warm.bytes < 100 * MIB  # two sessions of each of two networks, kept 10 times, are twice that
    assert last.threads <= warm.threads
    assert last.files <= warm.files + 2  # somebody may just be at the door


def test_2_what_cannot_judge_leaves_the_old_one_in_charge(line: Callable[..., Path], tmp_path: Path) -> None:
    one = bundle(tmp_path / "one", 0.7)
    config = line(one)
    broken = bundle(tmp_path / "broken", 0.6)
    shutil.copy(broken / "golden" / "good.png", broken / "golden" / "bad.png")
    odd = bundle(tmp_path / "odd", 0.6, channels=5)
    with Process(config) as daemon:
        daemon.keep_reading()
        with Ear(daemon.endpoint) as ear:
            ear.wait_for_more()
            for wrong, code, sentence in (
                (broken, 65, "does not prove itself on this machine"),
                (odd, 78, "takes 5 channels"),
                (tmp_path / "none", 65, "is not a folder"),
                (SHIPPED, 78, "name it with --camera"),
            ):
                done = run("model", "use", config, wrong)
                assert (done.returncode, sentence in done.stderr) == (code, True), done.stderr
                assert "Traceback" not in done.stderr
            assert run("model", "rollback", config).returncode == 78
            ear.wait_for_more()
            assert "does not prove itself" in ear.wait_for("change-refused").detail
            assert daemon.metrics()['inspector_model_changes_total{change="refused"}'] == 5
            daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0
    assert judged_by(ear, "cam1") == [load(one).sha256]
    done = run("reload", config)
    assert (done.returncode, "no daemon answers" in done.stderr) == (74, True)


def restarted(config: Path) -> tuple[str, list[str]]:
    """Which model judges after a restart, and what is said of it."""
    with Process(config) as daemon, Subscriber(daemon.endpoint) as subscriber:
        first = next(m for m in subscriber.messages(timeout=60) if isinstance(m, VerdictMessage) and m.model)
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0
    assert first.model is not None
    return first.model.sha256, [line["message"] for line in daemon.log if "not by" in line["message"]]


def test_3_what_was_chosen_survives_a_restart(line: Callable[..., Path], tmp_path: Path) -> None:
    a, b = bundle(tmp_path / "a", 0.7), bundle(tmp_path / "b", 0.6, height=24, width=32)
    config, of_b = line(a), load(b).sha256
    with Process(config) as daemon:
        assert use(config, b)[1] == 0
        daemon.send(signal.SIGTERM)
        daemon.wait()
    shutil.rmtree(b)  # the daemon has a copy
    sha256, notes = restarted(config)
    assert sha256 == of_b
    assert f"judged by bright {of_b[:12]} since" in notes[0]
    assert f"not by {a} of the configuration" in notes[0]
    checked = run("check", config)
    assert (checked.returncode, "not by" in checked.stdout) == (0, True)
    with Process(config) as daemon:
        done = run("model", "rollback", config)
        assert done.returncode == 0, done.stderr
        assert f"bright {load(a).sha256[:12]} judges, instead of bright {of_b[:12]}" in done.stdout
        daemon.send(signal.SIGTERM)
        daemon.wait()
    assert restarted(config) == (load(a).sha256, [])
    assert len(run("model", "versions", config).stdout.splitlines()) == 1


def test_4_the_configuration_has_the_last_word(line: Callable[..., Path], tmp_path: Path) -> None:
    a, b, c = (bundle(tmp_path / name, threshold) for name, threshold in (("a", 0.7), ("b", 0.6), ("c", 0.5)))
    config = line(a)
    with Process(config) as daemon:
        daemon.keep_reading()
        with Ear(daemon.endpoint) as ear:
            ear.wait_for_more()
            assert use(config, b)[1] == 0
            assert run("reload", config).stdout == "nothing has changed\n"
            assert ear.wait_for("reloaded").detail == "nothing has changed"  # by either way, SIGHUP below
            line(c)
            daemon.send(signal.SIGHUP)
            told = "camera.cam1.bundle changed: camera 'cam1': bright"
            until(lambda: any(told in event.detail for event in ear.events if event.state == "reloaded"))
            ear.wait_for_more()
            line(c, camera="threshold = 0.25\nmax_rate = 99")
            done = run("reload", config)
            assert done.returncode == 0, done.stderr
            assert "camera.cam1.threshold changed" in done.stdout
            assert "camera.cam1.max_rate changed and waits for a restart" in done.stdout
            ear.wait_for_more()
            line(tmp_path / "none")
            assert run("reload", config).returncode == 78
            assert "is not a folder" in ear.wait_for("reload-refused").detail
            signalled = run("reload", config, "--pid", 2**22 + 1)  # who has a state asks there
            assert (signalled.returncode, "is not a folder" in signalled.stderr) == (78, True)
            line(c, camera="threshold = 0.25\nmax_rate = 99")
            daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0
    assert judged_by(ear, "cam1") == [load(folder).sha256 for folder in (a, b, c)]
    thresholds = [m.threshold for m in ear.of("cam1") if m.model is not None]
    assert [threshold for threshold, _ in groupby(thresholds)] == [0.7, 0.6, 0.5, 0.25]
    assert restarted(config) == (load(c).sha256, [])
    line(a)
    assert restarted(config) == (load(a).sha256, [])


def test_5_trained_anew_into_its_folder_and_back(line: Callable[..., Path], tmp_path: Path) -> None:
    a = bundle(tmp_path / "a", 0.7)
    config, old = line(a), load(a).sha256
    with Process(config) as daemon:
        daemon.keep_reading()
        shutil.rmtree(a)
        bundle(a, 0.6)
        with Ear(daemon.endpoint) as ear:
            ear.wait_for_more()
            assert "judges, instead of" in run("reload", config).stdout
            ear.wait_for_model(load(a).sha256, ["cam1"])
            assert run("model", "rollback", config).returncode == 0
            ear.wait_for_model(old, ["cam1"])
            daemon.send(signal.SIGTERM)
        daemon.wait()
    assert judged_by(ear, "cam1") == [old, load(a).sha256, old]
    assert restarted(config)[0] == old


def test_6_in_shadow_it_is_only_told_of(line: Callable[..., Path], tmp_path: Path) -> None:
    one, blind = bundle(tmp_path / "one", 0.7), bundle(tmp_path / "blind", 0.7)
    card = blind / "bundle.toml"
    card.write_text(card.read_text().replace("min_area = 4", "min_area = 30"))  # it sees the golden defect still
    for number in range(10):
        shown = picture(square=(10, 10, 5, 5)) if number % 2 else picture()
        cv2.imwrite(str(tmp_path / f"{number}.png"), shown)
    config = line(one, f"folder:{tmp_path}?loop=1&rate=20", "sim://line?seed=2&rate=5")
    with Process(config) as daemon:
        daemon.keep_reading()
        with Ear(daemon.endpoint) as ear:
            ear.wait_for_more()
            told, code = use(config, blind, cameras=["cam1"], shadow={"frames": 20, "within": 100.0, "agree": 0.99})
            metrics = daemon.metrics()
            seen = {
                outcome: metrics[f'inspector_shadow_frames_total{{camera="cam1",shadow="{outcome}"}}']
                for outcome in ("agreed", "disagreed")
            }
            assert code == 70
            assert f"it said the same of {seen['agreed']:.0f} of 20 frames, less than 99.00%" in told
            assert sum(seen.values()) == 20
            assert seen["disagreed"] > 0
            assert f"by bright {load(blind).sha256[:12]}" in ear.wait_for("shadow").detail
            told, code = use(config, blind, cameras=["cam1"], shadow={"frames": 5, "within": 100.0})
            assert code == 0, told
            ear.wait_for_more(20)
            daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0
    assert judged_by(ear, "cam1") == [load(one).sha256, load(blind).sha256]
    assert judged_by(ear, "cam2") == [load(one).sha256]
    said = [event.detail for event in ear.events if event.state == "shadow"]
    assert len(said) >= seen["disagreed"]
    assert all(": ng with score 0.980 by bright" in one and ", ok with score 0.980 by" in one for one in said)


def test_7_a_calibration_holds_for_its_bundle_alone(line: Callable[..., Path], tmp_path: Path) -> None:
    a, b = bundle(tmp_path / "a", 0.7), bundle(tmp_path / "b", 0.6)
    for of in (a, b):
        (tmp_path / f"{of.name}.toml").write_text(calibration_text(of, threshold=0.8))
    config = line(a, camera='calibration = "a.toml"')
    with Process(config) as daemon:
        daemon.keep_reading()
        with Ear(daemon.endpoint) as ear:
            ear.wait_for_more()
            done = run("model", "use", config, b)
            assert (done.returncode, "give --calibration" in done.stderr) == (78, True), done.stderr
            done = run("model", "use", config, b, "--calibration", tmp_path / "a.toml")
            assert (done.returncode, "it was made for bundle" in done.stderr) == (78, True), done.stderr
            assert run("model", "use", config, b, "--calibration", tmp_path / "b.toml").returncode == 0
            ear.wait_for_model(load(b).sha256, ["cam1"])
            assert use(config, a, uncalibrated=True)[1] == 0
            ear.wait_for_model(load(a).sha256, ["cam1"])
            daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0
    judged = [(m.model.sha256, m.threshold, m.calibration is not None) for m in ear.of("cam1") if m.model is not None]
    of_a, of_b = load(a).sha256, load(b).sha256
    assert [key for key, _ in groupby(judged)] == [(of_a, 0.5, True), (of_b, 0.5, True), (of_a, 0.7, False)]
    sha256, notes = restarted(config)
    assert sha256 == of_a
    assert len(notes) == 1, "the same bundle without its calibration is not as configured"
    assert f"judged by bright {of_a[:12]} since" in notes[0]
    assert f"not by {a} of the configuration" in notes[0]


def test_8_while_the_daemon_is_stopped(line: Callable[..., Path], tmp_path: Path) -> None:
    a, b = bundle(tmp_path / "a", 0.7), bundle(tmp_path / "b", 0.6, height=24, width=32)
    broken = bundle(tmp_path / "broken", 0.5)
    shutil.copy(broken / "golden" / "good.png", broken / "golden" / "bad.png")
    of_a, of_b = (load(one).sha256 for one in (a, b))
    config, state = line(a), tmp_path / "state"
    never = run("model", "use", config, b)
    assert (never.returncode, "no daemon has run with models.state" in never.stderr) == (78, True)
    assert not state.exists()
    assert restarted(config) == (of_a, [])
    for words, code, sentence in (
        (("use", config, broken), 65, "does not prove itself on this machine"),
        (("use", config, b, "--shadow", "5"), 78, "no daemon runs; start it"),
        (("use", config, SHIPPED), 78, "name it with --camera"),
        (("rollback", config), 78, "nothing to go back to"),
    ):
        done = run("model", *words)
        assert (done.returncode, sentence in done.stderr) == (code, True), done.stderr
    assert run("model", "use", config, a).stdout == "it is what judges already\n"
    assert restarted(config) == (of_a, [])
    done = run("model", "use", config, b, "--threshold", "0.55")
    assert done.returncode == 0, done.stderr
    assert f"bright {of_b[:12]} judges from the daemon's next start on, instead of bright {of_a[:12]}" in done.stdout
    sha256, notes = restarted(config)
    assert (sha256, len(notes)) == (of_b, 1)
    copy = state / "bundles" / of_b
    shutil.copy(copy / "golden" / "good.png", copy / "golden" / "bad.png")
    assert run("run", config).returncode == 65
    with hold(state):
        busy = run("model", "rollback", config)
    assert (busy.returncode, "is another daemon's" in busy.stderr) == (74, True)
    back = run("model", "rollback", config)
    assert back.returncode == 0, back.stderr
    assert f"bright {of_a[:12]} judges from the daemon's next start on, instead of bright {of_b[:12]}" in back.stdout
    assert restarted(config) == (of_a, [])
    assert not copy.exists()
