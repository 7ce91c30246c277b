"""What is known of a camera while it is read."""

from __future__ import annotations

from dataclasses import dataclass

from inspector.condition.checks import Values
from inspector.condition.monitor import Monitor
from inspector.condition.presence import DELIVERS, Presence, State
from inspector.types import Cause


@dataclass(slots=True)
class CameraState:
    """What the metrics read of a camera; written by its reader. `last_frame`: wall clock, seconds, 0 for none.

    partless: frames without a part's id
    """

    presence: Presence
    monitor: Monitor
    reconnects: int = 0
    last_frame: float = 0.0
    partless: int = 0

    @property
    def state(self) -> State:
        """What it does."""
        return self.presence.state

    @property
    def up(self) -> bool:
        """Whether it delivers frames, or waits for a trigger."""
        return self.state in DELIVERS or self.state is State.WAITING

    @property
    def failing(self) -> frozenset[Cause]:
        """The checks of its pictures that fail."""
        return self.monitor.failing

    @property
    def values(self) -> Values:
        """The last picture's, by check."""
        return self.monitor.values
