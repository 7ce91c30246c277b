"""Who may listen, with a real daemon behind CURVE, set up as a user does.

1. two subscribers with good keys, one with a wrong key, one with none: the two hear every verdict, the others nothing
2. a subscriber that is added while the daemon runs hears; one that is removed is refused when it comes back
3. a key that is wrong, missing or open to others: one sentence, exit code 78, from `check` and from `run`
4. passwords of cameras, however they are written, are in no log, metric, message or error
5. catching up behind CURVE, after a kill -9: who is listed has everything, a stranger gets no answer
6. `inspector listen` with keys, with half of them and without
"""

from __future__ import annotations

import json
import shutil
import signal
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from inspector import asking
from inspector.client import Subscriber
from inspector.errors import ConfigError
from inspector.journal.reading import Choice, Reader
from inspector.keys import ClientKeys
from inspector.messages import VerdictMessage
from inspector.sources.url import Url
from tests.daemon import Process, configure, run
from tests.ears import Ear
from tests.waiting import PATIENCE, until

SECURITY = '[security]\nsecret_key = "keys/daemon.secret"\nsubscribers = "subscribers"'
SOURCE = "sim://line?rate=50&width=128&height=96"


class Site:
    """A folder with a configuration, the keys of everybody, and the list of those who may subscribe."""

    def __init__(self, folder: Path, bundle: Path) -> None:
        self.keys, self.list = folder / "keys", folder / "subscribers"
        for name in ("daemon", "alice", "bob", "mallory"):
            done = run("keygen", name, "--out", self.keys)
            assert done.returncode == 0, done.stderr
        self.list.mkdir()
        self.config = configure(folder / "line.toml", bundle, SOURCE, SOURCE, publish=SECURITY)

    def admit(self, *names: str) -> None:
        for name in names:
            shutil.copy(self.keys / f"{name}.pub", self.list)

    def key(self, name: str) -> ClientKeys:
        return ClientKeys.load(self.keys / f"{name}.secret", self.keys / "daemon.pub")


@pytest.fixture
def site(tmp_path: Path, bright: Path) -> Site:
    return Site(tmp_path, bright)


def refusals(daemon: Process) -> dict[str, float]:
    name = "inspector_auth_failures_total"
    return {reason: daemon.metrics()[f'{name}{{reason="{reason}"}}'] for reason in ("key", "handshake")}


def test_1_good_keys_hear_everything_and_others_nothing(site: Site) -> None:
    site.admit("alice", "bob")
    with ExitStack() as stack:
        daemon = stack.enter_context(Process(site.config))
        strangers = [
            stack.enter_context(Ear(daemon.endpoint, keys)) for keys in (site.key("mallory"), None)
        ]  # fmt: skip
        alice, bob = (stack.enter_context(Ear(daemon.endpoint, site.key(name))) for name in ("alice", "bob"))
        for ear in (alice, bob):
            ear.listen(lambda ear=ear: ear.heard >= 200)  # type: ignore[misc]
        until(lambda: min(refusals(daemon).values()) >= 1)
        daemon.send(signal.SIGTERM)
        for ear in (alice, bob):
            ear.listen(lambda: False)
            ear.check_complete()
        assert all(ear.is_deaf() for ear in strangers)
        assert daemon.wait() == 0
    text = str(daemon.log)
    assert "no subscriber has that key" in text
    assert not any(path.read_text().strip() in text for path in site.keys.glob("*.secret"))
    assert all("traceback" not in line for line in daemon.log)


def test_2_the_list_may_change_while_the_daemon_runs(site: Site) -> None:
    site.admit("alice")
    with Process(site.config) as daemon:
        with Ear(daemon.endpoint, site.key("bob")) as bob:
            assert bob.is_deaf(0.5)
            site.admit("bob")
            bob.listen(lambda: bob.heard >= 10)
        (site.list / "bob.pub").unlink()
        before = refusals(daemon)["key"]
        with Ear(daemon.endpoint, site.key("bob")) as bob, Ear(daemon.endpoint, site.key("alice")) as alice:
            alice.listen(lambda: alice.heard >= 50 and refusals(daemon)["key"] > before)
            assert bob.is_deaf()


def test_3_a_wrong_key_is_one_sentence(site: Site) -> None:
    site.admit("alice")

    def complaint() -> str:
        said = []
        for verb in ("check", "run"):
            done = run(verb, site.config)
            assert done.returncode == 78
            (line,) = done.stderr.splitlines()
            said.append(line)
        assert said[0] == said[1]
        return said[0]

    secret, public = site.keys / "daemon.secret", site.list / "alice.pub"
    assert run("check", site.config).returncode == 0
    secret.chmod(0o644)
    assert f"secret key {secret} has mode 0644" in complaint()
    secret.chmod(0o600)
    public.write_text("alice")
    assert f"public key {public} is not one line of 40 characters of Z85" in complaint()
    site.admit("alice")
    (site.keys / "daemon.pub").write_bytes(zmq.curve_keypair()[0])
    assert f"{site.keys / 'daemon.pub'} does not belong to {secret}" in complaint()
    secret.unlink()
    assert f"secret key {secret} cannot be read (No such file or directory)" in complaint()


