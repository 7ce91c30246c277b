"""The doctor: each finding with its remedy, by machines, cameras and figures that are made up."""

from __future__ import annotations

import io
import itertools
import json
import math
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from inspector.clock import ManualClock, SystemClock
from inspector.docs import doctor_page
from inspector.doctor import (
    addresses,
    builds,
    cameras,
    clock,
    disk,
    examine,
    host,
    keys,
    looking,
    memory,
    ports,
    report,
    service,
    speed,
)
from inspector.doctor.case import Case, Check, Wish
from inspector.doctor.checks import CHECKS
from inspector.doctor.finding import WARNED, Finding, Level, exit_code, failure, fine, of_error, skipped, warning
from inspector.doctor.looking import Seen, look
from inspector.doctor.machine import Machine, Room, Timex
from inspector.doctor.meter import Meter
from inspector.doctor.pictures import MOST, pictures, spoilt
from inspector.doctor.prediction import JOINING, Delay, Prediction, predict
from inspector.doctor.rehearsal import WATCHED, Abreast, Account
from inspector.doctor.trial import delay, rehearsed
from inspector.errors import ConfigError, OutputError, RefusedError, SourceError
from inspector.inference.bundle import load
from inspector.keys import generate
from inspector.settings import Camera, Daemon, Http, Journal, Models, Publish, Recorder, Security, Settings, Trigger
from inspector.sources.pace import Pace
from inspector.types import Shot

GIB = 1 << 30


class Known(Machine):
    """A machine that is as one likes."""

    def __init__(self, root: Path = Path("/nonexistent"), **facts: object) -> None:
        super().__init__(root)
        for name, value in facts.items():
            setattr(self, name, lambda *_, value=value: value)


def a_camera(**more: object) -> Camera:
    given = {"name": "top", "source": "sim://line?rate=30", "bundle": "models/mine"} | more
    return Camera(**given)  # type: ignore[arg-type]


def a_case(*cameras: Camera, machine: Machine | None = None, wish: Wish | None = None, **more: object) -> Case:
    settings = Settings(camera=cameras or (a_camera(),), **more)  # type: ignore[arg-type]
    return Case(Path("line.toml"), wish or Wish(), machine or Known(), settings)


def only(findings: Iterator[Finding], level: Level) -> Finding:
    """The one finding, which has a remedy where something is wrong."""
    (found,) = findings
    assert found.level is level, found
    assert bool(found.remedy) == (level in (Level.WARNING, Level.FAILURE)) or level is Level.SKIPPED
    return found


# ---- the registry


def test_every_check_says_what_it_looks_at_and_what_to_do() -> None:
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    page = doctor_page()
    for check in CHECKS:
        assert check.looks_at, check.name
        assert check.remedy, check.name
        assert check.warns or check.fails, check.name
        assert f"| {check.name} |" in page


def test_a_check_that_fails_keeps_no_other_from_looking() -> None:
    def broken(_: Case) -> Iterator[Finding]:
        raise OutputError("the disk is full; make room")

    order: list[str] = []
    checks = [
        Check("broken", "", "", "", "", broken),
        Check("fine", "", "", "", "", lambda _: [fine("rtsp://user:secret@host/ is there")]),
        Check("models", "", "", "", "", lambda _: [fine("never")], needs="models"),
    ]
    found = list(examine.examine(a_case(), checks, order.append))
    assert order == ["broken", "fine", "models"]
    assert [(one.check, one.level) for one in found] == [
        ("broken", Level.FAILURE), ("fine", Level.FINE), ("models", Level.SKIPPED),
    ]  # fmt: skip
    assert (found[0].text, found[0].remedy) == ("the disk is full", "make room")
    assert "secret" not in found[1].text
    unreadable = Case(Path("line.toml"))
    assert {one.level for one in examine.examine(unreadable, checks)} == {Level.SKIPPED}


