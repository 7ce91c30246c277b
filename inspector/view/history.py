"""Verdicts over time, and how latencies and scores are spread: bounded, and pure (times are handed in)."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Sequence
from itertools import count as counting
from itertools import islice

from inspector.types import Verdict

BUCKET_SECONDS = 5
BUCKETS = 120
"""Ten minutes."""
RECENT = 2000
"""Verdicts of a camera that distributions are taken from."""
SCORES = tuple(round(0.04 * step, 2) for step in range(1, 25))
"""Bounds between the bins of scores; the last bin ends at 1."""
MILLISECONDS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000, 2000, 5000)
"""Bounds between the bins of latencies; the last has no end."""


class History:
    """Counts verdicts by the time of capture."""

    def __init__(self) -> None:
        self._counts: dict[int, Counter[Verdict]] = {}

    def add(self, verdict: Verdict, captured_ns: int) -> None:
        """Count a verdict; what is older than all `BUCKETS` is forgotten, and what is further ahead."""
        bucket = captured_ns // (BUCKET_SECONDS * 10**9)
        if bucket not in self._counts:
            self._counts[bucket] = Counter()
            for ahead in [each for each in self._counts if each > bucket + BUCKETS]:
                del self._counts[ahead]  # somebody set the clock back
        self._counts[bucket][verdict] += 1
        if len(self._counts) > 2 * BUCKETS:
            for old in sorted(self._counts)[:BUCKETS]:
                del self._counts[old]

    def until(self, now_ns: int) -> dict[str, list[int]]:
        """By verdict, the counts of the last `BUCKETS`, the oldest first and that of `now_ns` last."""
        last = now_ns // (BUCKET_SECONDS * 10**9)
        buckets = [self._counts.get(bucket, Counter[Verdict]()) for bucket in range(last - BUCKETS + 1, last + 1)]
        return {verdict.value: [bucket[verdict] for bucket in buckets] for verdict in Verdict}


class Spread:
    """The last values, and by verdict how many lie in each bin. `bounds` stand between the bins, ascending."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = {verdict: [0] * (len(bounds) + 1) for verdict in Verdict}
        self._values: deque[tuple[Verdict, float]] = deque()

    def add(self, verdict: Verdict, value: float) -> None:
        """Count a value, a bin from above its lower bound up to its upper one; the oldest of `RECENT` goes."""
        self._values.append((verdict, value))
        self._counts[verdict][bisect_left(self._bounds, value)] += 1
        if len(self._values) > RECENT:
            verdict, value = self._values.popleft()
            self._counts[verdict][bisect_left(self._bounds, value)] -= 1

    def counts(self) -> dict[str, list[int]]:
        """By verdict, how many values lie in each bin."""
        return {verdict.value: list(bins) for verdict, bins in self._counts.items()}

    def quantile(self, share: float) -> float | None:
        """The value that this share of all is not above; None where there is none."""
        values = sorted(value for _, value in self._values)
        return values[min(int(share * len(values)), len(values) - 1)] if values else None


class Pace:
    """How many came in a second, over the last `seconds`."""

    def __init__(self, seconds: float = 5.0) -> None:
        self._seconds = seconds
        self._slots: Counter[int] = Counter()
        self._since: float | None = None

    def add(self, now: float) -> None:
        """One came."""
        self._since = now if self._since is None else self._since
        self._slots[int(now)] += 1
        for old in [slot for slot in self._slots if slot < now - self._seconds - 1]:
            del self._slots[old]

    def rate(self, now: float) -> float:
        """Whole seconds only, so that it does not flicker."""
        if self._since is None:
            return 0.0
        whole = [int(now) - back for back in islice(counting(1), int(self._seconds))]
        lived = [slot for slot in whole if slot >= int(self._since)]
        return sum(self._slots[slot] for slot in lived) / len(lived) if lived else float(self._slots[int(now)])
