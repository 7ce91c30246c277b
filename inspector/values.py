"""The kinds of text that a configuration holds; a wrong one raises ValueError with what would be right."""

from __future__ import annotations

import re
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BeforeValidator

from inspector import address
from inspector.types import MAX_CHANNELS

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
NAME_RULE = "use 1 to 64 letters, digits, - and _, the first a letter or digit"

CREDENTIAL = "credential:"
"""Before the name, later the path, of a secret that systemd lays out for its service."""

Z85_KEY = re.compile(r"[0-9A-Za-z.:+=^!/*?&<>()\[\]{}@%$#-]{40}")
"""A key of CURVE in Z85 (RFC 32)."""

HIDDEN = "***"
"""Stands for a secret that somebody wrote where it does not belong."""

_DEVICE = re.compile(r"auto|cpu|(cuda|tensorrt):\d{1,2}|openvino:(cpu|gpu|npu)", re.ASCII)
_HOST = re.compile(r"[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*|[\w-]{1,63}(\.[\w-]{1,63})*", re.ASCII)


def _name(value: str) -> str:
    if not NAME.fullmatch(value):
        raise ValueError(NAME_RULE)
    return value


def _camera_name(value: str) -> str:
    if value == "daemon":
        raise ValueError("that name is taken by the daemon's own events; use another")
    return _name(value)


def _device(value: str) -> str:
    if not _DEVICE.fullmatch(value):
        raise ValueError("use auto, cpu, cuda:0, tensorrt:0, openvino:cpu, openvino:gpu or openvino:npu")
    return value


def _host(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise ValueError("use an address such as 127.0.0.1, 0.0.0.0 or ::1, or a host's name")
    return value


def _endpoint(value: str) -> str:
    if value.startswith("memory:"):  # it never leaves the process
        return value
    problem = address.objection(value)
    if problem is not None:
        raise ValueError(problem)
    return value


def _secret_key(value: str) -> str:
    if value == HIDDEN:
        raise ValueError("a key itself has no place in a configuration; put it into a file of mode 600 and name that")
    if value.startswith(CREDENTIAL) and not value.startswith(f"{CREDENTIAL}/"):
        raise ValueError(
            "no credential has such a name; credential:NAME is the file NAME in the folder credentials beside the "
            "configuration, or what the unit brings by LoadCredential=NAME:FILE, and has no slash"
        )
    return value


def _sources(value: object) -> object:
    example = 'sources = { visible = "camera:0", infrared = "camera:1" }'
    if value is None:
        return value
    if not isinstance(value, dict) or not all(isinstance(url, str) and url for url in value.values()):
        raise ValueError(f"use a table with a URL for each modality, such as {example}")
    if not 2 <= len(value) <= MAX_CHANNELS:
        raise ValueError(f"use 2 to {MAX_CHANNELS} modalities, such as {example}; a camera alone is a source")
    for name in value:
        if not NAME.fullmatch(name):
            raise ValueError(f"{name!r} names a modality: {NAME_RULE}")
    return value


Name: TypeAlias = Annotated[str, AfterValidator(_name)]
"""A part of a topic."""

CameraName: TypeAlias = Annotated[str, AfterValidator(_camera_name)]
"""A `Name` that the daemon does not use itself."""

Sources: TypeAlias = Annotated[dict[str, str] | None, BeforeValidator(_sources)]
"""URLs by the modality that each shows."""

Device: TypeAlias = Annotated[str, AfterValidator(_device)]
"""What a model runs on."""

Host: TypeAlias = Annotated[str, AfterValidator(_host)]
"""An address to listen on."""

Endpoint: TypeAlias = Annotated[str, AfterValidator(_endpoint)]
"""A ZeroMQ address. Whether other machines may reach it, the configuration as a whole says."""

SecretKey: TypeAlias = Annotated[str, AfterValidator(_secret_key)]
"""The file of a secret key, or `credential:` and the file of a credential, both absolute."""
