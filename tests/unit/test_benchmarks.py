"""The benchmark's own honesty: its material, that the bare parts do the daemon's work, and its arithmetic."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import bare, ending, frames, material, plumbing, report, scrape, soak, view
from benchmarks.accounting import Load, Tally
from benchmarks.deadline import Cut, Cuts, Spread
from benchmarks.doctor import Foretold, Pair
from benchmarks.latency import Latency
from benchmarks.limit import ALWAYS, DEFECTIVE, Limit
from benchmarks.material import HEIGHT, WIDTH
from benchmarks.overload import Overload
from benchmarks.plumbing import Run
from benchmarks.receiver import Arrival, Count
from benchmarks.report import Results
from benchmarks.scrape import Account
from benchmarks.soak import drift
from benchmarks.throughput import SCRIPT, Round, Throughput, label
from benchmarks.view import judged, picture
from inspector.health import Health, Views
from inspector.inference import engine, runtimes
from inspector.inference.bundle import load
from inspector.inference.windows import plan
from inspector.judge import Judge
from inspector.simulation import Line
from inspector.types import Inspection, Patch, Reason, Verdict
from inspector.wire import Encoder, decode
from tests.bundles import make_bundle
from tests.waiting import PATIENCE, until

SIDES = [64, 128, 256]


@st.composite
def boxes(draw: st.DrawFn) -> tuple[int, int, int, int]:
    width, height = draw(st.integers(1, 232)), draw(st.integers(1, 232))
    return draw(st.integers(0, WIDTH - width)), draw(st.integers(0, HEIGHT - height)), width, height


def test_a_clip_is_the_simulated_line_with_its_share_of_defects(tmp_path: Path) -> None:
    seed = material.SEEDS[0]
    images = list(material.read_clip(material.write_clip(tmp_path / "clip.avi", seed, 20)))
    assert [image.shape for image in images] == [(HEIGHT, WIDTH, 3)] * 20
    bad = material.defective(seed, 20)
    assert len(bad) == 2
    line = Line(seed, WIDTH, HEIGHT)
    for number in (min(bad), min(set(range(1, 21)) - bad)):
        original = line.part(number, defective=number in bad).image
        other = line.part(number, defective=number not in bad).image
        error, confusion = (np.abs(images[number - 1].astype(int) - image).max() for image in (original, other))
        assert error < confusion


def test_no_model_was_trained_on_the_lines_of_the_clips() -> None:
    assert max(material.SEEDS) < 100


@given(st.lists(boxes(), min_size=1, max_size=6))
def test_the_bare_parts_repair_the_windows_of_the_daemon(defects: list[tuple[int, int, int, int]]) -> None:
    daemons = [(window.x, window.y, window.side, window.hole) for window in plan(defects, HEIGHT, WIDTH, SIDES)]
    assert bare.plan(defects, HEIGHT, WIDTH, SIDES) == daemons


def test_the_bare_parts_come_to_the_same_results_as_the_daemon(tmp_path: Path) -> None:
    folder = make_bundle(tmp_path / "bundle", 120, 160, 3)
    frame = np.full((240, 320, 3), 60, np.uint8)
    for x, y, side in ((30, 40, 20), (70, 44, 12), (200, 100, 30), (300, 10, 3)):
        frame[y : y + side, x : x + side] = 250
    model, worker = bare.Model(folder), engine.start(load(folder), "cpu", 1)
    assert worker.repairer is not None
    (expected,) = worker.detector.detect([frame])
    score, probability = model.detect(frame)
    assert score == expected.score
    assert np.array_equal(probability, expected.map)

    judgement = Judge(model.threshold, model.min_area)(expected, 240, 320)
    mask, defects = model.judge(probability, frame)
    assert judgement.mask is not None
    assert np.array_equal(mask, judgement.mask)
    found = [dataclasses.astuple(defect) for defect in defects]
    assert found == [dataclasses.astuple(region) for region in judgement.regions]
    assert len(found) == 3

    whole, pieces = worker.repairer.repair(frame, judgement.mask, [region.box for region in judgement.regions])
    repaired, patches = model.repair(frame, mask, defects)
    assert np.array_equal(repaired, whole)
    assert [box for box, _ in patches] == [patch.box for patch in pieces]
    assert all(np.array_equal(image, patch.image) for (_, image), patch in zip(patches, pieces, strict=True))
    assert isinstance(pieces[0], Patch)
    assert len(bare.encode(mask, patches)) == 1 + len(pieces)


def test_the_instant_bundle_proves_itself_and_finds_nothing(tmp_path: Path) -> None:
    plumbing.write_bundle(tmp_path / "instant", 64, 48)
    worker = engine.start(load(tmp_path / "instant"), "cpu", 2)
    for detection in worker.detector.detect([np.full((48, 64, 3), value, np.uint8) for value in (0, 255)]):
        assert detection.score == 0.0
        assert detection.map.shape == (48, 64)
        assert not detection.map.any()
        assert Judge(0.5, 1)(detection, 48, 64).verdict is Verdict.OK


def test_the_account_is_read_from_the_metrics() -> None:
    text = """\
