"""Challenges among live frames, with real models.

 1. the daemon: they pass while frames flow; subscriber, ledger, journal and metrics have exactly the frames
 2. a model that goes blind while it runs (its weights are wiped): each `ok` becomes `unknown: model`, until one
    that sees has passed; what is `ng` stays so
 3. not strict: that is only told
 4. a model that fails is blind too
 5. a threshold that is too high: found in the first round
 6. a calibration that lets too much pass: the same
 7. frames that wait go first, all of them, and no challenge shares their batch
 8. a large challenge in tiles is overtaken by every frame, and still judged
 9. more frames than can be judged: challenges are dropped, overdue and told of, and take no frame's place
10. a challenge and a frame of the same picture: the detector is shown the same bytes, in tiles too
11. registered on its reference picture, like a frame
12. a drain with a challenge under way: it is given up, and every frame has its verdict
13. pictures that cannot be the camera's: a sentence each, exit code 78
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from inspector.challenges import pictures as known
from inspector.challenges.challenger import Challenges
from inspector.challenges.outcome import Outcome
from inspector.client import Subscriber
from inspector.inference import runtimes
from inspector.inference.bundle import load
from inspector.inference.detector import Detector, Look
from inspector.inference.engine import Engine, start
from inspector.messages import BeatMessage, EventMessage, VerdictMessage
from inspector.types import Detection, ModelTag, Reason, Verdict
from inspector.wire import decode
from tests.boards import PLACES, moved, piece
from tests.bundles import convolutional, make_bundle, picture
from tests.calibrations import calibration_text
from tests.challenges import make_challenges
from tests.daemon import Process, configure, run
from tests.line import Gate, Line
from tests.pictures import write
from tests.waiting import PATIENCE, until

GOOD, BAD = picture(), picture(square=(30, 30, 8, 8))
SOON = 3600.0
"""Seconds between rounds that no test waits for: there is one at the start."""


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose detector has weights."""
    return make_bundle(tmp_path_factory.mktemp("bundles") / "seeing", graph=convolutional)


@pytest.fixture(scope="module")
def engine(seeing: Path) -> Engine:
    return start(load(seeing), "cpu", max_batch=4)


@pytest.fixture(scope="module")
def blind(seeing: Path) -> Engine:
    """The same model with the weights of its third convolution wiped out."""
    bundle = load(seeing)
    model = onnx.load_from_string(bundle.detector)
    (weights,) = (one for one in model.graph.initializer if one.name == "w2")
    weights.CopyFrom(numpy_helper.from_array(np.zeros_like(numpy_helper.to_array(weights)), "w2"))
    session = runtimes.load(model.SerializeToString(), "cpu")
    return Engine(Detector(session, bundle, 4), None, ModelTag("bright", bundle.sha256, session.provider))


@pytest.fixture
def line(engine: Engine, tmp_path: Path) -> Iterator[Callable[..., Line]]:
    made: list[Line] = []

    def make(strict: bool = True, started: bool = True, folder: Path | None = None, **options: Any) -> Line:
        plan = Challenges(known.load(folder or make_challenges(tmp_path)), SOON, strict)
        made.append(Line(engine, {"cam1": "m"}, challenges={"cam1": plan}, **options))
        if started:
            made[-1].pipeline.start()
        return made[-1]

    yield make
    for one in made:
        one.gates["m"].open.set()
        one.pipeline.drain(10.0)
        one.balance()


def counts(one: Line) -> dict[Outcome, int]:
    assert one.pipeline.challenger is not None
    return one.pipeline.challenger.courses["cam1"].rounds.counts


def told(one: Line) -> list[str]:
    messages = [decode(parts) for parts in one.output.all()]
    states = [m.event.state for m in messages if isinstance(m, EventMessage)]
    return [state for state in states if state.startswith("challenge")]


def judged(one: Line, image: np.ndarray) -> tuple[Verdict, Reason | None]:
    """What becomes of a frame."""
    before = len(one.verdicts())
    one.sources["cam1"].show(image)
    one.wait_for(before + 1)
    return one.verdicts()[-1][2:]


