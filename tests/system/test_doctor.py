"""`inspector doctor` beside real faults: each is found with its remedy and exit code, and the rest is looked at."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from inspector import cli
from inspector import settings as configuration
from inspector.doctor.checks import CHECKS
from inspector.errors import BundleError, ConfigError, DataError, OutputError, SourceError
from inspector.inference.bundle import load
from inspector.models.versions import Judged, Version, Versions, configured
from inspector.simulation import make_line
from tests.bundles import make_bundle, picture
from tests.daemon import Process, configure, run
from tests.pictures import write
from tests.waiting import free_port

SIM = "sim://line?seed=1&rate=20&width=128&height=96"
UNPACED = "sim://line?seed=1&width=128&height=96"
"""Is asked for no rate, which a busy machine may not keep to within a tenth."""
FEW = ("--no-cameras", "--no-benchmark")


def examined(config: Path, *options: str) -> tuple[int, dict[str, Any], list[dict[str, Any]]]:
    """Exit code, all that was told, and the failures."""
    done = run("doctor", config, "--json", *options)
    assert done.stdout, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["exit_code"] == done.returncode
    assert {finding["check"] for finding in told["findings"]} >= {check.name for check in CHECKS} - {"keys"}
    failures = [finding for finding in told["findings"] if finding["level"] == "failure"]
    assert all(finding["remedy"] for finding in failures)
    return done.returncode, told, failures


def is_slowness(failure: dict[str, Any]) -> bool:
    """Whether it is the fault of a busy test machine, which may not keep up, or give a first picture in time."""
    return failure["check"] == "benchmark" or "gave nothing in" in failure["text"]


def complaints(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What it says on the standard error, its log apart."""
    return [line for line in done.stderr.splitlines() if not line.startswith("{")]


def test_a_line_is_measured_and_can_run(tmp_path: Path, bright: Path) -> None:
    more = '[journal]\npath = "journal.sqlite"\n[workers]\ndevice = "cpu"\n'
    config = configure(tmp_path / "c.toml", bright, SIM, SIM, more=more)
    code, told, failures = examined(config, "--ng", "0.1")
    assert [one for one in failures if not is_slowness(one)] == []
    assert code in (0, 70, 75)  # or has no time server
    found = told["prediction"]
    assert found["rate"] > 0  # of a busy machine that makes up for a pause, more than was asked for
    assert {"read", "detector", "checks", "fit", "judge", "verdict", "journal", "publish"} <= set(found["parts"])
    assert {"repair", "encode", "result"} <= set(found["bad_parts"])
    assert min([*found["parts"].values(), *found["bad_parts"].values()]) > 0
    assert found["capacity"] > 0
    assert found["verdict_bytes"] > 100
    assert found["delay"] is None or 0 < found["delay"]["p50"] <= found["delay"]["p99"]
    assert [path.name for path in tmp_path.iterdir()] == ["c.toml"]  # nothing is left behind


def test_people_get_a_table(tmp_path: Path, bright: Path) -> None:
    done = run("doctor", configure(tmp_path / "c.toml", bright, SIM), *FEW, COLUMNS="100")
    for word in ("configuration", "not opened: --no-cameras", "not run: --no-benchmark", "can run this line"):
        assert word in done.stdout


@pytest.fixture
def busy(tmp_path: Path, bright: Path) -> Callable[..., Path]:
    """Writes configurations with the same addresses, of every kind."""
    http, catchup = free_port(), free_port()

    def write(name: str, line: str = "line1", **publish: str) -> Path:
        keys = {"endpoint": f"ipc://{tmp_path / 'line'}", "catchup": f"tcp://127.0.0.1:{catchup}"} | publish
        config = configure(tmp_path / name, bright, SIM, more=f'line = "{line}"\n[journal]\npath = "j.sqlite"')
        text = config.read_text().partition("[publish]")[0] + "[publish]\n"
        text += "".join(f'{key} = "{value}"\n' for key, value in keys.items())
        config.write_text(f"{text}[http]\nport = {http}\n")
        return config

    return write


