"""Parts that a killed daemon left without a verdict though frames of them have one.

Nobody knows more: a frame that was in flight left no trace of its part. What names a part on record is its frames'
verdicts, and no verdict of its own follows from them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inspector.journal.reading import Reader

NEWEST = 2000
"""So many of the last messages of a topic are read: what was open when the daemon was killed was captured shortly
before."""
MOST_NAMED = 20
"""Parts that a sentence lists."""


@dataclass(frozen=True, slots=True)
class LostParts:
    """parts: the ids, in the order of their first verdicts"""

    session: int
    station: str
    parts: tuple[str, ...]

    def __str__(self) -> str:
        more = f" and {len(self.parts) - MOST_NAMED} more" if len(self.parts) > MOST_NAMED else ""
        return (
            f"the daemon was cut off: {len(self.parts)} part(s) of session {self.session} have frames with a verdict, "
            f"and none of their own at station {self.station}: {', '.join(self.parts[:MOST_NAMED])}{more}"
        )


def lost_parts(reader: Reader, session: int, line: str, stations: Mapping[str, Sequence[str]]) -> list[LostParts]:
    """What is lost of a session that was cut off. stations: the cameras of each"""
    found = []
    for station, cameras in stations.items():
        told = _newest(reader, session, f"part/{line}/{station}/")
        since = min((header["captured_ns"] for header in told), default=0) if len(told) >= NEWEST else 0
        ids = {header["part"] for header in told}
        judged = [header for camera in cameras for header in _newest(reader, session, f"verdict/{line}/{camera}/")]
        judged.sort(key=lambda header: header["captured_ns"])
        lost = dict.fromkeys(
            header["part"]
            for header in judged
            if header["part"] is not None and header["part"] not in ids and header["captured_ns"] >= since
        )
        if lost:
            found.append(LostParts(session, station, tuple(lost)))
    return found


def _newest(reader: Reader, session: int, topic: str) -> list[dict[str, Any]]:
    """The headers of a topic's last messages."""
    last = reader.last(session, topic)
    chunk = reader.read(session, topic, max(last - NEWEST + 1, 1), last, 1 << 30)
    return [json.loads(kept.parts[1]) for kept in chunk.messages]
