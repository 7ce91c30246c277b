"""`inspector model use` and `rollback` while the daemon is stopped: what it judges by from its next start on.

The same is proven as by a daemon that runs, before anything is written; there are no live frames to be shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inspector.errors import ConfigError
from inspector.inference import bundle
from inspector.inference.bundle import Bundle
from inspector.judging import prepare
from inspector.models.account import account
from inspector.models.hold import hold
from inspector.models.versions import AT_START, Judged, Version, Versions
from inspector.models.wanted import USE, Use, used
from inspector.settings import Settings
from inspector.types import Say


class Stopped:
    """Changes what the daemon of `configured` will judge by. tell: as in change.py"""

    def __init__(self, configured: Settings, versions: Versions, tell: Say) -> None:
        self._configured = configured
        self._versions = versions
        self._tell = tell

    def use(self, use: Use) -> str:
        """Put another bundle in force. Raises InspectorError, and all stays as it was."""
        now = self._versions.effective(self._configured)
        loaded = {folder: bundle.load(folder) for folder in {camera.bundle for camera in now.camera}}
        settings = used(use, now, {camera.name: loaded[camera.bundle].card.name for camera in now.camera})
        proven = self._proven(settings)
        # As the daemon does at its start, so that there is a way back from here.
        before = self._account(now, {camera.name: loaded[camera.bundle] for camera in now.camera}, AT_START)
        self._versions.put(before)
        version = self._account(settings, proven, f"`inspector model use` of {use.bundle}")
        if version.cameras == before.cameras:
            return "it is what judges already"
        self._versions.put(version)
        return _sentence(before, version)

    def rollback(self) -> str:
        """Put the version in force that was before. What is in force now need not be whole any more."""
        if self._versions.now is None or self._versions.before is None:
            raise ConfigError("there is no version before the one that judges; nothing to go back to")
        before = self._versions.now
        settings = self._versions.back(self._versions.effective(self._configured), self._versions.before)
        version = self._account(settings, self._proven(settings), "`inspector model rollback`")
        self._versions.put_back(version)
        return _sentence(before, version)

    def _proven(self, settings: Settings) -> dict[str, Bundle]:
        self._tell("no daemon runs: loading, and proving each model on its golden pictures")
        return {name: station.team.bundle for name, station in prepare(settings).stations.items()}

    def _account(self, settings: Settings, bundles: Mapping[str, Bundle], why: str) -> Version:
        return account(self._versions, settings, bundles, self._configured, why, list(bundles))


def act(settings: Settings, request: Mapping[str, Any], tell: Say) -> str:
    """Do what a verb asks for, `use` or `rollback`; a sentence on what will be. Raises InspectorError."""
    state = settings.models.state
    if request.get("shadow"):
        raise ConfigError("--shadow shows live frames, and no daemon runs; start it, or leave --shadow out")
    if state is None or not state.is_dir():
        raise ConfigError(
            f"no daemon has run with models.state = {str(state)!r}; start it, or set the bundle in the configuration"
        )
    with hold(state):
        stopped = Stopped(settings, Versions(state, settings.models.keep, make=False), tell)
        if request["verb"] == "rollback":
            return stopped.rollback()
        return stopped.use(USE.validate_python(request["use"]))


def _sentence(before: Version, now: Version) -> str:
    def words(one: Judged) -> str:
        return f"{one.name} {one.sha256[:12]}"

    changes = [
        f"camera {name!r}: {words(one)} judges from the daemon's next start on"
        + (f", instead of {words(old)}" if (old := before.cameras.get(name)) and words(old) != words(one) else "")
        for name, one in now.cameras.items()
        if (old := before.cameras.get(name)) != one
    ]
    return "; ".join(changes) or "that is what judges already"
