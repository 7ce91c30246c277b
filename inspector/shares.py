"""Who has had more than its share of the workers' time (pure): max-min fairness, by fair queueing.

A camera that asks for no more than an equal share gets what it asks for, and what it leaves over is shared among those
that ask for more. Each camera has a tag, the virtual time up to which it is served: work moves it on. The present is
the tag of the least served of those that wait; who was idle begins there, so nobody saves up for later. That is
start-time fair queueing (Goyal, Vin, Cheng, SIGCOMM 1996), after Nagle (RFC 970, 1985) and Demers, Keshav and Shenker
("Analysis and simulation of a fair queueing algorithm", SIGCOMM 1989).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable


class Shares:
    """The shares of `cameras`. work: seconds of a worker's time"""

    def __init__(self, cameras: Iterable[str]) -> None:
        self._tags = dict.fromkeys(cameras, 0.0)
        self._now = 0.0

    def charge(self, camera: str, work: float) -> None:
        """A worker takes work of the camera's."""
        self._tags[camera] = max(self._tags[camera], self._now) + work

    def within(self, waiting: Collection[str]) -> list[str]:
        """Which cameras of those `waiting` have had no more than their share: one at least."""
        self._now = max(self._now, min(self._tags[camera] for camera in waiting))
        return [camera for camera in waiting if self._tags[camera] <= self._now]

    def has_had_more(self, camera: str, other: str) -> bool:
        """Whether the camera is served further than the other one."""
        return self._tags[camera] > self._tags[other]
