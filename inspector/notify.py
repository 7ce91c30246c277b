"""Telling systemd how the service is: the sd_notify(3) protocol, one datagram a message to the socket that it names.

Without a NOTIFY_SOCKET nobody wants to know, and every function here does nothing.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from typing import TextIO

log = logging.getLogger(__name__)

PATIENCE = 1.0
"""Seconds that a message may wait for a systemd that is busy."""


def ready() -> None:
    """Say that the service is up: ends `systemctl start`."""
    _send("READY=1")


def reloading() -> None:
    """Say that the configuration is being read again, until `ready` is said once more.

    Type=notify-reload wants to know since when, by a clock that is CLOCK_MONOTONIC on Linux.
    """
    _send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")


def stopping(seconds: float) -> None:
    """Say that the service is on its way down, and may take so long even if TimeoutStopSec= is shorter."""
    _send(f"STOPPING=1\nEXTEND_TIMEOUT_USEC={round(seconds * 1e6)}")


def status(text: str) -> None:
    """Set the line that `systemctl status` shows."""
    _send(f"STATUS={' '.join(text.split())}")


def watchdog() -> None:
    """Say that the service is alive; silence for longer than `watchdog_interval` gets it killed and restarted."""
    _send("WATCHDOG=1")


def watchdog_interval() -> float | None:
    """Seconds of silence that systemd allows, None if it does not watch this process (sd_watchdog_enabled(3))."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    for_us = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(microseconds) / 1e6 if microseconds.isdigit() and int(microseconds) > 0 and for_us else None


def is_journal(stream: TextIO) -> bool:
    """Whether systemd's journal reads `stream` ($JOURNAL_STREAM, systemd.exec(5))."""
    told = os.environ.get("JOURNAL_STREAM")
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # no file at all
        return False
    return told == f"{status.st_dev}:{status.st_ino}"


def _send(message: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):  # Linux' abstract namespace: a name without a file
        address = f"\0{address[1:]}"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.settimeout(PATIENCE)
            sender.connect(address)
            sender.send(message.encode())
    except OSError as error:  # the line goes on; if it mattered, systemd acts on the silence
        log.warning("systemd could not be told %s: %s", message.partition("=")[0], error)
