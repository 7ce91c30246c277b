"""What becomes of a part that several cameras see: a station's one verdict (pure: times are handed in).

A part is ng if any of its cameras says so; else unknown if any of them is, or has not spoken when the part is closed;
else ok. A camera's frame joins the oldest part of its id that it has not seen yet, so that an id may come again.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from threading import Lock

from inspector.types import CameraWord, Frame, Inspection, PartVerdict, Reason, Verdict

MOST_OPEN = 1000
"""Parts of a station that may wait for a camera; one more, and the oldest is closed."""
MOST_REMEMBERED = 1000
"""Closed parts of a station that a camera has not seen yet; so many are known when its frame comes after all."""


@dataclass(frozen=True, slots=True)
class Station:
    """The cameras that see a part. deadline: seconds from a part's first capture until its verdict is due"""

    name: str
    cameras: tuple[str, ...]
    deadline: float


@dataclass(slots=True)
class PartCounts:
    """One station's account. late: frames that were judged when their part had its verdict already"""

    open: int = 0
    late: int = 0
    verdicts: Counter[tuple[Verdict, Reason | None]] = field(default_factory=Counter)


@dataclass(slots=True, eq=False)
class _Part:
    station: Station
    id: str
    captured: float
    captured_ns: int
    deadline: float
    frames: dict[str, int] = field(default_factory=dict)
    words: dict[str, tuple[Verdict, Reason | None]] = field(default_factory=dict)
    is_open: bool = True

    @property
    def is_seen(self) -> bool:
        """Whether every camera has captured it, so that no frame can join it."""
        return len(self.frames) == len(self.station.cameras)

    def may_hold(self, frame: Frame) -> bool:
        """Whether a frame with its id may be of it: its camera has not seen it, and it was not due before the capture.

        One that was captured later is of a tray that comes again, and not late.
        """
        return frame.camera not in self.frames and (self.is_open or frame.captured <= self.deadline)

    def verdict(self, reason: Reason) -> PartVerdict:
        """Its verdict now; a camera that has not spoken is unknown for `reason`."""
        words = tuple(
            CameraWord(camera, self.frames.get(camera), *self.words.get(camera, (Verdict.UNKNOWN, reason)))
            for camera in self.station.cameras
        )
        doubts = [word.reason for word in words if word.verdict is Verdict.UNKNOWN]
        verdict = Verdict.OK if all(word.verdict is Verdict.OK for word in words) else Verdict.UNKNOWN
        if any(word.verdict is Verdict.NG for word in words):
            verdict = Verdict.NG
        why = doubts[0] if verdict is Verdict.UNKNOWN else None
        return PartVerdict(self.station.name, self.id, verdict, why, words, self.captured_ns, self.captured)


class _Table:
    """One station's parts."""

    def __init__(self, station: Station) -> None:
        self.counts = PartCounts()
        self.open: dict[_Part, None] = {}
        self.station = station
        self._by_id: dict[str, list[_Part]] = {}
        self._remembered: deque[_Part] = deque()

    def join(self, frame: Frame, part_id: str) -> _Part:
        """The part that the frame is of; it may be closed."""
        same = self._by_id.setdefault(part_id, [])
        part = next((one for one in same if one.may_hold(frame)), None)
        if part is None:
            due = frame.captured + self.station.deadline
            part = _Part(self.station, part_id, frame.captured, frame.captured_ns, due)
            same.append(part)
            self.open[part] = None
        if frame.captured < part.captured:
            part.captured, part.captured_ns = frame.captured, frame.captured_ns
            part.deadline = frame.captured + self.station.deadline
        part.frames[frame.camera] = frame.number
        if part.is_seen and not part.is_open:
            self._remembered.remove(part)
            self._forget(part)
        return part

    def close(self, part: _Part, reason: Reason) -> PartVerdict:
        """Give an open part its verdict."""
        part.is_open = False
        del self.open[part]
        if part.is_seen:
            self._forget(part)
        else:
            self._remembered.append(part)
            if len(self._remembered) > MOST_REMEMBERED:
                self._forget(self._remembered.popleft())
        verdict = part.verdict(reason)
        self.counts.verdicts[verdict.verdict, verdict.reason] += 1
        return verdict

    def _forget(self, part: _Part) -> None:
        same = self._by_id[part.id]
        same.remove(part)
        if not same:
            del self._by_id[part.id]


