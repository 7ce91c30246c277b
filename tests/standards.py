"""What frames are judged by, without a model, for tests of what only has to know which."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from inspector.types import CalibrationTag, Image, ModelTag

LINES = ModelTag("lines", "ab" * 32, "CPUExecutionProvider")


@dataclass(frozen=True)
class Plain:
    """A `types.Standard` that does as it is told."""

    tag: ModelTag = LINES
    calibration: CalibrationTag | None = None
    fitting: Callable[[Image], Image] = lambda image: image
    pace: str = ""
    takes: int = 1
    """Rows of a batch."""

    def fit(self, image: Image) -> Image:
        return self.fitting(image)

    def rows(self, _: Image) -> int:
        return self.takes
