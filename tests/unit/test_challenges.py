"""Challenges by themselves: their pictures, how they end, their rounds, and their place in the order of frames."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.challenges import pictures
from inspector.challenges.challenger import LANE, Challenger, Challenges
from inspector.challenges.order import MEMORY, LastOfAll, Margin
from inspector.challenges.outcome import Outcome, outcome_of
from inspector.challenges.pictures import Picture
from inspector.challenges.rounds import AGAIN, PAUSE, Rounds
from inspector.clock import ManualClock
from inspector.errors import ConfigError
from inspector.inference.channels import write
from inspector.inference.view import View
from inspector.mailbox import BatchEnd, Mailbox
from inspector.types import Cause, Challenge, Event, Frame, Image, Inspection, Mask, Reason, Verdict
from tests.bundles import picture
from tests.challenges import DEFECT, make_challenges
from tests.standards import Plain

GOOD = Picture("good/a.png", Verdict.OK, b"")
BAD = Picture("defective/b.png", Verdict.NG, b"")
EVERY = 60.0


# ---- pictures ----


def test_pictures_come_with_what_they_must_be(tmp_path: Path) -> None:
    known = pictures.load(make_challenges(tmp_path))
    assert [(one.name, one.expected) for one in known] == [
        ("defective/0.png", Verdict.NG),
        ("good/0.png", Verdict.OK),
    ]
    assert np.array_equal(known[0].image(), picture(square=DEFECT))
    assert known[0].mask is not None
    assert cv2.boundingRect(known[0].mask) == DEFECT
    assert known[1].mask is None


def test_a_stack_keeps_its_channels(tmp_path: Path) -> None:
    folder = make_challenges(tmp_path)
    stack = np.random.default_rng(0).integers(0, 255, (48, 64, 5), np.uint8)
    write(folder / "good" / "stack.tiff", stack)
    (found,) = (one for one in pictures.load(folder) if one.name == "good/stack.tiff")
    assert np.array_equal(found.image(), stack)


def test_they_are_read_once(tmp_path: Path) -> None:
    folder = make_challenges(tmp_path)
    known = pictures.load(folder)
    (folder / "defective" / "0.png").unlink()
    assert known[0].image().shape == (48, 64, 1)


def _no_folder(folder: Path) -> None:
    (folder / "defective").rename(folder / "bad")


def _nothing_defective(folder: Path) -> None:
    (folder / "defective" / "0.png").unlink()
    (folder / "mask" / "0_mask.png").unlink()


def _no_picture(folder: Path) -> None:
    (folder / "good" / "0.png").write_bytes(b"no picture")


def _stray_mask(folder: Path) -> None:
    (folder / "mask" / "0_mask.png").rename(folder / "mask" / "1_mask.png")


def _folder_of_a_kind(folder: Path) -> None:
    (folder / "defective" / "crack").mkdir()
    (folder / "defective" / "crack" / "0.png").write_bytes((folder / "defective" / "0.png").read_bytes())


def _only_folders_of_kinds(folder: Path) -> None:
    _folder_of_a_kind(folder)
    _nothing_defective(folder)


def _unread_pictures(folder: Path) -> None:
    for kind in ("defective", "good", "mask"):
        (folder / kind / "c.GIF").touch()


def _dangling(folder: Path) -> None:
    (folder / "good" / "1.png").symlink_to(folder / "gone.png")


def _other_name_for_masks(folder: Path) -> None:
    (folder / "mask").rename(folder / "masks")


def _picture_beside(folder: Path) -> None:
    (folder / "0.png").write_bytes((folder / "good" / "0.png").read_bytes())


def _small_mask(folder: Path) -> None:
    cv2.imwrite(str(folder / "mask" / "0_mask.png"), np.full((4, 5), 255, np.uint8))


def _empty_mask(folder: Path) -> None:
    cv2.imwrite(str(folder / "mask" / "0_mask.png"), np.zeros((48, 64), np.uint8))


def _too_many(folder: Path) -> None:
    for number in range(pictures.MOST):
        (folder / "good" / f"copy{number}.png").write_bytes((folder / "good" / "0.png").read_bytes())


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (_no_folder, "has no folder 'defective' in it; put pictures of defective parts there"),
        (_nothing_defective, "has no picture in it"),
        (_no_picture, "0.png' is no picture, or a damaged one; replace it"),
        (_stray_mask, "1_mask.png' is of no picture in defective/; name it as that one, with '_mask.png' at the end"),
        (_folder_of_a_kind, "defective/crack' is not read; put pictures right into defective/ and good/, "),
        (_only_folders_of_kinds, "defective/crack' is not read"),
        (_only_folders_of_kinds, "has no picture in it"),
        (_unread_pictures, "defective/c.GIF' is not read; "),
        (_unread_pictures, "good/c.GIF' is not read; "),
        (_unread_pictures, "mask/c.GIF' is not read; "),
        (_dangling, "good/1.png' is not read; "),
        (_other_name_for_masks, "challenges/masks' is not read; "),
        (_picture_beside, "challenges/0.png' is not read; "),
        (_small_mask, "0.png' is 64x48 pixels, and its mask has 5x4; draw it anew"),
        (_empty_mask, "whose mask '0_mask.png' shows no defect; draw it, or remove the file"),
        (_too_many, f"has {pictures.MOST + 2} pictures; {pictures.MOST} are the most, so leave the best of them"),
    ],
)
def test_what_is_wrong_with_a_folder_is_told(tmp_path: Path, spoil: Callable[[Path], None], sentence: str) -> None:
    folder = make_challenges(tmp_path)
    spoil(folder)
    with pytest.raises(ConfigError) as caught:
        pictures.load(folder)
    assert any(sentence in problem for problem in caught.value.problems), caught.value.problems


def test_what_is_hidden_and_notes_may_lie_beside_them(tmp_path: Path) -> None:
    folder = make_challenges(tmp_path)
    for name in (".DS_Store", "README.txt", "defective/Thumbs.db", "good/.gif", "good/0.json"):
        (folder / name).write_text("no picture")
    (folder / "mask" / ".cache").mkdir()
    assert [one.name for one in pictures.load(folder)] == ["defective/0.png", "good/0.png"]


def test_a_picture_that_the_camera_could_not_have_taken_is_told(tmp_path: Path) -> None:
    known = pictures.load(make_challenges(tmp_path))
    assert list(pictures.misfits(known, View((48, 64, 1)).fit)) == []
    (first, _) = pictures.misfits(known, View((48, 64, 1), size=(640, 480)).fit)
    assert first == "defective/0.png is a frame of 64x48 pixels where size = [640, 480]; mend either"


# ---- how they end ----


def inspected(verdict: Verdict, reason: Reason | None = None, mask: Mask | None = None) -> Inspection:
    return Inspection(Frame("cam1", 0, 0, 0.0, 1.0, None), verdict, reason, 0.9, 0.7, mask=mask)


@pytest.mark.parametrize(
    ("asked", "inspection", "outcome"),
    [
        (GOOD, inspected(Verdict.OK), Outcome.PASSED),
        (GOOD, inspected(Verdict.NG), Outcome.REJECTED),
        (GOOD, inspected(Verdict.UNKNOWN, Reason.MODEL), Outcome.FAILED),
        (BAD, inspected(Verdict.NG), Outcome.PASSED),
        (BAD, inspected(Verdict.OK), Outcome.MISSED),
        (BAD, inspected(Verdict.UNKNOWN, Reason.CAMERA), Outcome.FAILED),
    ],
)
def test_only_what_must_be_passes(asked: Picture, inspection: Inspection, outcome: Outcome) -> None:
    found, sentence = outcome_of(asked, inspection)
    assert found is outcome
    assert sentence.startswith(f"{asked.name} was judged {inspection.verdict} (score 0.900, threshold 0.700)")


def blobs(*boxes: tuple[int, int, int, int]) -> Mask:
    mask = np.zeros((48, 64), np.uint8)
    for x, y, w, h in boxes:
        mask[y : y + h, x : x + w] = 255
    return mask


def test_each_defect_of_a_mask_must_be_found() -> None:
    two = Picture("defective/b.png", Verdict.NG, b"", blobs((5, 5, 4, 4), (30, 20, 5, 5)))
    at_both = inspected(Verdict.NG, mask=blobs((8, 8, 10, 10), (31, 21, 1, 1)))
    assert outcome_of(two, at_both)[0] is Outcome.PASSED
    outcome, sentence = outcome_of(two, inspected(Verdict.NG, mask=blobs((5, 5, 4, 4), (50, 40, 5, 5))))
    assert outcome is Outcome.MISSED
    assert sentence.endswith("the defect at (32, 22) was not found")


def test_what_was_wrong_with_the_camera_is_named() -> None:
    frame = Frame("cam1", 0, 0, 0.0, 1.0, None)
    lost = Inspection(frame, Verdict.UNKNOWN, Reason.CAMERA, cause=Cause.UNMATCHED)
    assert outcome_of(BAD, lost) == (
        Outcome.FAILED, "defective/b.png was judged unknown, unmatched: there was no result",
    )  # fmt: skip


# ---- rounds ----


def test_a_round_asks_all_once_and_the_next_comes_when_it_is_time() -> None:
    rounds = Rounds([BAD, GOOD], EVERY, 0.0)
    assert rounds.turn(0.0) is BAD
    assert not rounds.take(Outcome.PASSED, 1.0)
    assert rounds.turn(1.0) is GOOD
    assert rounds.take(Outcome.PASSED, 2.0)
    assert rounds.turn(2.0) is None
    assert rounds.acts_at == EVERY
    assert not rounds.look(EVERY - 1)
    assert rounds.turn(EVERY - 1) is None
    assert not rounds.look(EVERY)
    assert rounds.turn(EVERY) is BAD
    assert rounds.counts[Outcome.PASSED] == 2
    assert (rounds.overdue, rounds.is_overdue) == (0, False)


def test_one_that_was_dropped_is_asked_again_after_a_pause() -> None:
    rounds = Rounds([BAD], EVERY, 0.0)
    assert not rounds.take(Outcome.DROPPED, 5.0)
    assert rounds.turn(5.0) is None
    assert rounds.acts_at == 5.0 + PAUSE
    assert rounds.turn(5.0 + PAUSE) is BAD
    assert rounds.failing == {}


def test_a_round_that_is_not_complete_is_overdue_and_goes_on_where_it_stopped() -> None:
    rounds = Rounds([BAD, GOOD], EVERY, 0.0)
    rounds.take(Outcome.PASSED, 1.0)
    assert rounds.look(EVERY), "it is told"
    assert (rounds.overdue, rounds.is_overdue) == (1, True)
    assert rounds.turn(EVERY) is GOOD
    assert not rounds.look(2 * EVERY), "and told once"
    assert rounds.overdue == 2
    rounds.take(Outcome.PASSED, 2 * EVERY)
    assert rounds.is_overdue
    assert rounds.take(Outcome.PASSED, 2 * EVERY)
    assert not rounds.is_overdue


def test_what_failed_is_asked_again_soon_and_forgotten_when_it_passes() -> None:
    rounds = Rounds([BAD, GOOD], EVERY, 0.0)
    rounds.take(Outcome.MISSED, 0.0)
    rounds.take(Outcome.PASSED, 0.0)
    assert rounds.failing == {BAD.name: Outcome.MISSED}
    assert rounds.is_blind
    assert rounds.acts_at == AGAIN
    rounds.look(AGAIN)
    rounds.take(Outcome.PASSED, AGAIN)
    assert not rounds.is_blind
    assert rounds.failing == {}


def test_one_that_rejects_good_parts_is_not_blind() -> None:
    rounds = Rounds([GOOD], EVERY, 0.0)
    rounds.take(Outcome.REJECTED, 0.0)
    assert rounds.failing
    assert not rounds.is_blind


@given(st.lists(st.tuples(st.floats(0, 40), st.sampled_from(Outcome)), max_size=60))
def test_whatever_happens_a_round_has_each_picture_at_most_once_and_counts_add_up(
    steps: list[tuple[float, Outcome]],
) -> None:
    now, asked = 0.0, 0
    rounds = Rounds([BAD, GOOD], EVERY, now)
    for seconds, outcome in steps:
        now += seconds
        rounds.look(now)
        if rounds.turn(now) is not None:
            asked += 1
            rounds.take(outcome, now)
        assert rounds.acts_at <= now + EVERY
    assert sum(rounds.counts.values()) == asked
    assert rounds.is_blind == any(o in (Outcome.MISSED, Outcome.FAILED) for o in rounds.failing.values())


# ---- their place among frames ----


FRAME = Frame("a", 1, 0, 100.0, 101.0, None)


class House:
    """Two cameras and the lane of challenges, in an inbox."""

    def __init__(self, most: int = 1, rows: int = 1) -> None:
        self.clock = ManualClock(100.0)
        self.awaited = True
        self.dropped: list[Challenge] = []
        self.order = LastOfAll(
            "ab",
            lambda _: True,
            self.clock,
            most,
            lambda _: self.awaited,
            self.dropped.append,
        )
        self.inbox = Mailbox[Frame]({"a": 8, "b": 8, LANE: 1}, self.order)
        self._number = 0
        self._standard = Plain(takes=rows)

    def capture(self, camera: str, deadline: float) -> None:
        now = self.clock.monotonic()
        self._number += 1
        self.inbox.offer(camera, Frame(camera, self._number, 0, now, now + deadline, None))

    def challenge(self) -> Challenge:
        now = self.clock.monotonic()
        challenge = Challenge("a", 0, 0, now, now + 600, None, fitted=picture(), standard=self._standard)
        self.inbox.offer(LANE, challenge)
        return challenge

    def take(self, most: int = 8) -> list[int]:
        """The numbers of the frames that a worker takes; 0 is a challenge."""
        return [frame.number for frame in self.inbox.take(most, wait=0.0).items]


def test_a_challenge_comes_after_every_frame_and_alone() -> None:
    house = House()
    house.challenge()
    house.capture("a", 0.5)
    house.capture("b", math.inf)
    house.capture("b", math.inf)
    assert house.take() == [1, 2, 3]
    assert house.take() == [0]


def test_a_challenge_does_not_wait_for_its_batch_to_fill() -> None:
    house = House(most=8)
    house.challenge()
    batch = house.inbox.take(8, linger=1e9, wait=0.0)
    assert [frame.number for frame in batch.items] == [0]
    assert batch.end is BatchEnd.DEADLINE


def test_a_frame_overtakes_a_challenge_and_none_overtakes_a_frame() -> None:
    house = House()
    running = house.challenge()
    assert house.take() == [0]
    house.capture("b", math.inf)
    (frame,) = house.inbox.overtake(running).items
    assert frame.number == 1
    house.challenge()
    assert house.inbox.overtake(frame).items == []


def test_a_challenge_is_dropped_where_frames_had_less_time_left_than_it_takes() -> None:
    house = House()
    house.order.ran([FRAME], 0.3)
    house.capture("a", 0.5)  # 0.2 s are left of it
    assert house.take() == [1]
    challenge = house.challenge()
    assert house.take() == []
    assert house.dropped == [challenge]
    for _ in range(3):  # until the tight one is forgotten
        house.clock.advance(MEMORY)
        house.capture("a", 0.7)
        house.take()
    house.challenge()
    assert house.take() == [0]


def test_of_a_challenge_in_tiles_a_run_of_the_model_must_fit() -> None:
    house = House(most=2, rows=10)
    house.order.ran([FRAME], 0.5)
    house.capture("a", 0.55)
    assert house.take() == [1]
    house.challenge()
    assert house.take() == [], "five runs of 0.1 s, and 0.05 s were left"
    house = House(most=2, rows=10)
    house.order.ran([FRAME], 0.5)
    house.capture("a", 0.65)
    house.take()
    house.challenge()
    assert house.take() == [0]


def test_a_challenge_is_dropped_after_a_frame_was_lost() -> None:
    house = House()
    house.order.ran([FRAME], 0.1)
    for _ in range(9):
        house.capture("a", 5.0)
    assert len(house.take(most=16)) == 8
    challenge = house.challenge()
    assert house.take() == []
    assert house.dropped == [challenge]


def test_one_that_nobody_waits_for_is_dropped() -> None:
    house = House()
    challenge = house.challenge()
    house.awaited = False
    assert house.take() == []
    assert house.dropped == [challenge]


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(-1, 10)), min_size=1))
def test_the_margin_is_no_more_than_the_least_of_late(notes: list[tuple[float, float]]) -> None:
    margin, now, all_notes = Margin(), 0.0, []
    for seconds, slack in notes:
        now += seconds
        margin.note(slack, now)
        all_notes.append((now, slack))
        of_late = min(slack for at, slack in all_notes if now - at < MEMORY)
        ever = min(slack for at, slack in all_notes if now - at <= 2 * MEMORY + 100)
        assert ever <= margin.seconds <= of_late


def test_without_frames_there_is_any_margin() -> None:
    assert Margin().seconds == math.inf


# ---- the challenger ----


class Desk:
    """A challenger whose challenges are answered by hand, in the test's thread."""

    def __init__(
        self, folder: Path, strict: bool = True, misfit: str | None = None, surprise: Exception | None = None
    ) -> None:
        self.clock = ManualClock()
        self.posed: list[Challenge] = []
        self.events: list[Event] = []
        self.answers: list[Callable[[Challenge], object]] = []

        def fit(camera: str, image: Image) -> tuple[Plain, Image | None, str | None]:
            if surprise is not None and (image > 200).any():
                raise surprise
            return (Plain(), None, misfit) if misfit else (Plain(), image, None)

        plans = {"cam1": Challenges(pictures.load(folder), EVERY, strict)}
        self.challenger = Challenger(plans, fit, self._pose, self.events.append, self.clock)

    def _pose(self, challenge: Challenge) -> None:
        self.posed.append(challenge)
        if self.answers:
            self.answers.pop(0)(challenge)
        else:
            self.challenger.stop()

    def judge(self, verdict: Verdict, reason: Reason | None = None) -> None:
        self.answers.append(lambda challenge: self.challenger.judged(Inspection(challenge, verdict, reason)))

    def run(self) -> list[str]:
        """Until there are no answers left; the states that were told."""
        beats = 0

        def beat() -> None:
            nonlocal beats
            beats += 1
            if not self.answers and not self.challenger.courses["cam1"].rounds.turn(self.clock.monotonic()):
                self.challenger.stop()

        self.challenger.run(beat)
        assert beats
        return [event.state for event in self.events]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_challenges(tmp_path, mask=False)


