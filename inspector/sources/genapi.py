"""A GenICam camera's own settings, by the standard's library (GenApi)."""

from __future__ import annotations

import re
from typing import Any

from inspector.errors import SourceError
from inspector.sources import producers

PLACE = re.compile(r"[ :.]*\w+Exception thrown in .*")

WRITABLE = (2, 4)
"""GenApi's access modes "write only" and "read and write"."""


class Setting:
    """One of them; see `features.Feature`. nodes: the camera's description, open."""

    def __init__(self, camera: str, nodes: Any, name: str) -> None:
        if not nodes.has_node(name):
            raise SourceError(f"{camera} has no setting {name!r}; its vendor's viewer lists those that it has")
        self._node = getattr(nodes, name)
        self._kind = type(self._node).__name__
        self.fractional = self._kind == "IFloat"

    def write(self, text: str) -> None:  # noqa: D102 - as the protocol says
        try:
            if self._kind == "ICommand":
                self._node.execute()
            elif hasattr(self._node, "from_string"):
                self._node.from_string(text)
            else:
                raise SourceError("it is no setting")
        except producers.failures() as error:
            raise SourceError(sentence(error)) from error

    def read(self) -> str | None:  # noqa: D102
        if self._kind == "ICommand":
            return None
        try:
            return str(self._node.to_string())
        except producers.failures() as error:
            raise SourceError(sentence(error)) from error

    def allowed(self) -> str:  # noqa: D102
        if self._node.get_access_mode() not in WRITABLE:
            return "nothing now"
        try:
            if self._kind == "IEnumeration":
                return " or ".join(self._node.symbolics)
            if self._kind in ("IInteger", "IFloat"):
                step = f" in steps of {self._node.inc}" if self._kind == "IInteger" else ""
                return f"{self._node.min:g} to {self._node.max:g}{step}"
        except producers.failures():
            return "nothing now"
        return {"IBoolean": "0 or 1", "ICommand": "any value"}.get(self._kind, "text")


def sentence(error: Exception) -> str:
    """The library's words on one line, without the places in its own code."""
    return PLACE.sub("", " ".join(str(error).split())).rstrip(".")
