"""A live source, read as fast as it gives frames: one that is read in step with a slow model falls behind and fails."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from inspector.condition.learn import MOST_REPEATS
from inspector.mailbox import Closed, Mailbox
from inspector.sources import Source
from inspector.sources.stacked import FAREWELL
from inspector.types import Shot

RUN = MOST_REPEATS + 2
"""Frames that are kept for whoever is slower, so many in a row: what a healthy camera repeats is learnt from such."""


class Live:
    """The frames of `source`, read in a thread of its own; what comes while a run of them waits is left out."""

    live = True

    def __init__(self, source: Source) -> None:
        self._source = source
        self._shots = Mailbox[Shot]({"": RUN})
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._read, name="read", daemon=True)

    def frames(self) -> Iterator[Shot]:
        """Open the source, once. What it raises is raised here, after what came before."""
        self._thread.start()
        try:
            while True:
                yield from self._shots.take(1).items
        except Closed:
            if self._failure is not None:
                raise self._failure from None

    def close(self) -> None:
        """End the source and its thread; one that hangs in its driver is left behind."""
        self._shots.close()
        self._source.close()
        if self._thread.ident is not None:
            self._thread.join(FAREWELL)

    def _read(self) -> None:
        resting = False
        try:
            for shot in self._source.frames():
                held = len(self._shots)
                resting = held > 0 if resting else held >= RUN
                if not resting:
                    self._shots.offer("", shot)
        except Closed:
            pass  # nobody takes any more
        except Exception as error:  # of sources of other packages anything: it is for whoever takes the frames
            self._failure = error
        finally:
            self._shots.close()
