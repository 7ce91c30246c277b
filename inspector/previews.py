"""Which frames are shown to people who look at the line: some of each camera, and none while nobody looks (pure)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from inspector import wire
from inspector.types import Inspection, Verdict


class Previews:
    """Chooses frames of `cameras`: `rate` a second of each at the most, and as many again of its defective ones.

    topics: by camera
    """

    def __init__(self, line: str, cameras: Iterable[str], rate: float) -> None:
        self.topics = {camera: wire.topic("preview", line, camera) for camera in cameras}
        self._interval = 1 / rate if rate else 0.0
        self._due = {(camera, is_ng): 0.0 for camera in self.topics for is_ng in (False, True)}

    def choose(
        self, judged: Sequence[Inspection], is_wanted: Callable[[str], bool], now: Callable[[], float]
    ) -> Inspection | None:
        """The one that is to be shown now, if any; defective ones first, then whose camera has waited longest."""
        if not self.topics:
            return None
        wanted = [one for one in judged if one.frame.image is not None and is_wanted(self.topics[one.frame.camera])]
        if not wanted:
            return None
        moment = now()
        due = [one for one in wanted if self._due[_key(one)] <= moment]
        if not due:
            return None
        chosen = min(due, key=lambda one: (one.verdict is not Verdict.NG, self._due[_key(one)]))
        # Counted from when it was due and not from now: a camera of just this rate would else lose every other frame.
        late = max(self._due[_key(chosen)], moment - self._interval)
        self._due[_key(chosen)] = late + self._interval
        return chosen


def _key(inspection: Inspection) -> tuple[str, bool]:
    return inspection.frame.camera, inspection.verdict is Verdict.NG
