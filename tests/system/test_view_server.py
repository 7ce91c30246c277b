"""`inspector view` as a process, at publishers that the tests play: what pages get, and who gets nothing."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import zmq
import zmq.asyncio
from websockets.exceptions import InvalidStatus

from inspector import codecs, wire
from inspector.codecs import Formats, Payload
from inspector.messages import Kind, ResultMessage
from inspector.outputs.zeromq import ZeroMqOutput
from inspector.types import Event, Inspection
from inspector.view import serve
from inspector.view.access import Access
from inspector.view.pictures import Defect
from inspector.view.recall import Recall
from inspector.view.shelf import Place
from inspector.view.site import Changes, Site
from inspector.view.state import State
from inspector.wire import Encoder
from tests.archives import MemoryArchive, serving
from tests.daemon import Process, run
from tests.inspections import ng, ok
from tests.readers import endless
from tests.viewing import Page, View, unpack
from tests.waiting import free_port, until

NOBODY = "tcp://127.0.0.1:1"


class Line:
    """Publishes by hand. catchup: the endpoint that its beats name"""

    def __init__(self, session: int = 17, catchup: str | None = None) -> None:
        self.output = ZeroMqOutput("tcp://127.0.0.1:*", 1 << 28)
        self.encoder = Encoder("line1", session, "c0" * 32, catchup=catchup)
        self.sequences: dict[str, int] = {}

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *error: object) -> None:
        self.output.close()

    def wait_for(self, *kinds: Kind) -> None:
        """Until somebody subscribes to them."""

        def subscribed() -> bool:
            self.output.poll()
            return all(self.output.wants(f"{kind}/line1/cam1/") for kind in kinds)

        until(subscribed, "nobody subscribes")

    def send(self, parts: list[bytes]) -> list[bytes]:
        self.output.write(parts[0].decode(), parts)
        return parts

    def next(self, topic: str) -> int:
        self.sequences[topic] = self.sequences.get(topic, 0) + 1
        return self.sequences[topic]

    def verdict(self, inspection: Inspection) -> list[bytes]:
        sequence = self.next(f"verdict/line1/{inspection.frame.camera}/")
        return self.send(self.encoder.verdict(inspection, sequence, 0.001))

    def result(self, inspection: Inspection, formats: Formats | None = None) -> list[bytes]:
        payloads = codecs.encode(inspection, formats or Formats())
        sequence = self.next(f"result/line1/{inspection.frame.camera}/")
        return self.send(self.encoder.result(inspection, sequence, payloads, 0.001, 0.002))

    def preview(self, inspection: Inspection) -> list[bytes]:
        assert inspection.frame.image is not None
        return self.send(self.encoder.preview(inspection, codecs.preview(inspection.frame.image)))

    def event(self, subject: str, state: str) -> list[bytes]:
        sequence = self.next(f"event/line1/{subject}/")
        return self.send(self.encoder.event(Event(subject, state, "a sentence", time.time_ns()), sequence))

    def beat(self, final: bool = False) -> None:
        self.send(self.encoder.beat(self.sequences, time.time_ns(), final))


@pytest.fixture
def line() -> Iterator[Line]:
    with Line() as line:
        yield line


def until_told(page: Page, what: str, happened: object, line: Line | None = None) -> None:
    """Take updates until `happened()`. line: goes on to beat meanwhile"""

    def step() -> bool:
        if line is not None:
            line.beat()
        page.next()
        return bool(happened())  # type: ignore[operator]

    until(step, what)


# ---- what pages get


def test_a_page_is_told_what_was_published(line: Line) -> None:
    with View(line.output.endpoint) as view, view.page() as page:
        assert page.next()["daemon"]["state"] == "waiting"
        line.wait_for("verdict", "result", "part", "event", "preview")
        line.beat()
        line.event("cam1", "streaming")
        line.verdict(ok(number=1))
        defective = ng(number=2)
        line.verdict(defective)
        line.result(defective)
        line.preview(defective)
        until_told(
            page,
            "no picture, or none of a line that runs",
            lambda: (
                ("cam1", "live") in page.pictures and page.survey.get("cameras") and page.daemon["state"] == "running"
            ),
            line,
        )
        assert [(row["frame"], row["verdict"]) for row in page.rows] == [(1, "ok"), (2, "ng")]
        assert [(row["frame"], row["score"]) for row in page.defects] == [(2, 0.875)]
        live, defect = page.pictures["cam1", "live"], page.pictures["cam1", "defect"]
        assert (live["frame"], live["verdict"], live["size"], live["is_defect"]) == (2, "ng", [48, 64, 3], True)
        assert live["jpeg"] == defect["jpeg"] == codecs.preview(defective.frame.image).data
        assert defect["outlines"]
        assert [piece["box"] for piece in defect["pieces"]] == [[8, 8, 32, 32]]
        assert page.last["cameras"]["cam1"]["state"] == "streaming"
        line.beat(final=True)
        until_told(page, "no goodbye", lambda: page.daemon["state"] == "stopped")
        assert view.stop()[0] == 0


def test_a_page_that_is_slow_gets_the_newest_picture_and_never_a_queue(line: Line) -> None:
    with View(line.output.endpoint) as view, view.page() as slow, view.page() as quick:
        line.wait_for("verdict", "preview")
        line.beat()
        slow.next()
        for number in range(1, 301):
            inspection = ok(number=number)
            line.verdict(inspection)
            line.preview(inspection)
        until_told(quick, "not all came", lambda: quick.pictures.get(("cam1", "live"), {}).get("frame") == 300)
        told = slow.next()  # the first word that it has of any of them
        assert told["pictures"]["cam1"]["live"]["frame"] == 300
        assert told["cameras"]["cam1"]["ok"] == 300
        assert len(told["parts"]) == 1
        assert [row["frame"] for row in told["rows"]] == list(range(241, 301))
        assert slow.next()["pictures"]["cam1"].get("live") is None  # it has that one


def test_nothing_new_is_told_too(line: Line) -> None:
    with View(line.output.endpoint) as view, view.page() as page:
        line.wait_for("verdict")
        line.beat()
        until_told(page, "no silence", lambda: page.daemon["state"] == "silent")
        heard = page.daemon["heard"]
        assert page.next()["daemon"]["heard"] > heard > 3


def test_a_restart_of_the_daemon_is_told_and_counts_go_on(line: Line) -> None:
    with View(line.output.endpoint) as view, view.page() as page:
        line.wait_for("verdict")
        line.beat()
        line.verdict(ok(number=1))
        line.beat(final=True)
        until_told(page, "no goodbye", lambda: page.daemon["state"] == "stopped")
        line.encoder, line.sequences = Encoder("line1", 18, "c0" * 32), {}
        line.beat()
        line.verdict(ok(number=1))
        line.verdict(ok(number=2))
        until_told(
            page,
            "no restart",
            lambda: page.last["cameras"]["cam1"]["ok"] == 3 and page.daemon["state"] == "running",
            line,
        )
        assert (page.daemon["restarts"], page.daemon["missing"]) == (1, 0)


# ---- one message by its link


def test_a_link_shows_the_message_again(line: Line) -> None:
    with View(line.output.endpoint) as view, view.page() as page:
        line.wait_for("verdict", "result")
        line.beat()
        inspection = ng(number=2)
        line.verdict(inspection)
        raw = line.result(inspection, Formats(source="png"))[1]
        until_told(page, "no defect", lambda: page.defects)
        for link in (page.defects[0]["link"], page.rows[0]["link"]):
            status, headers, body = view.get(f"/message/{link}")
            told, parts = unpack(body)
            assert (status, headers["cache-control"]) == (200, "no-store")
            assert told["raw"] == raw.decode()
            assert (told["row"]["camera"], told["row"]["frame"], told["is_whole"]) == ("cam1", 2, True)
            assert parts[told["picture"]["base"]] == codecs.encode_picture(inspection.frame.image, "png")


@pytest.mark.parametrize(
    "path",
    [
        "/message/result/line1/cam1/17/9",
        "/message/event/line1/cam1/17/1",
        "/message/result/line1/cam1/17/",
        "/message/result/line1/../17/1",
        "/message/result/line1/-cam/17/1",
        "/message/result/line1/cam1/17/99999999999999999999",
        "/state.py",
        "/../serve.py",
        "/lang/",
    ],
)
def test_what_is_not_there_is_not_found(path: str) -> None:
    with View(NOBODY) as view:
        assert view.get(path)[0] == 404


def test_a_link_from_long_ago_is_asked_of_the_journal() -> None:
    archive = MemoryArchive()
    topics = ["verdict/line1/cam1/", "result/line1/cam1/", "event/line1/cam1/"]
    archive.begin(16, topics)
    with serving(archive) as server, Line(catchup=server.endpoint) as old:
        old.encoder = Encoder("line1", 16, "c0" * 32)
        inspection = ng(number=9)
        archive.keep(topics[1], tuple(old.result(inspection)))
        archive.begin(17, topics)
        line = old
        line.encoder, line.sequences = Encoder("line1", 17, "c0" * 32, catchup=server.endpoint), {}
        archive.keep(topics[2], tuple(line.event("cam1", "frozen")))  # nobody listens yet
        with View(line.output.endpoint) as view, view.page() as page:
            line.wait_for("verdict", "event")
            line.beat()
            until_told(page, "no state", lambda: page.last["cameras"].get("cam1", {}).get("state") == "frozen")
            status, _, body = view.get("/message/result/line1/cam1/16/1")
            told, _ = unpack(body)
            assert (status, told["row"]["frame"], len(told["picture"]["pieces"])) == (200, 9, 1)
            assert view.get("/message/result/line1/cam1/16/2")[0] == 404


def test_a_state_that_was_told_before_is_asked_for_until_somebody_answers() -> None:
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    archive = MemoryArchive()
    archive.begin(17, ["event/line1/cam1/"])
    with Line(catchup=endpoint) as line:
        for word in ("lost", "model"):  # the last one tells no state
            archive.keep("event/line1/cam1/", line.event("cam1", word))
        with View(line.output.endpoint) as view, view.page() as page:
            line.wait_for("verdict", "event")
            with zmq.Context() as context, context.socket(zmq.ROUTER) as deaf:
                deaf.bind(endpoint)
                line.beat()
                until(lambda: deaf.poll(100) > 0, "nobody asks")
            with serving(archive, endpoint):
                until_told(page, "no state", lambda: page.last["cameras"].get("cam1", {}).get("state") == "lost")


LARGE = os.urandom(8_000_000)


@pytest.mark.parametrize(("asks", "seconds", "arrives"), [(True, 60, True), (True, 200, False), (False, 60, False)])
def test_an_answer_may_take_long_and_a_request_may_not(asks: bool, seconds: float, arrives: bool) -> None:
    """The clock jumps so many seconds ahead while the answer, or the request, is on its way."""
    message = wire.decode(Encoder("line1", 17, "c0" * 32).result(ng(), 1, [], 0.001, 0.002))
    assert isinstance(message, ResultMessage)
    source = Payload("source", "png", "uint8", (2000, 2000, 3), LARGE)
    state = State()
    state.defects.put(Place("result/line1/cam1/", 17, 1), Defect(replace(message, payloads=(source,))), 1)

    async def answer() -> bytes:
        context = zmq.asyncio.Context()
        site = Site(state, Changes(), Access(None), Recall(context, None), NOBODY)
        server = await serve._serving(serve.Wish(NOBODY, port=0), site)
        loop, browser = asyncio.get_running_loop(), socket.socket()
        browser.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        browser.setblocking(False)
        await loop.sock_connect(browser, server.sockets[0].getsockname())
        while not server.handler_tasks:
            await asyncio.sleep(0)
        came = b""
        if asks:
            path = b"/message/result/line1/cam1/17/1"
            await loop.sock_sendall(browser, b"GET " + path + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            came = await loop.sock_recv(browser, 1000)
        clock = loop.time
        loop.time = lambda: clock() + seconds  # type: ignore[method-assign]
        with suppress(OSError):
            while more := await loop.sock_recv(browser, 1 << 20):
                came += more
        browser.close()
        server.close()
        context.destroy(linger=0)
        return came

    assert asyncio.run(answer()).endswith(LARGE) is arrives


# ---- who gets nothing


def test_every_answer_forbids_what_is_not_ours() -> None:
    with View(NOBODY) as view:
        for path in ("/", "/app.js", "/session", "/message/x"):
            headers = view.get(path)[1]
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "DENY"
            assert headers["referrer-policy"] == "no-referrer"
            assert "server" not in headers
        tag = view.get("/app.js")[1]["etag"]
        assert view.get("/app.js", If_None_Match=tag)[0] == 304
        assert view.get("/", "POST")[0] == 405


def test_strange_hosts_and_origins_are_refused() -> None:
    with View(NOBODY, "--name", "panel.example") as view:
        for path in ("/", "/app.js", "/live", "/message/result/line1/cam1/17/1"):
            assert view.get(path, Host="evil.example")[0] == 421
        assert view.get("/", Host="panel.example:80")[0] == 200
        for origin in ("http://evil.example", "http://127.0.0.1:1", "null", None):
            with pytest.raises(InvalidStatus, match="403"), view.page(origin=origin):
                pass
        with view.page() as page:
            assert page.next()["daemon"]["state"] == "waiting"


def test_without_the_token_there_is_nothing_to_see(line: Line, tmp_path: Path) -> None:
    token = tmp_path / "token"
    with View(line.output.endpoint, "--token", token, "--host", "0.0.0.0") as view:
        assert stat.S_IMODE(token.stat().st_mode) == 0o600
        secret = token.read_text().strip()
        assert view.get("/")[0] == 200  # where it is asked for
        assert view.get("/session")[0] == 401
        assert view.get("/message/result/line1/cam1/17/1")[0] == 401
        assert view.get("/session", Authorization="Bearer wrong")[0] == 401
        assert view.get(f"/session?token={secret}")[0] == 401
        with pytest.raises(InvalidStatus, match="401"), view.page():
            pass
        status, headers, _ = view.get("/session", Authorization=f"Bearer {secret}")
        assert status == 204
        cookie = headers["set-cookie"].split(";")[0]
        assert secret not in headers["set-cookie"]
        assert view.get("/message/result/line1/cam1/17/1", Cookie=cookie)[0] == 404
        with view.page(Cookie=cookie) as page:
            assert page.next()["daemon"]["state"] == "waiting"
        code, said = view.stop()
        assert code == 0
        assert secret not in said
        assert cookie.partition("=")[2] not in said


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (["--host", "0.0.0.0"], 78, "--host 0.0.0.0: other machines could look at the line; give --token FILE"),
        (["--host", "::"], 78, "give --token FILE"),
        (["--secret", "a.secret"], 78, "--secret and --server belong together"),
        (["--port", "99999"], 2, "'99999' is not a TCP port"),
        (["--host", "203.0.113.1", "--token", "TOKEN"], 74, "http://203.0.113.1:9680 cannot be served"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(tmp_path: Path, options: list[str], code: int, sentence: str) -> None:
    given = [str(tmp_path / "token") if option == "TOKEN" else option for option in options]
    done = run("view", NOBODY, *given)
    assert (done.returncode, done.stdout) == (code, "")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_an_endpoint_that_is_none_is_said_in_a_sentence() -> None:
    done = run("view", "tcp://nowhere")
    assert (done.returncode, "is no ZeroMQ address" in done.stderr) == (78, True)


# ---- with a real daemon


def test_a_daemon_that_asks_for_keys_is_followed_with_keys_alone(bright: Path, tmp_path: Path) -> None:
    for name in ("daemon", "viewer"):
        assert run("keygen", name, "--out", tmp_path).returncode == 0
    admitted = tmp_path / "subscribers"
    admitted.mkdir()
    shutil.copy(tmp_path / "viewer.pub", admitted)
    config = endless(tmp_path, bright, rate=50, publish='catchup = "tcp://127.0.0.1:*"')
    tables = (
        '[journal]\npath = "journal.sqlite"\n[security]\nsecret_key = "daemon.secret"\nsubscribers = "subscribers"\n'
    )
    config.write_text(config.read_text() + tables)
    keys = ("--secret", tmp_path / "viewer.secret", "--server", tmp_path / "daemon.pub")
    with Process(config) as daemon:
        daemon.keep_reading()
        with (
            View(daemon.endpoint, *keys) as view,
            View(daemon.endpoint) as stranger,
            view.page() as page,
            stranger.page() as nothing,
        ):
            until_told(page, "no verdict", lambda: page.rows and page.daemon["state"] == "running")
            # Told before the view came, and asked of the journal by the same keys.
            until_told(page, "no state", lambda: page.last["cameras"]["cam1"]["state"] == "streaming")
            assert nothing.next()["daemon"]["state"] == "waiting"


def with_preview(page: Page) -> bool:
    """Whether the newest defect has its picture: not all do, there are some a second at the most."""
    return page.pictures.get(("cam1", "defect"), {}).get("jpeg") is not None


def test_what_a_real_daemon_publishes_is_shown(bright: Path, tmp_path: Path) -> None:
    config = endless(tmp_path, bright, rate=50)
    with Process(config) as daemon, View(daemon.endpoint) as view, view.page() as page:
        until_told(page, "no defect", lambda: len(page.defects) > 3 and with_preview(page))
        defect = page.pictures["cam1", "defect"]
        daemon.send(signal.SIGTERM)
        until_told(page, "no goodbye", lambda: page.daemon["state"] == "stopped")
        assert daemon.wait() == 0
        assert page.daemon["missing"] == 0
        assert page.last["cameras"]["cam1"]["state"] in ("streaming", "ended")
        for row in page.rows:
            assert row["verdict"] == ("ng" if int(row["part"].removesuffix(".png")) % 5 == 4 else "ok")
        assert defect["size"] == [48, 64, 1]
        points = np.array(defect["outlines"][0], np.int32).reshape(-1, 2)
        assert cv2.boundingRect(points) == (10, 10, 9, 9)
