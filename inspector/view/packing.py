"""What goes to a browser in one piece: four bytes of length, JSON, then the bytes that the JSON speaks of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from inspector.view.pictures import Defect


class Parcel:
    """Collects bytes; `add` gives the number that the JSON calls them by."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def add(self, data: bytes) -> int:
        """Take `data` along."""
        self._parts.append(data)
        return len(self._parts) - 1

    def packed(self, said: Mapping[str, Any]) -> bytes:
        """All in one piece; static/link.js unpacks it."""
        text = json.dumps({**said, "parts": list(map(len, self._parts))}, separators=(",", ":")).encode()
        return b"".join([len(text).to_bytes(4), text, *self._parts])

    def picture(self, defect: Defect, base: bytes | None) -> dict[str, Any]:
        """A defect's pictures over `base`, its frame in whatever size."""
        return {
            "frame": defect.message.frame,
            "verdict": defect.message.verdict.value,
            "size": defect.message.size,
            "base": None if base is None else self.add(base),
            "outlines": defect.outlines,
            "pieces": [{"box": piece.box, "part": self.add(piece.data)} for piece in defect.pieces],
        }
