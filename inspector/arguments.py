"""What arguments of the command line are read by."""

from __future__ import annotations

import math


def number(text: str) -> float:
    """Not a number where it is none, so that it is in no range."""
    try:
        return float(text)
    except ValueError:
        return math.nan
