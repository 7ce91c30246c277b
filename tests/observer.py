"""A subscriber in a thread of its own that writes down everything, and what must be true of it."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from inspector.client import Subscriber
from inspector.journal.reading import Reader
from inspector.messages import Gone, Kind, PartMessage, ResultMessage, VerdictMessage
from tests.waiting import PATIENCE


class Observer:
    """Follows `endpoint` from entering to leaving; what came is in `heard`, by session and topic, in its order."""

    def __init__(self, endpoint: str, kinds: Sequence[Kind] = ("verdict", "result"), **how: Any) -> None:
        self.heard: defaultdict[tuple[int, str], list[int]] = defaultdict(list)
        self.gone: list[Gone] = []
        self.error: BaseException | None = None
        self._changed = threading.Condition()
        self._over = threading.Event()
        self._kinds = tuple(f"{kind}/" for kind in kinds if kind != "event")
        self._thread = threading.Thread(target=self._run, args=(endpoint, kinds, how), daemon=True)

    def __enter__(self) -> Observer:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        assert self.error is None

    def wait_for(self, number: int) -> None:
        """Until so many messages are there."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.count >= number, PATIENCE), f"{self.count} of {number}"

    def wait_for_all(self, journal: Path) -> None:
        """Until everything is there that the journal has of the sessions that are over."""
        with self._changed:
            assert self._changed.wait_for(lambda: not self._missing(journal), PATIENCE), self._missing(journal)

    @property
    def count(self) -> int:
        """Messages that came."""
        return sum(map(len, self.heard.values()))

    def assert_complete(self, journal: Path) -> None:
        """Nothing came twice or out of order, and all came that was published since this one was there."""
        assert self.gone == []
        for (_, topic), sequences in self.heard.items():
            begin = sequences[0]
            assert sequences == list(range(begin, begin + len(sequences))), topic
        sessions = sorted({session for session, _ in self.heard})
        for session, topic in self.heard:
            if session != sessions[0]:  # it came late to the first one alone
                assert self.heard[session, topic][0] == 1, (session, topic)
        assert self._missing(journal) == {}

    def _missing(self, journal: Path) -> dict[tuple[int, str], tuple[int, int]]:
        """By session and topic, the last that came and the last that there is."""
        reader = Reader(journal)
        begin = min((session for session, _ in self.heard), default=0)
        found = {}
        for session in reader.sessions(begin):
            for topic, last in session.sequences.items():
                if session.session == begin and (begin, topic) not in self.heard:
                    continue  # it came late, and this topic's first message later still
                heard = self.heard.get((session.session, topic), [0])[-1]
                if session.final and topic.startswith(self._kinds) and heard != last:
                    found[session.session, topic] = heard, last
        reader.close()
        return found

    def _run(self, endpoint: str, kinds: Iterable[Kind], how: dict[str, Any]) -> None:
        try:
            with Subscriber(endpoint, kinds=kinds, **how) as subscriber:
                while not self._over.is_set():
                    item = subscriber.receive(0.1)
                    with self._changed:
                        if isinstance(item, Gone):
                            self.gone.append(item)
                        elif isinstance(item, VerdictMessage | ResultMessage | PartMessage):
                            subject = item.station if isinstance(item, PartMessage) else item.camera
                            topic = f"{item.kind}/{item.line}/{subject}/"
                            self.heard[item.session, topic].append(item.sequence)
                        self._changed.notify_all()
        except BaseException as error:
            self.error = error
            raise
