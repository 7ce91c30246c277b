"""A factory's shifts: which one a moment belongs to (pure but for the machine's time zone)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

_START = re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)


class Shifts:
    """starts: local times of day, such as 06:00, 14:00 and 22:00; a shift lasts until the next one begins.

    Raises ValueError for what is no time of day, or given twice.
    """

    def __init__(self, starts: Sequence[str]) -> None:
        wrong = [start for start in starts if not _START.fullmatch(start)]
        if wrong or not starts or len(set(starts)) < len(starts):
            raise ValueError('give each shift\'s start once, as local time, such as ["06:00", "14:00", "22:00"]')
        self._starts = sorted(starts)
        self._label = ""
        self._begin = self._end = 0  # nanoseconds; between them every moment has the label

    def at(self, moment_ns: int) -> str:
        """The shift of `moment_ns` (nanoseconds since 1970 UTC): its start as `2026-01-31 06:00`, local time.

        Labels sort as the shifts follow each other.
        """
        label, begin, end = self._label, self._begin, self._end
        if not begin <= moment_ns < end:
            # The cache is three attributes and several threads call: a torn one must never be read.
            label, begin, end = self._find(moment_ns)
            self._begin = self._end = 0
            self._label = label
            self._begin, self._end = begin, end
        return label

    def _find(self, moment_ns: int) -> tuple[str, int, int]:
        moment = datetime.fromtimestamp(moment_ns / 1e9)
        days = [moment.date() + timedelta(days=number) for number in (-1, 0, 1)]
        labels = [f"{day.isoformat()} {start}" for day in days for start in self._starts]
        edges = [round(datetime.fromisoformat(label).timestamp() * 1e9) for label in labels]
        index = max(index for index, edge in enumerate(edges) if edge <= moment_ns)
        # Not simply the next: a start in the hour that summer time skips comes after those that follow it.
        return labels[index], edges[index], min(edge for edge in edges if edge > moment_ns)
