"""HTTP for machines that watch over the daemon: /metrics, /healthz, /readyz.

In threads of its own. Whoever connects cannot hurt the line: a request has a few seconds and kilobytes to arrive,
an answer a few seconds to leave, and there is a limit on how many are served at once.
"""

from __future__ import annotations

import errno
import io
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST

from inspector.errors import InUseError, OutputError

log = logging.getLogger(__name__)

PATIENCE = 5.0
"""Seconds for a whole request to arrive, and again for its answer to leave."""
MAX_REQUEST_BYTES = 8192
MAX_CONNECTIONS = 32
PLAIN = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Views:
    """What the three paths show.

    scrape: the text of /metrics
    ready: whether frames are being judged
    failing: one line for each part that has failed; empty while all is well
    """

    scrape: Callable[[], bytes]
    ready: Callable[[], bool]
    failing: Callable[[], Sequence[str]]

    def answer(self, path: str) -> tuple[HTTPStatus, str, bytes]:
        """Status, content type and body for `path`."""
        match path:
            case "/metrics":
                return HTTPStatus.OK, CONTENT_TYPE_LATEST, self.scrape()
            case "/healthz":
                return _probe(self.failing())
            case "/readyz":
                return _probe(() if self.ready() else ("not ready",))
        return HTTPStatus.NOT_FOUND, PLAIN, b"there are /metrics, /healthz and /readyz\n"


def _probe(problems: Sequence[str]) -> tuple[HTTPStatus, str, bytes]:
    status = HTTPStatus.SERVICE_UNAVAILABLE if problems else HTTPStatus.OK
    return status, PLAIN, "".join(f"{line}\n" for line in problems or ("ok",)).encode()


class Health:
    """Serves `views` on `host` and `port` (0: any free one, see `url`) until `close`.

    Raises OutputError if the address cannot be had.
    """

    def __init__(self, host: str, port: int, views: Views) -> None:
        try:
            self._server = _Server(host, port, views)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise InUseError(
                    f"http {host}:{port} is in use; stop the program that has it, or change [http] host or port"
                ) from error
            raise OutputError(
                f"http address {host}:{port} cannot be opened ({error.strerror or error}); change [http] host or port"
            ) from error
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="health", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it really listens, such as http://127.0.0.1:9600."""
        host, port, *_ = self._server.socket.getsockname()
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def close(self) -> None:
        """Stop listening; answers that are on their way still leave."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingMixIn, TCPServer):
    # Not http.server's: that one asks the DNS for its own name at start, which can take many seconds on a plant's net.
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = MAX_CONNECTIONS

    def __init__(self, host: str, port: int, views: Views) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.views = views
        self._free = threading.Semaphore(MAX_CONNECTIONS)
        super().__init__((host, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread to be had
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        if isinstance(sys.exception(), (TimeoutError, ConnectionError)):
            return  # the client went away
        log.exception("http request from %s failed", client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "inspector"
    sys_version = ""

    def setup(self) -> None:
        super().setup()
        # The whole head at once and by one deadline, so that a client cannot drip it in byte by byte for hours.
        self.rfile = io.BytesIO(self._head())
        self.connection.settimeout(PATIENCE)

    def _head(self) -> bytes:
        head = b""
        deadline = time.monotonic() + PATIENCE
        while b"\r\n\r\n" not in head and len(head) < MAX_REQUEST_BYTES:
            self.connection.settimeout(max(deadline - time.monotonic(), 0.001))
            received = self.connection.recv(MAX_REQUEST_BYTES - len(head))
            if not received:
                break
            head += received
        return head if b"\r\n\r\n" in head else b""

    def do_GET(self) -> None:
        status, content_type, body = self.server.views.answer(self.path.partition("?")[0])
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the parent's name
        log.debug(format, *args)