def test_a_round_that_passes_is_told_at_its_end(folder: Path) -> None:
    desk = Desk(folder)
    desk.judge(Verdict.NG)
    desk.judge(Verdict.OK)
    assert desk.run() == ["challenge_passed"]
    assert [(one.camera, one.number, one.part) for one in desk.posed] == [
        ("cam1", 0, "defective/0.png"), ("cam1", 0, "good/0.png"),
    ]  # fmt: skip
    assert desk.challenger.courses["cam1"].passed_at == desk.clock.wall_ns() / 1e9
    assert desk.challenger.doubted == set()


@pytest.mark.parametrize(("strict", "doubted"), [(True, {"cam1"}), (False, set())])
def test_one_that_misses_a_defect_is_doubted_if_asked_to(folder: Path, strict: bool, doubted: set[str]) -> None:
    desk = Desk(folder, strict)
    desk.judge(Verdict.OK)
    desk.judge(Verdict.OK)
    assert desk.run() == ["challenge_failed"]
    assert ("`ok` is `unknown: model` until it passes" in desk.events[0].detail) == strict
    assert desk.challenger.doubted == doubted
    assert desk.challenger.courses["cam1"].passed_at == 0


def test_one_that_rejects_a_good_part_is_told_and_not_doubted(folder: Path) -> None:
    desk = Desk(folder)
    desk.judge(Verdict.NG)
    desk.judge(Verdict.NG)
    assert desk.run() == ["challenge_failed"]
    assert desk.challenger.doubted == set()


