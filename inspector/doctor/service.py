"""The systemd unit, if there is one: whether it is told of hangs, and what happens then."""

from __future__ import annotations

import re
from collections.abc import Iterator

from inspector.doctor.case import Case
from inspector.doctor.finding import Finding, fine, skipped, warning

UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|min|h|d|w)\b")


def unit(case: Case) -> Iterator[Finding]:
    """Its watchdog, and when it is restarted.

    Its times need not fit the configuration's: the daemon asks for the time to stop that it needs, and feeds the
    watchdog until a stage has hung for `daemon.stall`.
    """
    found = case.machine.unit(case.wish.unit, "WatchdogUSec", "Type", "Restart")
    if not found:
        yield skipped(f"no unit {case.wish.unit} is loaded on this machine", "see deploy/README.md for how to make one")
        return
    troubles = []
    if span(found.get("WatchdogUSec", "")) is None:
        troubles.append(("without WatchdogSec= nobody restarts a daemon that hangs", "set WatchdogSec=60"))
    if found.get("Type") != "notify":
        troubles.append((f"Type={found.get('Type')} calls it ready before it is", "set Type=notify"))
    if found.get("Restart") not in ("on-failure", "always"):
        troubles.append((f"Restart={found.get('Restart')} leaves it down after a crash", "set Restart=on-failure"))
    for text, remedy in troubles:
        yield warning(f"{case.wish.unit}: {text}", f"{remedy} (systemd/inspector.service)")
    if not troubles:
        yield fine(f"{case.wish.unit}: watchdog and restarts fit")


def span(text: str) -> float | None:
    """Seconds of a time as systemd writes it, such as `1min 30s`; None for none, 0 or infinity."""
    parts = _SPAN.findall(text)
    return sum(float(number) * UNITS[unit] for number, unit in parts) or None
