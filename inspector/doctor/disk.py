"""The journal's disk: how many days it lasts at this line's rate."""

from __future__ import annotations

from collections.abc import Iterator

from inspector.doctor.case import Case
from inspector.doctor.finding import Finding, failure, fine, skipped, warning
from inspector.doctor.machine import Room
from inspector.errors import OutputError
from inspector.journal.opening import probe
from inspector.settings import Journal

DAY = 86_400
LEAST_FREE = 64 << 20
"""Bytes without which a journal is as good as full: its log alone may take 16 MB."""


def journal(case: Case) -> Iterator[Finding]:
    """Whether it can be written, and whether there is room for what is to be kept."""
    wish = case.line.journal
    if wish.path is None:
        yield warning(
            "nothing is kept: what a subscriber misses is lost to it, and nobody can account for a frame",
            "set journal.path, on a disk that is not the system's",
        )
        return
    probe(wish.path)
    room = case.machine.room(wish.path)
    there = wish.path.stat().st_size if wish.path.exists() else 0
    if room.free < LEAST_FREE:
        yield failure(
            f"{room.place} has {room.free / 1e6:.0f} MB free of {room.total / 1e6:.0f}; a journal needs some",
            "make room, or choose another journal.path",
            OutputError,
        )
        return
    found = case.prediction
    if found is None or found.rate is None:
        yield skipped(
            f"{wish.path}: {room.free / 1e9:.1f} GB free; for how many days is not known without the line's rate",
            "give --rate, and leave out --no-benchmark",
        )
        return
    a_frame = found.bytes_a_frame if wish.results else found.verdict_bytes
    yield from lasting(wish, room, there, a_frame * found.rate * DAY)


def lasting(wish: Journal, room: Room, there: int, bytes_a_day: float) -> Iterator[Finding]:
    """there: bytes that the journal has already;  bytes_a_day: what it will grow by."""
    limit = wish.max_gb * 1e9
    have = room.free + there
    days = min(limit, have) / bytes_a_day
    text = f"{bytes_a_day / 1e9:.2f} GB a day; {_days(days)} fit"
    wanted = wish.keep_days * bytes_a_day
    if have < min(limit, wanted):
        yield failure(
            f"{text} on {room.place}, which has {room.free / 1e9:.1f} GB free; then the disk is full",
            f"set journal.max_gb below {have / 1e9:.1f}, or give it a larger disk",
            OutputError,
        )
    elif limit < wanted:
        yield warning(
            f"{text} into journal.max_gb = {wish.max_gb:g}, fewer than journal.keep_days = {wish.keep_days:g}",
            f"set max_gb = {wanted / 1e9:.0f} for all of them (the disk has {have / 1e9:.0f} GB), or lower keep_days",
        )
    else:
        yield fine(f"{text}, and journal.keep_days = {wish.keep_days:g} are kept ({wanted / 1e9:.1f} GB)")


def _days(days: float) -> str:
    return f"{days:.0f} days" if days >= 10 else f"{days:.1f} days"
