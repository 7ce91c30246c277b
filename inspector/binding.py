"""Binds a ZeroMQ socket to an address, with one clear sentence where that cannot be."""

from __future__ import annotations

import errno
import socket
import stat
from pathlib import Path
from typing import Any

import zmq

from inspector.errors import InUseError, OutputError


def bind(place: zmq.Socket[Any], url: str, what: str) -> str:
    """Bind `place` to `url`, where port 0 or * takes any free one; the address that it is bound at.

    what: what people call it, to begin a sentence with.  Raises OutputError.
    """
    if url.startswith("ipc://"):
        _make_room(Path(url.removeprefix("ipc://")), what)
    try:
        place.bind(url.replace(":*", ":0"))
    except zmq.ZMQError as error:
        if error.errno == zmq.EADDRINUSE:
            raise InUseError(f"{what} {url} is in use; stop the program that has it, or choose another") from error
        raise OutputError(f"{what} {url} cannot be bound: {error.strerror}") from error
    if url.startswith("ipc://"):
        # Its user and group, nobody else. Not 0750: on Linux whoever connects needs the right to write (unix(7)), so
        # that would shut the group out.
        Path(url.removeprefix("ipc://")).chmod(0o660)
    return place.getsockopt_string(zmq.LAST_ENDPOINT)


def _make_room(path: Path, what: str) -> None:
    """Refuse what must not be replaced: ZeroMQ unlinks any file at `path` before it binds, also one in use."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputError(f"{what} ipc://{path} cannot be bound: {error.strerror}") from error
    if not stat.S_ISSOCK(mode):
        raise OutputError(f"{what} ipc://{path}: there is a file of another kind; remove it, or choose another path")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        if probe.connect_ex(str(path)) != errno.ECONNREFUSED:
            raise InUseError(f"{what} ipc://{path} is in use; stop the program that has it, or choose another path")
