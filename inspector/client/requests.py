"""The requests of one line that are under way: numbered, awaited for so long, and fewer where the server is busy.

Where the network is slow, an answer may come after its request was made again. It counts all the same, and requests
are given more time: else answers that nobody waits for any more would take up the network for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from inspector.asking import Answer, Ask, AskSessions, Busy, ChunkAnswer, Refused, Request, SessionsAnswer
from inspector.errors import WireError

ANSWER_SECONDS = 3.0
"""So long an answer may take, then the request is made again: at least, and twice as long as the last one took."""
LONGEST_PATIENCE = 60.0
"""So long at the most; each time that no answer comes the time is doubled until then."""
MOST_LATE = 64
"""So many requests that were made again may still be answered."""
MOST_UNDER_WAY = 8
LONGEST_PAUSE = 60.0
UNREACHABLE_SECONDS = 0.1
"""Pause before asking again where there is no connection."""
BEAT_SECONDS = 1.0
"""Between two beats of a daemon."""
MOST_CUT_OFF = 60.0
"""So many seconds there may be no connection while the daemon beats; then what is missing is given up."""
MOST_SILENT = 600.0
"""So many there may be no answer though there is a connection: a large one takes its time on a slow network."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request, when it was made, how long its answer may take, and who is told when it is there or does not come."""

    request: Request
    made: float
    patience: float
    over: Callable[[], None]


class Requests:
    """Numbers requests and matches answers to them."""

    def __init__(self) -> None:
        self._number = 0
        self._waiting: dict[int, Waiting] = {}
        self._late: dict[int, Waiting] = {}
        self._patience = ANSWER_SECONDS
        self._pause_until = 0.0
        self._is_cut_off = False
        self._beat_at = 0.0
        self._silence = 0.0
        """Of what is borne of it, from 0 to 1."""

    def __len__(self) -> int:
        return len(self._waiting)

    def expire(self, now: float) -> None:
        """Give up those that waited too long."""
        late = {number: one for number, one in self._waiting.items() if now >= one.made + one.patience}
        for number, waiting in late.items():
            del self._waiting[number]
            self._patience = max(self._patience, min(2 * waiting.patience, LONGEST_PATIENCE))
            waiting.over()
        self._late |= late
        while len(self._late) > MOST_LATE:
            del self._late[next(iter(self._late))]

    def beat(self, now: float) -> bool:
        """The daemon beat, and something is missing: whether it has left us without an answer for too long.

        Seconds without beats do not count, in which it is down, or the way to it is, or nobody looked.
        """
        most = MOST_CUT_OFF if self._is_cut_off else MOST_SILENT
        self._silence += min(now - self._beat_at, BEAT_SECONDS) / most
        self._beat_at = now
        return self._silence >= 1.0

    def may_ask(self, now: float) -> bool:
        """Whether another request may be made."""
        return len(self._waiting) < MOST_UNDER_WAY and now >= self._pause_until

    def next_number(self) -> int:
        """The number for the next request."""
        self._number += 1
        return self._number

    def made(self, request: Request, now: float, over: Callable[[], None]) -> None:
        """A request is made."""
        self._is_cut_off = False
        self._waiting[request.id] = Waiting(request, now, self._patience, over)

    def unsent(self, request: Request, now: float) -> None:
        """A request that was made could not be sent."""
        self._waiting.pop(request.id).over()
        self._is_cut_off = True
        self._pause_until = now + UNREACHABLE_SECONDS

    def answered(self, answer: Answer, now: float) -> Request | None:
        """The request that `answer` answers, in time or late; None where it is answered, or forgotten.

        Raises WireError for an answer to something else; the request then goes on waiting for its own.
        """
        number = answer.id
        waiting = None if number is None else self._waiting.get(number) or self._late.get(number)
        if number is None or waiting is None:
            return None
        if not _fits(waiting.request, answer):
            raise WireError(f"answer {number} is none to what was asked")
        self._silence = 0.0
        if self._late.pop(number, None) is None:
            del self._waiting[number]
            waiting.over()
            self._patience = min(max(ANSWER_SECONDS, 2 * (now - waiting.made)), LONGEST_PATIENCE)
            if isinstance(answer, Busy):
                self._pause_until = now + min(answer.wait, LONGEST_PAUSE)
        return waiting.request

    def forget(self) -> None:
        """Whoever was asked is not there any more."""
        for waiting in self._waiting.values():
            waiting.over()
        self._waiting.clear()
        self._late.clear()
        self._pause_until = 0.0
        self._silence = 0.0


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
