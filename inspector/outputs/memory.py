"""`memory:` keeps the newest messages in a list: for tests, here and in others' projects."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence


class MemoryOutput:
    """Wants what begins with one of `prefixes` (everything at first) and keeps the newest `budget_bytes` of it."""

    def __init__(
        self, url: str = "memory:", budget_bytes: int = 1 << 26, allow_plaintext: bool = False, door: object = None
    ) -> None:
        del allow_plaintext, door  # it never leaves the process
        self.endpoint = url
        self.prefixes = [""]
        self.subscribers: Mapping[str, int] = {}
        self.hostile = 0
        self.messages: deque[list[bytes]] = deque()
        self._budget = budget_bytes
        self._bytes = 0

    def poll(self) -> None:
        """Take in `prefixes` as they are set now."""
        self.subscribers = Counter(self.prefixes)

    def wants(self, topic: str) -> bool:
        """Whether `topic` begins with one of `prefixes`."""
        return topic.startswith(tuple(self.prefixes))

    def write(self, topic: str, parts: Sequence[bytes]) -> None:
        """Keep a message, and forget the oldest where the budget is spent."""
        del topic  # it is the first part
        self.messages.append(list(parts))
        self._bytes += sum(map(len, parts))
        while self._bytes > self._budget:
            self._bytes -= sum(map(len, self.messages.popleft()))

    def close(self) -> None:
        """Nothing to do: the messages stay to be looked at."""
