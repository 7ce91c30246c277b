"""What a camera does, as far as its events told: pure."""

from __future__ import annotations

from inspector.messages import EventMessage, Gone
from inspector.view.shelf import Place

STATES = frozenset({"connecting", "waiting", "streaming", "stalled", "frozen", "lost", "ended"})
"""What an event may say of a camera for good; other events tell of something that happened once."""


class Standing:
    """One camera's.

    told: the last event that told its state; None where none did, or where another one may have been missed
    """

    def __init__(self) -> None:
        self.told: EventMessage | None = None
        self._known: tuple[int, int] | None = None
        """Session and sequence since which nothing is to be asked for."""

    @property
    def state(self) -> str | None:
        """The word for it."""
        return None if self.told is None else self.told.event.state

    def hear(self, event: EventMessage) -> None:
        """An event came. What counts is its place and not its time: the daemon's clock may have been set back."""
        if self._known is None or self._known[0] != event.session:
            self._known = event.session, event.sequence
        last = self.told
        is_news = last is None or event.session != last.session or event.sequence > last.sequence
        if is_news and event.event.state in STATES:
            self.told = event

    def miss(self, events: Gone) -> None:
        """Events were published that nobody can have any more."""
        if self.told is not None and self.told.session == events.session and self.told.sequence < events.first:
            self.told = None
        self._known = events.session, 1

    def unheard(self, session: int, last: int) -> int:
        """The sequence of the event that may tell its state, of `last` in a session; 0 where none is to be asked for.

        The last one may tell of something else: then the one before it is to be asked for, and so on.
        """
        if self.told is not None:
            return 0
        return self._known[1] - 1 if self._known is not None and self._known[0] == session else last

    def recall(self, place: Place, event: EventMessage | None) -> None:
        """That one was asked for; None: nobody has it, so that what was told before it may be over."""
        self._known = place.session, 1 if event is None else place.sequence
        if event is not None:
            self.hear(event)

    def run_in(self, session: int) -> None:
        """That session runs, so that what was told in another one is over."""
        if self.told is not None and self.told.session != session:
            self.told = None
