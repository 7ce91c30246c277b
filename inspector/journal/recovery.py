"""What a daemon that was killed has left behind: frames that were captured and have no verdict.

How many there were is told by `captures`, which verdicts are on record by the journal. Closing the books makes the
account balance again: those frames end as `crash`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from inspector.journal.reading import Reader
from inspector.journal.store import Account, Store
from inspector.outcomes import CAPTURED, CRASH

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
    store: Store, reader: Reader, line: str, left: int | None, captures: Mapping[str, int]
) -> tuple[list[int], list[Loss]]:
    """Close the books of every session that never ended; those sessions, and what was lost in them.

    left, captures: the session that the file of captures tells of, and by camera how many frames it had captured
    """
    losses = []
    running: dict[int, dict[Account, int]] = {one.session: {} for one in reader.sessions(0) if not one.final}
    for session, _, account, frames in reader.accounts():
        if session in running:
            running[session][account] = frames
    for session, accounts in running.items():
        additions: Counter[Account] = Counter()
        for camera in {account.camera for account in accounts} | set(captures if session == left else ()):
            mine = {account: frames for account, frames in accounts.items() if account.camera == camera}
            told = sum(frames for account, frames in mine.items() if account.outcome == CAPTURED)
            ended = sum(frames for account, frames in mine.items() if account.outcome != CAPTURED)
            captured = max(told, ended, captures.get(camera, 0) if session == left else 0)
            shift = max((account.shift for account in mine), default="")  # nobody knows more of frames without record
            additions[Account(shift, camera, CAPTURED)] += captured - told
            additions[Account(shift, camera, CRASH)] += captured - ended
            if captured > ended:
                lost = _lost(reader, session, f"verdict/{line}/{camera}/", captured, captured - ended)
                losses.append(Loss(session, camera, captured - ended, *lost))
        store.settle(session, "cut off", {account: frames for account, frames in additions.items() if frames})
    return list(running), losses


def _lost(reader: Reader, session: int, topic: str, captured: int, lost: int) -> tuple[int, int]:
    """The first and last of the `lost` frames up to `captured` that have no verdict.

    Only the newest verdicts are read: what was in flight when the daemon was killed was captured shortly before.
    """
    end = reader.last(session, topic)
    newest = reader.read(session, topic, max(end - lost - OVERTAKING, 1), end, 1 << 30)
    seen = {int(json.loads(kept.parts[1])["frame"]) for kept in newest.messages}
    missing = list(islice((frame for frame in range(captured, 0, -1) if frame not in seen), lost))
    return missing[-1], missing[0]