def test_beside_the_running_daemon_all_else_is_proven(busy: Callable[..., Path], tmp_path: Path) -> None:
    config = busy("c.toml")
    with Process(config) as daemon:
        runs = f"the inspector that runs {config} (python (pid {daemon.pid}))"
        code, told, failures = examined(config, *FEW)
        assert (failures, code in (0, 75)) == ([], True)
        ports = [finding for finding in told["findings"] if finding["check"] == "ports"]
        assert [f"in use by this line's own daemon, {runs}" in finding["text"] for finding in ports] == [True] * 3
        for own in (config, busy("draft.toml")):  # which shall take its place
            checked = run("check", own)
            assert (checked.returncode, complaints(checked)) == (0, [])
            fine, in_use = checked.stdout.splitlines()
            assert fine.startswith(f"{own}: fine; 1 camera(s), ")
            assert in_use.startswith(
                f"in use by {runs}: publisher ipc://{tmp_path / 'line'}, catch-up tcp://127.0.0.1:"
            )
            assert ", http 127.0.0.1:" in in_use
        other = run("check", busy("other.toml", line="press", endpoint="tcp://127.0.0.1:*"))
        assert other.returncode == OutputError.exit_code
        assert "all but its addresses is fine; 1 camera(s), " in other.stdout
        catchup, http = complaints(other)
        assert catchup.startswith("inspector: catch-up tcp://127.0.0.1:")
        assert f"is in use by {runs}; stop the program that has it, or choose another" in catchup
        assert http.startswith("inspector: http 127.0.0.1:")
        daemon.get("/readyz")
        broken = busy("c.toml")
        broken.write_text(broken.read_text().replace("bright", "nothing"))
        assert run("check", broken).returncode == ConfigError.exit_code


def test_a_catch_up_that_subscribers_elsewhere_cannot_reach(busy: Callable[..., Path]) -> None:
    checked = run("check", busy("c.toml", endpoint="tcp://0.0.0.0:*", allow_plaintext="true"))
    assert checked.returncode == 0
    assert "other machines may subscribe at tcp://0.0.0.0:*, but cannot reach publish.catchup, " in checked.stderr
    assert "cannot reach" not in run("check", busy("d.toml")).stderr