# TYPE inspector_frames_captured_total counter
inspector_frames_captured_total{camera="cam1"} 9.0
inspector_frames_captured_total{camera="cam2"} 4.0
# TYPE inspector_frames_in_flight gauge
inspector_frames_in_flight{camera="cam1"} 1.0
# TYPE inspector_verdicts_total counter
inspector_verdicts_total{camera="cam1",verdict="ok",reason="none"} 5.0
inspector_verdicts_total{camera="cam2",verdict="ok",reason="none"} 4.0
inspector_verdicts_total{camera="cam1",verdict="ng",reason="none"} 1.0
inspector_verdicts_total{camera="cam1",verdict="unknown",reason="overload"} 2.0
inspector_verdicts_total{camera="cam1",verdict="unknown",reason="model"} 0.0
"""
    health = Health("127.0.0.1", 0, Views(text.encode, lambda: True, list))
    try:
        account = scrape.account(health.url)
    finally:
        health.close()
    assert account == Account(13, 1, {"ok": 9, "ng": 1, "unknown: overload": 2})
    with pytest.raises(RuntimeError, match="'unknown: overload': 2"):
        _ = account.tally
    assert Account(13, 1, {"ok": 9, "ng": 1}).tally == Tally(10, 1)
    assert not account.balances
    assert Account(12, 0, account.verdicts).balances


def test_the_subscriber_counts_each_frame_once() -> None:
    count = Count()
    for frame in (1, 2, 2):
        count.take(Arrival("cam1", frame, 0, "ng"))
    count.take(Arrival("cam2", 1, 0, "ok"))
    count.take(Arrival("cam2", 1, 0, "unknown", "deadline", 0.125))
    count.take(Arrival("cam2", 1, 0, "unknown", "overload", 0.25))
    answer = count.answer(forget=True)
    ((left, came),) = answer["cut"]
    assert left == 0.125
    assert came > 1e9  # seconds since 1970
    assert (answer["verdicts"], answer["defective"], answer["distinct"]) == (6, 3, 3)
    assert answer["p50"] > 1e9  # seconds since 1970
    assert answer["unknown"] == 2
    count.take(Arrival("cam2", 2, 0, "unknown", "overload"))  # what was not judged has no latency, but is told of
    answer = count.answer(forget=True)
    assert answer["p50"] == 0.0
    assert answer["max"] > 1e9
    assert answer["unknown"] == 1
    assert count.answer()["max"] == 0.0
    assert count.answer()["cut"] == []


def a_limit(often: float = 10e-3) -> Limit:
    parts = dict.fromkeys(ALWAYS, often / len(ALWAYS)) | dict.fromkeys(DEFECTIVE, 5e-3)
    return Limit(parts, share=0.1)


def a_load(cpu_seconds: float, defective: int = 100) -> Load:
    return Load(1000, defective, seconds=8.0, cpu_seconds=cpu_seconds, peak_rss=200 << 20)


def test_ratios_are_of_one_round_and_of_the_same_share_of_defects() -> None:
    assert a_limit().cpu_ms(0.1) == pytest.approx(12.0)
    assert a_limit().cpu_ms(0.2) == pytest.approx(14.0)
    one = Round(a_limit(), {label(4): a_load(12.5), SCRIPT: a_load(16.0, defective=200)})
    assert one.reached(label(4)) == pytest.approx(12.0 / 12.5)
    assert one.overhead_ms(label(4)) == pytest.approx(0.5)
    assert one.reached(SCRIPT) == pytest.approx(14.0 / 16.0)
    slow = Round(a_limit(20e-3), {label(4): a_load(25.0), SCRIPT: a_load(30.0)})
    worst = Round(a_limit(), {label(4): a_load(50.0), SCRIPT: a_load(50.0)})
    found = Throughput((worst, one, slow))
    assert found.median(lambda each: each.reached(label(4))) == pytest.approx(22.0 / 25.0)


@pytest.mark.parametrize(("cost", "reached"), [(12.3, True), (13.5, False)])
def test_goals_say_what_was_reached(cost: float, reached: bool) -> None:
    loads = {label(1): a_load(cost), label(4): a_load(cost), label(16): a_load(cost), SCRIPT: a_load(13.0)}
    late = Spread(0.1e-3, 4e-3 if reached else 6e-3, 0.1)
    cut = Cut(100.0, 900, 600, late, late, 0.9, 0.1)
    results = Results(
        throughput=Throughput((Round(a_limit(), loads),)),
        plumbing={"copied": [Run(Load(50_000, 0, 8.0, 8.0, 1), complete=reached)]},
        latency=Latency(100.0, 70.0, 0.01, p99=0.02, most=0.05, bound=0.03 if reached else 0.01, unknown=0),
        overload=Overload(100.0, 60.0, Account(9, 0, {"ok": 9}), 9, 9, 0 if reached else 1, 0.5, 1.0, (100,) * 8),
        deadline=Cuts(cut, cut),
    )
    goals = {goal.name: goal.reached for goal in results.goals()}
    assert len(goals) == 11
    assert goals.pop("16 cameras / 4 cameras in CPU time")
    assert goals.pop("overload: memory, last quarter / first")
    assert goals.pop("overload: longest latency, ms")
    assert set(goals.values()) == {reached}
    text = "\n".join(results.lines())
    for name in (
        "daemon 16 cameras",
        "afternoon script",
        "copied",
        "p99 20.0 ms",
        "captured 9 = 9 ok",
        "600 of 900 frames",
    ):
        assert name in text


def test_a_prediction_is_near_or_not_and_may_be_missing() -> None:
    near, far = [Pair(11.0, 10.0)] * 3, [Pair(11.0, 10.0), Pair(13.0, 10.0), Pair(12.5, 10.0)]
    results = Results(doctor=Foretold(near, near, near, far, near, (), 0.5))
    assert [goal.reached for goal in results.goals()] == [True, True, True, False, True, False]
    text = "\n".join(results.lines())
    assert "11.00/10.00" in text
    assert "load average 0.5" in text


def test_memory_and_completeness_of_an_overload() -> None:
    fine = Overload(1.0, 1.0, Account(5, 0, {"ok": 5}), 5, 5, 0, 0.1, 1.0, (100, 100, 110, 110))
    assert fine.growth == pytest.approx(1.1)
    assert fine.complete
    for change in ({"received": 4}, {"distinct": 4}, {"missing": 1}, {"account": Account(5, 1, {"ok": 4})}):
        assert not dataclasses.replace(fine, **change).complete


def test_every_part_has_its_place_in_the_command() -> None:
    from benchmarks.__main__ import FULL_LOAD, PARTS

    assert set(PARTS) > FULL_LOAD
    assert "cores" in report.machine()


def test_a_detector_of_an_odd_level_is_timed_at_other_sizes_too() -> None:
    from benchmarks.detectors import MODELS, at_size

    model = (MODELS / "simulated-line" / "detector.onnx").read_bytes()  # 240 rows: 7.5 at its coarsest level
    assert at_size(model, 240, 320) == model
    _, found = runtimes.load(at_size(model, 64, 96), "cpu").run(image=np.zeros((1, 64, 96, 3), np.uint8))
    assert found.shape == (1, 64, 96)


def test_detectors_are_compared_round_by_round() -> None:
    from benchmarks.detectors import BASE, RIVAL, lines, ratio

    times = {BASE: [10.0, 20.0, 10.0], RIVAL: [40.0, 80.0, 20.0], "cpu int8": [5.0, 10.0, 9.0]}
    assert ratio(times["cpu int8"], times[BASE]) == pytest.approx(0.5)
    (title, *rows) = lines("lines at 256x256", times)
    assert "lines at 256x256" in title
    assert [row.split()[-3:] for row in rows] == [
        ["10.00", "1.00", "0.25"], ["40.00", "4.00", "1.00"], ["9.00", "0.50", "0.12"],
    ]  # fmt: skip
    assert list(lines("alone", {BASE: [1.0]}))[1].split()[-1] == "-"


def test_a_network_of_convolutions_runs_at_another_size_and_takes_turns(tmp_path: Path) -> None:
    from benchmarks.detectors import Contestant, at_size, compare
    from tests.bundles import convolutional

    (tmp_path / "graph.onnx").write_bytes(at_size(convolutional(16, 16, 3), 32, 48))
    one = Contestant("cpu fp32", tmp_path / "graph.onnx", Path(sys.executable), "cpu", "fp32")
    (each,) = compare([one], rounds=2).values()
    assert len(each) == 2
    assert min(each) > 0


LOOKS = np.arange(480) / 30
"""Minutes: every two seconds of 16 minutes, as the soak looks."""


def wandering(rng: np.random.Generator) -> np.ndarray:
    """Memory that is taken and given back at random, KiB."""
    return np.cumsum(rng.normal(0, 2, len(LOOKS)))


def peaking(rng: np.random.Generator) -> np.ndarray:
    """Memory that is kept once it was needed: the most so far of what comes and goes, KiB."""
    return np.maximum.accumulate(rng.normal(0, 30, 600))[-len(LOOKS) :]


def returning(rng: np.random.Generator) -> np.ndarray:
    """Memory that comes and goes within half a minute, KiB."""
    return np.convolve(rng.normal(0, 20, len(LOOKS) + 14), np.ones(15) / 15**0.5, "valid")


@pytest.mark.parametrize("memory", [wandering, peaking, returning])
def test_a_soak_calls_a_leak_a_leak_and_nothing_else(memory: Callable[[np.random.Generator], np.ndarray]) -> None:
    rng = np.random.default_rng(1)
    rounds = 100
    alarms = sum(drift(LOOKS, memory(rng))[1] > 0 for _ in range(rounds))
    assert alarms <= 0.08 * rounds  # one in twenty at the most, in the long run
    for _ in range(rounds):
        slope, low, high = drift(LOOKS, memory(rng) + 40 * LOOKS)
        assert 0 < low < slope < high


STARTS_ANOTHER = """
import signal, subprocess, time
from benchmarks import children, ending
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # though the tests may run under nohup
ending.by_signals()
child = subprocess.Popen(["sleep", "1000"], stdin=subprocess.PIPE, text=True)
try:
    print(child.pid, flush=True)
    while True:  # a signal that comes just before one long wait would be told of after it
        time.sleep(0.1)
