"""How much each peer may ask for: a token bucket for every connection (pure).

Turner, "New directions in communications", IEEE Communications Magazine 24(10), 1986.
"""

from __future__ import annotations


class Limits:
    """Buckets of `burst` tokens that fill up again with `rate` tokens a second, one for each of `peers` peers.

    A peer that has tokens may go on, and is charged afterwards, so that its bucket may hold less than nothing. One
    whose bucket is full again is forgotten. While nobody can be forgotten, newcomers wait.
    """

    def __init__(self, rate: float, burst: float, peers: int) -> None:
        self._rate, self._burst, self._peers = rate, burst, peers
        self._full_at: dict[bytes, float] = {}
        """When each peer's bucket is full again: its tokens are `burst` less what must flow in until then."""

    def wait(self, peer: bytes, now: float) -> float:
        """Seconds until `peer` may ask; 0 means now."""
        full_at = self._full_at.get(peer)
        if full_at is None:
            if len(self._full_at) >= self._peers:
                self._forget(now)
            return 0.0 if len(self._full_at) < self._peers else max(min(self._full_at.values()) - now, 0.0)
        return max(full_at - now - self._burst / self._rate, 0.0)

    def charge(self, peer: bytes, tokens: float, now: float) -> None:
        """Take `tokens` from the peer's bucket."""
        self._full_at[peer] = max(self._full_at.get(peer, now), now) + tokens / self._rate

    def _forget(self, now: float) -> None:
        self._full_at = {peer: full_at for peer, full_at in self._full_at.items() if full_at > now}
