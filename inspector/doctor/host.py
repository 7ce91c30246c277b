"""The machine: cores, other programs, memory's total, kernel and C library."""

from __future__ import annotations

import platform
from collections.abc import Iterator

from inspector.doctor.case import Case
from inspector.doctor.finding import Finding, fine, skipped, warning

BUSY = 0.3
"""Share of the cores that others may be using."""


def cores(case: Case) -> Iterator[Finding]:
    """Cores that can really be used."""
    cpu, allowed, quota = case.machine.cpu(), case.machine.allowed(), case.machine.quota()
    if quota is None or quota >= allowed:
        yield fine(f"{allowed} core(s) of {cpu}")
        return
    workers = max(int(quota), 1)
    text = f"{allowed} core(s) of {cpu}, of which control groups leave time for {quota:g}"
    if case.settings is not None and 0 < case.settings.workers.count <= quota + 1:
        yield fine(text)
    else:
        yield warning(
            text,
            f"set workers.count = {workers}, or raise the service's CPUQuota=: one worker a core takes turns, "
            "and is stopped by the kernel for a tenth of a second at a time",
        )


def load(case: Case) -> Iterator[Finding]:
    """Others on the same cores."""
    busy, available = case.machine.load(), case.cores
    if busy is None:
        yield skipped("the system does not tell its load")
    elif busy > BUSY * available:
        yield warning(
            f"{busy:.1f} thread(s) wanted a core in the last minute, of {available:g} that there are",
            "stop what else runs here, or look again when it is quiet: it takes time from the line, and from the "
            "benchmark below",
        )
    else:
        yield fine(f"load {busy:.1f} of {available:g} core(s)")


def system(_: Case) -> Iterator[Finding]:
    """Kernel and C library."""
    library, version = platform.libc_ver()
    text = f"{platform.system()} {platform.release()}, {library or 'an unknown C library'} {version}".rstrip()
    text += f", Python {platform.python_version()}"
    if platform.system() != "Linux":
        yield warning(text, "run the line on Linux: isolated cameras, niceness of workers and systemd need it")
    else:
        yield fine(text)