PASSWORDS = ("hunter2", "p%40ss%2Fw%C3%B6rd", "a@b/c:d", "two words", "%20lead")
NO_URL = "q?x=1&y=2#z"
"""A password that has to be escaped."""


@contextmanager
def forbidding_camera() -> Iterator[int]:
    """Speaks just enough RTSP to refuse every password, at the port that it gives."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(4096)
                    realm = b'WWW-Authenticate: Basic realm="camera"'
                    connection.sendall(b"RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\n" + realm + b"\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(PATIENCE)


def test_4_no_password_of_a_camera_is_shown(tmp_path: Path, bright: Path) -> None:
    with forbidding_camera() as port:
        urls = [f"rtsp://admin:{password}@127.0.0.1:{port}/live" for password in PASSWORDS]
        urls.append(f"rtsp://127.0.0.1:{port}/live?user=admin&password=query-secret")
        journal = tmp_path / "journal.sqlite"
        more = f'[daemon]\nlog_level = "debug"\n[journal]\npath = "{journal}"'
        config = configure(tmp_path / "line.toml", bright, *urls, more=more)
        shown: list[str] = []
        with Process(config) as daemon:
            daemon.keep_reading()
            cameras = [f"cam{number}" for number in range(1, len(urls) + 1)]
            lost = [f'inspector_camera_state{{camera="{camera}",state="lost"}}' for camera in cameras]
            until(lambda: all(daemon.metrics()[name] == 1 for name in lost), "all are lost")
            shown += [daemon.get(path) for path in ("/metrics", "/healthz", "/readyz")]
            daemon.send(signal.SIGTERM)
            assert daemon.wait() == 0
        events = [one.kept.parts[1].decode() for one in Reader(journal).messages(Choice("event/"))]
        assert {json.loads(event)["subject"] for event in events} == {*cameras, "daemon"}
        shown += events
        shown.append(str(daemon.log))
        shown.append(run("check", config).stderr)
        urls.append(f"rtsp://admin:{NO_URL}@127.0.0.1:{port}/live")
        broken = configure(tmp_path / "b.toml", bright, *(f"{url}?transport=no" for url in urls))
        shown.append(run("check", broken).stderr)
    assert sum("cam1" in text for text in shown) >= 3
    for password in (*PASSWORDS, NO_URL):
        for form in {password, unquote(password), quote(password), repr(password)[1:-1]}:
            assert [text for text in shown if form in text] == []
    assert "query-secret" not in "".join(shown)


@given(st.text(min_size=1).map("<{}>".format))
def test_4_no_url_shows_its_password(password: str) -> None:
    for url in (f"rtsp://user:{password}@host/live", f"rtsp:user:{password}@host"):
        try:
            shown = str(Url(url))
        except ConfigError as error:
            shown = str(error)
        assert password not in shown


def test_5_catching_up_is_for_those_listed_alone(site: Site, tmp_path: Path) -> None:
    site.admit("alice")
    text = site.config.read_text().replace("[security]", 'catchup = "tcp://127.0.0.1:*"\n[security]')
    site.config.write_text(text + f'[journal]\npath = "{tmp_path}/journal.sqlite"\n')
    place, heard = tmp_path / "position.json", []

    def listen(daemon: Process, number: int) -> None:
        """Until there are verdicts of so many sessions, 20 of the last."""
        how: dict[str, Any] = {"position": place, "keys": site.key("alice"), "catchup": daemon.catchup}
        with Subscriber(daemon.endpoint, kinds=["verdict"], **how) as alice:
            for message in alice.messages(timeout=PATIENCE):
                assert isinstance(message, VerdictMessage)
                if message.camera == "cam1":
                    heard.append((message.session, message.sequence))
                sessions = Counter(session for session, _ in heard)
                if len(sessions) == number and sessions[max(sessions)] >= 20:
                    break
            alice.save(place)

    with Process(site.config) as daemon:
        listen(daemon, 1)
        daemon.send(signal.SIGKILL)
        daemon.wait()
    with Process(site.config) as daemon:
        listen(daemon, 2)
        with zmq.Context() as context, context.socket(zmq.DEALER) as stranger:
            stranger.linger = 0
            site.key("mallory").arm(stranger)
            stranger.connect(daemon.catchup)
            before = refusals(daemon)["key"]
            stranger.send(asking.encode_request(asking.AskSessions(1, 0)))
            until(lambda: refusals(daemon)["key"] > before)
            assert not stranger.poll(0)
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0
    first, second = sorted({session for session, _ in heard})
    for session in (first, second):
        sequences = [sequence for one, sequence in heard if one == session]
        assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))
    assert heard[[session for session, _ in heard].index(second)][1] == 1


def test_6_the_listener_takes_keys(site: Site) -> None:
    site.admit("alice")
    with Process(site.config) as daemon:
        keys = ["--secret", site.keys / "alice.secret", "--server", site.keys / "daemon.pub"]
        done = run("listen", daemon.endpoint, "--count", 5, *keys)
        assert done.returncode == 0, done.stderr
        assert ", 0 missing" in done.stdout
        half = run("listen", daemon.endpoint, *keys[:2])
        assert half.returncode == 78
        assert "--secret and --server belong together" in half.stderr
        with Ear(daemon.endpoint, None) as bare:
            until(lambda: refusals(daemon)["handshake"] > 0)
            assert bare.heard == 0
