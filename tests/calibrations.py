"""A calibration by hand, for tests of what reads one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from inspector.inference import bundle

SHA256 = "d5" * 32


def calibration_text(folder: Path, **changes: Any) -> str:
    """The text of a calibration for the bundle in `folder`; `changes` replace values by their key."""
    values: dict[str, Any] = {
        "format": 1,
        "date": '"2026-01-31T12:00:00Z"',
        "camera": '"cam1"',
        "sha256": f'"{bundle.load(folder).sha256}"',
        "provider": '"CPUExecutionProvider"',
        "precision": '"fp32"',
        "threshold": 0.9,
        "min_area": 9,
        "false_reject_rate": 0.02,
        "confidence": 0.95,
        "parts": 300,
    } | changes
    return """# By hand.
format = {format}
date = {date}
camera = {camera}
[bundle]
name = "bright"
sha256 = {sha256}
provider = {provider}
precision = {precision}
[decision]
threshold = {threshold}
min_area = {min_area}
chosen = "by hand"
[promise]
false_reject_rate = {false_reject_rate}
confidence = {confidence}
[data]
sha256 = "{data}"
pictures = 320
parts = {parts}
[false_rejects]
per_1000 = 6.6
low = 0.8
high = 18.4
""".format(**values, data=SHA256)
