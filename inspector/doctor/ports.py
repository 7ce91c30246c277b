"""The addresses that the line binds: free, and who has them if not."""

from __future__ import annotations

from collections.abc import Iterator

import zmq

from inspector import address
from inspector.binding import bind
from inspector.doctor.case import Case
from inspector.doctor.finding import Finding, failure, fine, of_error, warning
from inspector.errors import OutputError
from inspector.health import Health, Views
from inspector.settings import Settings


def ports(case: Case) -> Iterator[Finding]:
    """Each address is bound for a moment, as the daemon does it."""
    line = case.line
    for what, url in endpoints(line).items():
        try:
            _try(what, url)
        except OutputError as error:
            yield from _taken(case, error, int(port) if (port := url.rpartition(":")[2]).isdecimal() else None)
        else:
            yield fine(f"{what} {url} is free")
    try:
        Health(line.http.host, line.http.port, Views(bytes, bool, list)).close()
    except OutputError as error:
        yield from _taken(case, error, line.http.port)
    else:
        yield fine(f"http {line.http.host}:{line.http.port} is free" if line.http.port else "http takes any free port")


def plaintext(case: Case) -> Iterator[Finding]:
    """What others on the network may read."""
    open_to_all = [url for url in endpoints(case.line).values() if address.exposure(url) is not None]
    if open_to_all and case.line.security.secret_key is None:
        yield warning(
            f"whoever reaches {', '.join(open_to_all)} reads everything: publish.allow_plaintext is set",
            "give [security] its keys (docs/security.md), unless this network is yours alone",
        )
    elif open_to_all:
        yield fine("encrypted, and for those listed alone")
    else:
        yield fine("nothing is published beyond this machine")


def endpoints(line: Settings) -> dict[str, str]:
    """ZeroMQ's addresses, by what they are for."""
    found = {"publisher": line.publish.endpoint, "catch-up": line.publish.catchup, "triggers": line.trigger.endpoint}
    return {what: url for what, url in found.items() if url is not None and not url.startswith("memory:")}


def _try(what: str, url: str) -> None:
    context = zmq.Context()
    place = context.socket(zmq.ROUTER)
    try:
        place.setsockopt(zmq.IPV6, "[" in url)
        bind(place, url, what)
    finally:
        place.close(linger=0)
        context.term()


def _taken(case: Case, error: OutputError, port: int | None) -> Iterator[Finding]:
    who = None if port is None else case.machine.listener(port)
    (found,) = of_error(error)
    text = found.text if who is None else f"{found.text} by {who}"
    remedy = f"{found.remedy}; where it is this line's own daemon that runs, all is well"
    yield failure(text, remedy, OutputError)
