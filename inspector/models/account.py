"""The account of what judges: made into a version, with copies of all that it needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path

from inspector.errors import ConfigError, InspectorError
from inspector.inference import bundle
from inspector.inference.bundle import Bundle
from inspector.models.versions import Judged, Version, Versions, calibration_name, configured
from inspector.settings import Camera, Settings


def account(
    versions: Versions,
    settings: Settings,
    bundles: Mapping[str, Bundle],
    target: Settings,
    why: str,
    changed: Collection[str],
) -> Version:
    """What judges as `settings` say, for the configuration `target`; copies are kept in the folder of `versions`.

    bundles: by camera;  changed: the cameras that are judged otherwise than in the version in force
    Raises OutputError, BundleError where a bundle is not any more what was loaded, and ConfigError where a calibration
    is not there any more.
    """
    before = {} if versions.now is None else versions.now.cameras
    rows, copied = {}, set[str]()
    for camera, wanted in zip(settings.camera, target.camera, strict=True):
        row = before.get(camera.name)
        if row is not None and camera.name not in changed and row.configured == configured(wanted):
            rows[camera.name] = row
            continue
        kept = bundles[camera.name]
        if kept.sha256 not in copied:
            versions.keep_bundle(kept.folder, kept.sha256)
            copied.add(kept.sha256)
        calibration = None if camera.calibration is None else versions.keep_calibration(_content(camera.calibration))
        rows[camera.name] = Judged(
            name=kept.card.name,
            version=kept.card.version,
            sha256=kept.sha256,
            calibration=calibration,
            threshold=camera.threshold,
            min_area=camera.min_area,
            configured=configured(wanted),
            chosen=not _is_configured(camera, wanted, kept.sha256, calibration),
        )
    return Version(at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), why=why, cameras=rows)


def _content(calibration: Path) -> bytes:
    try:
        return calibration.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"calibration {calibration} cannot be read any more ({error.strerror}); put it back, and try again"
        ) from error


def _is_configured(camera: Camera, wanted: Camera, sha256: str, calibration: str | None) -> bool:
    """Whether `camera` is judged just as the configuration says, by whatever path."""
    if configured(camera) == configured(wanted):
        return True
    same = (camera.threshold, camera.min_area) == (wanted.threshold, wanted.min_area)
    if not same or (calibration is None) != (wanted.calibration is None):
        return False
    try:
        if bundle.load(wanted.bundle).sha256 != sha256:
            return False
        return wanted.calibration is None or calibration_name(wanted.calibration.read_bytes()) == calibration
    except (InspectorError, OSError):
        return False  # what cannot be read any more is not what judges