def test_the_exit_code_is_that_of_the_first_failure_or_of_warnings() -> None:
    bad, sick = failure("a", "b", OutputError), failure("a", "b", SourceError)
    assert exit_code([fine("a"), skipped("a")]) == 0
    assert exit_code([fine("a"), warning("a", "b")]) == WARNED
    assert exit_code([warning("a", "b"), sick, bad]) == SourceError.exit_code


def test_an_error_of_many_mistakes_is_a_finding_for_each() -> None:
    one, other = of_error(ConfigError("a is wrong; mend it; soon", "b is wrong"))
    assert (one.text, one.remedy, other.remedy) == ("a is wrong", "mend it; soon", "")
    assert one.exit_code == ConfigError.exit_code


# ---- the machine


def test_control_groups_limit_cores_and_memory(tmp_path: Path) -> None:
    def put(path: str, text: str) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    put("proc/self/cgroup", "0::/system.slice/inspector.service\n")
    put("proc/meminfo", "MemTotal: 8388608 kB\nMemAvailable: 4194304 kB\n")
    put("proc/cpuinfo", "processor: 0\nmodel name\t: Some CPU\n")
    put("proc/loadavg", "0.50 0.40 0.30 1/100 7\n")
    machine = Machine(tmp_path)
    assert (machine.cpu(), machine.load(), machine.quota()) == ("Some CPU", 0.5, None)
    assert machine.memory() == (8 * GIB, 4 * GIB)
    put("sys/fs/cgroup/system.slice/cpu.max", "150000 100000\n")  # that of a group around it counts too
    put("sys/fs/cgroup/system.slice/inspector.service/cpu.max", "max 100000\n")
    put("sys/fs/cgroup/system.slice/inspector.service/memory.max", f"{2 * GIB}\n")
    put("sys/fs/cgroup/system.slice/inspector.service/memory.current", f"{GIB}\n")
    assert machine.quota() == 1.5
    assert machine.memory() == (2 * GIB, GIB)
    put("proc/self/cgroup", "4:memory:/pod\n1:cpu,cpuacct:/pod\n")
    put("sys/fs/cgroup/cpu/pod/cpu.cfs_quota_us", "50000\n")
    put("sys/fs/cgroup/cpu/pod/cpu.cfs_period_us", "100000\n")
    assert machine.quota() == 0.5
    assert Machine(tmp_path / "nothing").memory() is None


def test_who_listens_on_a_port_is_named(tmp_path: Path) -> None:
    (tmp_path / "proc/net").mkdir(parents=True)
    row = "  0: 0100007F:15E0 00000000:0000 0A 0:0 0:0 0 0 0 4711 1"
    (tmp_path / "proc/net/tcp").write_text(f"  sl  local_address ...\n{row}\n")
    descriptors = tmp_path / "proc/99999999/fd"
    descriptors.mkdir(parents=True)
    (descriptors / "3").symlink_to("socket:[4711]")
    (descriptors.parent / "comm").write_text("nginx\n")
    (descriptors / "4").symlink_to("socket:[4712]")
    rows = "00: 00000002 00000000 00010000 0001 01 4712 /run/line\n00: 00000002 00000000 00010000 0001 01 4713"
    (tmp_path / "proc/net/unix").write_text(f"Num RefCount Protocol Flags Type St Inode Path\n{rows}\n")
    machine = Machine(tmp_path)
    assert machine.listener(5600) == machine.binder("/run/line") == 99999999
    assert machine.name(99999999) == "nginx (pid 99999999)"
    assert machine.listener(5601) is machine.binder("/run/other") is None


def test_this_machine_tells_of_itself() -> None:
    machine = Machine()
    assert machine.allowed() >= 1
    memory_there = machine.memory()
    assert memory_there is not None
    assert 0 < memory_there[1] <= memory_there[0]
    assert machine.descriptors() > 0
    assert (machine.busy() or 0.0) > machine.cpu_seconds(os.getpid()) > 0
    assert machine.cpu_seconds(None) == 0
    assert machine.unit("no-such-unit.service", "Type") == {}


