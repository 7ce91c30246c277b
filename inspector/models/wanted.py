"""What `inspector model use` asks for, and what judges then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter

from inspector.errors import ConfigError
from inspector.inference import bundle
from inspector.models.versions import KEYS
from inspector.settings import Settings
from inspector.types import MAX_AREA


@dataclass(frozen=True, slots=True)
class Use:
    """cameras: none: those whose model has the bundle's name

    uncalibrated: whether cameras that are calibrated may be judged without
    """

    bundle: Path
    cameras: tuple[str, ...] = ()
    calibration: Path | None = None
    threshold: Annotated[float | None, Field(gt=0, lt=1)] = None
    min_area: Annotated[int | None, Field(ge=1, le=MAX_AREA)] = None
    uncalibrated: bool = False


USE = TypeAdapter(Use)
"""Reads what came through the control socket."""


def used(use: Use, now: Settings, judges: Mapping[str, str]) -> Settings:
    """`now`, whose cameras are judged as `use` asks. judges: by camera, the name on the card of its bundle

    Raises ConfigError, BundleError.
    """
    if use.calibration is not None and (use.threshold is not None or use.min_area is not None):
        raise ConfigError(
            f"threshold and smallest defect come from the calibration {str(use.calibration)!r}; leave --threshold and "
            "--min-area out, or --calibration"
        )
    names = _cameras(use, now, judges)
    keys = dict(zip(KEYS, (use.bundle, use.calibration, use.threshold, use.min_area), strict=True))
    cameras = [camera.model_copy(update=keys) if camera.name in names else camera for camera in now.camera]
    return now.model_copy(update={"camera": tuple(cameras)})


def _cameras(use: Use, now: Settings, judges: Mapping[str, str]) -> Sequence[str]:
    """Whom the bundle shall judge."""
    by_name = {camera.name: camera for camera in now.camera}
    if unknown := [name for name in use.cameras if name not in by_name]:
        raise ConfigError(f"there is no camera {unknown[0]!r}; there are {', '.join(by_name)}")
    name = bundle.load(use.bundle).card.name
    named = use.cameras or tuple(camera for camera, judge in judges.items() if judge == name)
    if not named:
        told = ", ".join(f"{camera} is judged by {judge!r}" for camera, judge in judges.items())
        raise ConfigError(f"no camera is judged by a bundle called {name!r} ({told}); name it with --camera")
    bare = [camera for camera in named if by_name[camera].calibration is not None and use.calibration is None]
    if bare and not use.uncalibrated:
        raise ConfigError(
            f"camera {bare[0]!r} is judged by a calibration, which holds for its bundle alone; give --calibration "
            "with one for this bundle, or --uncalibrated to judge by the bundle's own threshold"
        )
    return named
