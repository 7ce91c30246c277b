"""What a daemon that was killed has left behind: frames that were captured and have no verdict.

How many there were is told by `captures`, which verdicts are on record by the journal. Closing the books makes the
account balance again: those frames end as `crash`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from inspector.journal.reading import Reader
from inspector.journal.store import Account, Store
from inspector.outcomes import CAPTURED, CRASH, end

OVERTAKING = 2000
"""By how many frames one may be late to its verdict: a camera's queue holds 1000 at most."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Frames of a camera that a killed daemon captured and gave no verdict: `frames` of them, `first` to `last`."""

    session: int
    camera: str
    frames: int
    first: int
    last: int

    def __str__(self) -> str:
        return (
            f"the daemon was cut off: {self.frames} frame(s) of session {self.session}, from {self.first} to "
            f"{self.last}, were captured and have no verdict"
        )


def settle(
    store: Store,
    reader: Reader,
    line: str,
    left: int | None,
    captures: Mapping[str, int],
    shift: Callable[[int], str],
) -> tuple[list[int], list[Loss]]:
    """Close the books of every session that never ended; those sessions, and what was lost in them.

    left, captures: the session that the file of captures tells of, and by camera how many frames it had captured
    shift: names the shift of a moment (nanoseconds since 1970 UTC)
    """
    losses = []
    running = reader.running()
    for session, noted in running.items():
        books = Counter(noted)
        books.update(_ends(reader.unaccounted(session), shift))
        begun = shift(session * 1_000_000)  # sessions are named by when they began
        told = captures if session == left else {}
        for camera in {account.camera for account in books} | set(told):
            lost = _balance(books, camera, told.get(camera, 0), begun)
            if lost:
                captured = sum(frames for account, frames in books.items() if account[1:] == (camera, CAPTURED))
                bounds = _bounds(reader, session, f"verdict/{line}/{camera}/", captured, lost)
                losses.append(Loss(session, camera, lost, *bounds))
        store.settle(session, "cut off", books - noted)
    return list(running), losses


def _ends(headers: Sequence[bytes], shift: Callable[[int], str]) -> Iterator[Account]:
    """What the verdicts of these headers are counted as."""
    for header in map(json.loads, headers):
        yield Account(shift(header["captured_ns"]), header["camera"], end(header["verdict"], header["reason"]))


def _balance(books: Counter[Account], camera: str, captured: int, begun: str) -> int:
    """Have a camera's frames be as many as were captured, the lost ones included; how many are lost.

    captured: by the file of captures, 0 where that says nothing;  begun: the shift in which the session began
    """
    mine = [account for account in books if account.camera == camera]
    shifts = sorted({account.shift for account in mine}) or [begun]
    lost = 0
    for shift in shifts:
        note = Account(shift, camera, CAPTURED)
        ended = sum(books[account] for account in mine if account.shift == shift and account.outcome != CAPTURED)
        books[note] = max(books[note], ended)
        books[Account(shift, camera, CRASH)] += books[note] - ended
        lost += books[note] - ended
    # Of frames that left no trace but their number, nobody knows more than that they were among the last.
    beyond = max(captured - sum(books[Account(shift, camera, CAPTURED)] for shift in shifts), 0)
    books[Account(shifts[-1], camera, CAPTURED)] += beyond
    books[Account(shifts[-1], camera, CRASH)] += beyond
    return lost + beyond


def _bounds(reader: Reader, session: int, topic: str, captured: int, lost: int) -> tuple[int, int]:
    """The first and last of the `lost` frames up to `captured` that have no verdict.

    Only the newest verdicts are read: what was in flight when the daemon was killed was captured shortly before.
    """
    last = reader.last(session, topic)
    newest = reader.read(session, topic, max(last - lost - OVERTAKING, 1), last, 1 << 30)
    seen = {int(json.loads(kept.parts[1])["frame"]) for kept in newest.messages}
    missing = list(islice((frame for frame in range(captured, 0, -1) if frame not in seen), lost))
    if not missing:  # the accounts and the verdicts do not agree: a disk that failed came between
        return captured, captured
    return missing[-1], missing[0]