# ---- host and clock


def test_cores() -> None:
    facts = {"cpu": "Some CPU", "allowed": 4}
    assert "4 core(s)" in only(host.cores(a_case(machine=Known(quota=None, **facts))), Level.FINE).text
    found = only(host.cores(a_case(machine=Known(quota=1.5, **facts))), Level.WARNING)
    assert "workers.count = 1" in found.remedy
    few = a_case(machine=Known(quota=1.5, **facts), workers={"count": 1})
    assert only(host.cores(few), Level.FINE)


@pytest.mark.parametrize(("load", "level"), [(0.1, Level.FINE), (3.0, Level.WARNING), (None, Level.SKIPPED)])
def test_load(load: float | None, level: Level) -> None:
    assert only(host.load(a_case(machine=Known(load=load, allowed=4, quota=None))), level)


@pytest.mark.parametrize(
    ("timex", "level"),
    [
        (Timex(True, 0.001), Level.FINE),
        (Timex(True, 2.0), Level.WARNING),
        (Timex(False, 0.001), Level.WARNING),
        (None, Level.SKIPPED),
    ],
)
def test_clock(timex: Timex | None, level: Level) -> None:
    found = only(clock.synchronised(a_case(machine=Known(clock=timex))), level)
    assert level is Level.FINE or "chrony" in found.remedy


def test_a_clock_that_is_set_meanwhile_is_noticed() -> None:
    case = a_case()
    assert only(clock.steps(case), Level.FINE)
    case.began -= 3_000_000_000
    assert "+3.0" in only(clock.steps(case), Level.WARNING).text


# ---- what is installed


def test_back_ends_and_telemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    case = a_case(a_camera(source="rtsp://host/path"))
    assert only(builds.opencv(case), Level.FINE)
    assert only(builds.telemetry(case), Level.FINE)
    monkeypatch.setattr(builds.cv2.videoio_registry, "hasBackend", lambda _: False)
    assert "FFmpeg (for rtsp:)" in only(builds.opencv(case), Level.FAILURE).text
    assert only(builds.opencv(a_case()), Level.FINE)  # a simulated line needs none
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    assert "ORT_DISABLE_TELEMETRY=1" in only(builds.telemetry(case), Level.FAILURE).remedy


# ---- network and keys


def test_what_is_published_in_plaintext() -> None:
    assert only(ports.plaintext(a_case()), Level.FINE)
    publish = Publish(endpoint="tcp://0.0.0.0:5600", allow_plaintext=True)
    assert "docs/security.md" in only(ports.plaintext(a_case(publish=publish)), Level.WARNING).remedy
    trigger = Trigger(endpoint="ipc:///run/triggers")
    assert set(addresses.endpoints(a_case(trigger=trigger).line)) == {"publisher", "triggers"}


def test_a_catch_up_that_subscribers_elsewhere_cannot_reach() -> None:
    def found(endpoint: str, catchup: str) -> list[Finding]:
        publish = Publish(endpoint=endpoint, catchup=catchup, allow_plaintext=True)
        return [one for one in ports.ports(a_case(publish=publish, http=Http(port=0))) if one.level is not Level.FINE]

    for catchup in ("tcp://127.0.0.1:*", f"ipc:///tmp/inspector-{os.getpid()}"):
        (warned,) = found("tcp://0.0.0.0:*", catchup)
        assert (warned.level, catchup in warned.text) == (Level.WARNING, True)
        assert warned.remedy == "give it a host that they reach"
        assert found("tcp://127.0.0.1:*", catchup) == []
    assert found("tcp://0.0.0.0:*", "tcp://0.0.0.0:*") == []


