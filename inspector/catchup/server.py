"""The catch-up endpoint: a ZeroMQ ROUTER socket that answers requests for what was missed, from an archive.

It never waits for a peer: whoever does not read loses answers, alone, and asks again. No peer can keep the others from
being answered: each has a bucket of tokens, answers are bounded, and what makes no sense is counted and refused.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import zmq

from inspector import address, asking
from inspector.archive import Archive, Chunk
from inspector.asking import Answer, AskSessions, Busy, ChunkAnswer, Refused, Request, RequestError, SessionsAnswer
from inspector.binding import bind
from inspector.catchup.limits import Limits
from inspector.clock import Clock
from inspector.errors import ConfigError, InspectorError

log = logging.getLogger(__name__)

TOKENS_A_SECOND = 400.0
BURST_TOKENS = 400.0
BYTES_A_TOKEN = 1 << 16
"""A request costs a token, and its answer one for so many bytes: a peer reads at most 25 MiB/s in the long run."""
MAX_PEERS = 256
"""So many may ask within the second or so that a bucket takes to fill up."""
WAITING_ANSWERS = 16
"""So many may wait for a peer that does not read, 1 MiB each; it loses the others. So ask for no more at a time."""
WAITING_REQUESTS = 64
"""So many of one peer's may wait to be read; then its connection is not read any more until they are answered."""
FAILED_SECONDS = 5.0
"""How long a peer should wait where the archive cannot be read."""
LONGEST_WAIT = 0.25
"""Seconds after which an idle server looks up, beats and waits again."""
MOST_AT_ONCE = 64
"""Requests that are answered between two beats."""


class Keys(Protocol):
    """What makes a socket safe before it is bound or connected."""

    def arm(self, socket: zmq.Socket[Any]) -> None:
        """Set the options of CURVE."""
        ...


class CatchUp:
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
        is_safe = allow_plaintext or keys is not None
        problem = address.objection(url) or (None if is_safe else address.exposure(url))
        if problem is not None:
            raise ConfigError(f"catch-up endpoint {url!r}: {problem}")
        self.requests = dict.fromkeys(asking.ANSWERS, 0)
        self.messages = 0
        self.hostile = 0
        self._archive = archive
        self._archive_fails = False
        self._clock = clock
        self._limits = Limits(TOKENS_A_SECOND, BURST_TOKENS, MAX_PEERS)
        self._stopped = threading.Event()
        self._owns_context = context is None
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context() if context is None else context
        self._socket = self._context.socket(zmq.ROUTER)
        try:
            self._socket.linger = 0
            self._socket.setsockopt(zmq.SNDHWM, WAITING_ANSWERS)
            self._socket.setsockopt(zmq.RCVHWM, WAITING_REQUESTS)
            self._socket.setsockopt(zmq.MAXMSGSIZE, asking.MAX_REQUEST_BYTES)  # whoever sends more is cut off
            self._socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
            self._socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, 30)
            self._socket.setsockopt(zmq.IPV6, "[" in url)
            if keys is not None:
                keys.arm(self._socket)
            self.endpoint = bind(self._socket, url, "catch-up endpoint")
        except BaseException:
            self.close()
            raise

    def run(self, beat: Callable[[], None]) -> None:
        """Answer until `stop`; `beat` is called as it makes progress, and at least every `LONGEST_WAIT`."""
        while not self._stopped.is_set():
            beat()
            if self._socket.poll(round(LONGEST_WAIT * 1000)):
                self.serve(MOST_AT_ONCE)

    def stop(self) -> None:
        """Make `run` return; from any thread."""
        self._stopped.set()

    def serve(self, most: int) -> None:
        """Answer the requests that wait, at most so many; returns at once where there are none."""
        for _ in range(most):
            try:
                peer, *parts = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            envelope = [peer]
            if len(parts) > 1 and not parts[0]:  # a REQ socket puts an empty part first, and wants it back
                envelope.append(parts.pop(0))
            answer = self._answer(peer, parts)
            if answer is not None:
                self._send(envelope, answer)

    def close(self) -> None:
        """Let go of the address; the thread of `run` must be over."""
        self._socket.close()
        if self._owns_context:
            self._context.destroy(linger=0)

    def _answer(self, peer: bytes, parts: Sequence[bytes]) -> Answer | None:
        """What to say; None where one who is over his limit sends what makes no sense."""
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

    def _send(self, envelope: list[bytes], answer: Answer) -> None:
        """Hand an answer over; ZeroMQ drops it where the peer has left or `WAITING_ANSWERS` wait for it."""
        header, *payloads = asking.encode_answer(answer)
        self._socket.send_multipart([*envelope, header, *payloads], zmq.NOBLOCK)
        if isinstance(answer, ChunkAnswer):
            self.messages += len(answer.chunk.messages)
        self.requests[_OUTCOMES[type(answer)]] += 1


_OUTCOMES = {ChunkAnswer: "chunk", SessionsAnswer: "sessions", Busy: "busy", Refused: "refused"}


def _read(parts: Sequence[bytes]) -> Request:
    if len(parts) != 1:
        raise RequestError(f"a request has one part, this has {len(parts)}", None)
    return asking.decode_request(parts[0])


def _bytes(answer: Answer) -> int:
    """About how much is sent with it."""
    if isinstance(answer, ChunkAnswer):
        return sum(len(part) for kept in answer.chunk.messages for part in kept.parts)
    return 0


def _bounded(chunk: Chunk) -> Chunk:
    """The beginning of a chunk, of at most `MAX_CHUNK_MESSAGES` messages."""
    if len(chunk.messages) <= asking.MAX_CHUNK_MESSAGES:
        return chunk
    last = chunk.messages[asking.MAX_CHUNK_MESSAGES].sequence - 1
    gone = tuple((first, min(end, last)) for first, end in chunk.gone if first <= last)
    return replace(chunk, last=last, messages=chunk.messages[: asking.MAX_CHUNK_MESSAGES], gone=gone)