def test_another_program_has_the_port(tmp_path: Path, bright: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        config = configure(tmp_path / "c.toml", bright, SIM)
        config.write_text(config.read_text().replace("tcp://127.0.0.1:*", url))
        checked = run("check", config)
        code, _, (found,) = examined(config, *FEW)
    assert (checked.returncode, "all but its addresses is fine" in checked.stdout) == (OutputError.exit_code, True)
    sentence = f"publisher {url} is in use by {Path('/proc/self/comm').read_text().strip()} (pid {os.getpid()})"
    assert complaints(checked) == [f"inspector: {sentence}; stop the program that has it, or choose another"]
    assert (code, found["check"], found["text"]) == (OutputError.exit_code, "ports", sentence)
    assert "stop the program" in found["remedy"]


def test_addresses_that_cannot_be_had_are_told_once(busy: Callable[..., Path]) -> None:
    urls = {"endpoint": "tcp://192.0.2.1:5600", "catchup": "tcp://192.0.2.1:5601"}
    config = busy("c.toml", **urls, allow_plaintext="true")
    config.write_text(config.read_text().replace("[http]", '[http]\nhost = "192.0.2.1"'))
    checked = run("check", config)
    assert (checked.returncode, "all but its addresses is fine; 1 camera" in checked.stdout) == (74, True)
    assert [line.partition(":5")[0] for line in complaints(checked)[:2]] == [
        "inspector: publisher tcp://192.0.2.1",
        "inspector: catch-up tcp://192.0.2.1",
    ]
    assert [line.partition("192")[0] for line in complaints(checked)[2:]] == ["inspector: http address "]


def test_nothing_is_called_fine_beside_a_problem(
    busy: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(path: Path) -> None:
        raise OutputError(f"{path} is full")

    monkeypatch.setattr("inspector.journal.opening.probe", refused)
    assert cli.main(["check", str(busy("c.toml"))]) == OutputError.exit_code
    told = capsys.readouterr()
    assert ("j.sqlite is full" in told.err, "fine" in told.out) == (True, False)


def test_a_taken_http_port(tmp_path: Path, bright: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = configure(tmp_path / "c.toml", bright, SIM)
        config.write_text(config.read_text().replace("port = 0", f"port = {taken.getsockname()[1]}"))
        code, _, (found,) = examined(config, *FEW)
    assert (code, found["check"]) == (OutputError.exit_code, "ports")


def test_a_missing_bundle_keeps_the_rest_from_nothing(tmp_path: Path) -> None:
    config = configure(tmp_path / "c.toml", tmp_path / "nowhere", UNPACED)
    code, told, (found,) = examined(config, "--no-benchmark")
    assert (code, found["check"]) == (ConfigError.exit_code, "configuration")
    assert "is not a folder" in found["text"]
    levels = {finding["check"]: finding["level"] for finding in told["findings"]}
    assert levels["models"] == levels["memory"] == "skipped"
    assert levels["cameras"] == levels["ports"] == "fine"


def test_a_damaged_bundle(tmp_path: Path, bright: Path) -> None:
    broken = shutil.copytree(bright, tmp_path / "broken")
    card = (broken / "bundle.toml").read_text()
    (broken / "bundle.toml").write_text(card.replace('verdict = "ng"', 'verdict = "ok"', 1))
    code, _, failures = examined(configure(tmp_path / "c.toml", broken, SIM), *FEW)
    assert code in (DataError.exit_code, ConfigError.exit_code)
    assert failures[0]["check"] in ("models", "configuration")


def test_it_judges_the_models_that_the_daemon_would_load(tmp_path: Path, bright: Path) -> None:
    config = configure(tmp_path / "c.toml", bright, SIM, more='models = { state = "state" }')
    chosen = load(make_bundle(tmp_path / "chosen", threshold=0.25))
    (camera,) = configuration.load(config, {}).camera
    versions = Versions(tmp_path / "state", keep=3)
    versions.keep_bundle(chosen.folder, chosen.sha256)
    row = Judged(
        name="chosen", version="2", sha256=chosen.sha256, calibration=None, threshold=None, min_area=None,
        configured=configured(camera), chosen=True,
    )  # fmt: skip
    versions.put(Version(at="2026-01-31T12:00:00Z", why="by hand", cameras={"cam1": row}))
    _, told, failures = examined(config, *FEW)
    said = [finding["text"] for finding in told["findings"] if finding["check"] == "models"]
    assert failures == []
    assert said[0].startswith(
        f"camera 'cam1': judged by chosen {chosen.sha256[:12]} since 2026-01-31T12:00:00Z (by hand)"
    )
    assert "proves itself on CPUExecutionProvider" in said[1]
    copy = tmp_path / "state" / "bundles" / chosen.sha256
    shutil.copy(copy / "golden" / "good.png", copy / "golden" / "bad.png")
    code, _, failures = examined(config, *FEW)
    assert (code, failures[0]["check"]) == (BundleError.exit_code, "models")
    assert "does not prove itself on this machine" in failures[0]["text"]
    config.write_text(config.read_text().replace("[[camera]]", "[[camera]]\nmin_area = 5"))
    _, told, failures = examined(config, *FEW)  # the configuration has the last word
    assert (failures, "judged by chosen" in json.dumps(told)) == ([], False)


@pytest.mark.parametrize(("mode", "text"), [(0o644, "has mode 0644"), (0o600, "is not one line of 40 characters")])
def test_keys_that_will_not_do(tmp_path: Path, bright: Path, mode: int, text: str) -> None:
    assert run("keygen", "daemon", "--out", tmp_path).returncode == 0
    secret = tmp_path / "daemon.secret"
    if mode == 0o600:
        secret.write_text("damaged")
    secret.chmod(mode)
    (tmp_path / "subscribers").mkdir()
    more = '[security]\nsecret_key = "daemon.secret"\nsubscribers = "subscribers"\n'
    code, _, (found,) = examined(configure(tmp_path / "c.toml", bright, SIM, more=more), *FEW)
    assert (code, found["check"]) == (ConfigError.exit_code, "configuration")
    assert text in found["text"]


def test_a_camera_that_is_not_there(tmp_path: Path, bright: Path) -> None:
    url = f"rtsp://user:hunter2@127.0.0.1:{free_port()}/stream?open_timeout=0.5"
    config = configure(tmp_path / "c.toml", bright, url, UNPACED)
    done = run("doctor", config, "--json", "--no-benchmark")
    assert "hunter2" not in done.stdout + done.stderr
    told = json.loads(done.stdout)
    (found,) = [finding for finding in told["findings"] if finding["level"] == "failure"]
    assert (done.returncode, found["check"]) == (SourceError.exit_code, "cameras")
    assert "cam1" in found["text"]
    assert "cable" in found["remedy"]
    (other,) = [one for one in told["findings"] if one["check"] == "cameras" and one["level"] == "fine"]
    assert "128x96x3" in other["text"]


def test_too_little_memory(tmp_path: Path, bright: Path) -> None:
    more = "[daemon]\nmemory_mb = 64\n"
    config = configure(tmp_path / "c.toml", bright, SIM, more=more, camera="size = [4000, 3000]\nqueue = 100\n")
    code, _, (found,) = examined(config, *FEW)
    assert (code, found["check"]) == (ConfigError.exit_code, "memory")
    assert "daemon.memory_mb = 64" in found["text"]
    assert "queue shorter" in found["remedy"]


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of 8 MB."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a tmpfs")
def test_a_full_disk(tmp_path: Path, bright: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        more = f'[journal]\npath = "{disk}/journal.sqlite"\n'
        code, _, (found,) = examined(configure(tmp_path / "c.toml", bright, SIM, more=more), *FEW)
    assert (code, found["check"]) == (OutputError.exit_code, "journal")
    assert "8 MB free" in found["text"]
    assert "make room" in found["remedy"]


def test_what_is_no_configuration(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("camera = ")
    code, told, (found,) = examined(tmp_path / "c.toml")
    assert (code, found["check"]) == (ConfigError.exit_code, "configuration")
    levels = {finding["check"]: finding["level"] for finding in told["findings"]}
    assert levels["cores"] in ("fine", "warning")
    assert levels["ports"] == levels["benchmark"] == "skipped"


def test_lines_of_every_kind_are_measured(tmp_path: Path, bright: Path) -> None:
    """Stacked modalities, reference pictures, line-scan, tiles and a process of its own, in one line."""
    stack = make_bundle(tmp_path / "stack", channels=4, modalities="visible = 3, infrared = 1")
    compares = make_bundle(tmp_path / "compares", 192, 192, reference=True)
    write(tmp_path / "reference.png", make_line(seed=5, width=320, height=240).part(1).image)
    for name, channels in (("visible", 3), ("infrared", 1)):
        write(tmp_path / name / "1.png", picture(channels=channels))
    config = tmp_path / "c.toml"
    config.write_text(f"""\
publish = {{ endpoint = "tcp://127.0.0.1:*" }}
http = {{ port = 0 }}
[[camera]]
name = "stacked"
sources = {{ visible = "folder:visible?loop=1&rate=10", infrared = "folder:infrared?loop=1&rate=10" }}
bundle = "{stack}"
[[camera]]
name = "compared"
source = "sim://line?seed=5&rate=10&width=320&height=240"
bundle = "{compares}"
reference = "reference.png"
[[camera]]
name = "scanned"
source = "sim://line?rate=5&width=128&height=96&strip=16"
scan_rows = 64
scan_overlap = 16
bundle = "{bright}"
[[camera]]
name = "tiled"
source = "sim://line?rate=5&width=256&height=192"
fit = "tile"
isolate = true
bundle = "{bright}"
""")
    _, told, failures = examined(config)
    assert [one for one in failures if not is_slowness(one)] == []
    assert {"read", "reference", "detector", "judge"} <= set(told["prediction"]["parts"])
    assert "repair" in told["prediction"]["bad_parts"]