def test_the_addresses_that_stand_for_those_in_use_are_as_open() -> None:
    publish = Publish(endpoint="tcp://0.0.0.0:5600", catchup="tcp://[::]:5601", allow_plaintext=True)
    line = addresses.without(a_case(publish=publish).line, ["publisher", "catch-up"])
    assert (line.publish.endpoint, line.publish.catchup) == ("tcp://0.0.0.0:*", "tcp://[::]:*")
    publish = Publish(endpoint="ipc:///run/line", catchup="tcp://127.0.0.1:5601")
    line = addresses.without(a_case(publish=publish).line, ["publisher", "catch-up"])
    assert (line.publish.endpoint, line.publish.catchup) == ("tcp://127.0.0.1:*", "tcp://127.0.0.1:*")


def test_keys(tmp_path: Path) -> None:
    assert only(keys.keys(a_case()), Level.FINE)
    (tmp_path / "subscribers").mkdir()
    (tmp_path / "subscribers").chmod(0o755)
    _, secret = generate("daemon", tmp_path)
    case = a_case(security=Security(secret_key=str(secret), subscribers=tmp_path / "subscribers"))
    own, nobody = keys.keys(case)
    assert (own.level, nobody.level) == (Level.FINE, Level.WARNING)
    public, _ = generate("gate", tmp_path)
    public.rename(tmp_path / "subscribers" / "gate.pub")
    own, listed = keys.keys(case)
    assert (listed.level, "1 subscriber(s)" in listed.text) == (Level.FINE, True)
    (tmp_path / "subscribers").chmod(0o777)
    old = time.time() - 3 * 365 * 86_400
    os.utime(secret, (old, old))
    own, listed = keys.keys(case)
    assert (own.level, listed.level) == (Level.WARNING, Level.WARNING)
    assert "chmod -R go-w" in listed.remedy
    secret.chmod(0o644)
    assert list(keys.keys(case)) == []  # the configuration's check has said so


# ---- the journal's disk


@pytest.mark.parametrize(
    ("free_gb", "max_gb", "level", "remedy"),
    [
        (1000.0, 100.0, Level.FINE, ""),
        (1000.0, 10.0, Level.WARNING, "max_gb = 30"),
        (5.0, 100.0, Level.FAILURE, "max_gb below 5.0"),
        (5.0, 10.0, Level.FAILURE, "max_gb below 5.0"),
    ],
)
def test_days_of_the_journal(free_gb: float, max_gb: float, level: Level, remedy: str) -> None:
    room = Room(Path("/data"), int(free_gb * 1e9), int(2e12), True)
    wish = Journal(path=Path("/data/journal.sqlite"), max_gb=max_gb, keep_days=30)
    found = only(disk.lasting(wish, room, 0, 1e9), level)
    assert remedy in found.remedy
    assert found.exit_code in (0, WARNED, OutputError.exit_code)


def test_a_journal_that_is_missing_full_or_of_unknown_rate(tmp_path: Path) -> None:
    assert "journal.path" in only(disk.journal(a_case()), Level.WARNING).remedy
    given = Journal(path=tmp_path / "journal.sqlite")
    full = Known(room=Room(tmp_path, 1000, int(1e9), True))
    assert "make room" in only(disk.journal(a_case(machine=full, journal=given)), Level.FAILURE).remedy
    roomy = Known(room=Room(tmp_path, 10**12, 10**12, True))
    assert only(disk.journal(a_case(machine=roomy, journal=given)), Level.SKIPPED)
    case = a_case(machine=roomy, journal=given.model_copy(update={"results": False, "max_gb": 1000.0}))
    case.prediction = a_prediction(rate=10.0, capacity=100.0)
    assert "0.52 GB a day" in only(disk.journal(case), Level.FINE).text  # 600 bytes of a verdict, no results


# ---- memory and limits


