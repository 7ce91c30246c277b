"""The daemon as a process: real sockets, real signals.

 1. SIGTERM under load: every captured frame's verdict arrives, counts agree everywhere, exit code 0
 2. a second signal ends at once
 3. every source at its end: exit code 0
 4. a source that cannot be read: exit code 66, and the others are judged to their end
 5. an address that is taken: exit code 74
 6. a configuration with five mistakes: five sentences, exit code 78
 7. a device that is not there: exit code 69
 8. a bundle that does not prove itself: exit code 65
 9. systemd hears READY, STATUS, WATCHDOG and STOPPING, in order
10. nothing is written into the home
11. `check` says what would run
12. SIGHUP: the configuration is read again, systemd hears RELOADING and READY, and the frames go on; a wrong one
    changes nothing, and is told of
13. a container's first process ends by SIGTERM while it starts, too
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from inspector.client import Subscriber
from inspector.messages import BeatMessage, EventMessage, Item, ResultMessage, VerdictMessage
from inspector.types import Event
from tests.bundles import detector, make_bundle
from tests.daemon import Process, configure, run
from tests.waiting import PATIENCE, until


def test_1_sigterm_under_load_loses_no_verdict(bright: Path, pictures: Path, tmp_path: Path) -> None:
    folder = f"folder:{pictures}?loop=1&rate=max"
    config = configure(
        tmp_path / "c.toml", bright, folder, folder, "sim://line?seed=1&rate=50",
        camera="queue = 50", publish="buffer_mb = 4096",
    )  # fmt: skip
    with Process(config) as daemon, Subscriber(daemon.endpoint) as subscriber:
        received: dict[str, list[VerdictMessage]] = {}
        results = 0
        goodbye = None
        for message in subscriber.messages(timeout=PATIENCE):
            if isinstance(message, VerdictMessage):
                received.setdefault(message.camera, []).append(message)
                if sum(map(len, received.values())) == 300:
                    daemon.send(signal.SIGTERM)
            elif isinstance(message, ResultMessage):
                results += 1
            elif isinstance(message, BeatMessage) and message.final:
                goodbye = message
                break
        assert daemon.wait() == 0
        assert goodbye is not None
        assert not subscriber.missing
        for camera, messages in received.items():
            assert [m.sequence for m in messages] == list(range(messages[0].sequence, messages[-1].sequence + 1))
            assert goodbye.sequences[f"verdict/line1/{camera}/"] == messages[-1].sequence
        # The last line of the log is the daemon's own account of the whole session.
        captured = int(daemon.log[-1]["message"].split(" cameras, ")[1].split(" frames")[0])
        assert captured == sum(goodbye.sequences[f"verdict/line1/{camera}/"] for camera in received)
        assert results > 0


def test_1b_metrics_and_subscriber_count_alike(bright: Path, pictures: Path, tmp_path: Path) -> None:
    config = configure(tmp_path / "c.toml", bright, f"folder:{pictures}", "sim://line?seed=1&rate=20")
    with Process(config) as daemon, Subscriber(daemon.endpoint, kinds=["beat"]) as subscriber:
        for beat in subscriber.messages(timeout=PATIENCE):  # they tell of what was before anybody listened, too
            assert isinstance(beat, BeatMessage)
            if beat.sequences["verdict/line1/cam1/"] == 20 <= beat.sequences["verdict/line1/cam2/"]:
                break
        metrics = daemon.metrics()
        counts = {
            verdict: metrics[f'inspector_verdicts_total{{camera="cam1",reason="none",verdict="{verdict}"}}']
            for verdict in ("ok", "ng")
        }
        assert counts == {"ok": 16, "ng": 4}
        assert metrics['inspector_frames_captured_total{camera="cam1"}'] == 20
        assert metrics["inspector_ready"] == 1
        assert daemon.get("/readyz") == daemon.get("/healthz") == "ok\n"
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0


def test_2_a_second_signal_ends_at_once(bright: Path, tmp_path: Path) -> None:
    config = configure(tmp_path / "c.toml", bright, "sim://line?seed=1&rate=20")
    with Process(config) as daemon:
        daemon.send(signal.SIGSTOP)
        until(lambda: psutil.Process(daemon.pid).status() == psutil.STATUS_STOPPED, "it does not stand still")
        daemon.send(signal.SIGTERM)
        daemon.send(signal.SIGINT)
        daemon.send(signal.SIGCONT)  # both are there before it can end by the first
        assert daemon.wait() in (128 + signal.SIGTERM, 128 + signal.SIGINT)


def test_3_every_source_at_its_end_is_an_end(bright: Path, pictures: Path, tmp_path: Path) -> None:
    (pictures / "20.png").write_bytes(b"no picture")
    config = configure(tmp_path / "c.toml", bright, f"folder:{pictures}")
    with Process(config) as daemon:
        assert daemon.wait() == 0
    assert "21 frames: 16 ok, 4 ng, 1 unknown" in daemon.log[-1]["message"]


def test_4_a_source_that_cannot_be_read_hurts_only_itself(bright: Path, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    config = configure(tmp_path / "c.toml", bright, f"folder:{pictures}", f"file:{tmp_path}/broken.mp4")
    with Process(config) as daemon:
        assert daemon.wait() == 66
    assert "20 frames: 16 ok, 4 ng, 0 unknown" in daemon.log[-1]["message"]
    assert any("broken.mp4" in line["message"] and line["level"] == "warning" for line in daemon.log)


@pytest.mark.parametrize("what", ["publish", "http"])
def test_5_an_address_that_is_taken(bright: Path, tmp_path: Path, what: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        extra = {
            "publish": ("INSPECTOR_PUBLISH__ENDPOINT", f"tcp://127.0.0.1:{port}"),
            "http": ("INSPECTOR_HTTP__PORT", str(port)),
        }
        key, value = extra[what]
        config = configure(tmp_path / "c.toml", bright, "sim://line?seed=1")
        done = run("run", config, **{key: value})
    assert done.returncode == 74
    assert str(port) in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("verb", ["run", "check"])
def test_6_five_mistakes_are_five_sentences(bright: Path, tmp_path: Path, verb: str) -> None:
    config = tmp_path / "c.toml"
    config.write_text(
        f"""
