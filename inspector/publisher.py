"""What leaves the house: numbers every message, has the journal keep it, hands it to the outputs, and beats once a
second.

A topic's sequence counts every message that is due, from 1 without gaps, whether or not anybody wants it just then;
what nobody wants and no journal keeps is not encoded. Verdicts go before results, since a reject gate waits for them:
results are owed, and encoded one at a time while there is no verdict to be published.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from inspector import codecs, wire
from inspector.clock import Clock
from inspector.codecs import Formats
from inspector.errors import DataError, OutputError
from inspector.journal.journal import Journal
from inspector.journal.store import Account, Entry
from inspector.outcomes import end_of
from inspector.outputs import Output
from inspector.previews import Previews
from inspector.types import Event, Inspection, Late, PartVerdict, Verdict
from inspector.wire import Encoder

log = logging.getLogger(__name__)

BEAT_SECONDS = 1.0
POLL_SECONDS = 0.005
"""After which it is looked again who subscribes to what."""
DAEMON = "daemon"
"""The subject of events that concern no camera."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """What a publisher keeps, and where.

    shift: names the shift of a moment (nanoseconds since 1970 UTC)
    results: whether results are kept too, or verdicts, events and late results alone
    """

    journal: Journal
    shift: Callable[[int], str]
    results: bool = True


class Recorder(Protocol):
    """Who is told of every verdict once it is out: the flight recorder."""

    def verdict(self, inspection: Inspection, header: bytes, late: bool = False) -> None:
        """Take a frame and its verdict's header, or that of its late result; quickly."""

    def news(self) -> list[tuple[str, str]]:
        """State and detail of events that are to be published."""


