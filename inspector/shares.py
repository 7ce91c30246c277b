"""Which share of its frames each camera loses of late, and who is served for that (pure).

A camera that loses clearly more than the one whose turn it is goes first; so under overload all lose about the same
share, and where nothing is lost nothing changes. That is the proportional loss of Dovrolis and Ramanathan
("Proportional differentiated services, part II: loss rate differentiation and packet dropping", IWQoS 2000) with all
classes alike; West and Schwan's window-constrained scheduling (DWCS, 1999) puts it before the deadlines too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

MEMORY = 5.0
"""Seconds in which what became of a frame fades to 1/e. Not a number of frames: a slow camera would have to lose
dozens, over minutes, before it was helped."""
MARGIN = 0.05
"""By how much a share must be higher than another to count: chance alone moves them a little."""


@dataclass(slots=True)
class _Account:
    """Frames of late, and how many of them were lost; both fade since `at` (monotonic seconds)."""

    frames: float = 0.0
    lost: float = 0.0
    at: float = 0.0


class Shares:
    """The share that each of `cameras` loses of its frames of late, from 0 to 1."""

    def __init__(self, cameras: Iterable[str]) -> None:
        self._accounts = {camera: _Account() for camera in cameras}

    def __getitem__(self, camera: str) -> float:
        """The share that `camera` loses; one frame more than it had is taken as judged, so that it begins at 0."""
        account = self._accounts[camera]
        return account.lost / (account.frames + 1)

    def count(self, camera: str, lost: bool, now: float) -> None:
        """Take in what became of a frame at `now` (monotonic seconds): it was lost, or it is being judged."""
        account = self._accounts[camera]
        left = math.exp((account.at - now) / MEMORY)
        account.frames = account.frames * left + 1
        account.lost = account.lost * left + lost
        account.at = now

    def turn(self, due: str, waiting: Iterable[str]) -> str:
        """Who is served: the camera that is `due`, unless another of those `waiting` loses clearly more."""
        worst = max(waiting, key=self.__getitem__)
        return worst if self[worst] > self[due] + MARGIN else due
