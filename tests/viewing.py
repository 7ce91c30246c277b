"""`inspector view` as a process, and what a page does to get updates, without a browser."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.daemon import command, environment
from tests.readers import rest
from tests.waiting import PATIENCE

REACHED = re.compile(r"listening at (\S+), to be seen at (http://\S+/)")


class View:
    """`inspector view ENDPOINT` at any free port; `url` once entered."""

    def __init__(self, endpoint: str, *options: object) -> None:
        self._process = subprocess.Popen(
            command("view", endpoint, "--port", 0, *options),
            env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __enter__(self) -> View:
        assert self._process.stdout is not None
        self.said = self._process.stdout.readline()
        found = REACHED.match(self.said)
        if found is None:
            raise AssertionError(rest(self._process)[1])
        self.url = found[2]
        self.address = self.url.removeprefix("http://").removesuffix("/")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate(timeout=PATIENCE)

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self) -> tuple[int, str]:
        """SIGTERM; the exit code and what was said, once it is over."""
        self._process.terminate()
        out, errors = rest(self._process)
        return self._process.returncode, self.said + out + errors

    def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (names in lower case) and body."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.url + path.removeprefix("/"), headers=named, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, _lower(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            return error.code, _lower(error.headers), error.read()

    @contextmanager
    def page(self, origin: str | None = "", **headers: str) -> Iterator[Page]:
        """A page's connection. origin: its own, if it is not said otherwise"""
        origin = self.url.removesuffix("/") if origin == "" else origin
        url = f"ws://{self.address}/live"
        with connect(url, origin=origin, additional_headers=headers, max_size=None, compression=None) as socket:  # type: ignore[arg-type]
            yield Page(socket)


class Page:
    """What a page gets: `next` asks for an update. `pictures` has the newest of each camera and kind."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.rows: list[dict[str, Any]] = []
        self.defects: list[dict[str, Any]] = []
        self.pictures: dict[tuple[str, str], dict[str, Any]] = {}
        self.last: dict[str, Any] = {}
        self.survey: dict[str, Any] = {}

    def next(self) -> dict[str, Any]:
        self._socket.send("next")
        data = self._socket.recv(timeout=60)
        assert isinstance(data, bytes)
        told, parts = unpack(data)
        self.last = told
        self.rows += told["rows"]
        self.defects += told["defects"]
        self.survey = told.get("survey", self.survey)
        for camera, kinds in told["pictures"].items():
            for kind in ("live", "defect"):
                if kind in kinds:
                    base = kinds[kind]["base"]
                    self.pictures[camera, kind] = kinds[kind] | {"jpeg": None if base is None else parts[base]}
        return told

    @property
    def daemon(self) -> dict[str, Any]:
        found: dict[str, Any] = self.last.get("daemon", {})
        return found


def unpack(data: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """As static/link.js does."""
    at = 4 + int.from_bytes(data[:4])
    told = json.loads(data[4:at])
    parts = []
    for size in told["parts"]:
        parts.append(data[at : at + size])
        at += size
    assert at == len(data)
    return told, parts


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
