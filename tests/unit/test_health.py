from __future__ import annotations

import errno
import http.client
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from inspector import health
from inspector.errors import OutputError
from inspector.health import Health, Views
from tests.waiting import free_port


class House:
    def __init__(self) -> None:
        self.ready = False
        self.failures: list[str] = []
        self.text = b"inspector_ready 0.0\n"
        self.broken = False

    def failing(self) -> list[str]:
        if self.broken:
            raise ZeroDivisionError
        return self.failures

    def views(self) -> Views:
        return Views(lambda: self.text, lambda: self.ready, self.failing)


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def server(house) -> Iterator[Health]:
    server = Health("127.0.0.1", 0, house.views())
    yield server
    server.close()


def ask(server: Health, path: str, method: str = "GET") -> tuple[int, str, str]:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.headers["Content-Type"], response.read().decode()
    finally:
        connection.close()


def dial(server: Health) -> socket.socket:
    address = urlsplit(server.url)
    return socket.create_connection((address.hostname, address.port), timeout=30)


def rest_of(connection: socket.socket) -> bytes:
    """All that still comes, up to the end; a reset is an end, too."""
    received = b""
    try:
        while more := connection.recv(4096):
            received += more
    except ConnectionResetError:
        pass
    return received


def test_metrics_are_served_as_prometheus_expects_them(server, house):
    status, content_type, body = ask(server, "/metrics?from=test")
    assert (status, body) == (200, house.text.decode())
    assert content_type.startswith("text/plain; version=")


def test_ready_says_503_until_it_is(server, house):
    assert ask(server, "/readyz")[::2] == (503, "not ready\n")
    house.ready = True
    assert ask(server, "/readyz")[::2] == (200, "ok\n")
    house.ready = False
    assert ask(server, "/readyz")[0] == 503


def test_health_has_a_line_for_each_failure(server, house):
    assert ask(server, "/healthz")[::2] == (200, "ok\n")
    house.failures = ["work-0: no progress for 31 s", "publish: OSError()"]
    assert ask(server, "/healthz")[::2] == (503, "work-0: no progress for 31 s\npublish: OSError()\n")


def test_head_answers_without_a_body(server, house):
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    connection.request("HEAD", "/metrics")
    response = connection.getresponse()
    assert (response.status, response.headers["Content-Length"], response.read()) == (200, str(len(house.text)), b"")
    connection.close()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "BREW"])
def test_only_get_and_head_are_served(server, method):
    assert ask(server, "/metrics", method)[0] == 501


@pytest.mark.parametrize("path", ["/", "/metrics/", "/../etc/passwd", "http://elsewhere/metrics"])
def test_other_paths_are_not_found(server, path):
    assert ask(server, path)[0] == 404


def test_the_answer_does_not_name_our_python(server):
    with dial(server) as connection:
        connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert b"Python" not in rest_of(connection)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x00\xff\xfe\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /healthz HTTP/9.9.9\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n" + b"X: y\r\n" * 4000 + b"\r\n",
        b"A" * 100_000,
        b"GET /healthz HTTP/1.1\r\nX",
        b"",
    ],
)
def test_hostile_bytes_get_no_ok_and_hurt_nobody(server, request_bytes):
    with dial(server) as connection:
        try:
            connection.sendall(request_bytes)
            connection.shutdown(socket.SHUT_WR)
        except OSError as error:  # it has hung up already
            assert error.errno in (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN)  # noqa: PT017
        assert not rest_of(connection).startswith(b"HTTP/1.0 200")
    assert ask(server, "/healthz")[0] == 200


def test_who_drips_is_cut_off(house, monkeypatch):
    monkeypatch.setattr(health, "PATIENCE", 0.2)
    server = Health("127.0.0.1", 0, house.views())
    with dial(server) as connection:
        connection.sendall(b"GET /healthz")
        assert rest_of(connection) == b""
    server.close()


def test_connections_are_limited_and_given_back(server, monkeypatch):
    monkeypatch.setattr(health, "PATIENCE", 60.0)  # nobody is cut off for being slow
    with ExitStack() as stack:
        held = [stack.enter_context(dial(server)) for _ in range(health.MAX_CONNECTIONS)]
        with dial(server) as one_more:
            assert rest_of(one_more) == b""
        for connection in held:
            connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            assert b"200 OK" in rest_of(connection)
    assert ask(server, "/healthz")[0] == 200


def test_a_view_that_raises_is_logged_and_the_next_request_served(server, house, caplog):
    house.broken = True
    with dial(server) as connection:
        connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert not rest_of(connection).startswith(b"HTTP/1.0 200")
    house.broken = False
    assert ask(server, "/healthz")[0] == 200
    assert "http request from" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_a_taken_address_is_refused_with_a_remedy(server, house):
    port = urlsplit(server.url).port
    with pytest.raises(OutputError, match=rf"http 127\.0\.0\.1:{port} is in use; stop .*, or change \[http\]"):
        Health("127.0.0.1", port, house.views())


def test_an_address_that_is_not_ours_is_refused(house):
    with pytest.raises(OutputError, match="cannot be opened"):
        Health("192.0.2.1", 0, house.views())


def test_a_closed_server_gives_its_address_back(house):
    port = free_port()
    Health("127.0.0.1", port, house.views()).close()
    second = Health("127.0.0.1", port, house.views())
    assert ask(second, "/healthz")[0] == 200
    second.close()


def test_ipv6_is_served_where_there_is_any(house):
    if not socket.has_ipv6:
        pytest.skip("this Python has no IPv6")
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        pytest.skip(f"this machine has no IPv6: {error}")
    server = Health("::1", 0, house.views())
    assert server.url.startswith("http://[::1]:")
    assert ask(server, "/healthz")[0] == 200
    server.close()