def test_a_failure_is_told_once_and_so_is_its_end(folder: Path) -> None:
    desk = Desk(folder)
    for _ in range(2):
        desk.judge(Verdict.UNKNOWN, Reason.MODEL)
        desk.judge(Verdict.OK)
    desk.judge(Verdict.NG)
    desk.judge(Verdict.OK)

    def beat() -> None:
        if not desk.answers:
            desk.challenger.stop()
        if desk.challenger.courses["cam1"].rounds.turn(desk.clock.monotonic()) is None:
            desk.clock.advance(AGAIN)

    desk.challenger.run(beat)
    assert [event.state for event in desk.events] == ["challenge_failed", "challenge_recovered", "challenge_passed"]
    assert desk.challenger.doubted == set()
    assert desk.challenger.courses["cam1"].rounds.counts[Outcome.FAILED] == 2


def _hears_all(desk: Desk) -> None:
    """Round after round, until there are no answers left."""

    def beat() -> None:
        if not desk.answers:
            desk.challenger.stop()
        desk.clock.advance(AGAIN)

    desk.challenger.run(beat)


def test_one_that_is_blind_is_told_though_it_had_failed_otherwise_before(folder: Path) -> None:
    desk = Desk(folder)
    for verdict in (Verdict.NG, Verdict.UNKNOWN, Verdict.UNKNOWN, Verdict.NG):  # of the good part
        desk.judge(Verdict.NG)
        desk.judge(verdict, Reason.MODEL if verdict is Verdict.UNKNOWN else None)
    _hears_all(desk)
    assert [(event.state, event.detail) for event in desk.events] == [
        ("challenge_failed", "good/0.png was judged ng, and must be ok"),
        (
            "challenge_failed",
            "good/0.png was judged unknown, model: there was no result; `ok` is `unknown: model` until it passes",
        ),
        ("challenge_failed", "good/0.png was judged ng, and must be ok; `ok` stands again"),
    ]
    assert desk.challenger.doubted == set()


