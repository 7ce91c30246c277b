"""A configuration read from its file, the environment laid over it, and the mistakes in it told together."""

from __future__ import annotations

import tomllib
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource

from inspector import address
from inspector.errors import ConfigError
from inspector.mistakes import Probe, duplicates, inner_model, label, misplaced, probed, sentence
from inspector.settings.paths import Table, anchored
from inspector.settings.whole import ENVIRONMENT, Settings

_OPEN_TO_OTHERS: Mapping[str, tuple[str, ...]] = {
    "publish": ("endpoint", "catchup"),
    "trigger": ("endpoint",),
    "security": (),
}
"""By table, the addresses that other machines may reach; `security` says how."""
_BOOL = TypeAdapter(bool)
_ONLY_WITH: Mapping[str, str] = {
    "pair_within": "sources",
    "scan_overlap": "scan_rows",
    "hangs_after": "isolate",
    "challenge_every": "challenges",
    "challenge_strict": "challenges",
    "trigger_delay": "trigger_window",
}
"""By key of a camera, the one without which it does nothing."""
_ONLY_WITH_PLACE: Mapping[str, str] = {"journal": "path", "recorder": "path", "models": "state"}
"""By table, the key without which its others do nothing."""


def load(path: Path, probes: Mapping[str, Probe]) -> Settings:
    """Read `path`, lay the environment over it and check everything.

    probes: by key of a camera; each is called once for every value of its key, also where other keys are wrong
    Raises ConfigError with one sentence for each mistake.
    """
    given, variables, credentials = _with_environment(_read(path))
    cameras = anchored(given, _folder(path), credentials)
    settings, mistakes = None, []
    try:
        settings = Settings(**given)
    except ValidationError as error:
        mistakes = error.errors()
    problems = [sentence(Settings, given, mistake, variables) for mistake in mistakes]
    problems += duplicates(cameras, "camera")
    problems += misplaced(given.get("station"), cameras) + _untriggered(given, cameras)
    wrong = {mistake["loc"] for mistake in mistakes}
    problems += _idle(cameras) + _placeless(given, skip=wrong)
    problems += _exposed(given)
    for key, probe in probes.items():
        problems += probed(cameras, key, probe, skip=wrong)
    if settings is None or problems:
        raise ConfigError(*(f"{path}: {problem}" for problem in dict.fromkeys(problems)))
    return settings


def state(path: Path) -> Path | None:
    """`models.state` of the configuration at `path`, whatever else is in it: secrets may be out of reach here.

    Raises ConfigError where the file cannot be read.
    """
    given, _, credentials = _with_environment(_read(path))
    anchored(given, _folder(path), credentials)
    value = table.get("state") if isinstance(table := given.get("models"), dict) else None
    return Path(value) if isinstance(value, str) else None


def _folder(path: Path) -> Path:
    """The folder that a configuration lies in, which its paths are relative to. Raises ConfigError."""
    folder = path.absolute().parent
    try:
        str(folder).encode()
    except UnicodeEncodeError as error:  # OpenCV crashes with such a path, and JSON has none
        raise ConfigError(
            f"{path}: the name of its folder {str(folder)!r} is not UTF-8; rename that, or put the line elsewhere"
        ) from error
    return folder


def _read(path: Path) -> Table:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))  # Windows' Notepad begins with a mark
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path}: there is no such file; give a configuration such as deploy/inspector.toml"
        ) from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); give a readable TOML file") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 (byte {error.start}); save it as UTF-8 text") from error
    except (ValueError, RecursionError) as error:  # also numbers of too many digits, and lists in too many lists
        raise ConfigError(f"{path}: is not TOML: {error}; mend it there") from error


class _Environment(EnvSettingsSource):
    """Leaves a value that should be JSON and is not to the model, which reports it like any other."""

    def next_field(self, field: Any, key: str, case_sensitive: bool | None = None) -> Any:
        """Finds the keys of an item of a list too, which is named by its index: some of them are JSON."""
        kind = field.annotation if isinstance(field, FieldInfo) else field
        if key.isdigit() and get_origin(kind) is tuple:
            return get_args(kind)[0]
        return super().next_field(field, key, case_sensitive)

    def decode_complex_value(self, field_name: str, field: Any, value: Any) -> Any:
        try:
            return super().decode_complex_value(field_name, field, value)
        except (ValueError, RecursionError):
            return value


