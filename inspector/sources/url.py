"""A source's URL, taken apart: scheme, path, and options that are checked as they are read."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn, TypeVar
from urllib.parse import unquote

from inspector.errors import ConfigError
from inspector.redact import redact_url

Default = TypeVar("Default")


class Url:
    """Read each option once, with what is right for it, then `finish`. Its text never shows a password.

    scheme: in lower case;  body: what stands between the scheme's colon and the `?`, as it was written
    """

    def __init__(self, text: str) -> None:
        scheme, colon, rest = text.partition(":")
        self.scheme = scheme.lower()
        self.body, _, query = rest.partition("?")
        self._shown = redact_url(text)
        self._pieces = [piece for piece in query.split("&") if piece]
        self._known: list[str] = []
        self._problems: list[str] = []
        if not colon:
            self.refuse("it has no scheme; write for example camera:0, file:clip.mp4 or rtsp://host/path")
        if "\0" in unquote(text):
            self.refuse("no path or address has a NUL (%00) in it; take it out")

    def __str__(self) -> str:
        return self._shown

    def refuse(self, why: str) -> NoReturn:
        """Raise ConfigError: this URL, and why it will not do."""
        raise ConfigError(f"{self}: {why}")

    def path(self) -> Path:
        """The body as an absolute path, %-escapes decoded: `scheme:path`, `scheme:/path` or `scheme:///path`."""
        body = self.body
        if body.startswith("//"):
            host, _, body = body[2:].partition("/")
            if host:
                right = f"{self.scheme}:relative/path or {self.scheme}:///absolute/path"
                self.refuse(f"after // comes a host, and a path is on this machine; write {right}")
            body = f"/{body}"
        if not body:
            self.refuse(f"the path is missing; write {self.scheme}:PATH")
        return Path(unquote(body)).absolute()

    def whole(self, key: str, default: Default, low: int, high: int) -> int | Default:
        """A whole number from `low` to `high`."""
        text = self._take(key)
        if text is None:
            return default
        if text.isascii() and text.isdecimal() and low <= int(text) <= high:
            return int(text)
        return self._wrong(key, text, f"a whole number from {low} to {high}", default)

    def number(
        self, key: str, default: Default, low: float, high: float, words: Mapping[str, float] | None = None
    ) -> float | Default:
        """A number from `low` to `high`, or one of the words that stand for a number."""
        text, words = self._take(key), words or {}
        if text is None:
            return default
        if text in words:
            return words[text]
        try:
            if low <= float(text) <= high:
                return float(text)
        except ValueError:
            pass  # not a number: refused as one out of range is
        return self._wrong(key, text, " or ".join([f"a number from {low:g} to {high:g}", *map(repr, words)]), default)

    def choice(self, key: str, default: str, choices: tuple[str, ...]) -> str:
        """One of a few words."""
        text = self._take(key)
        if text is None or text in choices:
            return text or default
        return self._wrong(key, text, " or ".join(map(repr, choices)), default)

    def flag(self, key: str) -> bool:
        """1 or 0, which is the default."""
        return self.choice(key, "0", ("0", "1")) == "1"

    def word(self, key: str, length: int) -> str | None:
        """A word of printable ASCII characters, `length` of them."""
        text = self._take(key)
        if text is None or (len(text) == length and text.isascii() and text.isprintable()):
            return text
        return self._wrong(key, text, f"{length} printable characters", None)

    def text(self, key: str, default: Default) -> str | Default:
        """Any text, %-escapes decoded."""
        text = self._take(key)
        return default if text is None else text

    def finish(self, foreign: bool = False) -> str:
        """Raise ConfigError with what was wrong with the options, and with those that nobody asked for.

        foreign: leave the latter; they are returned as they were written, joined by `&`
        """
        others = [piece for piece in self._pieces if _key(piece) not in self._known]
        if not foreign:
            self._problems += [self._unknown(_key(piece)) for piece in others]
        if self._problems:
            raise ConfigError(*self._problems)
        return "&".join(others)

    def _take(self, key: str) -> str | None:
        self._known.append(key)
        values = [unquote(piece.partition("=")[2]) for piece in self._pieces if _key(piece) == key]
        if len(values) > 1:
            self._problems.append(f"{self}: {key} is given {len(values)} times; give it once")
        return values[0] if values else None

    def _wrong(self, key: str, text: str, right: str, default: Default) -> Default:
        self._problems.append(f"{self}: {key} = {text!r} is not allowed; give {right}")
        return default

    def _unknown(self, key: str) -> str:
        nearest = difflib.get_close_matches(key, self._known, n=1)
        remedy = f"did you mean {nearest[0]!r}?" if nearest else f"its options are {', '.join(self._known)}"
        return f"{self}: {key!r} is not an option of {self.scheme}:; {remedy}"


def _key(piece: str) -> str:
    return unquote(piece.partition("=")[0])