def test_limits() -> None:
    assert only(memory.files(a_case(machine=Known(descriptors=1024))), Level.FINE)
    assert "LimitNOFILE" in only(memory.files(a_case(machine=Known(descriptors=64))), Level.WARNING).remedy
    assert only(memory.shared(a_case()), Level.FINE)
    isolated = a_case(a_camera(isolate=True))
    assert "/dev/shm" in only(memory.shared(isolated), Level.FINE).text
    gige = a_camera(source="gige://192.0.2.1", size=(4096, 3000))
    assert only(memory.buffers(a_case()), Level.FINE)
    for there, level in ((212_992, Level.WARNING), (32 << 20, Level.FINE), (None, Level.SKIPPED)):
        found = only(memory.buffers(a_case(gige, machine=Known(number=there))), level)
        assert level is not Level.WARNING or "rmem_max=12288000" in found.remedy


def test_shared_memory_that_is_forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(_: str) -> int:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(memory.os, "memfd_create", forbidden)
    assert "memfd_create" in only(memory.shared(a_case(a_camera(isolate=True))), Level.FAILURE).text


# ---- the unit


GOOD_UNIT = {"WatchdogUSec": "1min", "Type": "notify", "Restart": "on-failure"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"WatchdogUSec": "0"}, "without WatchdogSec="),
        ({"Type": "simple"}, "Type=simple"),
        ({"Restart": "no"}, "Restart=no"),
    ],
)
def test_a_unit_that_does_not_fit(change: dict[str, str], says: str) -> None:
    assert only(service.unit(a_case(machine=Known(unit=GOOD_UNIT))), Level.FINE)
    found = only(service.unit(a_case(machine=Known(unit=GOOD_UNIT | change))), Level.WARNING)
    assert says in found.text
    assert only(service.unit(a_case(machine=Known(unit={}))), Level.SKIPPED)


@pytest.mark.parametrize(
    ("text", "seconds"), [("1min 30s", 90.0), ("500ms", 0.5), ("infinity", None), ("0", None), ("2h", 7200.0)]
)
def test_times_of_systemd(text: str, seconds: float | None) -> None:
    assert service.span(text) == seconds


# ---- cameras


class Fake:
    """A source of so many pictures, at a rate, that then ends, breaks off or hangs."""

    def __init__(self, count: int, rate: float, error: Exception | None = None, hangs: bool = False) -> None:
        self.live = not math.isinf(rate)
        self._count, self._rate, self._error, self._hangs = count, rate, error, hangs
        self._closed = threading.Event()
        self.release = threading.Event()

    def frames(self) -> Iterator[Shot]:
        pace = Pace(self._rate, self._closed, SystemClock())
        for number in range(self._count):
            if not pace.wait():
                return
            yield Shot(np.full((48, 64, 3), number, np.uint8))
        if self._error is not None:
            raise self._error
        (self.release if self._hangs else self._closed).wait()

    def close(self) -> None:
        self._closed.set()


def test_cameras_are_looked_at_side_by_side() -> None:
    hanging = Fake(0, 1.0, hangs=True)
    sources = {
        "fast": Fake(10_000, 50.0),
        "gone": Fake(0, 1.0, SourceError("no route to host; check cable")),
        "hangs": hanging,
        "silent": Fake(0, 1.0),  # behind the one that is waited for, so that it has more time to let go
        "file": Fake(40, math.inf),
    }
    seen = look(sources, patience=5.0, seconds=0.5)
    hanging.release.set()
    assert seen["fast"].images[0].shape == (48, 64, 3)
    assert seen["fast"].reading is not None
    assert str(seen["gone"].error).startswith("no route")
    assert (seen["silent"].first, seen["silent"].hangs) == (None, False)
    assert seen["hangs"].hangs
    assert (seen["file"].frames, seen["file"].rate, len(seen["file"].images)) == (40, None, 16)


