"""What a camera does, as far as its events told: pure."""

from __future__ import annotations

from inspector.messages import EventMessage, Gone

STATES = frozenset({"connecting", "waiting", "streaming", "stalled", "frozen", "lost", "ended"})
"""What an event may say of a camera for good; other events tell of something that happened once."""


class Standing:
    """One camera's.

    told: the last event that told its state; None where none did, or where another one may have been missed
    """

    def __init__(self) -> None:
        self.told: EventMessage | None = None

    @property
    def state(self) -> str | None:
        """The word for it."""
        return None if self.told is None else self.told.event.state

    def hear(self, event: EventMessage) -> None:
        """An event came. What counts is its place and not its time: the daemon's clock may have been set back."""
        last = self.told
        is_news = last is None or event.session != last.session or event.sequence > last.sequence
        if is_news and event.event.state in STATES:
            self.told = event

    def miss(self, events: Gone) -> None:
        """Events were published that nobody can have any more."""
        if self.told is not None and self.told.session == events.session and self.told.sequence < events.first:
            self.told = None

    def run_in(self, session: int) -> None:
        """That session runs, so that what was told in another one is over."""
        if self.told is not None and self.told.session != session:
            self.told = None
