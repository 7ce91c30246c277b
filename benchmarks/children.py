"""Loads run in processes of their own, which answer each line of JSON on their input with one on their output."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

PATIENCE = 15.0
"""Seconds that a process gets to end before it is killed."""


class Child:
    """`python -m benchmarks.MODULE OPTIONS` until the end of the `with`; its first answer says that it is ready.

    interpreter: that of another environment
    """

    def __init__(self, module: str, interpreter: Path = Path(sys.executable), **options: Any) -> None:
        self._name = module
        command = [str(interpreter), "-m", f"benchmarks.{module}", json.dumps(options, default=str)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self._process.pid

    def send(self, **question: Any) -> None:
        """Ask without waiting for the answer."""
        assert self._process.stdin is not None
        print(json.dumps(question), file=self._process.stdin, flush=True)

    def answer(self) -> dict[str, Any]:
        """The next answer."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(
                f"the process of benchmarks.{self._name} ended without an answer; see above what it said"
            )
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, **question: Any) -> dict[str, Any]:
        """Ask and wait for the answer."""
        self.send(**question)
        return self.answer()

    def terminate(self) -> None:
        """Send SIGTERM, and wait for nothing."""
        self._process.terminate()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _part_from(self._process)


def end(process: subprocess.Popen[str]) -> None:
    """End a process: by SIGTERM, and if that does not help, by force."""
    process.terminate()
    _part_from(process)


def _part_from(process: subprocess.Popen[str]) -> None:
    """Its input ends, which ends every child; by force if that does not help."""
    try:
        process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def options() -> dict[str, Any]:
    """In a child: what it was started with. From here on it only tells of errors: what it warns of is done to it."""
    logging.basicConfig(level=logging.ERROR)
    given: dict[str, Any] = json.loads(sys.argv[1])
    return given


def answer(**content: Any) -> None:
    """In a child: one answer."""
    print(json.dumps(content), flush=True)


def questions() -> Iterator[dict[str, Any]]:
    """In a child: the questions as they come."""
    for line in sys.stdin:
        yield json.loads(line)


def stop() -> None:
    """In a child that runs a daemon: drain it, as SIGTERM does. At the end of the input nobody is left to do it."""
    os.kill(os.getpid(), signal.SIGTERM)
