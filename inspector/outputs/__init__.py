"""Where messages go: a table scheme -> factory, one file a kind of output.

An output belongs to one thread once it is open. It never blocks: a message that a subscriber has no room for is that
subscriber's loss, and the sequence numbers show it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from inspector.errors import ConfigError
from inspector.outputs.memory import MemoryOutput
from inspector.outputs.zeromq import Door, ZeroMqOutput


class Output(Protocol):
    """One way out. The contract tests run over every one in the table.

    endpoint: the address that it really has, to be shown to people
    subscribers: how many subscriptions there are to each prefix of topics, as of the last `poll`
    hostile: how many messages came in that made no sense
    """

    endpoint: str
    subscribers: Mapping[str, int]
    hostile: int

    def poll(self) -> None:
        """Take in new subscriptions and cancellations."""
        ...

    def wants(self, topic: str) -> bool:
        """Whether anybody has subscribed to `topic`, as of the last `poll`."""
        ...

    def write(self, topic: str, parts: Sequence[bytes]) -> None:
        """Hand over a message; `parts` begin with the topic. Never blocks; raises OutputError."""
        ...

    def close(self) -> None:
        """Let go of everything; waits a moment for what was written last."""
        ...


Factory = Callable[[str, int, bool, Door | None], Output]
"""url, bytes that one slow subscriber may make wait, whether other machines may read in plaintext, who lets subscribers
in -> output"""

FACTORIES: Mapping[str, Factory] = {
    "tcp": ZeroMqOutput,
    "ipc": ZeroMqOutput,
    "memory": MemoryOutput,
}


def open_output(url: str, budget_bytes: int, allow_plaintext: bool = False, door: Door | None = None) -> Output:
    """Open the output that `url` names.

    budget_bytes: about how much may wait for one slow subscriber before its messages are dropped
    allow_plaintext: whether other machines may reach an output that has no door
    door: lets in subscribers on its list alone, encrypted; it is started after and closed after the output
    Raises ConfigError for an address that is wrong or refused, and OutputError for one that cannot be had now.
    """
    scheme = url.partition(":")[0]
    if scheme not in FACTORIES:
        raise ConfigError(f"output {url!r}: there is no kind {scheme!r}; use one of {', '.join(FACTORIES)}")
    return FACTORIES[scheme](url, budget_bytes, allow_plaintext, door)
