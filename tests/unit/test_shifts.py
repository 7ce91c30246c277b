from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from inspector.shifts import Shifts

THREE = ("06:00", "14:00", "22:00")


@pytest.fixture(autouse=True)
def berlin() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Europe/Berlin"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Berlin")).timestamp() * 1e9)


@pytest.mark.parametrize(
    ("moment", "shift"),
    [
        ("2026-01-31 05:59:59", "2026-01-30 22:00"),
        ("2026-01-31 06:00:00", "2026-01-31 06:00"),
        ("2026-01-31 13:59:59", "2026-01-31 06:00"),
        ("2026-01-31 23:00:00", "2026-01-31 22:00"),
        ("2026-03-29 05:00:00", "2026-03-28 22:00"),  # the night when summer time begins
        ("2026-10-25 05:59:00", "2026-10-24 22:00"),  # and ends
    ],
)
def test_a_moment_is_in_the_shift_that_began_last(moment: str, shift: str) -> None:
    assert Shifts(THREE).at(at(moment)) == shift


def test_it_follows_the_clock_forth_and_back() -> None:
    shifts = Shifts(THREE)
    moments = ["2026-01-31 07:00", "2026-01-31 15:00", "2026-01-31 07:30", "2026-02-01 07:00"]
    labels = ["2026-01-31 06:00", "2026-01-31 14:00", "2026-01-31 06:00", "2026-02-01 06:00"]
    assert [shifts.at(at(moment)) for moment in moments] == labels


@pytest.mark.parametrize("starts", [("02:30", "03:00", "14:00"), ("02:00", "02:15", "02:45", "03:30"), THREE])
@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])  # when summer time begins, and when it ends
def test_what_it_remembers_is_what_it_would_find_anew(day: str, starts: tuple[str, ...]) -> None:
    minutes = range(at(f"{day} 00:00"), at(f"{day} 06:00"), 60 * 10**9)
    forth, back = Shifts(starts), Shifts(starts)
    anew = [Shifts(starts).at(minute) for minute in minutes]
    assert [forth.at(minute) for minute in minutes] == anew
    assert [back.at(minute) for minute in reversed(minutes)] == anew[::-1]
    assert anew == sorted(anew)


def test_one_start_makes_whole_days() -> None:
    assert Shifts(("00:00",)).at(at("2026-01-31 23:59")) == "2026-01-31 00:00"


@pytest.mark.parametrize("starts", [(), ("6:00",), ("24:00",), ("06:00", "06:00"), ("noon",)])
def test_what_is_no_time_of_day_is_refused(starts: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="local time, such as"):
        Shifts(starts)
