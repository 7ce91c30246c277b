"""The ledger: the one place that decides a frame's verdict for good.

captured = ok + ng + unknown + in flight, at every moment, for each camera. Whoever settles a frame first has settled
it: a worker with its result, the deadline watch, a reader whose queue is full, the drain at shutdown. What
comes later is counted, and kept as evidence; it is no verdict.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from threading import Lock

from inspector.mailbox import Closed
from inspector.types import Frame, Inspection, Late, Reason, Verdict


@dataclass(slots=True)
class Counts:
    """One camera's account. `late`: results that came after the verdict was settled, or past the deadline."""

    captured: int = 0
    in_flight: int = 0
    late: int = 0
    verdicts: Counter[tuple[Verdict, Reason | None]] = field(default_factory=Counter)


class Ledger:
    """Keeps the frames in flight and the counts of `cameras`; every method may be called from any thread.

    shift: names the shift of a moment (nanoseconds since 1970 UTC)
    on_capture: told (camera, its number of frames so far) of every frame, before anything else happens to it
    """

    def __init__(
        self,
        cameras: Iterable[str],
        shift: Callable[[int], str] = lambda _: "",
        on_capture: Callable[[str, int], None] = lambda _camera, _frames: None,
    ) -> None:
        self._lock = Lock()
        self._shift = shift
        self._on_capture = on_capture
        self._closed = False
        self._counts = {camera: Counts() for camera in cameras}
        # In order of capture. Not always of deadlines: a camera may send an older frame after a newer one.
        self._in_flight: dict[str, dict[int, Frame]] = {camera: {} for camera in self._counts}
        self._captured: Counter[tuple[str, str]] = Counter()

    def open(self, frame: Frame) -> None:
        """Take a captured frame into account. Raises Closed once `close` was called: then it was never captured."""
        with self._lock:
            if self._closed:
                raise Closed
            counts = self._counts[frame.camera]
            counts.captured += 1
            self._on_capture(frame.camera, counts.captured)
            self._captured[frame.camera, self._shift(frame.captured_ns)] += 1
            self._in_flight[frame.camera][frame.number] = frame

    def newly_captured(self) -> Mapping[tuple[str, str], int]:
        """By camera and shift, the frames captured since the last call."""
        with self._lock:
            captured, self._captured = self._captured, Counter()
        return captured

    def settle(self, inspection: Inspection, now: float) -> tuple[Inspection | Late, ...]:
        """Settle a frame: the inspection to publish, unless it was settled before, and the result that came too late.

        now: monotonic seconds. A verdict by proof that comes after the deadline is `unknown: deadline` instead, even
        if nobody has noticed the deadline yet. Only proof can be late: an `unknown` that comes second tells nothing.
        """
        frame = inspection.frame
        proven = inspection.verdict is not Verdict.UNKNOWN
        with self._lock:
            counts = self._counts[frame.camera]
            was_open = self._in_flight[frame.camera].pop(frame.number, None) is not None
            is_late = proven and (not was_open or now > frame.deadline)
            told = Inspection(frame, Verdict.UNKNOWN, Reason.DEADLINE) if is_late else inspection
            counts.late += is_late
            if was_open:
                counts.verdicts[told.verdict, told.reason] += 1
        return (*((told,) if was_open else ()), *((Late(inspection),) if is_late else ()))

    def is_open(self, frame: Frame) -> bool:
        """Whether the frame still waits for its verdict."""
        return frame.number in self._in_flight[frame.camera]

    def overdue(self, now: float) -> list[Frame]:
        """Frames in flight whose deadline has passed at `now` (monotonic seconds)."""
        return [frame for frame in self.in_flight() if frame.deadline <= now]

    def next_deadline(self) -> float:
        """The earliest deadline in flight (monotonic seconds), infinity if there is none."""
        return min((frame.deadline for frame in self.in_flight()), default=float("inf"))

    def in_flight(self) -> list[Frame]:
        """All frames that wait for their verdict."""
        with self._lock:
            return [frame for frames in self._in_flight.values() for frame in frames.values()]

    def close(self) -> None:
        """Accept no captured frame any more."""
        with self._lock:
            self._closed = True

    def counts(self) -> dict[str, Counts]:
        """A consistent copy of the account, by camera."""
        with self._lock:
            return {
                camera: Counts(counts.captured, len(self._in_flight[camera]), counts.late, Counter(counts.verdicts))
                for camera, counts in self._counts.items()
            }
