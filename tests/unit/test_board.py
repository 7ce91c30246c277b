from __future__ import annotations

import io
import random
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from rich.console import Console

from inspector import codecs
from inspector.board import SILENCE_SECONDS, WINDOW, WINDOW_SECONDS, Board, Tally
from inspector.codecs import Formats
from inspector.messages import Message
from inspector.types import Cause, Event, Inspection, ModelTag, Reason, Receipt, Verdict
from inspector.wire import Encoder, decode
from tests.inspections import frame, ng, ok

ENCODER = Encoder("line1", 17, "c0" * 32)
NOON = 1_700_049_600 * 10**9
"""2023-11-15 12:00:00 UTC, in nanoseconds."""


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def unknown(camera: str = "cam1", number: int = 1) -> Inspection:
    return Inspection(frame(camera, number), Verdict.UNKNOWN, Reason.DEADLINE)


def verdict(inspection: Inspection, captured_ns: int = NOON, publish: float = 0.0) -> Message:
    inspection = replace(inspection, frame=replace(inspection.frame, captured_ns=captured_ns))
    return decode(ENCODER.verdict(inspection, 1, publish))


def result(inspection: Inspection) -> Message:
    return decode(ENCODER.result(inspection, 1, codecs.encode(inspection, Formats()), 0.0, 0.0))


def event(subject: str = "cam1", state: str = "down", detail: str = "unplugged") -> Message:
    return decode(ENCODER.event(Event(subject, state, detail, NOON), 1))


def beat(final: bool = False) -> Message:
    return decode(ENCODER.beat({"verdict/line1/cam1/": 3}, NOON, final))


def board(*inspections: Inspection, same_clock: bool = True, now: float = 100.0, waited_ms: int = 20) -> Board:
    """A board that heard of `inspections` at `now`, each `waited_ms` after its capture."""
    made = Board(same_clock)
    for inspection in inspections:
        made.take(verdict(inspection), now, NOON + waited_ms * 10**6)
    return made


def shown(account: Board, missing: int = 0, now: float = 100.0) -> list[str]:
    """The table as a wide terminal shows it, line by line."""
    out = io.StringIO()
    Console(file=out, width=200, color_system=None).print(account.table(missing, now))
    return [line.strip() for line in out.getvalue().splitlines()]


def caption(account: Board, missing: int = 0, now: float = 100.0) -> str:
    """What stands below the table, its lines joined."""
    lines = shown(account, missing, now)
    (end,) = [at for at, line in enumerate(lines) if line.startswith("└")]
    return " ".join(lines[end + 1 :])


def rows(account: Board, now: float = 100.0) -> dict[str, list[str]]:
    """The table's cells by their first."""
    lines = [line for line in shown(account, now=now) if line.startswith("│")]
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]
    return {first: rest for first, *rest in cells}


# ---- counts


def test_verdicts_are_counted_by_camera_and_in_total():
    account = board(ok("cam1"), ok("cam1"), ng("cam1"), unknown("cam2"), ng("cam2"), ng("cam2"))
    assert account.verdicts == 6
    assert account.total.verdicts == {Verdict.OK: 2, Verdict.NG: 3, Verdict.UNKNOWN: 1}
    assert account.cameras["cam1"].verdicts == {Verdict.OK: 2, Verdict.NG: 1}
    assert account.cameras["cam2"].verdicts == {Verdict.NG: 2, Verdict.UNKNOWN: 1}


def test_only_verdicts_count_as_frames():
    account = Board(same_clock=True)
    for message in (result(ng()), event(), beat()):
        account.take(message, 100.0, NOON)
    assert account.verdicts == 0
    assert account.cameras == {}
    assert account.state(100.0) == "running"


# ---- rate and latency


def test_the_rate_is_that_of_the_window():
    tally = Tally()
    assert tally.rate(100.0) == 0.0
    for step in range(10):  # two a second, from 100.0 to 104.5
        tally.take(verdict(ok()), 100.0 + step / 2, 0.0)
    assert tally.rate(105.0) == pytest.approx(10 / 5)
    assert tally.rate(107.0) == pytest.approx(6 / 5)
    assert tally.rate(104.5 + WINDOW_SECONDS) == pytest.approx(1 / 5)
    assert tally.rate(104.6 + WINDOW_SECONDS) == 0.0
    assert tally.verdicts[Verdict.OK] == 10


def test_the_first_frame_is_no_infinite_rate():
    tally = Tally()
    tally.take(verdict(ok()), 100.0, 0.0)
    assert tally.rate(100.0) == pytest.approx(10)


