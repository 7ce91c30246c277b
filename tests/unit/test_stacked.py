"""Several cameras as one: stacks, and what becomes of parts and cameras that are not as they should be."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from functools import partial

import cv2
import numpy as np
import pytest

from inspector.errors import ConfigError, RefusedError, SourceError
from inspector.simulation import Line
from inspector.sources import open_source, waits
from inspector.sources.stacked import Stacked
from inspector.types import Cause, Image, Shot
from tests.sources import HandSource
from tests.waiting import until

PATIENT = 60.0


def picture(value: int, channels: int = 1, size: tuple[int, int] = (6, 8)) -> Image:
    return np.full((*size, channels), value, np.uint8)


class Hands:
    """A stack of hand-fed cameras; `made` has all that were opened of each, the newest last."""

    def __init__(self, *names: str, live: bool = True, channels: dict[str, int] | None = None, **more: float) -> None:
        self.made: dict[str, list[HandSource]] = {name: [] for name in names}
        how = {"depth": 3, "within": None, "patience": PATIENT} | more
        cameras = {name: partial(self._make, name, live) for name in names}
        self.stack = Stacked(cameras, channels or {}, **how)  # type: ignore[arg-type]

    def _make(self, name: str, live: bool) -> HandSource:
        self.made[name].append(HandSource(live))
        return self.made[name][-1]

    def frames(self) -> Iterator[Shot]:
        """Its frames, opened as soon as one is asked for; `self[name]` are the cameras of that round from now on."""
        for name in self.made:
            self._make(name, self.stack.live)
        fresh = {name: made[-1] for name, made in self.made.items()}
        self.stack._cameras = {name: partial(self._known, source) for name, source in fresh.items()}
        return self.stack.frames()

    def _known(self, source: HandSource) -> HandSource:
        return source

    def __getitem__(self, name: str) -> HandSource:
        return self.made[name][-1]


def test_the_pictures_of_a_part_become_one_in_the_order_of_the_cameras():
    hands = Hands("visible", "infrared")
    frames = hands.frames()
    hands["infrared"].show(picture(9), "a")
    hands["visible"].show(np.dstack([picture(1), picture(2), picture(3)]), "a")
    shot = next(frames)
    assert (shot.part, shot.fault) == ("a", None)
    assert shot.image is not None
    assert shot.image.shape == (6, 8, 4)
    assert shot.image.flags.c_contiguous
    assert shot.image[0, 0].tolist() == [1, 2, 3, 9]
    hands.stack.close()


def test_a_modality_that_is_missing_is_named_and_the_next_part_is_whole():
    hands = Hands("visible", "infrared")
    frames = hands.frames()
    for part in ("a", "b"):
        hands["visible"].show(picture(1), part)
    hands["infrared"].show(picture(2), "b")
    first, second = next(frames), next(frames)
    assert (first.image, first.part, first.fault) == (None, "a", "infrared sent no picture of this part")
    assert second.part == "b"
    assert second.image is not None
    hands.stack.close()


def test_a_frame_that_a_camera_counted_and_lost_spoils_its_own_part_alone():
    hands = Hands("visible", "infrared", depth=9, within=0.1)
    frames = hands.frames()
    for at in range(1, 6):
        at_ns = at * 1_000_000_000
        hands["infrared"].show(picture(at), captured_ns=at_ns + 5_000_000)
        if at == 4:
            lost = Shot(None, fault="lost on the way", captured_ns=at_ns, cause=Cause.MISSING)
            hands["visible"]._shots.put(lost)  # told with the frame after it
        if at != 3:
            hands["visible"].show(picture(at), captured_ns=at_ns)
    shots = [next(frames) for _ in range(5)]
    assert [None if shot.image is None else shot.image[0, 0].tolist() for shot in shots] == [
        [1, 1], [2, 2], None, [4, 4], [5, 5]
    ]  # fmt: skip
    assert (shots[2].fault, shots[2].cause) == ("visible: lost on the way", Cause.INCOMPLETE)
    assert shots[2].captured_ns == 3_005_000_000
    hands.stack.close()


def test_a_camera_that_is_silent_makes_faults_when_patience_is_over():
    hands = Hands("visible", "infrared", patience=0.01)
    frames = hands.frames()
    hands["visible"].show(picture(1))
    assert next(frames).fault == "infrared sent no picture of this part"
    hands.stack.close()


def test_one_that_runs_ahead_is_bounded():
    hands = Hands("visible", "infrared")
    frames = hands.frames()
    for number in range(10):
        hands["visible"].show(picture(number), str(number))
    faults = [next(frames) for _ in range(7)]  # of ten shots three may wait
    assert [shot.part for shot in faults] == [str(number) for number in range(7)]
    hands.stack.close()


@pytest.mark.parametrize(
    ("shots", "fault"),
    [
        ((Shot(None, "a", "no light"), Shot(picture(1), "a")), "visible: no light"),
        ((Shot(picture(1), "a"), Shot(picture(1, size=(3, 4)), "a")),
         "the pictures of a part have different sizes: visible 8x6, infrared 4x3; "
         "set the cameras to one size and view"),
        ((Shot(picture(1).astype(float), "a"), Shot(picture(1), "a")),
         "visible gives float64 (6, 8, 1); a source gives uint8 [height, width, channels]"),
        ((Shot(picture(1, 4), "a"), Shot(picture(1), "a")), "visible gives 4 channels, and the model takes 3 of it"),
    ],
)  # fmt: skip
def test_what_cannot_be_stacked_is_a_fault(shots: tuple[Shot, Shot], fault: str):
    hands = Hands("visible", "infrared", channels={"visible": 3, "infrared": 1})
    frames = hands.frames()
    for name, shot in zip(("visible", "infrared"), shots, strict=True):
        hands[name]._shots.put(shot)
    shot = next(frames)
    assert (shot.image, shot.part, shot.fault) == (None, "a", fault)
    hands.stack.close()


LOST = Shot(None, fault="lost on the way", captured_ns=3_000_000_000, cause=Cause.MISSING)
TORN = Shot(None, fault="torn", cause=Cause.INCOMPLETE)


@pytest.mark.parametrize(
    ("visible", "infrared", "cause", "fault"),
    [
        ([Shot(picture(1))], [], Cause.INCOMPLETE, "infrared sent no picture of this part"),
        ([LOST], [], Cause.MISSING, "infrared sent no picture of this part; visible: lost on the way"),
        ([LOST], [LOST], Cause.MISSING, "visible: lost on the way; infrared: lost on the way"),
        ([TORN], [Shot(picture(1))], Cause.INCOMPLETE, "visible: torn"),
        ([Shot(None, fault="no light")], [Shot(picture(1))], Cause.UNREADABLE, "visible: no light"),
        ([Shot(picture(1))], [Shot(picture(1, size=(3, 4)))], Cause.UNREADABLE, None),
    ],
)
def test_the_cause_says_what_the_part_lacks(visible: list[Shot], infrared: list[Shot], cause: Cause, fault: str | None):
    hands = Hands("visible", "infrared", within=PATIENT, patience=0.01 if not infrared else PATIENT)
    frames = hands.frames()
    for name, shots in (("visible", visible), ("infrared", infrared)):
        for one in shots:
            hands[name]._shots.put(one)
    shot = next(frames)
    assert (shot.image, shot.cause) == (None, cause)
    assert fault is None or shot.fault == fault
    hands.stack.close()


def test_more_channels_than_a_frame_has_are_a_fault():
    hands = Hands("a", "b")
    frames = hands.frames()
    hands["a"].show(picture(1, 9), "1")
    hands["b"].show(picture(1, 8), "1")
    assert next(frames).fault == "the pictures of a part have 17 channels; a frame has at most 16"
    hands.stack.close()


def test_grey_and_colour_are_made_of_each_other_as_the_model_takes_them():
    hands = Hands("visible", "infrared", channels={"visible": 3, "infrared": 1})
    frames = hands.frames()
    colour = np.random.default_rng(1).integers(0, 256, (6, 8, 3), np.uint8)
    hands["visible"].show(picture(7), "1")
    hands["infrared"].show(colour, "1")
    image = next(frames).image
    assert image is not None
    assert image[0, 0, :3].tolist() == [7, 7, 7]
    np.testing.assert_array_equal(image[:, :, 3], cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY))
    hands.stack.close()


def test_one_that_fails_fails_the_stack_by_name_after_what_had_come():
    hands = Hands("visible", "infrared")
    frames = hands.frames()
    hands["visible"].show(picture(1), "a")
    hands["infrared"].fail("cable pulled")
    assert next(frames).fault == "infrared sent no picture of this part"
    with pytest.raises(SourceError, match="infrared: cable pulled"):
        next(frames)
    assert hands["visible"]._closed.is_set(), "its device is free for the next try"
    frames = hands.frames()
    for name in ("visible", "infrared"):
        hands[name].show(picture(1), "b")
    assert next(frames).image is not None
    hands.stack.close()


def test_one_that_refuses_is_told_of_as_such():
    hands = Hands("visible", "infrared")
    frames = hands.frames()
    hands["infrared"].refuse("wrong password")
    with pytest.raises(RefusedError, match="infrared: wrong password"):
        next(frames)
    hands.stack.close()


def test_a_bug_of_a_source_is_not_swallowed():
    class Buggy(HandSource):
        def frames(self) -> Iterator[Shot]:
            raise ZeroDivisionError
            yield

    stack = Stacked({"a": Buggy, "b": HandSource}, {}, 3, None, PATIENT)
    with pytest.raises(ZeroDivisionError):
        next(stack.frames())


def test_one_that_hangs_in_its_driver_is_named_and_waited_for_before_it_is_opened_again(
    monkeypatch: pytest.MonkeyPatch,
):
    release = threading.Event()

    class Hanging(HandSource):
        def frames(self) -> Iterator[Shot]:
            release.wait()
            return
            yield

    class Failing(HandSource):
        def frames(self) -> Iterator[Shot]:
            raise SourceError("no cable")
            yield

    monkeypatch.setattr("inspector.sources.stacked.FAREWELL", 0.01)
    stack = Stacked({"a": Hanging, "b": Failing}, {}, 3, None, PATIENT)
    with pytest.raises(SourceError, match="b: no cable"):
        next(stack.frames())
    with pytest.raises(SourceError, match="a still hangs from before"):
        next(stack.frames())
    release.set()
    until(lambda: stack._reading is not None and not stack._reading.left())
    with pytest.raises(SourceError, match="b: no cable"):
        next(stack.frames())


def test_it_waits_for_a_trigger_while_all_of_its_cameras_do():
    hands = Hands("visible", "infrared")
    frames = hands.frames()
    reads = threading.Thread(target=list, args=[frames], daemon=True)
    reads.start()
    until(lambda: hands["visible"].opened == hands["infrared"].opened == 1)
    for name in ("visible", "infrared"):
        assert not waits(hands.stack), "one that is not open would miss the part"
        hands[name].waiting = True
    assert waits(hands.stack), "though no part came yet"
    hands.stack.close()
    reads.join()
    assert not waits(hands.stack)


@pytest.mark.parametrize("live", [True, False])
def test_close_ends_frames_and_every_thread(live: bool):
    hands = Hands("visible", "infrared", live=live)
    frames = hands.frames()
    for name in ("visible", "infrared"):
        hands[name].show(picture(1), "a")
    assert next(frames).image is not None
    threading.Timer(0.05, hands.stack.close).start()
    assert list(frames) == []
    assert list(hands.frames()) == [], "a closed source yields nothing more"
    assert not [thread for thread in threading.enumerate() if thread.name in ("read-visible", "read-infrared")]


def test_all_threads_end_when_whoever_reads_goes_away():
    hands = Hands("visible", "infrared")
    frames = hands.frames()
    for name in ("visible", "infrared"):
        hands[name].show(picture(1), "a")
    next(frames)
    del frames
    gc.collect()
    until(lambda: not [t for t in threading.enumerate() if t.name in ("read-visible", "read-infrared")])


def test_live_cameras_and_files_are_not_mixed():
    with pytest.raises(ConfigError, match="visible cannot wait and depth can; take sources of one kind"):
        Stacked({"visible": HandSource, "depth": partial(HandSource, live=False)}, {}, 3, None, PATIENT)


def opened(first: Callable[[], str], second: Callable[[], str]) -> Stacked:
    return Stacked(
        {"visible": lambda: open_source(first()), "infrared": lambda: open_source(second())}, {}, 5, None, PATIENT
    )


def test_the_simulated_lines_cameras_make_a_stack_that_runs_again():
    line = "sim://line?width=128&height=96&frames=6&defects=1&rate=max&modality="
    stack = opened(lambda: line + "visible", lambda: line + "infrared")
    assert not stack.live
    first, second = list(stack.frames()), list(stack.frames())
    for shots in (first, second):
        assert [shot.part for shot in shots] == [str(number) for number in range(1, 7)]
        assert all(shot.image is not None and shot.image.shape == (96, 128, 4) for shot in shots)
    np.testing.assert_array_equal([s.image for s in first], [s.image for s in second])


def test_the_simulated_lines_cameras_share_a_belt_and_a_late_one_sees_the_later_parts():
    line = "sim://line?width=128&height=96&seed=77&defects=1&rate=50&modality="
    early = open_source(line + "visible")
    frames = early.frames()
    assert next(frames).part == "1"
    for _ in range(4):
        next(frames)
    stack = opened(lambda: line + "visible", lambda: line + "infrared")
    assert stack.live
    looks = [Line(77, 128, 96, 1.0, channels, modality=m) for m, channels in (("visible", 3), ("infrared", 1))]
    numbers = []
    for shot in stack.frames():
        if shot.image is not None:
            numbers.append(int(shot.part or 0))
            both = [look.part(numbers[-1]).image for look in looks]
            np.testing.assert_array_equal(shot.image, np.concatenate(both, axis=2))
        if len(numbers) == 4:
            stack.close()
    assert numbers[0] > 4
    assert numbers == sorted(set(numbers))
    frames.close()  # type: ignore[attr-defined]


def test_files_wait_for_each_other_however_long_one_is():
    line = "sim://line?width=128&height=96&rate=max&modality="
    stack = opened(lambda: line + "visible&frames=9", lambda: line + "infrared&frames=3&first=4")
    shots = list(stack.frames())
    assert [shot.part for shot in shots if shot.image is not None] == ["4", "5", "6"]
    assert [shot.fault for shot in shots if shot.image is None] == 6 * ["infrared sent no picture of this part"]
