"""Fires a camera that waits for its software trigger, for each trigger that comes in.

A thread for each camera: one whose driver hangs keeps no other from being fired.
"""

from __future__ import annotations

import logging
import threading
from bisect import insort
from collections.abc import Callable

from inspector.clock import Clock
from inspector.errors import SourceError
from inspector.logs import Tally
from inspector.matching import MOST_WAITING, Trigger, Triggers
from inspector.redact import redact
from inspector.stage import Service

log = logging.getLogger(__name__)

LONGEST_WAIT = 0.25
"""Seconds after which an idle thread looks up, beats and waits again."""


class Firing(Service):
    """Has `fire` take a picture as each trigger's window opens, or at once where it is open.

    camera: its name;  triggers: expect the pictures;  fire: raises SourceError if the camera could not be fired
    """

    def __init__(self, camera: str, triggers: Triggers, fire: Callable[[], None], clock: Clock) -> None:
        self._triggers, self._fire = triggers, fire
        self._clock = clock
        self._changed = threading.Condition()
        self._coming: list[Trigger] = []
        self._stopped = False
        says = f"camera {camera}: not fired for {{count}} trigger(s), last {{detail}}"
        self._failures = Tally(log, logging.WARNING, says, clock, camera)

    @property
    def is_full(self) -> bool:
        """Whether no more triggers can wait for their frames."""
        return self._triggers.is_full

    def add(self, trigger: Trigger) -> None:
        """Expect the trigger's frame, and then have the camera take it. Raises Closed."""
        self._triggers.add(trigger)  # first: no frame may come before its trigger is known
        with self._changed:
            insort(self._coming, trigger, key=lambda one: one.at)
            surplus = self._coming.pop(0) if len(self._coming) > MOST_WAITING else None
            self._changed.notify()
        if surplus is not None:
            self._triggers.fail(surplus, "the camera hangs and was not fired")

    def run(self, beat: Callable[[], None]) -> None:
        """Fire until `stop`."""
        while (trigger := self._next(beat)) is not None:
            try:
                self._shoot(trigger)
            except Exception as error:  # also of a source that breaks its word: it hurts this camera alone
                why = redact(str(error) if isinstance(error, SourceError) else repr(error))
                self._triggers.fail(trigger, f"not fired: {why}")
                self._failures.add(1, f"{trigger.part}: {why}")
        self._failures.flush()

    def stop(self) -> None:
        """Fire no more; from any thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def _next(self, beat: Callable[[], None]) -> Trigger | None:
        """The next trigger, as its window opens; None once stopped."""
        with self._changed:
            while not self._stopped:
                beat()
                self._failures.tick()
                left = LONGEST_WAIT
                if self._coming:
                    left = min(left, self._triggers.opens(self._coming[0]) - self._clock.monotonic())
                if left <= 0:
                    return self._coming.pop(0)
                self._changed.wait(left)
        return None

    def _shoot(self, trigger: Trigger) -> None:
        late = self._clock.monotonic() - self._triggers.closes(trigger)
        if late > 0:  # what it would show now is another part
            raise SourceError(f"its window was over {late:.2g} s ago")
        self._fire()
