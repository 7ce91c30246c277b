"""Which shots of several cameras show the same part: whatever comes, each shot leaves once, in order, and unmixed."""

from __future__ import annotations

import math
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from inspector.sources.pairing import Group, Pairing, Taken
from inspector.types import Cause, Shot
from tests.inspections import many

PATIENCE = 1e9
DEPTH = 4


class Line:
    """Cameras that send `parts` of a line: what each sends, in its order, and which part that shows."""

    def __init__(self, parts: list[list[int]], named: bool) -> None:
        self.shots = [[Shot(None, str(part) if named else None) for part in camera] for camera in parts]
        self.shows = {id(shot): part for c, camera in enumerate(parts) for shot, part in zip(self.shots[c], camera)}  # noqa: B905
        self.camera = {id(shot): c for c, camera in enumerate(self.shots) for shot in camera}

    def run(self, pairing: Pairing, order: list[int], captured: dict[int, float] | None = None) -> list[Group]:
        """Send the shots, the cameras by turns in `order`; the groups that came of it."""
        left = [list(camera) for camera in self.shots]
        groups: list[Group] = []
        turns = iter([*order, *(list(range(len(left))) * sum(map(len, left)))])
        ended: set[int] = set()
        for came, camera in enumerate(turns):
            groups += everything(pairing, came)
            if not left[camera]:
                if camera not in ended:
                    ended.add(camera)
                    pairing.end(camera)
            elif pairing.has_room(camera):
                shot = left[camera].pop(0)
                pairing.add(camera, Taken(shot, 0.0 if captured is None else captured[id(shot)], came))
        for camera in range(len(left)):
            pairing.end(camera)
        groups += everything(pairing, len(order))
        assert not any(left)
        assert pairing.is_over
        return groups

    def check(self, groups: list[Group]) -> None:
        """Each shot left once, at its camera's place and in its order, and with none of another part."""
        for camera, shots in enumerate(self.shots):
            assert [group[camera] for group in groups if group[camera] is not None] == shots
        seen = [id(shot) for group in groups for shot in group if shot is not None]
        assert len(seen) == len(set(seen))
        for group in groups:
            assert len({self.shows[id(shot)] for shot in group if shot is not None}) == 1


def everything(pairing: Pairing, now: float) -> Iterator[Group]:
    while (group := pairing.take(now)) is not None:
        yield group


def sent(cameras: int, most: int = 12) -> st.SearchStrategy[list[list[int]]]:
    """Parts by camera: each sees some of them, in their order."""
    return st.lists(st.sets(st.integers(0, most)).map(sorted), min_size=cameras, max_size=cameras)


orders = st.lists(st.integers(0, 2), max_size=60)


@many
@given(sent(3), orders, st.booleans())
def test_by_part_id_each_shot_leaves_once_in_order_and_with_its_part(parts, order, live):
    line = Line(parts, named=True)
    line.check(line.run(Pairing(3, DEPTH, live, None, PATIENCE), order))


@many
@given(st.lists(st.sampled_from([None, 0, 1, 2]), max_size=30), orders)
def test_files_lose_no_part_that_all_have_where_gaps_are_shorter_than_the_queue(missing, order):
    for i in range(DEPTH - 1, len(missing)):
        if all(one is not None for one in missing[i - DEPTH + 1 : i + 1]):
            missing[i] = None
    parts = [[part for part, without in enumerate(missing) if without != camera] for camera in range(3)]
    line = Line(parts, named=True)
    groups = line.run(Pairing(3, DEPTH, False, None, PATIENCE), order)
    line.check(groups)
    whole = {line.shows[id(group[0])] for group in groups if None not in group}
    assert whole == {part for part, without in enumerate(missing) if without is None}
    assert len(groups) == len(missing), "what one camera misses is one part less, not two"


