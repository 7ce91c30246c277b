"""The process of an isolated camera as its parent sees it: a socket, memory that they share, and what it writes."""

from __future__ import annotations

import json
import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

from inspector.errors import SourceError
from inspector.sources.child import FIRE, GRACE, MOST_BYTES
from inspector.sources.ring import Reader, reserve
from inspector.types import Cause, Shot

log = logging.getLogger(__name__)

MOST_TEXT = 2000
"""Characters of what its libraries write that are logged at a time."""
PERIOD = 1.0
"""Seconds between two such times."""


class Process:
    """`child.py` for the source of `url`, by one thread; in messages it is called `shown`."""

    def __init__(self, url: str, shown: str) -> None:
        self._shown = shown
        self._written, self._said = b"", float("-inf")
        self._selector = selectors.DefaultSelector()
        self._link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._memory = reserve()
        # The URL goes over the socket: whoever lists processes sees their arguments.
        main = f"import sys; sys.path = {sys.path!r}; from inspector.sources.child import main; main()"
        numbers = map(str, (theirs.fileno(), self._memory, os.getpid()))
        self._output, output = os.pipe()
        os.set_blocking(self._output, False)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-X", "faulthandler", "-c", main, *numbers],
                pass_fds=(theirs.fileno(), self._memory),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        except OSError as error:
            self._close()
            raise SourceError(f"{shown}: no process can be started for it: {error.strerror}") from error
        finally:
            theirs.close()
            os.close(output)
        self._pictures = Reader(self._memory)
        self.pid = self._process.pid
        self._selector.register(self._link, selectors.EVENT_READ)
        self._selector.register(self._output, selectors.EVENT_READ)
        self._send(json.dumps({"url": url, "level": log.getEffectiveLevel()}).encode())

    def next(self, patience: float) -> dict[str, Any] | None:
        """Its next message; None when it has hung up. Raises SourceError if it says nothing for so many seconds."""
        end = time.monotonic() + patience
        while (left := end - time.monotonic()) > 0:
            ready = {key.fileobj for key, _ in self._selector.select(left)}
            if self._output in ready and not self._listen():
                self._selector.unregister(self._output)
            if time.monotonic() - self._said >= PERIOD:
                self._say()
            if self._link in ready:
                return self._receive()
        self.kill()
        raise SourceError(f"{self._shown}: its process shows no sign of life for {patience:g} s, and is killed")

    def shot(self, told: dict[str, Any]) -> Shot:
        """The picture that a message tells of, with memory of its own, or the fault."""
        image = None
        if "offset" in told:
            image = self._pictures.take(told["offset"], told["shape"], told["dtype"])
            self._send(bytes([told["slot"]]))
        return Shot(image, told["part"], told["fault"], told["captured_ns"], Cause(told["cause"]))

    def fire(self) -> None:
        """Have its source fired, which a message answers; from any thread."""
        self._send(bytes([FIRE]))

    def hang_up(self) -> None:
        """Have it end; from any thread."""
        with suppress(OSError):
            self._link.shutdown(socket.SHUT_RDWR)

    def kill(self) -> None:
        """End it by force."""
        self._process.kill()

    def gone(self) -> bool:
        """Whether it ended."""
        return self._process.poll() is not None

    def fate(self) -> str:
        """How it ended, now that it has hung up."""
        with suppress(subprocess.TimeoutExpired):
            code = self._process.wait(GRACE)
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            return f"its process {how}; the log has what it wrote"
        return "its process hung up, and is killed"

    def end(self) -> None:
        """End it, if need be by force, and give all back."""
        self.hang_up()
        for patience in (2 * GRACE, GRACE):
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(patience)
                break
            self.kill()
        while self._listen():
            pass
        self._say()
        self._close()

    def _close(self) -> None:
        self._selector.close()
        self._link.close()
        os.close(self._output)
        os.close(self._memory)

    def _receive(self) -> dict[str, Any] | None:
        try:
            message = self._link.recv(MOST_BYTES)
        except ConnectionResetError:
            return None
        heard: dict[str, Any] | None = json.loads(message) if message else None
        return heard

    def _send(self, message: bytes) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # the next message shows that it is gone
            self._link.send(message)

    def _listen(self) -> bool:
        """Take in what it wrote; False if there was nothing, which is the end where something was expected."""
        with suppress(BlockingIOError):
            written = os.read(self._output, MOST_BYTES)
            self._written = (self._written + written)[-MOST_TEXT:]
            return written != b""
        return False

    def _say(self) -> None:
        if self._written:
            log.warning("%s: its process wrote: %s", self._shown, self._written.decode(errors="replace").strip())
            self._written, self._said = b"", time.monotonic()
