"""`inspector listen`: what a daemon publishes, as a live table, as lines or as JSON, and its defects as pictures."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.live import Live

from inspector import address, wire
from inspector.album import Album
from inspector.board import Board
from inspector.client import Subscriber
from inspector.client.link import Keys
from inspector.messages import USUAL_KINDS, Gone, Message, ResultMessage
from inspector.signals import ended

REFRESH_SECONDS = 0.5
LINE_SECONDS = 5.0
"""How often a line is written where the output is no terminal."""


def run(
    endpoint: str,
    *,
    save: Path | None = None,
    keep: int = 24,
    count: int | None = None,
    as_json: bool = False,
    keys: Keys | None = None,
    out: TextIO | None = None,
) -> int:
    """Listen at `endpoint` until SIGINT or SIGTERM, or until `count` verdicts came; the exit code.

    save, keep: the folder for pictures of the newest `keep` defects
    keys: for a daemon that asks for them
    as_json: write each header as a line to `out` (default: stdout), and notes for people to stderr
    Raises ConfigError for an endpoint that is no address, OutputError where the pictures cannot be written.
    """
    out = out or sys.stdout
    notes = _Console(file=sys.stderr if as_json else out, highlight=False, markup=False, soft_wrap=True)
    album = None if save is None else Album(save, keep)
    # Results are asked for only where they are drawn: nobody need encode them for a table.
    kinds = [kind for kind in USUAL_KINDS if album is not None or kind != "result"]
    board = Board(same_clock=_is_here(endpoint))
    with ended() as is_over, Subscriber(endpoint, kinds=kinds, keys=keys) as subscriber:
        try:
            notes.print(f"listening at {endpoint}")
            if album is not None:
                notes.print(f"keeping pictures of the newest {keep} defects in {album.folder.absolute()}")
            view = _JsonLines(out) if as_json else _LiveTable(notes) if notes.is_terminal else _Lines(notes)
            with view:
                _listen(subscriber, board, album, view, lambda: is_over() or board.verdicts == count)
            notes.print(f"{board.line(subscriber.missing.total(), time.monotonic())}{_dropped(subscriber)}")
            if album is not None:
                album.write()
                notes.print(f"{album.summary()}")
        except BrokenPipeError:  # whoever read our lines went away, as `head` does
            os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
            if album is not None:
                album.write()
    return 0


class _Console(Console):
    """Lets whoever prints know that nobody reads any more; rich would end the process with 1."""

    def on_broken_pipe(self) -> None:
        """Raise the BrokenPipeError that rich handles when it calls this."""
        raise


def _dropped(subscriber: Subscriber) -> str:
    """What else came, for the summary; mostly nothing."""
    counts = {"twice": subscriber.duplicates, "malformed": subscriber.malformed, "unknown": subscriber.unknown}
    return "".join(f", {number} {what}" for what, number in counts.items() if number)


def _listen(
    subscriber: Subscriber, board: Board, album: Album | None, view: _View, is_over: Callable[[], bool]
) -> None:
    due = time.monotonic()
    while not is_over():
        message = subscriber.receive(REFRESH_SECONDS)
        now = time.monotonic()
        if isinstance(message, Gone):
            view.lost(message)
        elif message is not None:
            board.take(message, now, time.time_ns())
            view.take(message)
            if album is not None and isinstance(message, ResultMessage):
                album.note(message)
        if now >= due:
            due = now + REFRESH_SECONDS
            view.refresh(board, subscriber.missing.total(), now)
            if album is not None:
                album.write(most=1)  # drawing costs more than inspecting did; the rest has time at the end


class _View:
    """Shows nothing; the base of what does."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        pass

    def take(self, message: Message) -> None:
        """A message came."""

    def lost(self, gone: Gone) -> None:
        """Messages are gone for good; they are in the subscriber's count already."""

    def refresh(self, board: Board, missing: int, now: float) -> None:
        """`REFRESH_SECONDS` are over."""


class _JsonLines(_View):
    def __init__(self, out: TextIO) -> None:
        self._out = out

    def take(self, message: Message) -> None:
        self._write(wire.one_line(message.raw))

    def lost(self, gone: Gone) -> None:
        self._write(json.dumps({"kind": gone.kind, **dataclasses.asdict(gone)}))

    def _write(self, line: str) -> None:
        self._out.write(line + "\n")
        self._out.flush()


class _LiveTable(_View):
    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False)

    def __enter__(self) -> None:
        self._live.start()

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def refresh(self, board: Board, missing: int, now: float) -> None:
        self._live.update(board.table(missing, now), refresh=True)


class _Lines(_View):
    def __init__(self, console: Console) -> None:
        self._console = console
        self._due = time.monotonic() + LINE_SECONDS

    def refresh(self, board: Board, missing: int, now: float) -> None:
        if now >= self._due:
            self._due = now + LINE_SECONDS
            self._console.print(f"{time.strftime('%H:%M:%S')} {board.line(missing, now)}")


def _is_here(endpoint: str) -> bool:
    """Whether the daemon runs on this machine, so that its wall clock is ours."""
    return address.is_ipc(endpoint) or address.is_loopback(address.tcp_host(endpoint) or "")