@many
@given(st.lists(st.floats(-0.1, 0.1), min_size=36, max_size=36), sent(2), st.none() | st.just(0.3))
def test_by_time_parts_are_never_mixed(jitter, parts, within):
    parts = [list(range(12)), *parts]  # a trigger that runs through: it tells how fast parts come
    line = Line(parts, named=False)
    captured = {key: part + jitter[12 * line.camera[key] + part % 12] for key, part in line.shows.items()}
    order = [line.camera[key] for key in sorted(captured, key=captured.__getitem__)]
    groups = line.run(Pairing(3, 16, True, within, PATIENCE), order, captured)
    line.check(groups)
    common = set(parts[0]) & set(parts[1]) & set(parts[2])
    assert {line.shows[id(group[0])] for group in groups if None not in group} == common


def gap() -> Shot:
    """The word of a camera that counted a frame, which never came."""
    return Shot(None, cause=Cause.MISSING)


class Counting:
    """Three cameras on a line, a part a second: of each part, who loses it; of all lost frames, who counts them."""

    def __init__(self, losers: list[set[int]], counting: set[int], jitter: list[float]) -> None:
        self.parts = [set[int](), *losers, set[int]()]  # the last one's frames tell what was lost before
        self.counted = [part for part, lost in enumerate(self.parts) if len(lost) < 3 or lost & counting]
        self.shows: dict[int, int] = {}
        self.sent: list[tuple[int, Taken]] = []
        gaps = [list[Shot](), list[Shot](), list[Shot]()]
        for part, lost in enumerate(self.parts):
            for camera in sorted(range(3), key=lambda one: jitter[3 * part + one]):
                if camera in lost:
                    gaps[camera] += [gap()] if camera in counting else []
                    continue
                shot, captured = Shot(None), part + jitter[3 * part + camera]
                self.shows[id(shot)] = part
                self.sent += [(camera, Taken(one, captured, captured)) for one in (*gaps[camera], shot)]
                gaps[camera].clear()

    def seen(self, group: Group) -> dict[int, int]:
        """Which part each camera's frame in the group shows."""
        shown = ((camera, self.shows.get(id(shot))) for camera, shot in enumerate(group))
        return {camera: part for camera, part in shown if part is not None}


lines = st.builds(
    Counting,
    st.lists(st.sets(st.integers(0, 2)), max_size=10),
    st.sets(st.integers(0, 2)),
    st.lists(st.floats(-0.1, 0.1), min_size=36, max_size=36),
)


@many
@given(lines)
def test_a_frame_that_a_camera_counted_and_lost_costs_its_own_part_alone(line):
    pairing, groups = Pairing(3, 40, True, 0.3, PATIENCE), []
    for camera, taken in line.sent:
        pairing.add(camera, taken)
        groups += everything(pairing, taken.came)
    for camera in range(3):
        pairing.end(camera)
    groups += everything(pairing, math.inf)
    assert pairing.is_over
    cameras = {part: set(range(3)) - lost for part, lost in enumerate(line.parts)}
    shown = [seen for group in groups if (seen := line.seen(group))]
    assert shown == [dict.fromkeys(cameras[part], part) for part in line.counted if cameras[part]]
    assert len(groups) == len(line.counted), "a part that none has is one group as well, if a camera counted it"


@many
@given(lines, st.lists(st.floats(0, 3), min_size=3, max_size=3), st.floats(0, 4), st.integers(1, 6))
def test_each_frame_leaves_once_however_late_its_camera_tells_of_lost_ones(line, late, patience, depth):
    pairing, groups = Pairing(3, depth, True, 0.3, patience), []
    for camera, taken in sorted(line.sent, key=lambda sent: sent[1].came + late[sent[0]]):
        came = taken.came + late[camera]
        while not pairing.has_room(camera):
            groups += [pairing.take(came)]
        pairing.add(camera, Taken(taken.shot, taken.captured, came))
        groups += everything(pairing, came)
    for camera in range(3):
        pairing.end(camera)
    groups += everything(pairing, math.inf)
    assert pairing.is_over
    for camera in range(3):
        ids = [id(group[camera]) for group in groups if id(group[camera]) in line.shows]
        assert ids == [
            id(taken.shot) for sender, taken in line.sent if sender == camera and id(taken.shot) in line.shows
        ]
    assert all(len(set(line.seen(group).values())) <= 1 for group in groups)
    assert all(any(shot is not None for shot in group) for group in groups)