def _with_environment(given: Table) -> tuple[Table, dict[tuple[str, ...], str], str | None]:
    """`given` under the environment, which variable each key came from, and systemd's folder of credentials."""
    source = _Environment(Settings)
    prefix = ENVIRONMENT.lower()
    variables = {
        tuple(name.removeprefix(prefix).split("__")): name.upper()
        for name in source.env_vars
        if name.startswith(prefix)
    }
    unknown = {keys[:1]: name for keys, name in variables.items() if not _is_looked_for(keys)}
    given = _overlay(given, source() | {key: {} for (key,) in unknown})
    return given, variables | unknown, source.env_vars.get("credentials_directory")


def _is_looked_for(keys: tuple[str, ...]) -> bool:
    """Whether the source of variables takes one of these keys, right or wrong, and does not pass over it."""
    field = Settings.model_fields.get(keys[0])
    return field is not None and (len(keys) == 1 or inner_model(field) is not None)


def _overlay(below: Any, above: Any) -> Any:
    """`above` over `below`, key by key; an item of a list is named by its index, from 0."""
    if isinstance(below, list) and isinstance(above, dict) and all(key.isdigit() for key in above):
        items = {str(index): item for index, item in enumerate(below)}
        return list(_overlay(items, above).values())
    if isinstance(below, dict) and isinstance(above, dict):
        return below | {key: _overlay(below.get(key), value) for key, value in above.items()}
    return above


def _exposed(given: Table) -> list[str]:
    """What would be published in plaintext to other machines without leave."""
    tables = {key: table if isinstance(table := given.get(key), dict) else {} for key in _OPEN_TO_OTHERS}
    if _is_true(tables["publish"].get("allow_plaintext")) or tables["security"].get("secret_key") is not None:
        return []
    return [
        f"{table}.{key} = {value!r}: {problem}"
        for table, keys in _OPEN_TO_OTHERS.items()
        for key in keys
        if isinstance(value := tables[table].get(key), str) and (problem := address.exposure(value)) is not None
    ]


def _is_true(value: object) -> bool:
    """Whether a configuration takes `value`, which is a text in the environment, for true."""
    try:
        return _BOOL.validate_python(value)
    except ValidationError:
        return False  # a mistake, which is told of as any other


def _untriggered(given: Table, cameras: list[Table]) -> list[str]:
    """Triggers for no camera, or cameras that wait for triggers which cannot come."""
    trigger = given.get("trigger")
    has_endpoint = isinstance(trigger, dict) and trigger.get("endpoint") is not None
    triggered = [index for index, camera in enumerate(cameras) if camera.get("trigger_window") is not None]
    if has_endpoint and not triggered:
        return ["trigger.endpoint is there for no camera; give those that are triggered a trigger_window"]
    if triggered and not has_endpoint:
        who = ", ".join(label(index, cameras[index]) for index in triggered)
        return [f"{who}: trigger_window is set, but no trigger can come in; set trigger.endpoint"]
    return []


def _idle(cameras: list[Table]) -> list[str]:
    """Keys that somebody wrote, and that do nothing; one who wrote `isolate = false` knows."""
    return [
        f"{label(index, camera)}: {key} = {camera[key]!r}: it does nothing without {other}; set that too, or take this "
        "key out"
        for index, camera in enumerate(cameras)
        for key, other in _ONLY_WITH.items()
        if camera.get(key) is not None and camera.get(other) is None
    ]


def _placeless(given: Table, skip: Container[tuple[int | str, ...]]) -> list[str]:
    """Keys that do nothing, as nobody says where what they are about is kept; those at `skip` are wrong anyhow."""
    return [
        f"{name}.{key} = {table[key]!r}: it does nothing without {name}.{place}; set that too, or take this key out"
        for name, place in _ONLY_WITH_PLACE.items()
        if isinstance(table := given.get(name), dict) and table.get(place) is None
        for key in table
        if key != place and (name, key) not in skip
    ]
