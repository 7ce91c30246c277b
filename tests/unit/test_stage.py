from __future__ import annotations

import os
import sys
import threading

import pytest

from inspector.clock import SystemClock
from inspector.stage import Stage


def niceness_within(niceness: int) -> int:
    found: list[int] = []

    def body(_: Stage) -> None:
        found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    stage = Stage("test", body, SystemClock(), lambda: None, niceness)
    stage.start()
    assert stage.join(30)
    assert stage.error is None
    (one,) = found
    return one


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no niceness of their own")
def test_a_stage_gives_way_and_the_others_do_not() -> None:
    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    assert niceness_within(0) == before
    assert niceness_within(3) == min(before + 3, 19)
    assert niceness_within(40) == 19
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before


def test_a_stage_runs_where_its_priority_may_not_be_touched(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "setpriority", refuse)
    monkeypatch.setattr(sys, "platform", "linux")
    niceness_within(3)
    assert "stage test keeps its priority: [Errno 1] Operation not permitted" in caplog.text