def test_a_lost_frame_whose_part_has_left_without_it_says_nothing_new():
    pairing = Pairing(2, 8, True, 0.1, 0.5)
    (a1, a3), (b1, b2, b3) = (Shot(None), Shot(None)), (Shot(None), Shot(None), Shot(None))
    for camera, shot, at in ((0, a1, 1.0), (1, b1, 1.0), (1, b2, 2.0)):
        pairing.add(camera, Taken(shot, at, at))
    assert list(everything(pairing, 2.4)) == [(a1, b1)]
    assert list(everything(pairing, 2.5)) == [(None, b2)]
    other = gap()
    for camera, shot in ((0, gap()), (0, other), (0, a3), (1, b3)):
        pairing.add(camera, Taken(shot, 3.0, 3.0))
    groups = list(everything(pairing, 3.0))
    assert groups == [(other, None), (a3, b3)], "one of two is known by then"
    assert groups[0][0] is other


@many
@given(st.integers(0, 9), orders)
def test_files_without_part_ids_go_by_order(count, order):
    line = Line([list(range(count))] * 3, named=False)
    groups = line.run(Pairing(3, DEPTH, False, None, PATIENCE), order)
    line.check(groups)
    assert len(groups) == count


def test_a_live_shot_waits_no_longer_than_its_patience_nor_does_the_queue_grow():
    pairing = Pairing(2, 2, True, 0.1, 0.5)
    assert pairing.due == math.inf
    first, second, third = (Shot(None, str(number)) for number in range(3))
    pairing.add(0, Taken(first, 0.0, 10.0))
    assert pairing.due == 10.5
    assert pairing.take(10.4) is None
    assert pairing.take(10.5) == (first, None)
    pairing.add(0, Taken(second, 1.0, 11.0))
    pairing.add(0, Taken(third, 1.1, 11.1))
    assert not pairing.has_room(0)
    assert pairing.take(11.1) == (second, None)
    assert pairing.has_room(0)


def test_a_part_that_one_has_passed_over_is_told_at_once():
    pairing = Pairing(2, 8, True, 0.1, 5.0)
    (lone, pair), partner = (Shot(None, "1"), Shot(None, "2")), Shot(None, "2")
    pairing.add(0, Taken(lone, 1.0, 1.0))
    pairing.add(1, Taken(partner, 2.0, 2.0))
    assert pairing.take(2.0) is None, "camera 0 may send part 2 yet, and camera 1 part 1 has not been passed by proof"
    pairing.add(0, Taken(pair, 2.0, 2.0))
    assert pairing.take(2.0) == (lone, None)
    assert pairing.take(2.0) == (pair, partner)
    assert pairing.take(2.0) is None


def test_until_the_pace_is_known_nothing_is_paired_by_time():
    pairing = Pairing(2, 8, True, None, 5.0)
    a, b, c, d = (Shot(None) for _ in range(4))
    pairing.add(0, Taken(a, 0.0, 0.0))
    pairing.add(1, Taken(b, 0.45, 0.45))
    assert pairing.take(0.5) is None
    pairing.add(1, Taken(c, 1.4, 1.4))
    assert pairing.take(1.4) == (a, b)
    pairing.add(0, Taken(d, 2.1, 2.1))
    assert pairing.take(2.1) == (None, c), "0.7 apart, at a pace of 0.95"


def test_orders_that_contradict_each_other_do_not_stop_the_line():
    line = Line([[0, 1, 2], [2, 1, 0]], named=True)
    groups = line.run(Pairing(2, 3, False, None, PATIENCE), [])
    line.check(groups)
