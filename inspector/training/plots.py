"""Draws a run's log: loss on the left, the validation figures in [0, 1] or in dB on the right."""

from __future__ import annotations

import json
from pathlib import Path


def plot(log: Path, picture: Path) -> None:
    """Draw `log` (a line of JSON an epoch) into `picture`, a PNG."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    epochs = [row["epoch"] for row in rows]
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    for key in (key for key in rows[0] if key != "epoch"):
        axis = axes[0] if "loss" in key else axes[1]
        axis.plot(epochs, [row[key] for row in rows], marker=".", label=key)
    for axis in axes:
        axis.set_xlabel("epoch")
        axis.legend()
        axis.grid(alpha=0.3)
    figure.savefig(picture, dpi=110)
    plt.close(figure)
