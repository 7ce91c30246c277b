"""A real daemon in a process of its own, as a user starts it; ports are free ones, read from its log."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from types import TracebackType

from tests.waiting import PATIENCE

REACHED = re.compile(r"publishing at (\S+), metrics at (\S+)/metrics")


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "inspector", *map(str, arguments)]


def environment(**extra: str) -> dict[str, str]:
    """This process' environment without what would hide a fault or change a configuration."""
    clean = {key: value for key, value in os.environ.items() if key != "CI" and not key.startswith("INSPECTOR_")}
    return clean | extra


def run(*arguments: object, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run a verb to its end."""
    return subprocess.run(
        command(*arguments), env=environment(**extra), capture_output=True, text=True, timeout=5 * PATIENCE, check=False
    )


def configure(
    path: Path,
    bundle: Path,
    *sources: str,
    more: str = "",
    publish: str = "",
    camera: str = "",
    cameras: Sequence[str] = (),
) -> Path:
    """Write a configuration with one camera (cam1, cam2, ...) a source.

    camera: of all of them;  cameras: of each, of the first ones
    """
    tables = "".join(
        f'[[camera]]\nname = "cam{index}"\nsource = "{source}"\nbundle = "{bundle}"\n{camera}\n{own}\n'
        for index, (source, own) in enumerate(zip_longest(sources, cameras, fillvalue=""), 1)
    )
    path.write_text(
        f'{more}\n{tables}[publish]\nendpoint = "tcp://127.0.0.1:*"\n{publish}\n[http]\nport = 0\n', encoding="utf-8"
    )
    return path


class Process:
    """`inspector run CONFIG`, reachable at `endpoint` and `http` once entered."""

    def __init__(self, config: Path, **extra: str) -> None:
        self.log: list[dict[str, str]] = []
        self._reader: threading.Thread | None = None
        self._process = subprocess.Popen(
            command("run", config), env=environment(**extra), stderr=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Process:
        while (match := REACHED.search(self._next_line())) is None:
            pass
        self.endpoint, self.http = match.groups()
        while self._next_line() != "ready":
            pass
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        if self._reader is not None:
            self._reader.join(PATIENCE)
        self._process.communicate(timeout=PATIENCE)

    @property
    def triggers(self) -> str:
        """Where it takes triggers, once entered."""
        return self._said("triggers at")

    @property
    def catchup(self) -> str:
        """Where it is asked for what was missed, once entered."""
        return self._said("catch-up at")

    def _said(self, what: str) -> str:
        """The word after `what`, of the log so far."""
        found = (re.fullmatch(rf"{what} (\S+)", line["message"]) for line in self.log)
        return next(match[1] for match in found if match is not None)

    @property
    def pid(self) -> int:
        return self._process.pid

    def keep_reading(self) -> None:
        """Take the log in as it is written, from now on: a pipe that is full would stop the daemon."""
        self._reader = threading.Thread(target=self._read_on, daemon=True)
        self._reader.start()

    def _read_on(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.log.append(json.loads(line))

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        """Wait for the end, keeping the log; the exit code."""
        if self._reader is None:
            self.keep_reading()  # `communicate` would lose the lines that were read ahead of those asked for
        code = self._process.wait(timeout=PATIENCE)
        assert self._reader is not None
        self._reader.join(PATIENCE)
        return code

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"{self.http}{path}", timeout=PATIENCE) as answer:
            return str(answer.read().decode())

    def metrics(self) -> dict[str, float]:
        """Every sample of the scrape, by its name with labels."""
        lines = [line for line in self.get("/metrics").splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    def _next_line(self) -> str:
        assert self._process.stderr is not None
        line = self._process.stderr.readline()
        assert line, f"the daemon ended with {self._process.wait(PATIENCE)}: {self.log}"
        self.log.append(json.loads(line))
        return self.log[-1]["message"]
