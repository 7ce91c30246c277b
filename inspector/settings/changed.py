"""What tells two configurations apart, key by key (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from inspector.settings.whole import Settings

_NAMED = ("camera", "station")
"""Lists of tables that are told apart by their names."""


def changed(old: Settings, new: Settings) -> list[str]:
    """The keys whose values differ, like `workers.count` or `camera.top.bundle`; of a table that came or went its name.

    Values are not told: some are secret.
    """
    return list(_differing(_dump(old), _dump(new)))


def _dump(settings: Settings) -> dict[str, Any]:
    tables = settings.model_dump()
    for kind in _NAMED:
        tables[kind] = {table["name"]: table for table in tables[kind]}
    for camera in tables["camera"].values():  # the order of a stack is that of its channels
        camera["sources"] = camera["sources"] and list(camera["sources"].items())
    return tables


def _differing(old: Mapping[str, Any], new: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for key in dict.fromkeys((*old, *new)):
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from _differing(before, after, f"{above}{key}.")
        elif before != after:
            yield f"{above}{key}"
