from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError

import pytest

from inspector.jobs import Jobs


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    jobs = Jobs()
    thread = threading.Thread(target=jobs.run, args=(lambda: None,))
    thread.start()
    yield jobs
    jobs.stop()
    thread.join(30)
    assert not thread.is_alive()


def test_jobs_are_done_in_order_by_one_thread(jobs: Jobs) -> None:
    done: list[tuple[int, int]] = []

    def job(number: int) -> int:
        done.append((number, threading.get_native_id()))
        return number

    futures = [jobs.submit(lambda number=number: job(number)) for number in range(5)]
    assert [future.result(30) for future in futures] == [0, 1, 2, 3, 4]
    assert [number for number, _ in done] == [0, 1, 2, 3, 4]
    assert len({thread for _, thread in done} - {threading.get_native_id()}) == 1


def test_what_a_job_raises_is_for_who_waits_and_the_next_is_done(jobs: Jobs) -> None:
    def broken() -> None:
        raise RuntimeError("a bug")

    failed, after = jobs.submit(broken), jobs.submit(lambda: "done")
    with pytest.raises(RuntimeError, match="a bug"):
        failed.result(30)
    assert after.result(30) == "done"


def test_after_the_end_nobody_waits_for_ever() -> None:
    jobs, begun, goes_on = Jobs(), threading.Event(), threading.Event()

    def slow() -> str:
        begun.set()
        assert goes_on.wait(30)
        return "done"

    thread = threading.Thread(target=jobs.run, args=(lambda: None,))
    thread.start()
    running = jobs.submit(slow)
    assert begun.wait(30)
    waiting = jobs.submit(lambda: "never")
    jobs.stop()
    goes_on.set()
    thread.join(30)
    assert running.result(30) == "done"
    for future in (waiting, jobs.submit(lambda: "too late")):
        with pytest.raises(CancelledError):
            future.result(30)
