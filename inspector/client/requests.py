"""The requests of one line that are under way: numbered, awaited for so long, and fewer where the server is busy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from inspector.asking import Answer, Ask, AskSessions, Busy, ChunkAnswer, Refused, Request, SessionsAnswer
from inspector.errors import WireError

ANSWER_SECONDS = 3.0
"""So long an answer may take; then the request counts as lost, and is made again."""
MOST_UNDER_WAY = 8
LONGEST_PAUSE = 60.0
UNREACHABLE_SECONDS = 0.1
"""Pause before asking again where there is no connection."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request, when it counts as lost, and who is told when it is answered or lost."""

    request: Request
    until: float
    over: Callable[[], None]


class Requests:
    """Numbers requests and matches answers to them."""

    def __init__(self) -> None:
        self._number = 0
        self._waiting: dict[int, Waiting] = {}
        self._pause_until = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    def expire(self, now: float) -> None:
        """Give up those that waited too long."""
        for number in [number for number, waiting in self._waiting.items() if now >= waiting.until]:
            self._waiting.pop(number).over()

    def may_ask(self, now: float) -> bool:
        """Whether another request may be made."""
        return len(self._waiting) < MOST_UNDER_WAY and now >= self._pause_until

    def next_number(self) -> int:
        """The number for the next request."""
        self._number += 1
        return self._number

    def made(self, request: Request, now: float, over: Callable[[], None]) -> None:
        """A request is made."""
        self._waiting[request.id] = Waiting(request, now + ANSWER_SECONDS, over)

    def unsent(self, request: Request, now: float) -> None:
        """A request that was made could not be sent."""
        self._waiting.pop(request.id).over()
        self._pause_until = now + UNREACHABLE_SECONDS

    def answered(self, answer: Answer, now: float) -> Request | None:
        """The request that `answer` answers; None where nobody waits for it any more.

        Raises WireError for an answer to something else; the request then goes on waiting until it counts as lost.
        """
        waiting = None if answer.id is None else self._waiting.get(answer.id)
        if waiting is None:
            return None
        if not _fits(waiting.request, answer):
            raise WireError(f"answer {answer.id} is none to what was asked")
        del self._waiting[waiting.request.id]
        waiting.over()
        if isinstance(answer, Busy):
            self._pause_until = now + min(answer.wait, LONGEST_PAUSE)
        return waiting.request

    def forget(self) -> None:
        """Whoever was asked is not there any more."""
        for waiting in self._waiting.values():
            waiting.over()
        self._waiting.clear()
        self._pause_until = 0.0


def _fits(request: Request, answer: Answer) -> bool:
    if isinstance(answer, Busy | Refused):
        return True
    if isinstance(request, AskSessions):
        return isinstance(answer, SessionsAnswer)
    if isinstance(answer, SessionsAnswer):
        return False
    assert isinstance(request, Ask) and isinstance(answer, ChunkAnswer)  # noqa: S101, PT018 - there are no others
    chunk = answer.chunk
    asked = (request.session, request.topic, request.first)
    return (chunk.session, chunk.topic, chunk.first) == asked and chunk.last <= request.last
