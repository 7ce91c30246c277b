"""Fills the HTML templates: pages that stand alone, with no script and nothing to fetch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

NONE = "\N{EN DASH}"
"""Stands where there is no figure."""


def write(path: Path, template: str, **content: Any) -> None:
    """Write the page that `template`, a file of templates/, makes of `content`."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("inspector.training"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {**FORMS, "limits": limits}
    path.parent.mkdir(parents=True, exist_ok=True)
    text = environment.get_template(template).render(**content)
    path.write_text(text, encoding="utf-8", errors="backslashreplace")  # a file's name need not be UTF-8


def figure(value: float | None) -> str:
    """A number with as many digits as it deserves; a dash where there is none."""
    if value is None:
        return NONE
    if 0 < abs(value) < 0.01:
        return f"{value:.2g}" if abs(value) >= 1e-4 else f"{value:.0e}"
    digits = 4 if 0.9995 <= value < 1 else 3 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:.{digits}f}"


def percent(share: float | None) -> str:
    """A share of 1 in percent."""
    return NONE if share is None else f"{100 * share:.1f} %"


def whole(value: float | None) -> str:
    """A number without decimals."""
    return NONE if value is None else f"{value:.0f}"


def signed(value: float | None) -> str:
    """A difference, with its sign."""
    if value is None:
        return NONE
    digits = 3 if abs(value) < 10 else 0
    return "0" if value == 0 else f"{value:+.0e}" if abs(value) < 0.001 else f"{value:+.{digits}f}"


FORMS = {"figure": figure, "percent": percent, "whole": whole, "signed": signed}


def limits(interval: Sequence[float] | None, form: str = "figure") -> str:
    """An interval as "low to high", both in one of FORMS."""
    if interval is None:
        return NONE
    low, high = (FORMS[form](value) for value in interval)
    return f"{low.removesuffix(' %')} to {high}"