finally:
    children.end(child)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_benchmark_that_is_ended_ends_what_it_started(number: signal.Signals) -> None:
    command = [sys.executable, "-c", STARTS_ANOTHER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        other = psutil.Process(int(process.stdout.readline()))
        process.send_signal(number)
        try:
            assert process.wait(PATIENCE) == 128 + number
        finally:
            process.kill()
    assert not other.is_running()


def test_a_benchmark_under_nohup_survives_its_terminal() -> None:
    program = "from benchmarks.ending import *; by_signals(); print(signal.getsignal(signal.SIGHUP))"
    command = ["nohup", sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(signal.SIG_IGN)


def test_a_daemon_drains_when_nobody_is_left_to_ask_it(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", 48, 64, 3)
    clips = [material.write_clip(tmp_path / "clip.avi", material.SEEDS[0], 20)]
    options = {"bundle": bundle, "clips": clips, "size": (64, 48), "rate": None, "workers": 1, "max_batch": 1}
    options |= {"camera": {}, "journal": None, "journal_gb": 1.0, "breaks": None, "rush": 0.0, "state": None}
    command = [sys.executable, "-m", "benchmarks.preloaded", json.dumps(options, default=str)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        http = json.loads(process.stdout.readline())["http"]
        print("{}", file=process.stdin, flush=True)
        until(lambda: scrape.account(http).settled > 0)
        try:
            told, _ = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert process.returncode == 0
    assert Account(**json.loads(told)).balances


def test_large_frames_are_counted_by_what_became_of_them_until_the_daemon_ends() -> None:
    encoder, good = Encoder("line", 1, "0" * 64), judged("cam1", 1, picture(0))
    late = Inspection(good.frame, Verdict.UNKNOWN, Reason.DEADLINE, 0.1, 0.5)
    coming = [decode(encoder.verdict(one, 1, 0.0)) for one in (good, late)]
    told = frames.verdicts(lambda _: coming.pop(0), lambda: bool(coming), 3)
    assert told == {"ok": 1, "deadline": 1}


def test_a_daemon_that_does_not_start_has_no_memory_to_tell_of(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no-such-bundle"):
        frames.memory(tmp_path / "no-such-bundle", 1)


@pytest.mark.parametrize("minutes", ["0.5", "-1", "nan", "inf"])
def test_a_soak_is_refused_where_it_could_tell_nothing(
    minutes: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["soak", "--minutes", minutes])
    monkeypatch.setattr(ending, "by_signals", lambda: None)
    with pytest.raises(SystemExit, match="2"):
        soak.main()
    assert f"--minutes: {minutes}: give at least 2;" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["playwright", "chromium"])
def test_without_a_browser_the_page_is_not_measured_and_that_is_said(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["view"])
    monkeypatch.setattr(ending, "by_signals", lambda: None)
    monkeypatch.setattr(view, "publishing", lambda: None)
    monkeypatch.setattr(view.importlib.util, "find_spec", lambda name: None if name == missing else name)
    monkeypatch.setattr(view.shutil, "which", lambda name: None if name == missing else name)
    assert view.main() == 0
    assert f"no {missing} here: the page is not measured" in capsys.readouterr().out
