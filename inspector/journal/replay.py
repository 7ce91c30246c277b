"""`inspector replay`: what a journal kept, as lines, as files, or published once more."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TextIO

from inspector import wire
from inspector.errors import OutputError, working_in
from inspector.journal.reading import Recorded
from inspector.outputs import Output

SUFFIXES = {"png": "png", "patch": "png", "jpeg": "jpg", "rle": "json", "raw": "raw"}
POLL_SECONDS = 0.05
LONGEST_NAP = 0.5


def write_lines(recorded: Iterable[Recorded], out: TextIO) -> None:
    """Each header as a line of JSON."""
    for message in recorded:
        out.write(wire.one_line(message.kept.parts[1]) + "\n")


def save(recorded: Iterable[Recorded], folder: Path) -> int:
    """Each header as a file of JSON, and its payloads beside it; how many messages there were. Raises OutputError."""
    count = 0
    with working_in(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for message in recorded:
            count += 1
            kind, *subject = message.topic.strip("/").split("/")
            stem = f"{subject[-1]}-{message.session}-{kind}-{message.kept.sequence}"
            _, header, *payloads = message.kept.parts
            (folder / f"{stem}.json").write_bytes(header)
            for number, (told, payload) in enumerate(zip(json.loads(header)["payloads"], payloads, strict=True)):
                name = f"{stem}-{number}-{told['name']}.{SUFFIXES.get(told['codec'], 'bin')}"
                (folder / name).write_bytes(payload)
    return count


def publish(
    recorded: Iterable[Recorded], output: Output, prefix: str, speed: float, is_over: Callable[[], bool]
) -> int:
    """Hand every message to `output` as it was published, sequences and all; how many there were.

    Begins when somebody subscribes to something below, or above, `prefix`.
    speed: 1 as it happened, 2 twice as fast, 0 without waiting;  is_over: whether to end early
    """
    while not is_over() and not _is_heard(output, prefix):
        time.sleep(POLL_SECONDS)
    count, began, first = 0, time.monotonic(), None
    for message in recorded:
        first = message.at_ns if first is None else first
        due = began + (message.at_ns - first) / 1e9 / speed if speed else 0.0
        while not is_over() and (nap := due - time.monotonic()) > 0:
            time.sleep(min(nap, LONGEST_NAP))
        if is_over():
            break
        output.poll()
        try:
            output.write(message.topic, message.kept.parts)
        except OutputError as error:
            raise OutputError(f"{error}; {count} message(s) were published") from error
        count += 1
    return count


def _is_heard(output: Output, prefix: str) -> bool:
    output.poll()
    return any(one.startswith(prefix) or prefix.startswith(one) for one in output.subscribers)
