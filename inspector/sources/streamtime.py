"""A camera's own time mapped to ours (pure): how old a frame was when it arrived, though only its arrival is seen.

What lies between capture and arrival only ever delays. So arrival minus stream time is smallest for the frame that
came fastest; whatever another has more than that is its age. The smallest rises slowly, to follow a camera's clock
that runs slower than ours; one that runs faster brings new ones by itself.

Right after a connection is made that says nothing yet: the first frames are old ones out of buffers, handed out one
after the other. They are told by their stream time, which runs faster than ours until the buffers are empty.
"""

from __future__ import annotations

MOST_DRIFT = 500e-6
"""Seconds a second that clocks may drift apart: as much as NTP slews one."""
SETTLED = 0.25
"""Seconds for which stream time has to keep step with ours until frames are believed to be fresh."""
STEP = 0.1
"""Share by which stream time may run ahead of ours and keep step."""
JUMP = 1.0
"""Seconds that stream time never goes back by itself (frames may come out of order by less), nor ahead."""


class StreamTime:
    """Of one connection; all times are seconds, by the stream's clock or by the monotonic one that sees arrivals."""

    def __init__(self) -> None:
        self._stream: float | None = None
        self._arrival = self._fastest = 0.0
        self._settled = False
        self._since = self._fastest_then = 0.0
        self._latest = float("-inf")

    def captured(self, stream: float, arrival: float) -> float | None:
        """When the frame of that stream time was captured, by the clock of `arrival`, if frames are fresh by now.

        It never goes back, and is never after `arrival`. None: it came out of a buffer, and is older than can be told.
        """
        delay, passed = arrival - stream, arrival - self._arrival
        if self._stream is None or abs(stream - self._stream) - passed > JUMP:
            self._fastest, self._settled = delay, False  # the camera's clock was set, or its clip began again
            self._since, self._fastest_then = arrival, delay
        else:
            self._fastest = min(delay, self._fastest + MOST_DRIFT * passed)
        self._stream, self._arrival = stream, arrival
        if not self._settled and not self._settles(arrival):
            return None
        self._latest = max(self._latest, min(stream + self._fastest, arrival))
        return self._latest

    def _settles(self, arrival: float) -> bool:
        if self._fastest_then - self._fastest > STEP * SETTLED:
            self._since, self._fastest_then = arrival, self._fastest
        self._settled = arrival - self._since >= SETTLED
        return self._settled