class Parts:
    """The parts of all `stations`; every method may be called from any thread.

    Each part that a frame was captured of gets exactly one verdict, by whichever method closes it.
    """

    def __init__(self, stations: Iterable[Station] = ()) -> None:
        self._lock = Lock()
        self._tables = {station.name: _Table(station) for station in stations}
        self._table_of = {camera: table for table in self._tables.values() for camera in table.station.cameras}
        self._part_of: dict[tuple[str, int], _Part] = {}
        self._judged_early: set[tuple[str, int]] = set()
        self._closed = False

    @property
    def deadlines(self) -> list[float]:
        """The stations' deadlines, in seconds."""
        return [table.station.deadline for table in self._tables.values()]

    def due(self, frame: Frame) -> float:
        """When the part of a frame is due if it is the first one of it: monotonic seconds, infinity where none is."""
        if frame.part is None or frame.camera not in self._table_of:
            return float("inf")
        return frame.captured + self._table_of[frame.camera].station.deadline

    def capture(self, frame: Frame) -> list[PartVerdict]:
        """Take a captured frame in; parts that are closed for want of room."""
        if frame.part is None or frame.camera not in self._table_of:
            return []
        key = frame.camera, frame.number
        with self._lock:
            if key in self._judged_early:  # the frame's verdict overtook this call
                self._judged_early.remove(key)
                return []
            return self._take_in(frame, frame.part)

    def judge(self, inspection: Inspection) -> list[PartVerdict]:
        """Take a frame's verdict in; the parts that it closes. Each captured frame is judged once."""
        frame = inspection.frame
        if frame.part is None or frame.camera not in self._table_of:
            return []
        key, closed = (frame.camera, frame.number), []
        with self._lock:
            if key not in self._part_of:
                self._judged_early.add(key)
                closed = self._take_in(frame, frame.part)
            part, table = self._part_of.pop(key), self._table_of[frame.camera]
            if not part.is_open:
                table.counts.late += 1
                return closed
            part.words[frame.camera] = inspection.verdict, inspection.reason
            if len(part.words) == len(part.station.cameras):
                closed.append(table.close(part, Reason.DEADLINE))  # nobody is left to whom the reason applies
            return closed

    def overdue(self, now: float) -> list[PartVerdict]:
        """Close what is due at `now` (monotonic seconds)."""
        with self._lock:
            return self._close(Reason.DEADLINE, now)

    def close(self) -> list[PartVerdict]:
        """Close all, and from now on each part as soon as it comes: nothing is judged any more."""
        with self._lock:
            self._closed = True
            return self._close(Reason.SHUTDOWN, float("inf"))

    def next_deadline(self) -> float:
        """The earliest deadline of an open part (monotonic seconds), infinity if there is none."""
        with self._lock:
            return min((part.deadline for table in self._tables.values() for part in table.open), default=float("inf"))

    def counts(self) -> dict[str, PartCounts]:
        """A consistent copy of the account, by station."""
        with self._lock:
            return {
                name: PartCounts(len(table.open), table.counts.late, Counter(table.counts.verdicts))
                for name, table in self._tables.items()
            }

    def _take_in(self, frame: Frame, part_id: str) -> list[PartVerdict]:
        table = self._table_of[frame.camera]
        self._part_of[frame.camera, frame.number] = table.join(frame, part_id)
        if self._closed:
            return self._close(Reason.SHUTDOWN, float("inf"))
        return [table.close(next(iter(table.open)), Reason.OVERLOAD)] if len(table.open) > MOST_OPEN else []

    def _close(self, reason: Reason, moment: float) -> list[PartVerdict]:
        return [
            table.close(part, reason)
            for table in self._tables.values()
            for part in list(table.open)
            if part.deadline <= moment
        ]
