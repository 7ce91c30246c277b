"""Each script in examples/ as a user runs it, and that it does what it says of itself."""

from __future__ import annotations

import ast
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

import inspector
from inspector.client import Subscriber
from inspector.messages import VerdictMessage
from inspector.wire import Encoder
from tests.daemon import Process, environment
from tests.inspections import ok
from tests.readers import ROUND, endless, reading, rest
from tests.waiting import PATIENCE

FOLDER = Path(inspector.__file__).parents[1] / "examples"
PLAIN = FOLDER / "subscribe.py"
CLIENT = FOLDER / "subscribe_client.py"
MANY = 10 * ROUND
"""Verdicts; those that a busy machine published at once come before all their results, which are not waited for."""
both = pytest.mark.parametrize("script", [PLAIN, CLIENT], ids=lambda path: path.name)


@pytest.fixture(scope="module")
def daemon(bright: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Runs while this module's tests do; it publishes the captured frames as well."""
    config = endless(tmp_path_factory.mktemp("daemon"), bright, publish='source = "png"')
    with Process(config) as process:
        yield process


def follow(script: Path, *arguments: object) -> list[str]:
    """Run a script to its end, from a folder that is not this project's; the lines it printed."""
    done = subprocess.run(
        [sys.executable, str(script), *map(str, arguments)],
        env=environment(), cwd="/", capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_every_example_is_run_here() -> None:
    assert sorted(FOLDER.glob("*.py")) == [PLAIN, CLIENT]


@both
def test_it_says_how_to_call_it(script: Path) -> None:
    manual = ast.get_docstring(ast.parse(script.read_text()))
    assert manual is not None
    assert f"python examples/{script.name} tcp://127.0.0.1:5600 [NUMBER OF VERDICTS]" in manual.splitlines()


@both
def test_it_prints_each_verdict_and_ends_after_their_number(daemon: Process, script: Path) -> None:
    with Subscriber(daemon.endpoint, kinds=["verdict"]) as subscriber:
        verdicts = (message for message in subscriber if isinstance(message, VerdictMessage))
        next(verdicts)  # from here on we hear all that the script can
        lines = follow(script, daemon.endpoint, ROUND)
        printed = [line for line in lines if line.startswith("cam1 frame ")]
        published: list[str] = []
        while not published or published[-1] != printed[-1]:
            message = next(verdicts)
            published.append(f"cam1 frame {message.frame}: {message.verdict} ")
    assert len(printed) == ROUND
    assert printed == published[-ROUND:]
    assert sum(line.endswith(": ng ") for line in printed) == ROUND // 5


@both
def test_without_a_number_it_follows_until_it_is_stopped(bright: Path, tmp_path: Path, script: Path) -> None:
    with Process(endless(tmp_path, bright)) as daemon:
        command = [sys.executable, "-u", str(script), daemon.endpoint]
        with reading(command) as reader:
            assert reader.stdout is not None
            while ": ok " not in reader.stdout.readline():
                assert reader.poll() is None
            daemon.send(signal.SIGTERM)
            assert daemon.wait() == 0
            while reader.stdout.readline() != "daemon is stopping: SIGTERM\n":
                assert reader.poll() is None
            reader.send_signal(signal.SIGTERM)
            _, errors = rest(reader)
        assert (reader.returncode, errors) == (-signal.SIGTERM, "")


def test_the_plain_one_needs_nothing_but_pyzmq() -> None:
    nodes = list(ast.walk(ast.parse(PLAIN.read_text())))
    assert not any(isinstance(node, ast.ImportFrom) for node in nodes)
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    assert imported - sys.stdlib_module_names == {"zmq"}


def test_the_plain_one_lists_the_payloads_of_a_defect(daemon: Process) -> None:
    lines = follow(PLAIN, daemon.endpoint, MANY)
    payloads = [line.rsplit(" bytes, ", 1) for line in lines if line.startswith("  ")]
    assert len(payloads) >= 3
    assert {(what.rsplit(", ", 1)[0], where) for what, where in payloads} == {
        ("  mask as png", ""),
        ("  repaired as patch", "[10, 10, 9, 9]"),
        ("  source as png", ""),
    }


def test_the_client_makes_whole_repaired_frames(daemon: Process) -> None:
    lines = follow(CLIENT, daemon.endpoint, MANY)
    assert lines.count("  81 defective pixels, 1 repaired piece(s)") >= 4
    whole = [line for line in lines if line.startswith("  repaired frame of shape (48, 64, 1), residual score 0.50")]
    assert len(whole) == lines.count("  81 defective pixels, 1 repaired piece(s)")
    assert lines[-1] == "0 message(s) missing"


@both
def test_it_tells_what_was_lost(script: Path) -> None:
    encoder = Encoder("line1", 17, "c0" * 32)
    first, fourth, seventh = (encoder.verdict(ok("cam1", number), number, 0.0) for number in (1, 4, 7))
    beat = encoder.beat({"verdict/line1/cam1/": 6}, 5, final=False)
    topic, header = fourth
    future = [topic, json.dumps(json.loads(header) | {"version": "2.0"}).encode()]
    with zmq.Context() as context, context.socket(zmq.XPUB) as publisher:
        publisher.linger = 0
        publisher.rcvtimeo = round(PATIENCE * 1000)
        port = publisher.bind_to_random_port("tcp://127.0.0.1")
        with reading([sys.executable, str(script), f"tcp://127.0.0.1:{port}", "3"]) as reader:
            waited = {f"\x01{kind}/".encode() for kind in ("verdict", "result", "event", "beat")}
            while waited:
                waited.discard(publisher.recv())
            for parts in (first, future, fourth, beat, seventh):
                publisher.send_multipart(parts)
            out, errors = rest(reader)
    assert (reader.returncode, errors) == (0, "")
    verdicts = ["cam1 frame 1: ok ", "cam1 frame 4: ok ", "cam1 frame 7: ok "]
    gone = "2 message(s) of verdict/line1/cam1/ are gone"
    told = [verdicts[0], gone, verdicts[1], gone, verdicts[2]]
    if script == CLIENT:
        assert out.splitlines() == [*told, "4 message(s) missing"]
    else:
        assert out.splitlines() == [told[0], "skipped a message of version 2.0", *told[1:]]
