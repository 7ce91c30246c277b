"""What pydantic finds wrong, as one sentence that names the key, the value and what would be right."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from inspector.errors import ConfigError, InspectorError
from inspector.redact import redact

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Model: TypeAlias = type[BaseModel]
Location: TypeAlias = Sequence[str | int]

Probe: TypeAlias = Callable[[str], object]
"""A further check of one camera key's value; raises InspectorError, whose sentence is reported."""

MAX_VALUE = 80
"""Characters of a wrong value that a sentence repeats."""


def sentence(
    model: Model, given: Mapping[str, Any], mistake: ErrorDetails, variables: Mapping[tuple[str, ...], str]
) -> str:
    """One sentence for one of `model`'s validation errors over `given`.

    variables: the environment variable that each key came from, if it did
    """
    location = mistake["loc"]
    if (missing := mistake.get("ctx", {}).get("key")) is not None:  # what is found where another key is looked at
        location = (*location[:-1], missing)
    is_missing = mistake["type"] == "missing"
    if is_missing and isinstance(location[-1], int):  # an item of a list, which is what was given
        location, is_missing = location[:-1], False
    key = _key(location, given)
    if (variable := variables.get(tuple(map(str, location)))) is not None:
        key = f"{key} (from {variable})"
    owner, field = _find(model, location)
    if field is None:
        return f"{key} is not a key; {_nearest(str(location[-1]), owner)}"
    if is_missing:
        return f"{key} is missing; add {meaning(field)}"
    value = repeated(mistake["input"])
    if mistake["type"] == "value_error":
        return f"{key} = {value}: {mistake['ctx']['error']}"
    return f"{key} = {value} is not allowed; use {allowed(field)}"


def repeated(value: object) -> str:
    """A wrong value as a sentence repeats it: without passwords, and not at any length."""
    text = redact(repr(value))
    return text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}..."


def duplicates(tables: Sequence[Mapping[str, Any]], kind: str) -> list[str]:
    """What is wrong with the names of a kind's tables as a whole."""
    names = Counter(name for table in tables if isinstance(name := table.get("name"), str))
    return [
        f"{kind} name = {name!r} is there {n} times; give each {kind} its own" for name, n in names.items() if n > 1
    ]


def misplaced(listed: object, cameras: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is wrong with the station tables as a whole: their names, and the cameras that they name."""
    stations = [table for table in listed if isinstance(table, Mapping)] if isinstance(listed, list) else []
    known = [camera.get("name") for camera in cameras]
    places: dict[str, list[str]] = {}
    for index, station in enumerate(stations):
        named = station.get("cameras")
        for name in dict.fromkeys(named) if isinstance(named, list) and all(type(one) is str for one in named) else ():
            places.setdefault(name, []).append(label(index, station, "station"))
    problems = duplicates(stations, "station")
    problems += [f"{where[0]}: there is no camera {name!r}" for name, where in places.items() if name not in known]
    problems += [
        f"{' and '.join(where)} both have camera {name!r}; a camera is at one station"
        for name, where in places.items()
        if len(where) > 1
    ]
    return problems


def probed(
    cameras: Sequence[Mapping[str, Any]], key: str, probe: Probe, skip: Container[tuple[str | int, ...]]
) -> list[str]:
    """What `probe` says of the cameras' `key`: each value is probed once, whoever shares it."""
    users: dict[str, list[str]] = {}
    for index, camera in enumerate(cameras):
        values = {"": camera.get(key)}
        if key == "source" and isinstance(several := camera.get("sources"), dict):
            values |= {f" ({modality})": url for modality, url in several.items()}
        for where, value in values.items():
            if isinstance(value, str) and ("camera", index, "sources" if where else key) not in skip:
                users.setdefault(value, []).append(label(index, camera) + where)
    problems = []
    for value, labels in users.items():
        try:
            probe(value)
        except InspectorError as error:
            found = error.problems if isinstance(error, ConfigError) else (str(error),)
            problems += [redact(f"{', '.join(labels)}: {key}: {problem}") for problem in found]
    return problems


def label(index: int, table: Mapping[str, Any], kind: str = "camera") -> str:
    """What to call the table of its kind at `index`: by its name if it has one."""
    name = table.get("name")
    return f"{kind} {name!r}" if isinstance(name, str) and name else f"[[{kind}]] number {index + 1}"


def meaning(field: FieldInfo) -> str:
    """The first sentence of a key's description, to stand inside another sentence."""
    first = " ".join((field.description or "").split()).partition(". ")[0].removesuffix(".")
    return first[:1].lower() + first[1:]


def allowed(field: FieldInfo) -> str:
    """What a key's value may be, in words."""
    kind = value_type(field)
    if get_origin(kind) is Literal:
        *others, last = (repr(choice) for choice in get_args(kind))
        return f"{', '.join(others)} or {last}" if others else last
    if (inner := inner_model(field)) is not None:
        return "a table" if get_origin(kind) is None else f"one or more [[{inner.__name__.lower()}]] tables"
    if get_origin(kind) is dict:
        return "a table of texts"
    if get_origin(kind) is tuple and Ellipsis not in get_args(kind):
        return f"a list of {len(get_args(kind))} whole numbers"
    if get_origin(kind) is tuple:
        return "a list of lists" if get_origin(get_args(kind)[0]) is tuple else "a list of texts"
    words = {bool: "true or false", int: "a whole number", float: "a number"}.get(kind, "text")
    return " ".join([words, *_bounds(field.metadata)])


def value_type(field: FieldInfo) -> Any:
    """A key's type, without the None of an optional one."""
    kind = field.annotation
    if get_origin(kind) is UnionType:
        (kind,) = (choice for choice in get_args(kind) if choice is not NoneType)
    return kind


def inner_model(field: FieldInfo) -> Model | None:
    """The model of a table, or of each of a list of tables; None for a plain value."""
    kind = value_type(field)
    kind = get_args(kind)[0] if get_origin(kind) is tuple else kind
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _bounds(metadata: Sequence[object]) -> list[str]:
    words = []
    for bound in metadata:
        match bound:
            case Ge(ge):
                words.append(f"from {ge}")
            case Gt(gt):
                words.append(f"above {gt}")
            case Le(le):
                words.append(f"to {le}")
            case Lt(lt):
                words.append(f"and below {lt}")
    return words


def _find(model: Model, location: Location) -> tuple[Model, FieldInfo | None]:
    """The model that a location's last key is in, and the field there, None if it has none of that name.

    That of an item of a list says what is right for the item alone.
    """
    field: FieldInfo | None = None
    for step in location:
        if isinstance(step, str):
            model = model if field is None else inner_model(field) or model
            field = model.model_fields.get(step)
        elif field is not None and inner_model(field) is None:
            kinds = get_args(value_type(field))
            each = Ellipsis not in kinds and step < len(kinds)  # else they are all of the first kind
            field = FieldInfo.from_annotation(kinds[step if each else 0])
    return model, field


def _key(location: Location, given: Mapping[str, Any]) -> str:
    match list(location):
        case [str(kind), int(index)]:
            return f"[[{kind}]] number {index + 1}"
        case [str(kind), int(index), *rest]:
            return f"{label(index, given[kind][index], kind)}: {'.'.join(map(str, rest))}"
    return ".".join(map(str, location))


def _nearest(key: str, owner: Model) -> str:
    nearest = difflib.get_close_matches(key, owner.model_fields, n=1)
    return f"did you mean {nearest[0]!r}?" if nearest else f"the keys here are {', '.join(owner.model_fields)}"