class Buffered:
    """A source that moves the clock: 20 pictures that waited come at once, and then 64 a second."""

    live = True

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock

    def frames(self) -> Iterator[Shot]:
        for number in itertools.count():
            self._clock.advance(0.0 if number < 20 else 1 / 64)
            yield Shot(PICTURE)

    def close(self) -> None:
        pass


def test_the_pace_of_a_camera_counts_once_it_has_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    monkeypatch.setattr(looking, "time", SimpleNamespace(monotonic=clock.monotonic, thread_time=time.thread_time))
    seen = look({"fast": Buffered(clock)}, seconds=1.0)["fast"]
    assert (seen.rate, seen.first, seen.frames, seen.hangs) == (64, 0.0, 84, False)


PICTURE = np.zeros((480, 640, 3), np.uint8)
WELL = Seen([PICTURE], 90, 0, 0.1, 30.0, 0.001)


@pytest.mark.parametrize(
    ("camera", "seen", "level", "says"),
    [
        (a_camera(), WELL, Level.FINE, "640x480x3"),
        (a_camera(size=(640, 480)), WELL, Level.FINE, "30.0 frames/s"),
        (a_camera(size=(1280, 720)), WELL, Level.FAILURE, "size = [1280, 720]"),
        (a_camera(), replace(WELL, rate=15.0), Level.WARNING, "asked for 30"),
        (a_camera(), replace(WELL, faults=2), Level.WARNING, "2 of 90 frames"),
        (a_camera(), Seen(hangs=True), Level.FAILURE, "hangs"),
        (a_camera(), Seen(error=RefusedError("it refuses; check the password")), Level.FAILURE, "it refuses"),
        (a_camera(), Seen(), Level.FAILURE, "gave nothing"),
        (a_camera(), Seen(frames=3, faults=3, first=0.1), Level.FAILURE, "3 frame(s) without a picture"),
        (a_camera(trigger_window=0.1), Seen(), Level.WARNING, "waits for a trigger"),
    ],
)
def test_what_is_said_of_a_camera(camera: Camera, seen: Seen, level: Level, says: str) -> None:
    assert says in only(cameras.judged(camera, seen, a_case(camera)), level).text


def test_who_uses_a_camera_is_named() -> None:
    camera = a_camera(source="camera:0?fps=30")
    seen = Seen(error=SourceError("camera 0 cannot be opened; is it free?"))
    case = a_case(camera, machine=Known(holder="cheese (pid 7)"))
    found = only(cameras.judged(camera, seen, case), Level.FAILURE)
    assert "cheese (pid 7) has it open" in found.text
    assert found.remedy == "stop cheese (pid 7)"
    assert found.exit_code == SourceError.exit_code


def test_rates_come_from_the_camera_its_url_or_the_command_line() -> None:
    named = [
        a_camera(name="seen"),
        a_camera(name="asked", source="camera:0?width=640&fps=25"),
        a_camera(name="limited", source="sim://line?rate=100", max_rate=20),
        a_camera(name="unknown", source="rtsp://host/path"),
    ]
    case = a_case(*named)
    case.seen["seen"] = replace(WELL, rate=29.0)
    assert cameras.asked(a_camera(source="sim://line?rate=100&strip=16", scan_rows=64, scan_overlap=16)) is None
    assert cameras.rates(case) == {"seen": 29.0, "asked": 25.0, "limited": 20.0, "unknown": None}
    case.wish = Wish(rate=5.0)
    assert cameras.rates(case)["unknown"] == 5.0


# ---- what the line carries


def an_account(**more: object) -> Account:
    parts = {"detector": 8.0, "checks": 0.5, "repair": 1.0, "encode": 0.1}
    given = Account(10.0, 11.6, 1000, 100, parts, 600_000, 900_000, 0, 0.0)
    return replace(given, **more)  # type: ignore[arg-type]


def a_prediction(rate: float | None, capacity: float, **more: object) -> Prediction:
    given = Prediction({"detector": 10.0}, {"repair": 20.0}, 0.05, capacity, rate, 2.0, 600.0, 9000.0)
    return replace(given, **more)  # type: ignore[arg-type]


