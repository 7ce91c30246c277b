"""The process of an isolated camera: `python -m inspector.sources.child`, started by isolated.py and by nobody else.

It speaks with its parent over a socket that keeps messages apart; each message of its own is one object of JSON:

beat, twice a second      whether the source waits for a trigger; also while the driver waits, unless it keeps Python
                          from running
shot                      a picture's slot and offset in the shared memory, its shape, and what else is known of it
log                       level, logger, text
end, or error             the source is through, or raised; and the process ends

fired                     why the source could not be fired, or null; one for each time that the parent asked

The parent sends the source's URL first, then the number of each slot that it has emptied, and `FIRE` to have the source
fired. When the socket closes, the source is closed; and if that does not end it, the process ends itself.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import queue
import select
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from typing import Any

import cv2

from inspector.errors import InspectorError, RefusedError, SourceError
from inspector.redact import redact
from inspector.sources import Source, open_source, shutter_of, waits
from inspector.sources.ring import Writer
from inspector.types import Shot

BEAT = 0.5
"""Seconds between two beats."""
NICENESS = 5
"""As the daemon's workers: a process that starts again and again may not take their time, nor that of verdicts."""
GRACE = 1.0
"""Seconds that a source gets to end when the parent closes or is gone."""
FIRE = 255
"""No slot has this number."""
MOST_BYTES = 65_536
"""Of one message."""
_PR_SET_PDEATHSIG = 1


class Link(logging.Handler):
    """The child's end of the socket; as a logging handler it hands records to the parent."""

    def __init__(self, link: socket.socket) -> None:
        super().__init__()
        self._link = link
        self.emptied: queue.SimpleQueue[int] = queue.SimpleQueue()

    def send(self, **message: Any) -> None:
        """Send one message; waits while the parent does not listen. A parent that is gone is no error here."""
        with suppress(BrokenPipeError, ConnectionResetError):  # `listen` sees it too, and ends this process
            self._link.send(json.dumps(message).encode())

    def emit(self, record: logging.LogRecord) -> None:
        """Send a log record."""
        # In JSON a character takes up to 12 bytes.
        self.send(log=[record.levelno, record.name, redact(self.format(record))[: MOST_BYTES // 16]])

    def listen(self, source: Source) -> None:
        """Beat, and take in what the parent says until it closes or is gone; then this process has to end."""
        due, said = 0.0, b"-"
        while said:
            if (now := time.monotonic()) >= due:
                due = now + BEAT
                with suppress(OSError):  # the parent is busy and need not hear it, or gone, which shows below
                    self._link.send(json.dumps({"beat": waits(source)}).encode(), socket.MSG_DONTWAIT)
            if select.select([self._link], [], [], max(due - now, 0.0))[0]:
                said = self.hear()
                for word in said:
                    if word == FIRE:
                        self.send(fired=_fire(source))
                    else:
                        self.emptied.put(word)
        source.close()
        time.sleep(GRACE)
        os._exit(1)

    def hear(self) -> bytes:
        """The parent's next message; nothing once it is gone."""
        try:
            return self._link.recv(MOST_BYTES)
        except ConnectionResetError:
            return b""


def main() -> None:
    """Serve one source: of the socket and the memory whose descriptors are given, for the parent that is named."""
    link_number, memory, parent = map(int, sys.argv[1:])
    _die_with(parent)
    os.nice(NICENESS)
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to all of a terminal or a service; the parent drains first
        signal.signal(number, signal.SIG_IGN)
    cv2.setNumThreads(1)
    link = Link(socket.socket(fileno=link_number))
    asked = json.loads(link.hear() or b"null")
    if asked is None:
        return
    logging.basicConfig(level=asked["level"], format="%(message)s", handlers=[link])
    try:
        source = open_source(asked["url"])
        threading.Thread(target=link.listen, args=[source], daemon=True).start()
        _serve(source, link, Writer(memory, link.emptied.get))
    except InspectorError as error:
        link.send(error=redact(str(error)), refused=isinstance(error, RefusedError))
    else:
        link.send(end=True)


def _serve(source: Source, link: Link, writer: Writer) -> None:
    for shot in source.frames():
        link.send(shot=_told(shot, writer))


def _fire(source: Source) -> str | None:
    """Why it could not be fired, if so."""
    shutter = shutter_of(source)
    try:
        if shutter is not None:
            shutter()
    except Exception as error:  # a source of another package may raise anything
        return redact(str(error) if isinstance(error, SourceError) else repr(error))
    return None


def _told(shot: Shot, writer: Writer) -> dict[str, Any]:
    captured_ns = time.time_ns() if shot.captured_ns is None else shot.captured_ns
    told = {"part": shot.part, "fault": shot.fault, "cause": shot.cause, "captured_ns": captured_ns}
    if shot.image is None:
        return told
    if shot.image.dtype.hasobject:
        raise SourceError(f"the picture is {shot.image.dtype}, which no other process can read")
    slot, offset = writer.put(shot.image)
    return told | {"slot": slot, "offset": offset, "shape": shot.image.shape, "dtype": shot.image.dtype.str}


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent is gone, even if a driver hangs."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    main()
