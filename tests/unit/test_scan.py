from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.cameras import source_of
from inspector.clock import ManualClock
from inspector.errors import SourceError
from inspector.judge import Judge
from inspector.settings import Camera
from inspector.sources import open_source, waits
from inspector.sources.scan import Scan
from inspector.types import Detection, Shot, Verdict
from tests.inspections import many
from tests.sources import HandSource

WIDTH = 24


class Strips:
    """A source that gives these shots, and then may fail."""

    live = False

    def __init__(self, shots: list[Shot], fails: bool = False) -> None:
        self.shots, self.fails, self.closed = shots, fails, False

    def frames(self) -> Iterator[Shot]:
        yield from self.shots
        if self.fails:
            raise SourceError("unplugged")

    def close(self) -> None:
        self.closed = True


def strips(web: np.ndarray, heights: list[int]) -> list[Shot]:
    """`web` cut into strips of these heights, again and again."""
    shots, top = [], 0
    while top < len(web):
        height = heights[len(shots) % len(heights)]
        shots.append(Shot(web[top : top + height], part=str(len(shots))))
        top += height
    return shots


def reported(frames: list[Shot]) -> list[int]:
    """The defects that the judge reports of frames in which a pixel's value is its defect's number."""
    found = []
    for frame in frames:
        assert frame.image is not None
        probability = np.where(frame.image[:, :, 0] > 0, np.float32(0.9), np.float32(0))
        judgement = Judge(0.5, 1)(Detection(1.0, probability), *probability.shape, reports=frame.reports)
        assert (judgement.verdict is Verdict.NG) == bool(judgement.regions)
        for region in judgement.regions:
            x, y, _, _ = region.box
            found.append(int(frame.image[y, x, 0]))
    return found


@given(st.data())
@many
def test_a_defect_is_reported_wherever_it_lies_and_once_if_it_is_no_higher_than_the_overlap(
    data: st.DataObject,
) -> None:
    rows = data.draw(st.integers(16, 40))
    overlap = data.draw(st.integers(1, rows // 2))
    length = data.draw(st.integers(1, 200))
    heights = data.draw(st.lists(st.integers(1, 50), min_size=1, max_size=4))
    web = np.zeros((length, WIDTH, 1), np.uint8)
    defects = data.draw(st.lists(st.tuples(st.integers(0, length - 1), st.integers(1, 60)), max_size=WIDTH // 2))
    true = {}
    for number, (top, height) in enumerate(defects, 1):
        web[top : top + height, 2 * number - 2] = number
        true[number] = min(top + height, length) - top
    found = Counter(reported(list(Scan(Strips(strips(web, heights)), rows, overlap).frames())))
    for number, height in true.items():
        assert found[number] >= 1
        if height <= overlap:
            assert found[number] == 1
    assert found.keys() == true.keys()


def test_frames_repeat_the_last_rows_of_the_one_before_and_nothing_is_left_at_the_end() -> None:
    web = np.arange(50, dtype=np.uint8)[:, np.newaxis, np.newaxis].repeat(WIDTH, 1)
    frames = list(Scan(Strips(strips(web, [7])), 20, 4).frames())
    first = [frame.image[0, 0, 0] for frame in frames if frame.image is not None]
    assert first == [0, 16, 30]
    assert [len(frame.image) for frame in frames if frame.image is not None] == [20, 20, 20]
    assert [frame.reports for frame in frames] == [(-math.inf, 18), (2, 18), (4, math.inf)]
    assert [frame.part for frame in frames] == ["2", "5", "7"]


def test_what_was_gathered_is_judged_where_the_strips_are_interrupted() -> None:
    web = np.zeros((30, WIDTH, 1), np.uint8)
    gap = Shot(None, fault="lost")
    frames = list(Scan(Strips([*strips(web, [10]), gap, *strips(web, [10])]), 20, 4).frames())
    kinds = [None if frame.image is None else len(frame.image) for frame in frames]
    assert kinds == [20, 20, None, 20, 20]
    assert frames[2] is gap
    assert frames[3].reports == (-math.inf, 18)  # it repeats nothing

    wider = Shot(np.zeros((10, WIDTH + 1, 1), np.uint8))
    images = [frame.image for frame in Scan(Strips([Shot(web[:5]), wider]), 20, 4).frames()]
    assert [image.shape for image in images if image is not None] == [(5, WIDTH, 1), (10, WIDTH + 1, 1)]


def test_a_source_that_fails_is_judged_to_its_last_row_first() -> None:
    frames = Scan(Strips(strips(np.zeros((25, WIDTH, 1), np.uint8), [5]), fails=True), 20, 4).frames()
    assert len([next(frames), next(frames)]) == 2
    with pytest.raises(SourceError, match="unplugged"):
        next(frames)


@pytest.mark.parametrize("stamp", [None, 5])
def test_a_frame_was_captured_with_its_last_strip_however_late_the_end_is_seen(stamp: int | None) -> None:
    clock = ManualClock()

    class Silent(Strips):
        def frames(self) -> Iterator[Shot]:
            yield from self.shots
            clock.advance(2)
            raise SourceError("gave no frame for 2 s")

    strip = Shot(np.zeros((5, WIDTH, 1), np.uint8), captured_ns=stamp)
    came_ns = clock.wall_ns()
    frames = Scan(Silent([strip]), 20, 4, clock).frames()
    assert next(frames).captured_ns == (stamp or came_ns)
    with pytest.raises(SourceError, match="gave no frame"):
        next(frames)


def test_the_simulated_line_comes_in_strips_too() -> None:
    line = "sim://line?width=128&height=96&frames=3&rate=max"
    parts = [shot.image for shot in open_source(line).frames() if shot.image is not None]
    web = np.concatenate(parts)
    frames = list(Scan(open_source(f"{line}&strip=40"), 100, 20).frames())
    for frame, top in zip(frames, (0, 80, 160, 188), strict=True):
        assert np.array_equal(frame.image, web[top : top + 100])
    assert [frame.part for frame in frames] == ["2", "2", "3", "3"]


@pytest.mark.parametrize(("keys", "repeated"), [({}, 48), ({"scan_overlap": 0}, 0), ({"scan_rows": 192}, 64)])
def test_frames_repeat_64_rows_or_half_of_them_where_nothing_else_is_said(keys: dict[str, Any], repeated: int) -> None:
    keys = {"scan_rows": 96} | keys
    camera = Camera(name="web", source="sim://line?strip=32&height=96&rate=max&frames=4", bundle="b", **keys)
    first, *_ = source_of(camera, {}).frames()
    assert first.reports == (-math.inf, keys["scan_rows"] - repeated / 2)


def test_it_waits_for_a_trigger_while_its_camera_does() -> None:
    camera = HandSource()
    scan = Scan(camera, 20, 4)
    assert not waits(scan)
    camera.waiting = True
    assert waits(scan)


def test_closing_closes_the_source() -> None:
    source = Strips([])
    Scan(source, 20, 4).close()
    assert source.closed