[workers]
device = "gpu"
[publish]
endpont = "tcp://127.0.0.1:5600"
[[camera]]
name = "cam1"
source = "rstp://user:secret@camera/stream"
bundle = "{bright}"
[[camera]]
name = "cam2"
source = "sim://line?seed=1"
bundle = "no/such/bundle"
deadline = -1
"""
    )
    done = run(verb, config)
    assert done.returncode == 78
    lines = done.stderr.splitlines()
    assert len(lines) == 5, done.stderr
    for word in ("device", "endpont", "rstp", "bundle", "deadline"):
        assert sum(word in line for line in lines) >= 1, (word, lines)
    assert "secret" not in done.stderr
    assert done.stdout == ""


def test_7_a_device_that_is_not_there(bright: Path, tmp_path: Path) -> None:
    config = configure(tmp_path / "c.toml", bright, "sim://line?seed=1", more='workers = { device = "tensorrt:7" }')
    done = run("check", config)
    assert done.returncode == 69
    assert "tensorrt" in done.stderr.lower()
    assert "Traceback" not in done.stderr


def test_8_a_bundle_that_does_not_prove_itself(bright: Path, tmp_path: Path) -> None:
    bundle = shutil.copytree(bright, tmp_path / "bundle")
    shutil.copy(bundle / "golden" / "good.png", bundle / "golden" / "bad.png")
    done = run("run", configure(tmp_path / "c.toml", bundle, "sim://line?seed=1"))
    assert done.returncode == 65
    assert "does not prove itself" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_8b_a_bundle_that_cannot_be_loaded(tmp_path: Path, device: str) -> None:
    bundle = make_bundle(tmp_path / "bundle", graph=lambda *shape: detector(*shape).replace(b"ReduceMax", b"ReduceNix"))
    config = configure(tmp_path / "c.toml", bundle, "sim://line?seed=1", more=f'[workers]\ndevice = "{device}"\n')
    done = run("run", config, INSPECTOR_WORKERS__COUNT="1")
    assert done.returncode == 65
    told = done.stderr.splitlines()[-1]
    assert f"bundle 'bright' in {bundle}: ONNX Runtime cannot load the model" in done.stderr
    assert told.endswith("; export it again")


def test_9_systemd_hears_of_it(bright: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(tmp_path / "notify"))
        notify.settimeout(30)
        config = configure(tmp_path / "c.toml", bright, "sim://line?seed=1&rate=20")
        heard: list[str] = []
        with Process(config, NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="600000") as daemon:
            line = re.compile(r"STATUS=1/1 cameras, \S+ frames/s, p99 \S+ ms, \d+ ng, \d+ unknown in \d+ s")
            while not {"READY=1", "WATCHDOG=1"} <= set(heard) or not any(map(line.fullmatch, heard)):
                heard.append(notify.recv(4096).decode())
            daemon.send(signal.SIGTERM)
            while heard[-1] != "STOPPING=1\nEXTEND_TIMEOUT_USEC=25000000":
                heard.append(notify.recv(4096).decode())
            assert daemon.wait() == 0
    assert heard[:2] == ["STATUS=the models prove themselves", "READY=1"]


def test_10_nothing_is_written_into_the_home(bright: Path, pictures: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    config = configure(tmp_path / "c.toml", bright, f"folder:{pictures}")
    with Process(config, HOME=str(home), XDG_CACHE_HOME=str(home / ".cache")) as daemon:
        assert daemon.wait() == 0
    assert list(home.rglob("*")) == []


def test_11_check_says_what_would_run(bright: Path, tmp_path: Path) -> None:
    done = run("check", configure(tmp_path / "c.toml", bright, "sim://line?seed=1", "sim://line?seed=2"))
    assert done.returncode == 0
    assert "fine; 2 camera(s)" in done.stdout
    assert "CPUExecutionProvider" in done.stdout


def test_11_check_tells_together_what_cannot_be_had(bright: Path, tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    (tmp_path / "recordings").touch()
    more = 'journal.path = "journal"\nrecorder.path = "recordings"'
    config = configure(tmp_path / "c.toml", bright, "sim://line", camera='ignore = "none.png"', more=more)
    config.write_text(config.read_text().replace("[http]", '[http]\nhost = "192.0.2.1"'))
    done = run("check", config)
    told = [line.removeprefix("inspector: ") for line in done.stderr.splitlines() if line.startswith("inspector: ")]
    for beginning, line in zip(
        (
            "http address 192.0.2.1:0 cannot be opened",
            f"journal {tmp_path / 'journal'} is a folder",
            f"recorder {tmp_path / 'recordings'}: ",
            "camera 'cam1': ignore = ",
        ),
        told,
        strict=True,
    ):
        assert line.startswith(beginning)
    assert (done.returncode, done.stdout) == (78, "")
    config.write_text(config.read_text().replace('ignore = "none.png"', ""))
    done = run("check", config)
    assert done.returncode == 74
    assert len([line for line in done.stderr.splitlines() if line.startswith("inspector: ")]) == 3


def test_12_a_reload_reads_the_configuration_again(bright: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(tmp_path / "notify"))
        notify.settimeout(60)
        config = configure(tmp_path / "c.toml", bright, "sim://line?seed=1&rate=20")
        right = config.read_text()
        with (
            Process(config, NOTIFY_SOCKET=str(tmp_path / "notify")) as daemon,
            Subscriber(daemon.endpoint) as subscriber,
        ):
            daemon.keep_reading()
            heard: list[int] = []

            def listen() -> Iterator[Item]:
                for message in subscriber.messages(timeout=60):
                    if isinstance(message, VerdictMessage):
                        heard.append(message.frame)
                    yield message

            stream = listen()
            until(lambda: notify.recv(4096) == b"READY=1")
            next(stream)  # the subscription has arrived

            def reload(text: str) -> Event:
                """What is told of it; systemd is told that it began, and of its end."""
                config.write_text(text)
                daemon.send(signal.SIGHUP)
                until(lambda: notify.recv(4096).startswith(b"RELOADING=1\nMONOTONIC_USEC="))
                until(lambda: notify.recv(4096) == b"READY=1")
                return next(
                    message.event
                    for message in stream
                    if isinstance(message, EventMessage) and message.event.state.startswith("reload")
                )

            assert (e := reload(right)).state == "reloaded", e
            assert e.detail == "nothing has changed"
            assert (e := reload(right.replace("port = 0", "port = 1"))).state == "reloaded", e
            assert e.detail == "http.port changed and waits for a restart"
            assert (e := reload(right.replace("port = 0", "port = -1"))).state == "reload-refused", e
            assert "http.port = -1 is not allowed" in e.detail
            latest = max(heard, default=0)
            wanted = set(range(latest + 1, latest + 41))
            while not wanted <= set(heard):  # one for which there is no room has its verdict before those that wait
                next(stream)
            assert len(set(heard)) == len(heard)
            daemon.send(signal.SIGTERM)
            assert daemon.wait() == 0


@pytest.mark.skipif(
    subprocess.run(["unshare", "--pid", "--fork", "true"], capture_output=True, check=False).returncode != 0,
    reason="a PID namespace, as a container has, wants root",
)
def test_13_the_first_process_of_a_container_ends_by_sigterm_while_it_starts(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    os.mkfifo(config)  # which it reads from, and so waits, until somebody writes
    arguments = ["unshare", "--pid", "--fork", sys.executable, "-m", "inspector", "run", str(config)]
    with subprocess.Popen(arguments) as outer:
        outer_process = psutil.Process(outer.pid)
        until(lambda: bool(outer_process.children()), "it was started")
        (first,) = outer_process.children()
        until(lambda: takes(first.pid, signal.SIGTERM), "it takes SIGTERM")
        first.send_signal(signal.SIGTERM)
        assert outer.wait(PATIENCE) == 128 + signal.SIGTERM


def takes(pid: int, number: int) -> bool:
    """Whether a process has a handler for that signal."""
    (caught,) = re.findall(r"(?m)^SigCgt:\s(\w+)$", Path(f"/proc/{pid}/status").read_text())
    return bool(int(caught, 16) >> (number - 1) & 1)
