"""The addresses that the line binds: free, and who has them if not."""

from __future__ import annotations

from collections.abc import Iterator

from inspector import address
from inspector.doctor.addresses import HTTP, Taken, addresses, endpoints, in_use
from inspector.doctor.case import Case
from inspector.doctor.finding import Finding, failure, fine, of_error, warning
from inspector.errors import OutputError


def ports(case: Case) -> Iterator[Finding]:
    """Each address is bound for a moment, as the daemon does it."""
    line = case.line
    for what, url in addresses(line).items():
        try:
            found = in_use(line, what, case.config, case.machine)
        except OutputError as error:
            yield from of_error(error)
            continue
        if found is not None:
            yield _judged(found)
        elif what == HTTP and line.http.port == 0:
            yield fine("http takes any free port")
        else:
            yield fine(f"{what} {url} is free")
    publish = line.publish
    if publish.catchup is not None and (problem := address.out_of_reach(publish.catchup, publish.endpoint)) is not None:
        text, _, remedy = problem.partition("; ")
        yield warning(text, remedy)


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


def _judged(found: Taken) -> Finding:
    if found.is_own:
        return fine(f"{found.what} {found.url} is in use by this line's own daemon, {found.holder}")
    text, _, remedy = str(found).partition("; ")
    return failure(text, remedy, OutputError)