class Publisher:
    """Publishes the inspections of `cameras`, and the parts of `stations`, to `outputs`; belongs to one thread, but any
    may read its counts.

    observe: called once an inspection with (inspection, encode_seconds, handed_over): what encoding its payloads took,
    and when its verdict was handed to the outputs, monotonic seconds
    keeping: the journal that has each message before an output has it, if there is one
    recorder: told of every verdict and late result once it is out
    preview_rate: pictures a second of each camera, at the most, for whoever wants to look

    messages, bytes: what was handed to an output so far, by topic
    subscribers: subscriptions that match, by topic, as of the last beat
    errors: messages that could not be encoded or written
    """

    def __init__(
        self,
        outputs: Sequence[Output],
        encoder: Encoder,
        cameras: Iterable[str],
        formats: Formats,
        clock: Clock,
        observe: Callable[[Inspection, float, float], None],
        keeping: Keeping | None = None,
        stations: Iterable[str] = (),
        recorder: Recorder | None = None,
        preview_rate: float = 0.0,
    ) -> None:
        line = encoder.line
        self._verdicts = {camera: wire.topic("verdict", line, camera) for camera in cameras}
        self._results = {camera: wire.topic("result", line, camera) for camera in self._verdicts}
        self._result_topics = frozenset(self._results.values())
        self._parts = {station: wire.topic("part", line, station) for station in stations}
        self._events = {name: wire.topic("event", line, name) for name in (*self._verdicts, DAEMON)}
        self._late = {camera: wire.topic("late", line, camera) for camera in self._verdicts}
        self._previews = Previews(line, self._verdicts if preview_rate else (), preview_rate)
        self._beat = wire.topic("beat", line)
        counted = (self._verdicts, self._results, self._parts, self._events)
        self._sequences = dict.fromkeys((topic for topics in counted for topic in topics.values()), 0)
        self._evidence = dict.fromkeys(self._late.values(), 0)
        topics = (*self._sequences, *self._previews.topics.values(), self._beat)
        self.messages = dict.fromkeys(topics, 0)
        self.bytes = dict.fromkeys(topics, 0)
        self.subscribers = dict.fromkeys(topics, 0)
        self.errors = 0
        self._outputs = [(output, _Trouble(f"the output {output.endpoint}")) for output in outputs]
        self._encoding = _Trouble("the encoding of results")
        self._encoder = encoder
        self._formats = formats
        self._clock = clock
        self._observe = observe
        self._keeping = keeping
        self._recorder = recorder
        self._to_record: list[tuple[Inspection, bytes, bool]] = []
        self._owed: deque[tuple[Inspection, float]] = deque()  # and when its verdict was handed over
        self._beat_due = self._poll_due = clock.monotonic()

    @property
    def hostile(self) -> int:
        """Messages that came in and made no sense."""
        return sum(output.hostile for output, _ in self._outputs)

    @property
    def owed(self) -> int:
        """Results that wait to be encoded."""
        return len(self._owed)

    def publish(self, items: Iterable[Inspection | PartVerdict | Late | Event]) -> None:
        """Publish inspections, parts and events in the order given, and owe the results.

        At the very end a preview, if one is due: never two, so that the next verdict waits for it and a result at most.
        """
        batch: list[Entry] = []
        judged = []
        for item in items:
            if isinstance(item, Late):
                self._keep_late(item.inspection, batch)
            elif isinstance(item, Event):
                self._event(item, batch)
            elif isinstance(item, PartVerdict):
                self._part(item, batch)
            else:
                self._verdict(item, batch)
                judged.append(item)
        self._send(batch)
        handed_over = self._clock.monotonic()
        for inspection in judged:
            if inspection.verdict is Verdict.NG:
                self._owed.append((inspection, handed_over))
            else:
                self._observe(inspection, 0.0, handed_over)
        self._tell_journal()
        self._record()
        self._preview(judged)

    def pay(self) -> None:
        """Encode and publish the result that has been owed longest, if one is."""
        if not self._owed:
            return
        inspection, handed_over = self._owed.popleft()
        batch: list[Entry] = []
        took = self._result(inspection, batch)
        self._observe(inspection, took, handed_over)
        self._send(batch)
        self._tell_journal()

    def tick(self) -> None:
        """Take in subscriptions, and beat if a second is over; call it often."""
        now = self._clock.monotonic()
        if now >= self._poll_due:  # in a flood of verdicts to ask each time would cost as much as half of them
            self._poll_due = now + POLL_SECONDS
            for output, _ in self._outputs:
                output.poll()
        if now >= self._beat_due:
            self._beat_due = now + BEAT_SECONDS
            self._report()
            self._send_beat(final=False)

    def goodbye(self) -> None:
        """Say that nothing follows: the last beat, with the last sequence of each topic."""
        self._report()
        self._send_beat(final=True)

    def cut_off(self) -> None:
        """Have the journal not close its books, as not all is published that ended; from any thread."""
        if self._keeping is not None:
            self._keeping.journal.cut_off()

    def _verdict(self, inspection: Inspection, batch: list[Entry]) -> None:
        frame = inspection.frame
        topic = self._verdicts[frame.camera]
        sequence = self._count(topic)
        end = None
        if self._keeping is not None:
            end = Account(self._keeping.shift(frame.captured_ns), frame.camera, end_of(inspection))
        if self._is_due(topic) or self._recorder is not None:
            parts = self._encoder.verdict(inspection, sequence, self._since(inspection))
            self._add(batch, topic, sequence, parts, end)
            self._to_record.append((inspection, parts[1], False))

    def _result(self, inspection: Inspection, batch: list[Entry]) -> float:
        """Encode the result; the seconds that its payloads took."""
        topic = self._results[inspection.frame.camera]
        sequence = self._count(topic)
        if not self._is_due(topic):
            return 0.0
        waited, started = self._since(inspection), self._clock.monotonic()
        try:
            payloads = codecs.encode(inspection, self._formats)
        except DataError as error:
            self.errors += 1
            self._encoding.happened(error)
            return 0.0
        self._encoding.is_over()
        took = self._clock.monotonic() - started
        self._add(batch, topic, sequence, self._encoder.result(inspection, sequence, payloads, took, waited))
        return took

    def _preview(self, judged: Sequence[Inspection]) -> None:
        """Nobody is owed a preview: it has no sequence, and no journal keeps it."""
        inspection = self._previews.choose(judged, self._is_wanted, self._clock.monotonic)
        if inspection is not None and inspection.frame.image is not None:
            parts = self._encoder.preview(inspection, codecs.preview(inspection.frame.image))
            self._write(self._previews.topics[inspection.frame.camera], parts)

    def _part(self, part: PartVerdict, batch: list[Entry]) -> None:
        topic = self._parts[part.station]
        sequence = self._count(topic)
        if self._is_due(topic):
            seconds = max(self._clock.monotonic() - part.captured, 0.0)
            self._add(batch, topic, sequence, self._encoder.part(part, sequence, seconds))

    def _event(self, event: Event, batch: list[Entry]) -> None:
        topic = self._events[event.subject]
        sequence = self._count(topic)
        if self._is_due(topic):
            self._add(batch, topic, sequence, self._encoder.event(event, sequence))

    def _keep_late(self, inspection: Inspection, batch: list[Entry]) -> None:
        """Evidence, for the journal and the recorder alone."""
        if self._keeping is not None or self._recorder is not None:
            topic = self._late[inspection.frame.camera]
            self._evidence[topic] += 1
            parts = self._encoder.late(inspection, self._evidence[topic])
            self._add(batch, topic, self._evidence[topic], parts)
            self._to_record.append((inspection, parts[1], True))

    def _record(self) -> None:
        """Tell the recorder, now that nobody waits any more."""
        if self._recorder is not None:
            for told in self._to_record:
                self._recorder.verdict(*told)
        self._to_record.clear()

    def _add(
        self, batch: list[Entry], topic: str, sequence: int, parts: Sequence[bytes], end: Account | None = None
    ) -> None:
        batch.append(Entry(topic, sequence, parts, self._clock.wall_ns(), end))

    def _send(self, batch: list[Entry]) -> None:
        """Have the journal keep it, then hand it over."""
        if not batch:
            return
        if self._keeping is not None:
            self._keeping.journal.append([entry for entry in batch if self._is_kept(entry.topic)])
        for entry in batch:
            if entry.topic in self._sequences:
                self._write(entry.topic, entry.parts)

    def _tell_journal(self) -> None:
        """Of a message that was counted and not kept, whoever asks for it has to know."""
        if self._keeping is not None:
            self._keeping.journal.told(self._sequences)

    def _send_beat(self, final: bool) -> None:
        subscribed = [(prefix, number) for output, _ in self._outputs for prefix, number in output.subscribers.items()]
        self.subscribers = {
            topic: sum(number for prefix, number in subscribed if topic.startswith(prefix)) for topic in self.messages
        }
        if self._is_wanted(self._beat):
            self._write(self._beat, self._encoder.beat(self._sequences, self._clock.wall_ns(), final))

    def _since(self, inspection: Inspection) -> float:
        complete = inspection.frame.captured + inspection.receipt.total
        return max(self._clock.monotonic() - complete, 0.0)

    def _count(self, topic: str) -> int:
        self._sequences[topic] += 1
        return self._sequences[topic]

    def _is_kept(self, topic: str) -> bool:
        return self._keeping is not None and (self._keeping.results or topic not in self._result_topics)

    def _is_due(self, topic: str) -> bool:
        """Whether there is a reason to encode a message."""
        return self._is_kept(topic) or self._is_wanted(topic)

    def _is_wanted(self, topic: str) -> bool:
        return any(output.wants(topic) for output, _ in self._outputs)

    def _write(self, topic: str, parts: Sequence[bytes]) -> None:
        """Hand a message to every output that wants it; one that fails hurts only itself."""
        written = False
        for output, trouble in self._outputs:
            if not output.wants(topic):
                continue
            try:
                output.write(topic, parts)
            except OutputError as error:
                self.errors += 1
                trouble.happened(error)
            else:
                trouble.is_over()
                written = True
        if written:
            self.messages[topic] += 1
            self.bytes[topic] += sum(map(len, parts))

    def _report(self) -> None:
        """Publish what began to fail, and what works again."""
        news = [] if self._keeping is None else self._keeping.journal.news()
        news += [] if self._recorder is None else self._recorder.news()
        for trouble in (self._encoding, *(trouble for _, trouble in self._outputs)):
            told = trouble.news()
            if told is not None:
                log.warning("%s", told[1])
                news.append(told)
        batch: list[Entry] = []
        for state, detail in news:
            self._event(Event(DAEMON, state, detail, self._clock.wall_ns()), batch)
        self._send(batch)


class _Trouble:
    """Tallies what goes wrong in one place, so that it is told once when it begins and once when it is over."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._error: Exception | None = None
        self._lasts = False
        self._lost = 0
        self._told = False

    def happened(self, error: Exception) -> None:
        """One more message is lost."""
        self._error = error
        self._lasts = True
        self._lost += 1

    def is_over(self) -> None:
        """A message went through."""
        self._lasts = False

    def news(self) -> tuple[str, str] | None:
        """State and detail of an event, if there is one to be told."""
        if self._lost and not self._told:
            self._told = True
            return "failing", str(self._error)
        if self._told and not self._lasts:
            lost, self._lost, self._told = self._lost, 0, False
            return "recovered", f"{self._place} works again; {lost} message(s) were lost"
        return None