def test_a_fast_camera_is_remembered_up_to_the_windows_size_and_its_rate_is_right():
    tally, message = Tally(), verdict(ok())
    for step in range(2 * WINDOW):
        tally.take(message, 100.0 + step / 1000, 0.0)
    assert len(tally.recent) == WINDOW
    assert tally.rate(100.0 + 2 * WINDOW / 1000) == pytest.approx(1000)


def test_half_and_99_percent_of_the_frames_stay_below_the_percentiles():
    waits = list(range(1, 102))
    random.Random(5).shuffle(waits)
    account = Board(same_clock=True)
    assert account.total.percentiles(100.0) is None
    for wait in waits:
        account.take(verdict(ok(f"cam{wait % 2}")), 100.0, NOON + wait * 10**6)
    assert account.total.percentiles(100.0) == pytest.approx((0.051, 0.100))
    assert account.cameras["cam1"].percentiles(100.0) == pytest.approx((0.051, 0.100))
    assert account.cameras["cam0"].percentiles(100.0) == pytest.approx((0.051, 0.09902))


def test_latency_is_from_capture_to_arrival_where_the_clock_is_ours():
    inspection = replace(ok(), receipt=Receipt(infer=7.0))
    assert board(inspection, waited_ms=30).total.percentiles(100.0) == pytest.approx((0.03, 0.03))


def test_a_clock_that_was_set_back_makes_no_negative_latency():
    assert board(ok(), waited_ms=-500).total.percentiles(100.0) == (0.0, 0.0)


@pytest.mark.parametrize("waited_ms", [-3_600_000, 30, 3_600_000])
def test_latency_is_the_receipts_where_the_clocks_differ(waited_ms):
    account = Board(same_clock=False)
    inspection = replace(ok(), receipt=Receipt(0.001, 0.002, 0.003, 0.004, 0.005))
    account.take(verdict(inspection, publish=0.01), 100.0, NOON + waited_ms * 10**6)
    assert account.total.percentiles(100.0) == pytest.approx((0.025, 0.025))
    assert caption(account).endswith("latency is from capture to publishing, by the daemon's own receipt")


# ---- the last defect


def test_the_last_defect_is_told_with_time_frame_score_and_regions():
    account = board(ng("cam1", 7), ok("cam1", 8), unknown("cam1", 9))
    assert account.cameras["cam1"].last_defect == "12:00:00 frame 7 score 0.88, 1 region(s)"


def test_a_later_defect_replaces_it_and_other_cameras_keep_theirs():
    account = board(ng("cam1", 7), ng("cam2", 3))
    two = replace(ng("cam1", 8), regions=ng().regions * 2, score=None)
    account.take(verdict(two, NOON + 65 * 10**9), 101.0, NOON)
    assert account.cameras["cam1"].last_defect == "12:01:05 frame 8, 2 region(s)"
    assert account.cameras["cam2"].last_defect == "12:00:00 frame 3 score 0.88, 1 region(s)"
    assert account.total.last_defect == "12:01:05 frame 8, 2 region(s)"


def test_a_camera_without_defects_has_none():
    assert board(ok(), unknown()).cameras["cam1"].last_defect == ""


# ---- the state


@pytest.mark.parametrize(
    ("heard", "silence", "state"),
    [
        ([], 0.0, "nothing heard yet"),
        ([], 1000.0, "nothing heard yet"),
        ([beat()], 0.0, "running"),
        ([event()], SILENCE_SECONDS - 0.1, "running"),
        ([beat()], SILENCE_SECONDS, "silent for 3 s"),
        ([verdict(ok())], 61.7, "silent for 62 s"),
        ([beat(final=True)], 0.0, "the daemon said goodbye"),
        ([beat(), beat(final=True)], 1000.0, "the daemon said goodbye"),
        ([beat(final=True), beat()], 0.0, "running"),
        ([beat(final=True), verdict(ok())], 10.0, "silent for 10 s"),
    ],
)
def test_what_the_daemon_does_as_far_as_we_hear(heard, silence, state):
    account = Board(same_clock=True)
    for message in heard:
        account.take(message, 100.0, NOON)
    assert account.state(100.0 + silence) == state
    assert account.line(0, 100.0 + silence).endswith(f"; {state}")
    assert caption(account, now=100.0 + silence).startswith(f"{state}, 0 message(s) missing")


# ---- shown