def test_one_that_sees_again_is_told_though_it_still_rejects_a_good_part(folder: Path) -> None:
    desk = Desk(folder)
    for verdict in (Verdict.OK, Verdict.NG, Verdict.NG):  # of the defective part
        desk.judge(verdict)
        desk.judge(Verdict.NG)
    _hears_all(desk)
    assert [(event.state, event.detail) for event in desk.events] == [
        ("challenge_failed", "defective/0.png was judged ok, and must be ng; `ok` is `unknown: model` until it passes"),
        ("challenge_failed", "good/0.png was judged ng, and must be ok"),
        ("challenge_recovered", "defective/0.png was judged ng; `ok` stands again"),
    ]


def test_another_model_that_misses_the_same_is_told_anew(folder: Path) -> None:
    desk = Desk(folder)
    desk.judge(Verdict.OK)
    desk.judge(Verdict.OK)
    desk.judge(Verdict.OK)
    desk.answers.append(lambda _: desk.challenger.begin())
    desk.judge(Verdict.OK)
    desk.judge(Verdict.OK)
    _hears_all(desk)
    assert [event.state for event in desk.events] == ["challenge_failed"] * 2
    assert desk.challenger.doubted == {"cam1"}


def test_a_picture_that_is_refused_has_no_result(folder: Path) -> None:
    desk = Desk(folder, misfit="of another size")
    assert desk.run() == ["challenge_failed", "challenge_failed"]
    assert desk.posed == []
    assert desk.events[0].detail.startswith("defective/0.png is of another size")
    assert desk.challenger.doubted == {"cam1"}


