"""A JSON object from a stranger, read strictly: a field is what it should be, or WireError says what it is not."""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn, TypeGuard, TypeVar

from inspector.errors import WireError

T = TypeVar("T")

_INT_END = 1 << 63


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_decoder = json.JSONDecoder(parse_constant=_no_constant)


class Fields:
    """A JSON object. Each method returns a field, or several, with the type checked, or raises WireError."""

    __slots__ = ("_object",)

    def __init__(self, value: Any, name: str) -> None:
        if type(value) is not dict:
            raise WireError(f"{name} is {reprlib.repr(value)}; it should be an object")
        self._object: dict[str, Any] = value

    @classmethod
    def parse(cls, data: bytes) -> Fields:
        """The JSON object in `data` (UTF-8)."""
        try:
            return cls(_decoder.decode(data.decode()), "the header")
        except (ValueError, RecursionError) as error:
            raise WireError(f"the header is no JSON ({str(error)[:100]})") from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._object)

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self._object.get(name) is not None

    def whole(self, name: str) -> int:
        """A whole number from 0 to 2^63 - 1."""
        value = self._object.get(name)
        if type(value) is int and 0 <= value < _INT_END:
            return value
        raise self._wrong(name, "a whole number from 0")

    def wholes(self, name: str, length: int | None = None) -> tuple[int, ...]:
        """A list of whole numbers from 0 to 2^63 - 1; `length` of them, where that is given."""
        values = self.array(name)
        if length in (None, len(values)) and all(map(_is_whole, values)):
            return tuple(values)
        raise self._wrong(name, f"a list of {length or 'some'} whole numbers from 0")

    def number(self, name: str) -> float:
        """A finite number."""
        value = self._object.get(name)
        if type(value) is float and -math.inf < value < math.inf:
            return value
        if _is_number(value):
            return float(value)
        raise self._wrong(name, "a finite number")

    def maybe_number(self, name: str) -> float | None:
        """A finite number, or None for null."""
        return None if self._object.get(name) is None else self.number(name)

    def numbers(self, name: str, length: int) -> tuple[float, ...]:
        """A list of `length` finite numbers."""
        values = self.array(name)
        if length == len(values) and all(map(_is_number, values)):
            return tuple(map(float, values))
        raise self._wrong(name, f"a list of {length} finite numbers")

    def text(self, name: str) -> str:
        """A string that is valid Unicode."""
        value = self._object.get(name)
        if type(value) is str and (value.isascii() or _is_unicode(value)):
            return value
        raise self._wrong(name, "a text")

    def maybe_text(self, name: str) -> str | None:
        """A string that is valid Unicode, or None for null."""
        return None if self._object.get(name) is None else self.text(name)

    def texts(self, name: str) -> list[str]:
        """A list of strings that are valid Unicode."""
        values = self.array(name)
        if all(type(value) is str and (value.isascii() or _is_unicode(value)) for value in values):
            return values
        raise self._wrong(name, "a list of texts")

    def flag(self, name: str) -> bool:
        """True or false."""
        value = self._object.get(name)
        if type(value) is bool:
            return value
        raise self._wrong(name, "true or false")

    def choice(self, name: str, choices: Mapping[str, T]) -> T:
        """What `choices` has for the string."""
        value = self._object.get(name)
        if type(value) is str and value in choices:
            return choices[value]
        raise self._wrong(name, f"one of {', '.join(choices)}")

    def array(self, name: str) -> list[Any]:
        """A list of anything."""
        value = self._object.get(name)
        if type(value) is list:
            return value
        raise self._wrong(name, "a list")

    def table(self, name: str) -> Fields:
        """An object within the object."""
        return Fields(self._object.get(name), name)

    def tables(self, name: str) -> list[Fields]:
        """A list of objects."""
        return [Fields(value, f"an item of {name}") for value in self.array(name)]

    def _wrong(self, name: str, wanted: str) -> WireError:
        return WireError(f"{name} is {reprlib.repr(self._object.get(name))}; it should be {wanted}")


def _is_whole(value: Any) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < _INT_END


def _is_number(value: Any) -> TypeGuard[float]:
    if type(value) is float:
        return math.isfinite(value)
    return type(value) is int and abs(value) < _INT_END


def _is_unicode(text: str) -> bool:
    # JSON can spell half a surrogate pair, which no terminal and no file can take.
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