def test_a_prediction_is_for_the_share_of_defects_that_is_expected() -> None:
    found = predict(an_account(), {"top": 0.001}, {"top": 30.0, "side": 30.0}, share=0.02, cores=2.0)
    assert found.parts == pytest.approx({"read": 1.0, "detector": 8.0, "checks": 0.5, JOINING: 2.0})
    assert found.bad_parts == pytest.approx({"repair": 10.0, "encode": 1.0})
    assert found.cpu_ms == pytest.approx(11.5 + 0.02 * 11.0)
    assert found.needed == pytest.approx(60 * found.cpu_ms / 1e3)
    assert found.capacity == pytest.approx(100 * 11.6 / found.cpu_ms)
    assert found.bytes_a_frame == pytest.approx(600 + 0.02 * 9000)
    busy = predict(an_account(others=10.0), {"top": 0.001}, {"top": 30.0}, share=0.02, cores=2.0)
    assert (busy.others, busy.capacity) == (0.5, pytest.approx(2 * found.capacity))
    assert "others took 50%" in only(speed.carried(busy, {"top": 30.0}), Level.FINE).text
    assert predict(an_account(journal_bytes=3_000_000), {}, {"top": 1.0}, 0.0, 2.0).verdict_bytes == 1200.0


def test_without_rates_and_defects_it_tells_what_it_can() -> None:
    found = predict(an_account(bad=0, parts={"detector": 8.0}), {}, {"top": None, "side": 5.0}, 0.05, 2.0)
    assert (found.rate, found.needed, found.bad_parts, found.result_bytes) == (None, None, {}, 0.0)
    level = only(speed.carried(found, {"top": None, "side": 5.0}), Level.SKIPPED)
    assert "the rate of top" in level.text
    assert "--rate" in level.remedy


@pytest.mark.parametrize(
    ("rate", "level", "says"),
    [(50.0, Level.FINE, "need 0.6 core(s), you have 2"), (90.0, Level.WARNING, "90%"), (200.0, Level.FAILURE, "50%")],
)
def test_whether_there_are_cores_enough(rate: float, level: Level, says: str) -> None:
    found = only(speed.carried(a_prediction(rate, 100.0), {"top": rate / 2, "side": rate / 2}), level)
    assert says in found.text


@pytest.mark.parametrize(
    ("after", "level"),
    [
        (Delay(0.02, 0.05, 0.0), Level.FINE),
        (Delay(0.02, 0.6, 0.0), Level.WARNING),
        (Delay(0.02, 0.6, 0.1), Level.FAILURE),
    ],
)
def test_whether_verdicts_come_in_time(after: Delay, level: Level) -> None:
    assert only(speed.in_time(a_prediction(50.0, 100.0, delay=after), a_case().line), level)
    beside = only(
        speed.in_time(a_prediction(50.0, 100.0, delay=after, others=0.5), a_case().line),
        Level.FINE if level is Level.FINE else Level.WARNING,
    )
    assert level is Level.FINE or "quiet" in beside.remedy


def test_delays() -> None:
    assert delay([]) is None
    found = delay([(0.01, True)] * 98 + [(1.0, False)] * 2)
    assert found is not None
    assert (found.p50, found.unknown) == (0.01, 0.02)


def test_a_meter_counts_the_outer_part_alone_and_hands_on() -> None:
    class Work:
        def outer(self) -> str:
            return self.inner()

        def inner(self) -> str:
            end = time.thread_time() + 0.01
            while time.thread_time() < end:
                pass
            return "done"

        def fails(self) -> None:
            raise ValueError("broken")

    meter = Meter()
    for name in ("outer", "inner", "fails"):
        meter.watch(Work, name, name, then=str.upper if name == "outer" else None)
    work = Work()
    assert work.outer() == "DONE"
    assert work.inner() == "done"
    with pytest.raises(ValueError, match="broken"):
        work.fails()
    seconds, times = meter.snapshot()
    assert times == {"outer": 1, "inner": 1, "fails": 1}
    assert seconds["outer"] >= 0.01
    with pytest.raises(AttributeError):
        meter.watch(Work, "renamed", "renamed")


