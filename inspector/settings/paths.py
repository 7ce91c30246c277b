"""Paths in a configuration, which are relative to its file and not to wherever the daemon starts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote, unquote

from inspector.values import CREDENTIAL, HIDDEN, Z85_KEY

Table: TypeAlias = dict[str, Any]

CREDENTIALS = "credentials"
"""The folder beside the configuration that the unit has systemd lay out as a whole."""
OF_FOLDER = "inspector_"
"""What systemd puts before the names of files in it: LoadCredential=inspector:FOLDER."""

_LOGIN = re.compile(r"(?i)(^rtsps?:[^?]*\?(?:.*&)?credentials=)([^&]+)")
"""The file of user and password that a camera's URL names."""


def anchored(given: Table, folder: Path, credentials: str | None) -> list[Table]:
    """The camera tables; all relative paths of `given` are now relative to `folder`.

    credentials: the folder where systemd lays those out, if it does
    """
    listed = given.get("camera")
    for table, key in (
        ("workers", "cache"),
        ("models", "state"),
        ("journal", "path"),
        ("recorder", "path"),
        ("security", "subscribers"),
        ("security", "secret_key"),
    ):
        if isinstance(part := given.get(table), dict) and isinstance(value := part.get(key), str):
            is_key = key == "secret_key" and Z85_KEY.fullmatch(value) and not (folder / value).exists()
            part[key] = HIDDEN if is_key else _placed(value, folder, credentials)
    cameras = [camera if isinstance(camera, dict) else {} for camera in listed] if isinstance(listed, list) else []
    for camera in cameras:
        for key in ("bundle", "reference", "calibration", "ignore", "challenges"):
            if isinstance(path := camera.get(key), str):
                camera[key] = str(folder / path)
        if isinstance(source := camera.get("source"), str):
            camera["source"] = _placed_url(source, folder, credentials)
        if isinstance(sources := camera.get("sources"), dict):
            camera["sources"] = {
                name: _placed_url(url, folder, credentials) if isinstance(url, str) else url
                for name, url in sources.items()
            }
    return cameras


def _placed_url(source: str, folder: Path, credentials: str | None) -> str:
    """A source's URL, whose paths are relative to `folder`."""
    base = quote(str(folder))
    source = re.sub(r"(?i)^(file|folder):(?=[^/?])", lambda scheme: f"{scheme[0]}{base}/", source)
    return _LOGIN.sub(lambda key: f"{key[1]}{quote(_placed(unquote(key[2]), folder, credentials))}", source)


def _placed(value: str, folder: Path, credentials: str | None) -> str:
    """A path, relative to `folder`; of `credential:NAME` where systemd laid it, or where it takes it from."""
    name = value.removeprefix(CREDENTIAL)
    if name == value:
        return str(folder / value)
    if "/" in name or name in ("", ".", ".."):
        return f"{CREDENTIAL}{name.lstrip('/')}"  # which is refused, as no path
    if credentials is None:  # whoever looks at the configuration outside of the unit may read the file itself
        return str(folder / CREDENTIALS / name)
    laid, of_folder = Path(credentials, name), Path(credentials, f"{OF_FOLDER}{name}")
    return f"{CREDENTIAL}{of_folder if of_folder.exists() else laid}"
