"""The whole configuration as one value."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

from pydantic import AfterValidator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from inspector.redact import redact_url
from inspector.settings.camera import Camera, Station, Trigger
from inspector.settings.operation import Daemon, Http, Journal, Models, Publish, Recorder, Security, Workers
from inspector.values import Name

ENVIRONMENT = "INSPECTOR_"


def _some(cameras: tuple[Any, ...]) -> tuple[Any, ...]:
    # Not min_length: pydantic would report that as well where a camera is wrong.
    if not cameras:
        raise ValueError("add a [[camera]] table for each camera")
    return cameras


class Settings(BaseSettings):
    """The whole configuration. Building one directly reads no environment; `load` does."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        env_prefix=ENVIRONMENT,
        env_nested_delimiter="__",
    )

    line: Name = "line1"
    """The production line's name, a part of every topic. Letters, digits, - and _."""
    workers: Workers = Workers()
    models: Models = Models()
    camera: Annotated[tuple[Camera, ...], AfterValidator(_some)]
    """One `[[camera]]` table for each camera."""
    station: tuple[Station, ...] = ()
    """One `[[station]]` table for each place where several cameras see the same part."""
    trigger: Trigger = Trigger()
    publish: Publish = Publish()
    security: Security = Security()
    journal: Journal = Journal()
    recorder: Recorder = Recorder()
    http: Http = Http()
    daemon: Daemon = Daemon()

    @classmethod
    def settings_customise_sources(  # noqa: D102
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def effective(settings: Settings) -> dict[str, Any]:
    """The settings in force, as JSON has them; passwords are left out."""
    dump = settings.model_dump(mode="json")
    for camera in dump["camera"]:
        camera["source"] = camera["source"] and redact_url(camera["source"])
        if camera["sources"] is not None:
            camera["sources"] = {name: redact_url(url) for name, url in camera["sources"].items()}
    return dump


def config_sha256(settings: Settings) -> str:
    """The sha256 (hex) over the effective settings; tells two configurations apart."""
    dump = effective(settings)
    for camera in dump["camera"]:
        if camera["sources"] is not None:  # in their order, which is that of the channels
            camera["sources"] = list(camera["sources"].items())
    return hashlib.sha256(json.dumps(dump, sort_keys=True).encode()).hexdigest()
