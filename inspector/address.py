"""ZeroMQ's addresses: `tcp://HOST:PORT` and `ipc://PATH`; what they mean, for whoever binds, connects or checks."""

from __future__ import annotations

import ipaddress
import re

FORMS = "use tcp://HOST:PORT, such as tcp://127.0.0.1:5600, or ipc://PATH"
"""What to do about an address that is none, to stand in a sentence."""

MAX_PORT = 65_535
_TCP = re.compile(r"tcp://(?P<host>\[[^]]+\]|[^:/]+):(?P<port>\d{1,5}|\*)", re.ASCII)
_IPC = re.compile(r"ipc://[^@*].*")


def tcp_host(address: str) -> str | None:
    """The host of a `tcp://HOST:PORT` (port `*`: any), without the brackets of IPv6; None if it is no such address."""
    tcp = _TCP.fullmatch(address)
    if tcp is None or (tcp["port"] != "*" and int(tcp["port"]) > MAX_PORT):
        return None
    return tcp["host"].strip("[]")


def objection(address: str) -> str | None:
    """What is wrong with `address`, and the remedy; None if it is one to bind."""
    return None if is_ipc(address) or tcp_host(address) is not None else FORMS


def exposure(address: str) -> str | None:
    """Why nothing may be published at `address` in plaintext, and the remedy; None if it is this machine's alone."""
    host = tcp_host(address)
    if host is None or is_loopback(host):
        return None
    return (
        "other machines could read everything, as nothing is encrypted; use tcp://127.0.0.1:PORT, give [security] its "
        "keys (docs/security.md), or set publish.allow_plaintext = true if the network is yours alone"
    )


def out_of_reach(catchup: str, endpoint: str) -> str | None:
    """Why not all who may subscribe at `endpoint` can ask at `catchup`, and the remedy; None if they can."""
    if exposure(endpoint) is None or exposure(catchup) is not None:
        return None
    return (
        f"other machines may subscribe at {endpoint}, but cannot reach publish.catchup, {catchup}: what they miss is "
        "lost to them; give it a host that they reach"
    )


def seen_from(bound: str, connected: str) -> str:
    """`bound`, an address as its server bound it, as whoever is connected to that server's `connected` reaches it.

    A server that binds a wildcard says 0.0.0.0 or [::], which is no host to connect to.
    """
    if tcp_host(bound) not in ("0.0.0.0", "::", "*"):  # noqa: S104 - read, not bound
        return bound
    host = tcp_host(connected) or "127.0.0.1"
    return f"tcp://{f'[{host}]' if ':' in host else host}:{bound.rpartition(':')[2]}"


def is_ipc(address: str) -> bool:
    """Whether it is an `ipc://PATH`; ZeroMQ's abstract names and wildcards are not, as no mode protects them."""
    return _IPC.fullmatch(address) is not None


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine's alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
