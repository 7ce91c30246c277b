"""Charts: as SVG that goes into a page and takes its colour of text, or as a picture beside a run's log."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from inspector.errors import DataError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, PURPLE = "#3d85c6", "#e07b39", "#3f9e6e", "#9a6fc0"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE)
"""Told apart on white and on black, and by most of the colour-blind."""

_TEXT = "#010203"
"""Stands for the page's colour of text until the SVG is written."""

Corner: TypeAlias = Literal["best", "lower left", "lower right"]
"""Where a chart's legend is."""

_POINTS = 400
"""Points that a curve of the page has at most."""


@dataclass(frozen=True)
class Line:
    """A curve [n], and perhaps the one point of it that is in use."""

    label: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    point: tuple[float, float] | None = None


def curves(
    name: str,
    lines: Sequence[Line],
    x_label: str,
    y_label: str,
    x_limit: float = 1.0,
    fill: bool = False,
    legend: Corner = "lower right",
) -> str:
    """Curves in the unit square, or in its left part up to `x_limit`; SVG. `fill` shades the first one's area."""

    def draw(axes: Axes) -> None:
        for line, colour in zip(lines, COLOURS, strict=False):
            x, y = _thin(line.x, line.y)
            axes.plot(x, y, color=colour, label=line.label)
            if fill and line is lines[0]:
                axes.fill_between(x, y, color=colour, alpha=0.15, linewidth=0)
            if line.point is not None:
                axes.plot(*line.point, "o", color=colour, markersize=7, markeredgecolor=_TEXT, clip_on=False)
        axes.set(xlabel=x_label, ylabel=y_label, xlim=(0, x_limit), ylim=(0, 1.02))

    return _svg(name, draw, legend)


def histogram(name: str, good: NDArray[np.float64], bad: NDArray[np.float64], threshold: float) -> str:
    """Scores of good and of defective pictures, counted on a logarithmic axis, with the threshold; SVG."""

    def draw(axes: Axes) -> None:
        edges = np.linspace(0, 1, 41)
        for values, label, colour in ((good, "good", BLUE), (bad, "defective", ORANGE)):
            axes.hist(values, edges.tolist(), color=colour, alpha=0.55, label=f"{label} ({len(values)})")
        axes.axvline(threshold, color=_TEXT, linestyle="--", label=f"threshold {threshold:g}")
        axes.set_yscale("log")
        axes.set(xlabel="score", ylabel="pictures", xlim=(0, 1), ylim=(0.7, None))

    return _svg(name, draw)


def history(name: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Curves of training by epoch: losses, shares and decibels each in an SVG of their own."""
    return [_svg(f"{name} {label}", partial(_epochs, rows, keys, label)) for label, keys in _units(rows).items()]


def plot(log: Path, picture: Path) -> None:
    """Draw a run's `log` (a line of JSON an epoch) into `picture`, a PNG."""
    from matplotlib.figure import Figure

    rows = read_log(log)
    units = _units(rows)
    figure = Figure(figsize=(4.5 * len(units), 3.5), layout="constrained")
    for number, (label, keys) in enumerate(units.items()):
        axes = figure.add_subplot(1, len(units), number + 1)
        _epochs(rows, keys, label, axes)
        axes.legend()
        axes.grid(alpha=0.3)
    figure.savefig(picture, dpi=110)


def read_log(log: Path) -> list[dict[str, Any]]:
    """The epochs of a run's log, one line of JSON each; raises DataError where it is empty or damaged."""
    try:
        rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise DataError(f"{log} cannot be read ({error}); bring it back or remove it") from error
    keys = _numbers(rows[0]) if rows else []
    if "epoch" not in keys or any(_numbers(row) != keys for row in rows):
        raise DataError(f"{log} does not have the same figures of each epoch; bring it back or remove it")
    return rows


def _numbers(row: Any) -> list[str]:
    """The keys of a log's row that have figures."""
    return [key for key, value in row.items() if isinstance(value, int | float)] if isinstance(row, dict) else []


def _epochs(rows: Sequence[Mapping[str, Any]], keys: Sequence[str], unit: str, axes: Axes) -> None:
    for key, colour in zip(keys, COLOURS, strict=False):
        marker = "." if len(rows) < 30 else ""
        axes.plot(
            [row["epoch"] for row in rows], [row[key] for row in rows], marker=marker, color=colour,
            label=key.replace("_", " "),
        )  # fmt: skip
    axes.set(xlabel="epoch", ylabel=unit)


def _units(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The keys of a log by what they are measured in."""
    units: dict[str, list[str]] = {"loss": [], "share": [], "dB": []}
    for key in _numbers(rows[0]):
        if key != "epoch":
            units["loss" if "loss" in key else "dB" if "psnr" in key else "share"].append(key)
    return {label: keys for label, keys in units.items() if keys}


def _thin(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The points of a curve that can be seen apart: evenly along its length."""
    if len(x) <= _POINTS:
        return x, y
    length = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    kept = np.unique(np.searchsorted(length, np.linspace(0, length[-1], _POINTS)))
    return x[kept], y[kept]


def _svg(name: str, draw: Callable[[Axes], None], legend: Corner = "best") -> str:
    """A chart as an <svg> element without ids that another chart on the page might have."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style: Any = {
        **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), _TEXT),
        "grid.color": _TEXT, "svg.fonttype": "none", "svg.hashsalt": name, "axes.spines.top": False,
        "axes.spines.right": False, "font.size": 10,
    }  # fmt: skip
    with mpl.rc_context(style):
        figure = Figure(figsize=(4.6, 3.3), layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        axes.grid(alpha=0.15)
        axes.set_axisbelow(True)
        axes.legend(frameon=False, fontsize=9, loc=legend)
        return _element(figure, name)


def _element(figure: Figure, name: str) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = out.getvalue()[out.getvalue().index("<svg") :]
    # A style of its own would hold for the whole page, and so would ids.
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg).replace(_TEXT, "currentColor")
    svg = re.sub(r'(<svg [^>]*?)width="[^"]*" height="[^"]*"|(<svg [^>]*?)height="[^"]*"', r"\1\2", svg, count=1)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{name}" ', 1)
