"""The settings of GenICam cameras by the cameras' own names, as options of a URL: each is set, then read back.

A name begins with a capital letter, as the standard's do (SFNC): `Width`, `ExposureTime`, `TriggerMode`. They are set
in the URL's order, so that what others depend on can come first.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol
from urllib.parse import unquote

from inspector.errors import SourceError
from inspector.sources.url import Url

NAME = re.compile(r"[A-Z]\w*", re.ASCII)
TOLERANCE = 0.01
"""Share that a number with a fraction may be off: cameras round times and gains to what they can do."""
TRUTHS = {"true": "1", "on": "1", "false": "0", "off": "0"}

Wanted = tuple[tuple[str, str], ...]
"""Names and values, as they were written."""


class Feature(Protocol):
    """A setting of a camera that is open."""

    @property
    def fractional(self) -> bool:
        """Whether it is a number with a fraction."""
        ...

    def write(self, text: str) -> None:
        """Raises SourceError, and why not, where the camera does not take it."""
        ...

    def read(self) -> str | None:
        """What it is now; None for one that cannot be read, such as a command."""
        ...

    def allowed(self) -> str:
        """What it takes now, for people."""
        ...


def from_url(url: Url) -> Wanted:
    """What is left of the URL's options. Raises ConfigError for those that are neither ours nor a camera's."""
    foreign = [tuple(map(unquote, piece.partition("=")[::2])) for piece in url.finish(foreign=True).split("&") if piece]
    for name, value in foreign:
        if not NAME.fullmatch(name):
            url.refuse(f"{name!r} is not an option; the camera's own settings begin with a capital letter")
        if not value:
            url.refuse(f"{name} has no value; write {name}=VALUE")
    return tuple((name, value) for name, value in foreign)


def apply(camera: str, wanted: Wanted, find: Callable[[str], Feature]) -> None:
    """Set each feature and read it back. Raises SourceError, which names camera, feature, value and what is allowed.

    find: the camera's feature of that name; raises SourceError if it has none
    """
    for name, text in wanted:
        feature = find(name)
        try:
            feature.write(text)
            found = feature.read()
        except SourceError as error:
            raise SourceError(
                f"{camera} does not take {name}={text}; it takes {feature.allowed()} ({error})"
            ) from error
        if found is not None and not agrees(text, found, feature.fractional):
            raise SourceError(f"{camera} was asked for {name}={text} and answers {found}; it takes {feature.allowed()}")


def agrees(text: str, found: str, fractional: bool) -> bool:
    """Whether a camera that was given `text` and answers `found` does what it was told."""
    try:
        one, other = float(text), float(found)
    except ValueError:
        return TRUTHS.get(text.lower(), text) == TRUTHS.get(found.lower(), found)
    return abs(one - other) <= (TOLERANCE * abs(one) if fractional else 0)
