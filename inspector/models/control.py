"""The door for verbs that change a running daemon: a Unix socket in its state folder, for its own user and root alone.

A request is a line of JSON; the answers are lines too, `{"tell": ...}` as it goes on, and at last `{"done": ...}` or
`{"error": ..., "code": ...}`. One request at a time; who comes meanwhile waits.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import socket
import struct
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future
from pathlib import Path
from typing import Any, TypeAlias

from inspector.errors import InspectorError, OutputError
from inspector.stage import Service
from inspector.types import Say

log = logging.getLogger(__name__)

NAME = "control"
MAX_REQUEST_BYTES = 1 << 16
PATIENCE = 5.0
"""Seconds for a request to arrive, and for each answer to leave."""
LONGEST_WAIT = 0.25
_PEER = struct.Struct("3i")
"""Process, user and group of who connects (SO_PEERCRED, unix(7))."""

Act: TypeAlias = Callable[[Mapping[str, Any], Say], str]
"""Does what a request says, telling how it goes; a sentence on what came of it. Raises InspectorError, ValueError."""


class NobodyError(OutputError):
    """No daemon runs that could be asked."""


class Control(Service):
    """Answers at `folder`/control, which is held for it (hold.py). Raises OutputError where it cannot be there.

    submit: has a job done by the thread that does them all (jobs.py)
    """

    def __init__(self, folder: Path, act: Act, submit: Callable[[Callable[[], str]], Future[str]]) -> None:
        self.path = folder / NAME
        self._act = act
        self._submit = submit
        self._stopped = False
        self._listener = _listener(self.path)

    def run(self, beat: Callable[[], None]) -> None:
        """Answer until `stop`."""
        while not self._stopped:
            beat()
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            with connection:
                try:
                    self._serve(connection)
                except OSError as error:  # who asked went away; what was asked for is done all the same
                    log.warning("control: whoever asked is gone: %s", error)

    def stop(self) -> None:
        """Answer nobody any more; from any thread."""
        self._stopped = True

    def close(self) -> None:
        """Remove the socket."""
        self._listener.close()
        self.path.unlink(missing_ok=True)

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        if (user := _user(connection)) not in (0, os.geteuid()):
            log.warning("control: user %d was refused; only the daemon's own user and root may ask", user)
            return
        try:
            request = json.loads(_line(connection))
            if not isinstance(request, dict):
                raise ValueError("a request is an object")
        except (ValueError, RecursionError) as error:
            _send(connection, error=f"the request makes no sense: {error}", code=2)
            return
        told: queue.SimpleQueue[str] = queue.SimpleQueue()
        future = self._submit(lambda: self._act(request, told.put))
        while not future.done() or not told.empty():
            try:
                _send(connection, tell=told.get(timeout=LONGEST_WAIT))
            except queue.Empty:
                if self._stopped and future.cancel():
                    break
        _send(connection, **_answer(future, request.get("verb")))


def ask(folder: Path, request: Mapping[str, Any], tell: Say) -> tuple[str, int]:
    """Have the daemon whose state is in `folder` do what `request` says; what came of it, and the exit code for it.

    tell: is given what the daemon tells meanwhile. Raises NobodyError where none runs, OutputError where it cannot be
    reached.
    """
    path = folder / NAME
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(str(path))
        except OSError as error:
            kind = NobodyError if isinstance(error, FileNotFoundError | ConnectionRefusedError) else OutputError
            raise kind(
                f"no daemon answers at {path} ({error.strerror or error}); start it with this configuration, "
                "and ask as its user or as root"
            ) from error
        try:
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("r", encoding="utf-8") as answers:
                for line in answers:
                    answer = json.loads(line)
                    if "tell" in answer:
                        tell(answer["tell"])
                    elif "done" in answer:
                        return answer["done"], 0
                    else:
                        return answer["error"], answer["code"]
        except OSError:
            pass  # cut off: said below
    raise OutputError(f"the daemon at {path} refused, or ended before it answered; its log says why")


def _answer(future: Future[str], verb: object) -> Mapping[str, object]:
    """What is answered to who asked for what is done by now."""
    try:
        return {"done": future.result()}
    except InspectorError as error:
        return {"error": str(error), "code": error.exit_code}
    except CancelledError:
        return {"error": "the daemon stops; nothing was changed", "code": OutputError.exit_code}
    except Exception as error:  # a bug, which the line need not stop for
        log.exception("control: %s failed", verb)
        return {"error": f"a bug: {error!r}; the daemon's log has more", "code": 1}


def _listener(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)  # of a daemon that was killed
        listener.bind(str(path))  # in a folder of mode 0700: nobody else gets at it before its own mode is set
        path.chmod(0o600)
        listener.listen()
    except OSError as error:
        listener.close()
        raise OutputError(
            f"{path} cannot be listened at ({error.strerror or error}); give models.state another, shorter path"
        ) from error
    listener.settimeout(LONGEST_WAIT)
    return listener


def _user(connection: socket.socket) -> int:
    _, user, _ = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return int(user)


def _line(connection: socket.socket) -> bytes:
    content = b""
    while not content.endswith(b"\n"):
        part = connection.recv(4096)
        content += part
        if not part or len(content) > MAX_REQUEST_BYTES:
            raise ValueError(f"a line of JSON of at most {MAX_REQUEST_BYTES} bytes is expected")
    return content


def _send(connection: socket.socket, **answer: object) -> None:
    connection.sendall(json.dumps(answer).encode() + b"\n")
