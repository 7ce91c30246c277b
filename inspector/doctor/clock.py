"""The clocks: whether time stamps mean anything to other machines."""

from __future__ import annotations

import time
from collections.abc import Iterator

from inspector.doctor.case import Case
from inspector.doctor.finding import Finding, fine, skipped, warning

MOST_ERROR = 0.1
"""Seconds that the wall clock may be off, by the kernel's own account."""
MOST_STEP = 0.05
"""Seconds by which wall and monotonic clock may drift apart while the doctor looks."""
REMEDY = "run chrony, or systemd-timesyncd (timedatectl set-ntp true), with a time server that this machine can reach"


def synchronised(case: Case) -> Iterator[Finding]:
    """Whether somebody keeps the wall clock right."""
    found = case.machine.clock()
    if found is None:
        yield skipped("this system does not tell whether its clock is synchronised", REMEDY)
    elif not found.synchronised:
        yield warning("nobody synchronises the clock: time stamps and shifts drift away from other machines'", REMEDY)
    elif found.error > MOST_ERROR:
        yield warning(f"the clock may be {found.error:.2f} s off", REMEDY)
    else:
        yield fine(f"synchronised, at most {1e3 * found.error:.1f} ms off")


def steps(case: Case) -> Iterator[Finding]:
    """Whether the wall clock jumped while the doctor looked."""
    jumped = (time.time_ns() - time.monotonic_ns() - case.began) / 1e9
    if abs(jumped) > MOST_STEP:
        yield warning(
            f"the wall clock moved by {jumped:+.2f} s against the monotonic one while it was looked at",
            "let one program alone set the clock, and have it slew rather than step",
        )
    else:
        yield fine("wall and monotonic clock went alike while it was looked at")