def test_what_is_measured_is_there() -> None:
    for owner, name, _ in WATCHED:
        assert callable(getattr(owner, name))


def test_cameras_keep_the_proportion_of_their_rates() -> None:
    abreast, counts = Abreast({"fast": 30.0, "slow": 10.0}), {"fast": 0, "slow": 0}
    enough = threading.Event()

    def run(name: str) -> None:
        while not enough.is_set():
            abreast.step(name)
            counts[name] += 1
            if counts["slow"] >= 100:
                enough.set()

    threads = [threading.Thread(target=run, args=(name,), daemon=True) for name in counts]
    for thread in threads:
        thread.start()
    enough.wait(60)
    assert counts["fast"] / counts["slow"] == pytest.approx(3.0, rel=0.1)


def test_a_trial_reaches_nothing_outside(tmp_path: Path) -> None:
    line = a_case(
        a_camera(source="rtsp://user:hunter2@host/path", isolate=True, trigger_window=0.1),
        publish=Publish(endpoint="tcp://0.0.0.0:5600", catchup="tcp://0.0.0.0:5601", allow_plaintext=True),
        trigger=Trigger(endpoint="tcp://127.0.0.1:5602"),
        daemon=Daemon(memory_mb=64),
        journal=Journal(path=tmp_path / "real.sqlite"),
        recorder=Recorder(path=tmp_path / "real recordings"),
        models=Models(state=tmp_path / "real models"),
    ).line
    text = rehearsed(line, tmp_path / "other.sqlite").model_dump_json()
    for stranger in ("hunter2", "5600", "5601", "5602", "real.sqlite", "real recordings", "real models"):
        assert stranger not in text
    again = Settings(**json.loads(text))
    assert (again.camera[0].source, again.camera[0].isolate, again.http.port) == ("sim://top", False, 0)


def test_pictures_of_a_trial(bright: Path) -> None:
    bundle = load(bright)
    shown = pictures(a_camera(size=(128, 96)), bundle, [], 1)
    assert {image.shape for image in shown.good + shown.bad} == {(96, 128, 1)}
    assert not shown.own
    own = pictures(a_camera(), bundle, [PICTURE] * 40, 1)
    assert (own.own, len(own.good)) == (True, MOST)
    assert {image.shape for image in own.bad} == {(480, 640, 3)}
    assert (spoilt(PICTURE) != PICTURE).any()
    assert len(pictures(a_camera(), bundle, [np.zeros((5000, 5000, 3), np.uint8)] * 16, 4).good) == 2


# ---- how it is told


def test_the_report() -> None:
    findings = [fine("a").of("one"), warning("b\x1b[31m", "c").of("one"), failure("d", "e").of("two")]
    content = report.as_json(Path("line.toml"), findings, a_prediction(10.0, 100.0))
    assert content["exit_code"] == ConfigError.exit_code
    assert [finding["level"] for finding in content["findings"]] == ["fine", "warning", "failure"]
    assert content["prediction"]["cpu_ms"] == 11.0
    assert report.as_json(Path("line.toml"), [], None)["prediction"] is None
    assert "cannot run this line yet: 1 failure(s), 1 warning(s)" in report.summary(findings)
    assert "can run" in report.summary(findings[:2])
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(report.table(findings))
    console.print(report.costs(a_prediction(10.0, 100.0)))
    text = console.export_text()
    for word in ("one", "-> c", "-> e", "detector", "20.000", "together"):
        assert word in text
    assert "\x1b[31m" not in text
