"""What a browser lacks, as one parcel: everything at first, then what is new since the last that it drew."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from inspector.view.camera import Camera
from inspector.view.packing import Parcel
from inspector.view.state import State

SURVEY_SECONDS = 1.0


class Updates:
    """Follows what one browser has: some numbers a camera, so that one that is slow costs nothing."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._version = -1
        self._live: dict[str, int] = {}
        self._defects: dict[str, int] = {}
        self._survey_due = 0.0

    @property
    def is_due(self) -> bool:
        """Whether there is anything new."""
        return self._version != self._state.version

    async def next(self) -> bytes:
        """The next one. Pictures of results are made in a thread, once for all browsers."""
        for name, camera in list(self._state.cameras.items()):
            defect = camera.defect
            if defect is not None and not defect.is_ready and self._defects.get(name) != camera.defect_version:
                await asyncio.to_thread(defect.make)
        return self._packed(time.monotonic())

    def _packed(self, now: float) -> bytes:
        state, parcel = self._state, Parcel()
        said: dict[str, Any] = {
            "whole": self._version < 0,
            "daemon": state.daemon(now),
            "cameras": state.brief(now),
            "stations": state.parts(),
            "rows": [row for row in state.rows if row["id"] > self._version],
            "defects": [row for row in state.defect_rows if row["id"] > self._version],
            "pictures": {name: self._pictures(parcel, name, camera, now) for name, camera in state.cameras.items()},
        }
        if now >= self._survey_due:
            self._survey_due = now + SURVEY_SECONDS
            said["survey"] = state.survey(now)
        self._version = state.version
        return parcel.packed(said)

    def _pictures(self, parcel: Parcel, name: str, camera: Camera, now: float) -> dict[str, Any]:
        """A camera's newest picture and last defect: their ages always, themselves where they are new."""
        told: dict[str, Any] = {}
        if camera.defect is not None:
            told["defect_age"] = now - camera.defect_at
            if camera.defect.is_ready and self._defects.get(name) != camera.defect_version:
                told["defect"] = parcel.picture(camera.defect, camera.defect.quick)
                self._defects[name] = camera.defect_version
        if camera.live is not None and camera.live.jpeg is not None:
            told["live_age"] = now - camera.live_at
            if self._live.get(name) != camera.live_version:
                live = camera.live
                told["live"] = {
                    "frame": live.frame, "verdict": live.verdict.value, "size": live.size,
                    "base": parcel.add(camera.live.jpeg), "is_defect": camera.live_is_defect,
                }  # fmt: skip
                self._live[name] = camera.live_version
        return told
