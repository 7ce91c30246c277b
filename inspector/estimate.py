"""How long the next batch, or row of one, will take, from how long the last ones took (pure)."""

from __future__ import annotations

RECENT = 20
"""Batches looked back upon; the estimate leaves out the longest tenth of them."""


class Estimate:
    """What nine of ten recent batches stayed within.

    A quantile of a short window, not a mean with deviations as TCP's timer has it (RFC 6298): batches that repair and
    batches that don't make two humps, and one that took seconds because the machine was suspended must not count for
    long. Batches of all sizes count alike, for load makes neighbours alike.
    """

    def __init__(self) -> None:
        self.seconds = self.mean = 0.0
        """What nine of ten stayed within, and the mean of those; 0 while there was none."""
        self._recent: list[float] = []

    def add(self, seconds: float) -> None:
        """Take in how long a batch took. Workers may do so at once: at worst one of their batches is forgotten."""
        recent = [*self._recent[1 - RECENT :], seconds]
        self._recent = recent
        usual = sorted(recent)[: len(recent) - len(recent) // 10]
        self.seconds, self.mean = usual[-1], sum(usual) / len(usual)
