from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Iterator

import pytest

from inspector import notify


@pytest.fixture(params=["file", "abstract"])
def systemd(request, tmp_path, monkeypatch) -> Iterator[socket.socket]:
    """What systemd listens with; both kinds of address that it uses."""
    name = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{name}" if request.param == "abstract" else name)
        listener.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}" if request.param == "abstract" else name)
        yield listener


def test_each_word_is_a_datagram(systemd):
    for say, word in (
        (notify.ready, b"READY=1"),
        (notify.watchdog, b"WATCHDOG=1"),
        (lambda: notify.stopping(2.5), b"STOPPING=1\nEXTEND_TIMEOUT_USEC=2500000"),
    ):
        say()
        assert systemd.recv(1024) == word


def test_a_status_is_one_line(systemd):
    notify.status("4 cameras,\n  12 frames ä")
    assert systemd.recv(1024) == "STATUS=4 cameras, 12 frames ä".encode()


def test_a_reload_says_since_when(systemd):
    before = time.monotonic_ns() // 1000
    notify.reloading()
    word, since = systemd.recv(1024).decode().split("\n")
    assert word == "RELOADING=1"
    assert before <= int(since.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000


@pytest.mark.parametrize("address", [None, ""])
def test_without_systemd_nothing_happens(monkeypatch, caplog, address):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    if address is not None:
        monkeypatch.setenv("NOTIFY_SOCKET", address)
    notify.ready()
    assert caplog.messages == []


def test_a_systemd_that_does_not_answer_is_logged_and_survived(monkeypatch, caplog, tmp_path):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    with caplog.at_level(logging.WARNING):
        notify.watchdog()
    assert caplog.messages == ["systemd could not be told WATCHDOG: [Errno 2] No such file or directory"]


@pytest.mark.parametrize(
    ("microseconds", "pid", "seconds"),
    [
        ("60000000", None, 60.0),
        ("500000", "own", 0.5),
        ("60000000", "1", None),
        (None, None, None),
        ("", None, None),
        ("0", None, None),
        ("soon", None, None),
    ],
)
def test_the_watchdog_interval_is_systemds(monkeypatch, microseconds, pid, seconds):
    for name, value in (("WATCHDOG_USEC", microseconds), ("WATCHDOG_PID", str(os.getpid()) if pid == "own" else pid)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert notify.watchdog_interval() == seconds
