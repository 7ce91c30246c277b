"""What is known of a line, added up message by message: pure, bounded, and told in what JSON can say."""

from __future__ import annotations

from collections import deque
from typing import Any

from inspector import wire
from inspector.messages import (
    BeatMessage,
    EventMessage,
    Gone,
    Item,
    Message,
    PartMessage,
    PreviewMessage,
    ResultMessage,
    VerdictMessage,
)
from inspector.types import Event, Verdict
from inspector.view import told
from inspector.view.camera import Camera, Station
from inspector.view.pictures import Defect
from inspector.view.shelf import Place, Shelf

SILENCE_SECONDS = 3.0
"""So long without a beat, and nothing that is shown counts as live."""
ROWS, EVENTS = 60, 100
"""Newest verdicts and events that are listed."""
DEFECTS, DEFECT_BYTES = 300, 128 << 20
VERDICTS, VERDICT_BYTES = 5_000, 16 << 20


class State:
    """A line as far as it was heard of."""

    def __init__(self) -> None:
        self.cameras: dict[str, Camera] = {}
        self.stations: dict[str, Station] = {}
        self.rows: deque[dict[str, Any]] = deque(maxlen=ROWS)
        self.defect_rows: deque[dict[str, Any]] = deque(maxlen=ROWS)
        self.events: deque[dict[str, Any]] = deque(maxlen=EVENTS)
        self.defects: Shelf[Defect] = Shelf(DEFECTS, DEFECT_BYTES)
        self.verdicts: Shelf[VerdictMessage] = Shelf(VERDICTS, VERDICT_BYTES)
        self.catchup: str | None = None
        self.missing = 0
        self.version = 0
        """Counts up with all that changes; rows are numbered by it."""
        self._line: str | None = None
        self._session: int | None = None
        self._sessions = 0
        self._beat: BeatMessage | None = None
        self._beat_at = 0.0

    def take(self, item: Item, now: float) -> None:
        """Add what came at `now`, monotonic seconds."""
        self.version += 1
        if isinstance(item, Gone):
            self._missed(item)
            return
        self._line = item.line
        if isinstance(item, BeatMessage):
            self._beat, self._beat_at, self.catchup = item, now, item.catchup
            self._begin(item)
        elif isinstance(item, PreviewMessage):
            self._show(item, now)
        elif isinstance(item, EventMessage):
            self._happened(item)
        elif isinstance(item, PartMessage):
            self._gathered(item)
        elif isinstance(item, ResultMessage):
            self._defective(item, now)
        else:
            self._judged(item, now)

    def unheard_states(self) -> list[Place]:
        """Where the daemon told the state of cameras, of which we heard nothing as we came later."""
        if self._beat is None:
            return []
        line, session, sequences = self._beat.line, self._beat.session, self._beat.sequences
        topics = {wire.topic("event", line, name): camera.standing for name, camera in self.cameras.items()}
        unheard = {topic: standing.unheard(session, sequences.get(topic, 0)) for topic, standing in topics.items()}
        return [Place(topic, session, sequence) for topic, sequence in unheard.items() if sequence]

    def recall(self, place: Place, message: Message | None) -> None:
        """Add what was asked for at one of `unheard_states`; None: nobody has it any more."""
        if place.session == self._session:
            self.version += 1
            event = message if isinstance(message, EventMessage) else None
            standing = self._camera(_subject(place.topic)).standing
            standing.recall(place, event)
            if event is not None and event is standing.told:  # and not what else happened: the newer would come first
                self._list(event.event)

    def result_of(self, message: VerdictMessage | PreviewMessage) -> Defect | None:
        """The result of the same frame, if it is kept."""
        frame = message.session, message.camera, message.frame
        found = (
            one
            for one in self.defects.newest()
            if (one.message.session, one.message.camera, one.message.frame) == frame
        )
        return next(found, None)

    def daemon(self, now: float) -> dict[str, Any]:
        """Whether the daemon is there. `heard`: seconds since its last beat, null before the first."""
        heard = None if self._beat is None else now - self._beat_at
        if self._beat is None or heard is None:
            state = "waiting"
        elif self._beat.final:
            state = "stopped"
        else:
            state = "silent" if heard > SILENCE_SECONDS else "running"
        return {
            "state": state,
            "heard": heard,
            "line": self._line,
            "restarts": max(self._sessions - 1, 0),
            "missing": self.missing,
        }

    def brief(self, now: float) -> dict[str, dict[str, Any]]:
        """Of each camera what changes with every frame."""
        return {name: camera.brief(now) for name, camera in sorted(self.cameras.items())}

    def parts(self) -> dict[str, dict[str, Any]]:
        """Of each station its counts and its last part."""
        return {name: station.brief() for name, station in sorted(self.stations.items())}

    def survey(self, now: float) -> dict[str, Any]:
        """Of each camera what people look at now and then: over time, distributions, the threshold; and the events."""
        now_ns = self._now_ns(now)
        return {
            "now": now_ns / 1e6,
            "cameras": {name: camera.survey(now_ns) for name, camera in sorted(self.cameras.items())},
            "events": list(self.events),
        }

    def _moment(self, at_ns: int, now: float) -> float:
        """When it was `at_ns` by the daemon's clock, monotonic seconds: what was fetched later is old when it comes."""
        return now - max(0.0, (self._now_ns(now) - at_ns) / 1e9)

    def _now_ns(self, now: float) -> int:
        """The daemon's wall clock, as its last beat told it."""
        if self._beat is None:
            return max((camera.last.captured_ns for camera in self.cameras.values() if camera.last), default=0)
        since = 0.0 if self._beat.final else now - self._beat_at
        return self._beat.at_ns + round(since * 1e9)

    def _begin(self, beat: BeatMessage) -> None:
        if beat.session != self._session:
            self._session = beat.session
            self._sessions += 1
        for camera in self.cameras.values():
            camera.standing.run_in(beat.session)
        for topic in beat.sequences:  # a camera that was lost before we came sends nothing else
            kind, _, name, *_ = topic.split("/") if wire.is_topic(topic) else ("", "", "")
            if kind in ("verdict", "event") and name not in ("", "daemon"):
                self._camera(name)

    def _missed(self, gone: Gone) -> None:
        self.missing += gone.count
        camera = self.cameras.get(_subject(gone.topic))
        if camera is not None and gone.topic.startswith("event/"):
            camera.standing.miss(gone)

    def _camera(self, name: str) -> Camera:
        return self.cameras.setdefault(name, Camera())

    def _judged(self, message: VerdictMessage, now: float) -> None:
        camera = self._camera(message.camera)
        camera.counts[message.verdict] += 1
        if message.reason is not None:
            camera.reasons[message.reason.value] += 1
        camera.pace.add(now)
        camera.last, camera.last_at = message, self._moment(message.captured_ns, now)
        camera.history.add(message.verdict, message.captured_ns)
        camera.latencies.add(message.verdict, message.latency.total * 1000)
        if message.score is not None:
            camera.scores.add(message.verdict, message.score)
        camera.threshold = message.threshold if message.threshold is not None else camera.threshold
        place = told.place_of(message)
        self.verdicts.put(place, message, len(message.raw))
        self.rows.append(self._row(message))

    def _defective(self, message: ResultMessage, now: float) -> None:
        camera = self._camera(message.camera)
        # Since it was told and not since its capture: a line that takes long to judge marks its defects all the same.
        told_ns = message.captured_ns + round(message.latency.total * 1e9)
        camera.defect, camera.defect_at = Defect(message), self._moment(told_ns, now)
        camera.defect_version += 1
        if camera.live is not None and camera.live_is_defect:
            camera.defect.preview = camera.live.jpeg
        size = len(message.raw) + sum(len(payload.data) for payload in message.payloads)
        self.defects.put(told.place_of(message), camera.defect, size)
        self.defect_rows.append(self._row(message))

    def _show(self, message: PreviewMessage, now: float) -> None:
        if message.jpeg is None:
            return
        camera = self._camera(message.camera)
        camera.live, camera.live_at = message, self._moment(message.captured_ns, now)
        camera.live_version += 1
        # A result mostly comes before its frame's preview; but of results that were published together one has it.
        defect = self.result_of(message) if message.verdict is Verdict.NG else None
        if defect is not None:
            defect.preview = message.jpeg
            if defect is camera.defect:
                camera.defect_version += 1

    def _happened(self, message: EventMessage) -> None:
        event = message.event
        if event.subject != "daemon":
            self._camera(event.subject).standing.hear(message)
        self._list(event)

    def _list(self, event: Event) -> None:
        self.events.append(
            {"subject": event.subject, "state": event.state, "detail": event.detail, "at": event.at_ns / 1e6}
        )

    def _gathered(self, message: PartMessage) -> None:
        station = self.stations.setdefault(message.station, Station())
        station.counts[message.verdict] += 1
        station.last = message

    def _row(self, message: VerdictMessage | ResultMessage) -> dict[str, Any]:
        return {"id": self.version, **told.row(message)}


def _subject(topic: str) -> str:
    """Whom a topic is about."""
    return topic.split("/")[2]