def test_a_picture_that_nobody_foresaw_fails_alone(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(folder, surprise=ValueError("a bug"))
    desk.judge(Verdict.OK)
    assert desk.run() == ["challenge_failed"]
    assert [one.part for one in desk.posed] == ["good/0.png"]
    assert desk.events[0].detail.startswith("defective/0.png: looking at it failed with ValueError('a bug')")
    assert desk.challenger.doubted == {"cam1"}
    assert [record.message for record in caplog.records if record.exc_info] == [
        "camera cam1: defective/0.png: looking at it failed with ValueError('a bug')"
    ]


def test_an_answer_that_nobody_waits_for_any_more_is_ignored(folder: Path) -> None:
    desk = Desk(folder)
    stranger = Challenge("cam1", 0, 0, 0.0, 1.0, None)

    def answer_twice(challenge: Challenge) -> None:
        desk.challenger.judged(Inspection(stranger, Verdict.OK))
        desk.challenger.judged(Inspection(challenge, Verdict.NG))

    desk.answers.append(answer_twice)
    desk.judge(Verdict.OK)
    assert desk.run() == ["challenge_passed"]
    assert not desk.challenger.awaits(stranger)


def test_a_round_that_frames_leave_no_time_for_is_told(folder: Path) -> None:
    desk = Desk(folder)
    desk.answers.append(lambda _: desk.clock.advance(EVERY))
    desk.judge(Verdict.NG)
    desk.judge(Verdict.OK)
    assert desk.run() == ["challenge_overdue", "challenge_passed"]
    assert not desk.challenger.awaits(desk.posed[0])
    assert desk.challenger.courses["cam1"].rounds.overdue == 1


def test_a_new_model_is_challenged_at_once(folder: Path) -> None:
    desk = Desk(folder)
    desk.judge(Verdict.NG)
    desk.answers.append(lambda _: desk.challenger.begin())  # in the middle of a round
    desk.judge(Verdict.NG)
    desk.judge(Verdict.OK)
    assert desk.run() == ["challenge_passed"]
    assert [one.part for one in desk.posed] == ["defective/0.png", "good/0.png", "defective/0.png", "good/0.png"]
    desk.challenger.begin(["cam2"])  # which has no challenges
