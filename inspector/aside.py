"""A text stream for a log that nobody waits for: a thread of its own writes, and what there is no room for is dropped.

Whoever reads our stderr, a pager or a collector of logs, may hang, and then writing does. No verdict may wait for that.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable


class Aside:
    """Writes to a file descriptor, in UTF-8, `most` texts behind at the most.

    lost: told, by the thread that writes, of how many texts were dropped, once there is room again
    """

    def __init__(self, descriptor: int, lost: Callable[[int], None], most: int = 1000) -> None:
        self._descriptor = descriptor
        self._tell = lost
        self._most = most
        self._texts: deque[str] = deque()
        self._changed = threading.Condition()
        self._lost = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def write(self, text: str) -> int:
        """Have `text` written, or dropped; at once."""
        with self._changed:
            if len(self._texts) < self._most:
                self._texts.append(text)
                self._changed.notify_all()
            else:
                self._lost += 1
        return len(text)

    def flush(self) -> None:
        """Do nothing: a handler asks for it with each line, and may not wait."""

    def close(self, patience: float) -> bool:
        """Write what is left, for up to `patience` seconds; whether that is done."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(patience)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._texts or self._closed)
                if not self._texts:
                    return
                text = self._texts[0]  # stays there until it is written: it takes up room
            try:
                self._write(text.encode(errors="backslashreplace"))
            except OSError:  # who read it is gone for good, and there is nobody else to tell
                written = False
            else:
                written = True
            with self._changed:
                self._texts.popleft()
                self._lost += not written
                lost = self._lost if written else 0
                self._lost -= lost
            if lost:
                self._tell(lost)

    def _write(self, content: bytes) -> None:
        while content:
            content = content[os.write(self._descriptor, content) :]
