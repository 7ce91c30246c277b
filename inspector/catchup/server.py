"""The catch-up endpoint: answers requests for what was missed, from an archive.

No peer can keep the others from being answered: each has a bucket of tokens, answers are bounded, and what makes no
sense is counted and refused.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import zmq

from inspector import asking
from inspector.answering import Answering, Keys
from inspector.archive import Archive, Chunk
from inspector.asking import Answer, AskSessions, Busy, ChunkAnswer, Refused, Request, RequestError, SessionsAnswer
from inspector.catchup.limits import Limits
from inspector.clock import Clock
from inspector.errors import InspectorError

log = logging.getLogger(__name__)

TOKENS_A_SECOND = 400.0
BURST_TOKENS = 400.0
BYTES_A_TOKEN = 1 << 16
"""A request costs a token, and its answer one for so many bytes: a peer reads at most 25 MiB/s in the long run."""
MAX_PEERS = 256
"""So many may ask within the second or so that a bucket takes to fill up."""
WAITING_ANSWERS = 16
"""So many may wait for a peer that does not read, 1 MiB each; it loses the others. So ask for no more at a time."""
FAILED_SECONDS = 5.0
"""How long a peer should wait where the archive cannot be read."""


class CatchUp(Answering):
    """Binds `url`; port 0 or * takes any free one, and `endpoint` says which. `run` belongs to one thread.

    keys: arm the socket; without them other machines may reach it only where `allow_plaintext` says so
    context: a ZeroMQ context to share, otherwise it makes its own

    requests: answered so far, by outcome;  messages: handed over in chunks so far
    hostile: how many requests made no sense
    Raises ConfigError for an address that is wrong or refused, and OutputError for one that cannot be had now.
    """

    def __init__(
        self,
        url: str,
        archive: Archive,
        clock: Clock,
        allow_plaintext: bool = False,
        keys: Keys | None = None,
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
    ) -> None:
        self.requests = dict.fromkeys(asking.ANSWERS, 0)
        self.messages = 0
        self.hostile = 0
        self._archive = archive
        self._archive_fails = False
        self._clock = clock
        self._limits = Limits(TOKENS_A_SECOND, BURST_TOKENS, MAX_PEERS)
        what = "catch-up endpoint"
        super().__init__(url, what, asking.MAX_REQUEST_BYTES, WAITING_ANSWERS, allow_plaintext, keys, context)

    def answer(self, peer: bytes, parts: Sequence[bytes]) -> Sequence[bytes] | None:
        """The parts to send; None where one who is over his limit sends what makes no sense."""
        answer = self._answer(peer, parts)
        if answer is None:
            return None
        if isinstance(answer, ChunkAnswer):
            self.messages += len(answer.chunk.messages)
        self.requests[_OUTCOMES[type(answer)]] += 1
        return asking.encode_answer(answer)

    def _answer(self, peer: bytes, parts: Sequence[bytes]) -> Answer | None:
        now = self._clock.monotonic()
        wait = self._limits.wait(peer, now)
        try:
            request = _read(parts)
        except RequestError as error:
            self.hostile += 1
            if wait > 0:
                return None
            self._limits.charge(peer, 1, now)
            return Refused(error.id, str(error))
        if wait > 0:
            return Busy(request.id, wait)
        answer = self._look_up(request)
        self._limits.charge(peer, 1 + _bytes(answer) / BYTES_A_TOKEN, now)
        return answer

    def _look_up(self, request: Request) -> ChunkAnswer | SessionsAnswer | Busy:
        try:
            answer: ChunkAnswer | SessionsAnswer
            if isinstance(request, AskSessions):
                answer = SessionsAnswer(request.id, asking.first_sessions(self._archive.sessions(request.since)))
            else:
                of = request.session, request.topic, request.first, request.last
                answer = ChunkAnswer(request.id, _bounded(self._archive.read(*of, asking.MAX_CHUNK_BYTES)))
        except InspectorError as error:
            if not self._archive_fails:
                log.warning("catch-up has to wait: %s", error)
            self._archive_fails = True
            return Busy(request.id, FAILED_SECONDS)
        self._archive_fails = False
        return answer


_OUTCOMES = {ChunkAnswer: "chunk", SessionsAnswer: "sessions", Busy: "busy", Refused: "refused"}


def _read(parts: Sequence[bytes]) -> Request:
    if len(parts) != 1:
        raise RequestError(f"a request has one part, this has {len(parts)}", None)
    return asking.decode_request(parts[0])


def _bytes(answer: Answer) -> int:
    """About how much is sent with it."""
    if isinstance(answer, ChunkAnswer):
        return sum(kept.size for kept in answer.chunk.messages)
    return 0


def _bounded(chunk: Chunk) -> Chunk:
    """The beginning of a chunk, of at most `MAX_CHUNK_MESSAGES` messages."""
    if len(chunk.messages) <= asking.MAX_CHUNK_MESSAGES:
        return chunk
    last = chunk.messages[asking.MAX_CHUNK_MESSAGES].sequence - 1
    gone = tuple((first, min(end, last)) for first, end in chunk.gone if first <= last)
    return replace(chunk, last=last, messages=chunk.messages[: asking.MAX_CHUNK_MESSAGES], gone=gone)