def test_the_line_tells_all():
    account = board(ok("cam1"), ok("cam1"), ng("cam1"), unknown("cam2"))
    assert account.line(3, 101.0) == (
        "2 camera(s), 2 ok, 1 ng, 1 unknown, 4.0 frames/s, latency p50 20.0 p99 20.0 ms, 3 missing; running"
    )


def test_the_line_of_nothing():
    assert Board(same_clock=True).line(0, 100.0) == (
        "0 camera(s), 0 ok, 0 ng, 0 unknown, 0.0 frames/s, 0 missing; nothing heard yet"
    )


def test_the_table_has_a_row_for_each_camera_by_name_and_one_for_all():
    account = board(ng("cam2", 4), ok("cam10"), ok("cam1"), unknown("cam1"))
    assert rows(account, now=101.0) == {
        "cam1": ["1", "0", "1", "2.0", "20.0", "20.0", ""],
        "cam10": ["1", "0", "0", "1.0", "20.0", "20.0", ""],
        "cam2": ["0", "1", "0", "1.0", "20.0", "20.0", "12:00:00 frame 4 score 0.88, 1 region(s)"],
        "all": ["2", "1", "1", "4.0", "20.0", "20.0", "12:00:00 frame 4 score 0.88, 1 region(s)"],
    }
    assert list(rows(account)) == ["cam1", "cam10", "cam2", "all"]


def test_a_camera_whose_pictures_cannot_be_judged_says_why_until_they_can():
    black = replace(unknown("cam1"), reason=Reason.CAMERA, cause=Cause.BLACK)
    account = board(ng("cam1"), black, ok("cam2"))
    assert rows(account)["cam1"][-1] == "now black: no picture to judge"
    assert rows(account)["cam2"][-1] == ""
    assert "frame 1" in rows(account)["all"][-1]
    account.take(verdict(ok("cam1")), 100.0, NOON)
    assert "frame 1" in rows(account)["cam1"][-1]


def test_the_tables_headings_caption_and_title():
    account = board(ok())
    lines = shown(account)
    assert lines[0] == "bright on CPUExecutionProvider"
    (heading,) = [line for line in lines if line.startswith("┃")]
    assert [cell.strip() for cell in heading.strip("┃").split("┃")] == [
        "camera", "ok", "ng", "unknown", "frames/s", "p50 ms", "p99 ms", "last defect",
    ]  # fmt: skip
    assert caption(account, missing=3) == "running, 3 message(s) missing; latency is from capture to arrival here"


def test_a_table_without_cameras():
    account = Board(same_clock=True)
    assert shown(account)[0] == "no model heard of yet"
    assert caption(account) == "nothing heard yet, 0 message(s) missing; latency is from capture to arrival here"
    assert rows(account) == {"all": ["0", "0", "0", "0.0", "-", "-", ""]}


def test_a_silent_camera_keeps_its_counts_and_loses_its_rate_and_latency():
    account = board(ok("cam1"), ng("cam1", 2))
    account.take(verdict(ok("cam2")), 109.0, NOON + 10**7)
    assert rows(account, now=110.0)["cam1"] == ["1", "1", "0", "0.0", "-", "-", account.cameras["cam1"].last_defect]
    assert rows(account, now=110.0)["all"][:5] == ["2", "1", "0", "1.0", "10.0"]


def test_every_model_is_named_once():
    other = ModelTag("plates [v2]", "cd" * 32, "CUDAExecutionProvider")
    account = board(replace(ok(), model=other), ok(), ok("cam2"), unknown("cam3"))
    assert shown(account)[0] == "bright on CPUExecutionProvider, plates [v2] on CUDAExecutionProvider"


def test_the_newest_event_is_shown_as_it_was_written():
    account = board(ok())
    account.take(event(), 100.0, NOON)
    account.take(event("cam2", "up", "[bold]rtsp://camera[/bold] answers"), 100.0, NOON)
    assert caption(account).endswith(" 12:00:00 cam2 up: [bold]rtsp://camera[/bold] answers")
    assert "unplugged" not in caption(account)


def test_what_is_too_old_for_the_rate_is_too_old_for_the_latency():
    late = board(ok(), waited_ms=20)
    assert "latency p50 20.0" in late.line(0, 100.0)
    assert "latency" not in late.line(0, 110.0)


def test_a_terminal_gets_no_escapes_from_outside():
    account = Board(same_clock=True)
    account.take(event("cam1", "lost", "\x1b[2J\x1b]0;gotcha\x07"), 100.0, NOON)
    text = "\n".join(shown(account))
    assert "lost: ?[2J?]0;gotcha?" in text
    assert "\x1b" not in text