def test_1_frames_alone_are_counted(bright: Path, pictures: Path, tmp_path: Path) -> None:
    make_challenges(tmp_path)
    config = configure(
        tmp_path / "c.toml", bright, f"folder:{pictures}?loop=1&rate=100",
        camera='challenges = "challenges"\nchallenge_every = 1', more='[journal]\npath = "journal.sqlite"',
    )  # fmt: skip
    passed = 'inspector_challenges_total{camera="cam1",result="passed"}'
    with Process(config) as daemon:
        daemon.keep_reading()
        with Subscriber(daemon.endpoint) as subscriber:
            verdicts: list[VerdictMessage] = []
            rounds, goodbye = 0, None
            for message in subscriber.messages(timeout=60):
                if isinstance(message, VerdictMessage):
                    verdicts.append(message)
                elif isinstance(message, EventMessage) and message.event.state == "challenge_passed":
                    assert (message.event.subject, message.event.detail) == ("cam1", "2 challenge(s) passed")
                    rounds += 1
                    if rounds == 3:
                        metrics = daemon.metrics()
                        daemon.send(signal.SIGTERM)
                elif isinstance(message, BeatMessage) and message.final:
                    goodbye = message
                    break
            assert daemon.wait() == 0
            assert not subscriber.missing
    assert metrics[passed] >= 2 * 3
    assert metrics['inspector_challenges_failing{camera="cam1"}'] == 0
    assert metrics['inspector_challenge_passed_timestamp_seconds{camera="cam1"}'] > 0
    assert metrics['inspector_frames_unaccounted{camera="cam1"}'] == 0
    parts = sorted(path.name for path in pictures.iterdir())
    assert {message.part for message in verdicts} <= set(parts)
    assert all(m.part == parts[(m.frame - 1) % 20] for m in verdicts), "a frame more or less would shift them"
    assert all(m.verdict is (Verdict.NG if (m.frame - 1) % 5 == 4 else Verdict.OK) for m in verdicts)
    assert goodbye is not None
    frames = max(message.frame for message in verdicts)  # the last one need not be decided last
    assert goodbye.sequences["verdict/line1/cam1/"] == frames
    assert goodbye.sequences["result/line1/cam1/"] == frames // 5
    shifts = json.loads(run("ledger", tmp_path / "journal.sqlite", "--json").stdout)
    assert sum(shift["captured"] for shift in shifts) == frames
    ends = [sum(shift["ends"].get(end, 0) for shift in shifts) for end in ("ok", "ng")]
    assert ends == [frames - frames // 5, frames // 5]
    assert f"{frames} frames: {frames - frames // 5} ok, {frames // 5} ng, 0 unknown" in daemon.log[-1]["message"]


def test_2_a_model_that_goes_blind_says_ok_no_more(line: Callable[..., Line], engine: Engine, blind: Engine) -> None:
    one = line()
    gate = one.gates["m"]
    until(lambda: told(one) == ["challenge_passed"], "the first round did not pass")
    assert judged(one, GOOD) == (Verdict.OK, None)
    gate.engine = blind
    assert judged(one, BAD) == (Verdict.OK, None), "which nobody can know yet"
    one.pipeline.challenge()
    until(lambda: told(one) == ["challenge_passed", "challenge_failed"], "that it is blind was not found")
    assert counts(one)[Outcome.MISSED] == 1
    assert judged(one, GOOD) == (Verdict.UNKNOWN, Reason.MODEL)
    assert judged(one, BAD) == (Verdict.UNKNOWN, Reason.MODEL)
    gate.engine = engine
    assert judged(one, BAD) == (Verdict.NG, None), "a defect that is found is one"
    assert judged(one, GOOD) == (Verdict.UNKNOWN, Reason.MODEL), "that it sees again is not proven yet"
    one.pipeline.challenge(["cam1"])
    until(lambda: told(one)[-1] == "challenge_passed", "it did not pass again")
    assert judged(one, GOOD) == (Verdict.OK, None)
    assert len(one.messages(VerdictMessage)) == 7


def test_3_one_that_is_not_strict_only_tells(line: Callable[..., Line], blind: Engine) -> None:
    one = line(strict=False, started=False)
    one.gates["m"].engine = blind
    one.pipeline.start()
    until(lambda: told(one) == ["challenge_failed"], "it was not told")
    assert judged(one, GOOD) == (Verdict.OK, None)


def test_4_a_model_that_fails_gives_no_result(line: Callable[..., Line]) -> None:
    one = line(started=False)
    one.gates["m"].fail = True
    one.pipeline.start()
    until(lambda: counts(one)[Outcome.FAILED] == 2, "it did not fail")
    until(lambda: len(told(one)) == 2, "it was not told")
    one.gates["m"].fail = False
    assert judged(one, GOOD) == (Verdict.UNKNOWN, Reason.MODEL)
    one.pipeline.challenge()
    until(lambda: told(one)[-1] == "challenge_passed", "it did not pass")
    assert judged(one, GOOD) == (Verdict.OK, None)


def test_5_a_threshold_that_is_too_high_is_found(bright: Path, pictures: Path, tmp_path: Path) -> None:
    assert missed_in(tmp_path, bright, pictures, "threshold = 0.99") == "(score 0.980, threshold 0.990)"


def test_6_a_calibration_that_lets_too_much_pass_is_found(bright: Path, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "c1.toml").write_text(calibration_text(bright, threshold=0.995))
    assert missed_in(tmp_path, bright, pictures, 'calibration = "c1.toml"') == "(score 0.201, threshold 0.500)"


def missed_in(tmp_path: Path, bright: Path, pictures: Path, decision: str) -> str:
    """Run a daemon with that decision until it says no `ok`; the figures of the defective part that it missed."""
    make_challenges(tmp_path)
    config = configure(
        tmp_path / "c.toml", bright, f"folder:{pictures}?loop=1&rate=100",
        camera=f'{decision}\nchallenges = "challenges"',
    )  # fmt: skip
    with Process(config) as daemon, Subscriber(daemon.endpoint, kinds=["verdict"]) as subscriber:
        daemon.keep_reading()
        for message in subscriber.messages(timeout=60):
            if isinstance(message, VerdictMessage) and message.verdict is Verdict.UNKNOWN:
                assert message.reason is Reason.MODEL
                break
        until(lambda: daemon.metrics()['inspector_challenges_failing{camera="cam1"}'] == 1, "it is in no metric")
        metrics = daemon.metrics()
        assert metrics['inspector_challenges_total{camera="cam1",result="missed"}'] >= 1
        assert metrics['inspector_verdicts_total{camera="cam1",reason="model",verdict="unknown"}'] >= 1
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0
    (line,) = (line["message"] for line in daemon.log if "challenge_failed" in line["message"])
    start, _, figures = line.partition("defective/0.png was judged ok ")
    assert start == "camera cam1 challenge_failed: "
    figures, _, so = figures.partition(", and ")
    assert so == "must be ng; `ok` is `unknown: model` until it passes"
    return figures


class Shown(Gate):
    """Remembers what the detector was shown, batch by batch."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.batches: list[list[np.ndarray]] = []
        self.ran: list[np.ndarray] = []
        self.open.set()

    def look(self, looks: Sequence[Look], goes_on: Callable[[int], bool]) -> Iterator[tuple[int, Detection]]:
        self.batches.append([one.picture.copy() for one in looks])
        yield from super().look(looks, goes_on)


def show(one: Line, engine: Engine) -> Shown:
    """Have the line's worker tell what it shows the detector."""
    gate = Shown(engine)
    one.replace(gate)
    return gate


def test_7_frames_that_wait_go_first_and_alone(line: Callable[..., Line], engine: Engine) -> None:
    one = line(started=False)
    gate = show(one, engine)
    gate.open.clear()
    for stage in (*one.pipeline.aside, one.pipeline.publishing, one.pipeline.watching, *one.pipeline.reading):
        stage.start()
    until(lambda: len(one.pipeline.inbox) == 1, "the challenge was not posed")
    for _ in range(9):
        one.sources["cam1"].show(GOOD)
    until(lambda: len(one.pipeline.inbox) == 10, "the frames did not come")
    gate.open.set()
    for stage in one.pipeline.working:
        stage.start()
    until(lambda: told(one) == ["challenge_passed"], "the challenges were not judged")
    assert [len(batch) for batch in gate.batches] == [4, 4, 1, 1, 1]
    assert [batch[0].max() for batch in gate.batches] == [60, 60, 60, 250, 60]
    assert [frames for _, frames, _ in one.batches] == [4, 4, 1], "batches of frames alone are counted"
    one.wait_for(9)


def large(tmp_path: Path, defect: tuple[int, int, int, int] = (150, 100, 9, 9)) -> Path:
    """A challenge of many tiles."""
    folder = tmp_path / "large"
    (folder / "defective").mkdir(parents=True)
    cv2.imwrite(str(folder / "defective" / "0.png"), picture(192, 256, square=defect))
    return folder


def test_8_a_challenge_in_tiles_is_overtaken(line: Callable[..., Line], engine: Engine, tmp_path: Path) -> None:
    one = line(started=False, tiled={"cam1": 60.0}, folder=large(tmp_path))
    gate = show(one, engine)

    def busy(run: Callable[..., Any]) -> Callable[..., Any]:
        def and_then_a_frame(**inputs: np.ndarray) -> Any:
            """A frame comes in every run of the first six."""
            gate.ran.append(inputs["image"].copy())
            if len(gate.ran) <= 6:
                waiting = len(one.pipeline.inbox)
                one.sources["cam1"].show(GOOD)
                until(lambda: len(one.pipeline.inbox) > waiting, "the frame did not come")
            return run(**inputs)

        return and_then_a_frame

    model = engine.detector._model
    run_before = model.run
    model.run = busy(run_before)  # type: ignore[method-assign]
    try:
        one.pipeline.start()
        one.wait_for(6)
        until(lambda: told(one) == ["challenge_passed"], "the challenge was not judged")
    finally:
        model.run = run_before  # type: ignore[method-assign]
    assert [len(batch) for batch in gate.batches[:7]] == [1] * 7
    shapes = [batch[0].shape for batch in gate.batches[:7]]
    assert shapes == [(192, 256, 1), *[(48, 64, 1)] * 6], "the frames were looked at while the challenge was"
    assert {verdict for _, _, verdict, _ in one.verdicts()} == {Verdict.OK}


def test_9_more_frames_than_can_be_judged(tmp_path: Path) -> None:
    slow = make_bundle(tmp_path / "slow", 960, 1280, graph=convolutional)
    folder = tmp_path / "challenges" / "defective"
    folder.mkdir(parents=True)
    cv2.imwrite(str(folder / "0.png"), picture(960, 1280, square=(200, 200, 90, 90)))
    config = configure(
        tmp_path / "c.toml", slow, "sim://line?seed=1&rate=300", "sim://line?seed=1&rate=300",
        camera='queue = 2\ndeadline = 0.5\nchallenges = "challenges"\nchallenge_every = 1',
        more="[workers]\ncount = 1",
    )  # fmt: skip

    def total(what: str, metrics: dict[str, float]) -> float:
        return sum(value for name, value in metrics.items() if name.startswith("inspector_") and what in name)

    def judged_challenges(metrics: dict[str, float]) -> float:
        return total("challenges_total", metrics) - total('result="dropped"', metrics)

    with Process(config) as daemon, Subscriber(daemon.endpoint, kinds=["event"]) as subscriber:
        daemon.keep_reading()
        overdue = (m for m in subscriber.messages(timeout=60) if isinstance(m, EventMessage))
        event = next(m.event for m in overdue if m.event.state == "challenge_overdue")
        assert event.detail.startswith("not all 1 challenge(s) could be judged beside the frames within 1 s")
        until(lambda: total("overdue_total", daemon.metrics()) >= 3, "nothing is overdue")
        before = daemon.metrics()
        until(lambda: total("overdue_total", daemon.metrics()) >= 7, "it is not overdue any more")
        after = daemon.metrics()
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0
    assert total('reason="overload"', after) > total('reason="overload"', before), "it was no overload"
    assert judged_challenges(after) == judged_challenges(before), "a challenge took a frame's place"
    assert total("challenge_overdue{", after) >= 1


@pytest.mark.parametrize("tiled", [False, True])
def test_10_the_detector_is_shown_the_same(
    line: Callable[..., Line], engine: Engine, tmp_path: Path, tiled: bool
) -> None:
    folder = tmp_path / "colour"
    (folder / "defective").mkdir(parents=True)
    image = np.random.default_rng(3).integers(0, 150, (151, 203, 3), np.uint8)
    image[100:112, 150:162] = 255
    cv2.imwrite(str(folder / "defective" / "0.png"), image)
    one = line(started=False, folder=folder, tiled={"cam1": 60.0} if tiled else {})
    gate = show(one, engine)
    one.pipeline.start()
    until(lambda: told(one) == ["challenge_passed"], "the challenge did not pass")
    assert judged(one, image) == (Verdict.NG, None)
    challenge, frame, *_ = gate.batches
    assert challenge[0].shape == ((151, 203, 3) if tiled else (48, 64, 1))
    assert np.array_equal(challenge[0], frame[0])


def test_11_a_challenge_is_registered_on_its_reference(tmp_path: Path) -> None:
    comparing = make_bundle(tmp_path / "comparing", 192, 192, reference=True)
    place, other = next(iter(PLACES)), list(PLACES)[3]
    write(tmp_path / "golden" / f"{place}.png", piece(place))
    broken = piece(place).copy()
    broken[60:74, 100:112] = 255 - broken[60:74, 100:112]
    write(tmp_path / "challenges" / "defective" / "broken.png", moved(broken, -3, 2, -0.3))
    write(tmp_path / "challenges" / "good" / "good.png", moved(piece(place), 3, -2, 0.3))
    write(tmp_path / "challenges" / "good" / "stranger.png", piece(other))
    write(tmp_path / "frames" / "0.png", piece(place))
    config = configure(
        tmp_path / "c.toml", comparing, f"folder:{tmp_path / 'frames'}?loop=1&rate=20",
        camera='reference = "golden"\nchallenges = "challenges"',
    )  # fmt: skip
    with Process(config) as daemon:
        daemon.keep_reading()
        ends = [f'inspector_challenges_total{{camera="cam1",result="{end}"}}' for end in ("failed", "passed")]

        def one_failed_and_two_passed() -> bool:
            """In one round, or in each of several."""
            failed, passed = map(daemon.metrics().__getitem__, ends)
            return passed == 2 * failed > 0

        until(one_failed_and_two_passed)
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0
    assert any("stranger.png was judged unknown, unmatched: there was no result" in x["message"] for x in daemon.log)


def test_12_a_drain_gives_the_challenge_up(line: Callable[..., Line]) -> None:
    one = line(started=False)
    one.gates["m"].open.clear()
    one.pipeline.start()
    assert one.gates["m"].entered.wait(PATIENCE)
    one.sources["cam1"].show(GOOD)
    until(lambda: len(one.pipeline.inbox) == 1, "the frame did not come")
    one.gates["m"].open.set()
    assert one.pipeline.drain(30.0) == 0
    assert one.verdicts() == [("cam1", 1, Verdict.OK, None)]
    assert not any(stage.alive for stage in one.pipeline.aside)


def test_13_pictures_that_cannot_be_the_cameras_are_refused(bright: Path, tmp_path: Path) -> None:
    make_challenges(tmp_path)
    config = configure(
        tmp_path / "c.toml", bright, "sim://line?seed=1", camera='challenges = "challenges"\nsize = [640, 480]'
    )
    done = run("check", config)
    assert done.returncode == 78
    for name in ("defective/0.png", "good/0.png"):
        assert f"camera 'cam1': challenges: {name} is a frame of 64x48 pixels where size = [640, 480]" in done.stderr
    config.write_text(config.read_text().replace('"challenges"', '"nothing"'))
    done = run("check", config)
    assert done.returncode == 78
    assert f"camera 'cam1': challenges: '{tmp_path / 'nothing'}' has no folder 'defective' in it" in done.stderr
