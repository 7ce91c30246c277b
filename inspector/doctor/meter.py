"""CPU time by part of the work, taken where the daemon calls each part."""

from __future__ import annotations

import functools
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any


class Meter:
    """CPU seconds of each part, in any thread, and how often it was done; a part within a part counts to the outer."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.times: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._inside = threading.local()

    def watch(self, owner: Any, name: str, part: str, then: Callable[[Any], Any] | None = None) -> None:
        """Measure the method or function `name` of `owner` (a class or a module) as `part`, from now on.

        then: makes of what it returns what its caller gets. Raises AttributeError where there is no such name.
        """
        original = getattr(owner, name)

        @functools.wraps(original)
        def measured(*arguments: Any, **named: Any) -> Any:
            if getattr(self._inside, "part", False):
                return original(*arguments, **named)
            self._inside.part = True
            start = time.thread_time()
            try:
                result = original(*arguments, **named)
            finally:
                self._add(part, time.thread_time() - start)
                self._inside.part = False
            return result if then is None else then(result)

        setattr(owner, name, measured)

    def snapshot(self) -> tuple[dict[str, float], Counter[str]]:
        """Seconds and times so far, by part."""
        with self._lock:
            return dict(self.seconds), Counter(self.times)

    def _add(self, part: str, seconds: float) -> None:
        with self._lock:
            self.seconds[part] += seconds
            self.times[part] += 1
