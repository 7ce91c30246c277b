"""The trigger endpoint: whoever fires the cameras says here which part is there, and hears that it was taken.

docs/parts.md tells the format. What makes no sense is counted and refused.
"""

from __future__ import annotations

import json
import logging
import reprlib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import zmq

from inspector.answering import Answering, Keys
from inspector.clock import Clock
from inspector.errors import WireError
from inspector.fields import Fields
from inspector.logs import Tally
from inspector.mailbox import Closed
from inspector.matching import Trigger
from inspector.metrics import TRIGGER_ANSWERS

log = logging.getLogger(__name__)

MAX_REQUEST_BYTES = 4096
MAX_PART = 256
"""Characters of a part's id."""
SKEW_SECONDS = 10.0
"""By how much a trigger's own time may differ from ours."""
WAITING_ANSWERS = 1000
MOST_REMEMBERED = 1000
"""Triggers with a time of their own that are known when they are sent again."""


class _Request(NamedTuple):
    part: str
    cameras: tuple[str, ...]
    at_ns: int | None


class Expecting(Protocol):
    """A camera that is triggered: `Triggers`, or `Firing` where the daemon fires it."""

    @property
    def is_full(self) -> bool:
        """Whether no more can wait."""
        ...

    def add(self, trigger: Trigger) -> None:
        """Expect its frame, without waiting. Raises Closed."""
        ...


class TriggerEndpoint(Answering):
    """Binds `url`, like every `Answering`.

    triggers: by camera, of those that are triggered
    stations: by name, the cameras of each

    answers: how many triggers were taken and refused;  hostile: how many requests made no sense
    """

    def __init__(
        self,
        url: str,
        triggers: Mapping[str, Expecting],
        stations: Mapping[str, Sequence[str]],
        clock: Clock,
        allow_plaintext: bool = False,
        keys: Keys | None = None,
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
    ) -> None:
        self.answers = dict.fromkeys(TRIGGER_ANSWERS, 0)
        self.hostile = 0
        self._triggers = triggers
        self._stations = stations
        self._clock = clock
        self._taken: dict[_Request, None] = {}
        self._refused = Tally(log, logging.WARNING, "refused {count} trigger(s), last: {detail}", clock)
        super().__init__(url, "trigger endpoint", MAX_REQUEST_BYTES, WAITING_ANSWERS, allow_plaintext, keys, context)

    def run(self, beat: Callable[[], None]) -> None:
        """See `Answering`."""

        def look() -> None:
            beat()
            self._refused.tick()

        super().run(look)
        self._refused.flush()

    def answer(self, peer: bytes, parts: Sequence[bytes]) -> Sequence[bytes]:
        """Take a trigger, or say why not."""
        del peer
        try:
            request = self._read(parts)
        except WireError as error:
            self.hostile += 1
            return self._refuse(str(error))
        problem = self._take(request)
        if problem is not None:
            return self._refuse(problem)
        self.answers["taken"] += 1
        return [json.dumps({"taken": True, "part": request.part, "cameras": request.cameras}).encode()]

    def _read(self, parts: Sequence[bytes]) -> _Request:
        if len(parts) != 1:
            raise WireError(f"a trigger has one part, this has {len(parts)}")
        fields = Fields.parse(parts[0])
        part = fields.text("part")
        if not 1 <= len(part) <= MAX_PART or not part.isprintable():
            raise WireError(f"part is {reprlib.repr(part)}; give 1 to {MAX_PART} characters that can be printed")
        return _Request(part, self._cameras(fields), fields.whole("at_ns") if fields.has("at_ns") else None)

    def _cameras(self, fields: Fields) -> tuple[str, ...]:
        """The cameras that the trigger is for: those named, or those of a station, or all that are triggered."""
        named = list(self._triggers)
        if fields.has("cameras"):
            named = fields.texts("cameras")
            stranger = next((camera for camera in named if camera not in self._triggers), None)
            if stranger is not None:
                raise WireError(f"{stranger!r:.80} is no camera that is triggered")
        elif fields.has("station"):
            station = fields.text("station")
            if station not in self._stations:
                raise WireError(f"{station!r:.80} is no station; there are {', '.join(self._stations) or 'none'}")
            named = [camera for camera in self._stations[station] if camera in self._triggers]
        if not named:
            raise WireError("no camera there is triggered")
        return tuple(dict.fromkeys(named))

    def _take(self, request: _Request) -> str | None:
        """Have the cameras wait for their frames; why not, if so."""
        if request in self._taken:  # the answer was lost, and it came again
            return None
        now, now_ns = self._clock.monotonic(), self._clock.wall_ns()
        at_ns = now_ns if request.at_ns is None else request.at_ns
        ahead = (at_ns - now_ns) / 1e9
        if abs(ahead) > SKEW_SECONDS:
            return f"at_ns is {ahead:+.1f} s from this machine's clock; set both clocks right (NTP), or leave it out"
        chosen = [self._triggers[camera] for camera in request.cameras]
        if any(triggers.is_full for triggers in chosen):
            return "too many triggers wait for their frames; the camera does not deliver"
        try:
            for triggers in chosen:
                triggers.add(Trigger(request.part, now + ahead, at_ns))
        except Closed:
            return "the daemon is stopping"
        if request.at_ns is not None:
            self._taken[request] = None
            if len(self._taken) > MOST_REMEMBERED:
                del self._taken[next(iter(self._taken))]
        return None

    def _refuse(self, why: str) -> Sequence[bytes]:
        self.answers["refused"] += 1
        self._refused.add(1, why)
        return [json.dumps({"taken": False, "why": why}).encode()]
