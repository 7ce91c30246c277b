"""The service on a machine with a real systemd: installed by the commands of deploy/README.md, each of which is run.

 1. what the commands lead to: a service that judges, as a user of its own, which other users cannot look into
 2. a bundle that is still proving itself   -> activating, and not ready
 3. a bundle that does not prove itself     -> never active, and not started again
 4. the process stands still                -> the watchdog ends it, systemd starts it again
 5. a worker or the publisher hangs         -> the same, with the stacks in the log
 6. a camera's driver hangs, or raises      -> that camera alone, the process goes on
 7. killed ten times in a row               -> started again ten times
 8. a camera that is not there at the start -> ready all the same
 9. reload                                  -> read again when it ends; it fails where the configuration is wrong
10. stop under load                         -> every captured frame has its verdict, in the journal and in the ledger
11. a secret key                            -> handed over by systemd; in no environment and no log
12. a second line                           -> beside the first one
13. upgrade, and back; an upgrade that does not run is taken back by itself
14. more extras                            -> kept, and what is missing is told with the command that adds it
15. another model while it is stopped      -> judges from its next start on; the files are the service's own

Without a network: pip finds the packages in a folder that was filled before.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from itertools import takewhile
from pathlib import Path

import pytest

from tests.machine import Machine, Service
from tests.waiting import until

pytestmark = pytest.mark.full

ROOT = Path(__file__).parents[2]
MANUAL = ROOT / "deploy/README.md"
PYTHON = "/usr/bin/python3"
CLONE = "/root/inspector"
CONFIG = "/etc/inspector/inspector.toml"
FAULTS = """
import os
import sys
import time

import inspector.inference.engine as engine
from inspector.publisher import Publisher
from inspector.sources.sim import Simulation
from inspector.worker import Worker

def hang(fault):
    if os.path.exists(f"/run/faults/{fault}"):
        print(f"hangs by order: {fault}", file=sys.stderr)
    while os.path.exists(f"/run/faults/{fault}"):
        time.sleep(0.01)

def hanging(real, fault):
    def call(*given, **named):
        hang(fault)
        return real(*given, **named)
    return call

def frames(self, real=Simulation.frames):
    for shot in real(self):
        hang("driver-hangs")
        if os.path.exists("/run/faults/driver-raises"):
            raise RuntimeError("a driver's bug")
        yield shot

engine.prove = hanging(engine.prove, "proof")
Worker.inspect = hanging(Worker.inspect, "worker")
Publisher.publish = hanging(Publisher.publish, "publisher")
Simulation.frames = frames
"""
"""Python runs it at its start, as sitecustomize; what it breaks is broken while a file of that name is there."""


def commands(heading: str) -> list[str]:
    """What the manual says to type below a heading."""
    lines = iter(MANUAL.read_text().splitlines())
    for line in lines:
        if line == heading:
            break
    section = takewhile(lambda line: not line.startswith("#"), lines)
    return [line.strip() for line in section if line.startswith("    ")]


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with this working tree as its one commit, to be cloned."""
    folder = tmp_path_factory.mktemp("upstream")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in listed.split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder, "As it is")
    return folder


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, timeout=60)


def commit(folder: Path, message: str) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pip needs to build and install the project for the system's Python, as files."""
    folder = tmp_path_factory.mktemp("wheels")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needs = [
        *project["build-system"]["requires"],
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["cpu"],
        *project["project"]["optional-dependencies"]["view"],
    ]
    version = subprocess.run(
        [PYTHON, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True, text=True, check=True
    ).stdout.strip()
    subprocess.run(
        [
            sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", f"--python-version={version}",
            f"--constraint={ROOT / 'constraints.txt'}", f"--dest={folder}", *needs,
        ],
        check=True, timeout=600, capture_output=True,
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faults")
    folder.chmod(0o755)  # the service has a user of its own
    (folder / "sitecustomize.py").write_text(FAULTS)
    return folder


@pytest.fixture(scope="module")
def machine(upstream: Path, wheels: Path, faults: Path, bright: Path) -> Iterator[Machine]:
    """Installed as the manual says; the service runs."""
    binds = {upstream: "/srv/upstream", wheels: "/srv/wheels", faults: "/srv/faults", bright: "/srv/bright"}
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/srv/wheels", "PIP_CONFIG_FILE": "/dev/null"}
    with Machine(binds, offline) as machine:
        machine.run("git", "clone", "--quiet", "/srv/upstream", CLONE)
        steps = commands("## With systemd")
        assert len(steps) <= 6
        for step in steps:
            print(step, machine.run("sh", "-c", step, cwd=CLONE).stdout, sep="\n")
        machine.run("systemctl", "is-active", "inspector")
        machine.run("systemctl", "is-enabled", "inspector")
        machine.sample = machine.run("cat", CONFIG).stdout  # type: ignore[attr-defined]
        yield machine


@pytest.fixture
def service(machine: Machine) -> Iterator[Service]:
    """The service, stopped, and as if it had never run."""
    service = Service(machine, "inspector")
    yield service
    print(service.control("status", check=False).stdout, service.log(), sep="\n")  # of a test that failed
    machine.run("rm", "-rf", "/run/faults", "/run/systemd/system/inspector.service.d")
    machine.run("systemctl", "daemon-reload")
    service.control("stop")
    service.control("reset-failed", check=False)
    machine.run("sh", "-c", "rm -rf /var/lib/private/inspector/*")


Given = Callable[..., Service]


@pytest.fixture
def given(service: Service) -> Given:
    """Gives the service a configuration with the tiny bundle, and the unit some quicker settings."""
    machine = service.machine

    def give(*sources: str, more: str = "", unit: str = "", bundle: str = "/srv/bright") -> Service:
        service.control("stop")
        cameras = "".join(
            f'[[camera]]\nname = "cam{number}"\nsource = "{source}"\nbundle = "{bundle}"\nqueue = 50\nhealth = []\n'
            for number, source in enumerate(sources, 1)
        )
        machine.write(CONFIG, f'{cameras}[journal]\npath = "/var/lib/inspector/journal.sqlite"\n{more}\n')
        drop_in = f"[Service]\nEnvironment=PYTHONPATH=/srv/faults\nRestartSec=100ms\n{unit}\n"
        machine.write("/run/systemd/system/inspector.service.d/test.conf", drop_in)
        machine.run("mkdir", "-p", "/run/faults")
        machine.run("systemctl", "daemon-reload")
        machine.run("sh", "-c", "rm -rf /var/lib/private/inspector/*")
        return service

    return give


def settled(service: Service, camera: str) -> float:
    """Verdicts of the camera so far, in this run of the daemon."""
    found = re.findall(rf'inspector_verdicts_total{{camera="{camera}".*}} (\S+)', service.get("/metrics"))
    return sum(map(float, found))


def goes_on(service: Service, camera: str) -> None:
    before = settled(service, camera)
    until(lambda: settled(service, camera) >= before + 5, f"{camera} has verdicts")


def ledger(service: Service) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = json.loads(service.machine.run("inspector", "ledger", CONFIG, "--json").stdout)
    return rows


def assert_balanced(service: Service) -> None:
    """All that was captured is accounted for, in two rows where a shift ended meanwhile."""
    rows = ledger(service)
    assert rows
    for what in ("unaccounted", "in_flight"):
        assert sum(int(str(row[what])) for row in rows) == 0, rows


SIM = "sim://line?seed={}&rate=20&width=128&height=96"
QUICK = "[daemon]\nstall = 1.0\ndrain = 2.0\n"


def test_1_it_is_a_hardened_service(machine: Machine, service: Service) -> None:
    machine.write(CONFIG, machine.sample)  # type: ignore[attr-defined]
    service.control("restart")
    assert service.get("/readyz") == "ok\n", "not a moment later: it is active when it is ready"
    pid = service.MainPID
    assert machine.run("ps", "-o", "user=", "-p", pid).stdout.strip() == "inspector"
    assert machine.run("stat", "-c", "%U %a", "/etc/inspector/credentials").stdout == "root 700\n"
    seen = f"/proc/{pid}/root"
    assert machine.run("touch", f"{seen}/etc/x", f"{seen}/opt/x", check=False).returncode != 0
    assert "Seccomp:\t2" in machine.run("cat", f"/proc/{pid}/status").stdout
    until(lambda: re.match(r"1/1 cameras, \S+ frames/s, p99 ", service.StatusText) is not None, "a line worth reading")
    assert "keeps its priority" not in service.log()


def test_2_it_is_active_only_once_the_bundle_has_proven_itself(given: Given) -> None:
    service = given(SIM.format(1))
    service.machine.write("/run/faults/proof", "")
    service.machine.run("systemctl", "start", "--no-block", "inspector")
    until(lambda: "hangs by order: proof" in service.log())
    assert (service.ActiveState, service.StatusText) == ("activating", "the models prove themselves")
    service.machine.run("rm", "/run/faults/proof")
    until(lambda: service.ActiveState == "active")
    assert service.get("/readyz") == "ok\n"


def test_3_a_bundle_that_does_not_prove_itself_is_never_active(given: Given) -> None:
    service = given(SIM.format(1), bundle="/srv/broken")
    service.machine.run("cp", "-r", "/srv/bright", "/srv/broken")
    service.machine.run("cp", "/srv/broken/golden/good.png", "/srv/broken/golden/bad.png")
    before = service.ActiveEnterTimestampMonotonic
    assert service.control("start", check=False).returncode != 0
    assert (service.ActiveState, service.ExecMainStatus, service.NRestarts) == ("failed", "65", "0")
    assert service.ActiveEnterTimestampMonotonic == before
    assert "does not prove itself" in service.log()


def test_4_a_process_that_stands_still_is_started_again(given: Given) -> None:
    service = given(SIM.format(1), unit="WatchdogSec=2")
    service.control("start")
    goes_on(service, "cam1")
    pid = service.MainPID
    service.kill("SIGSTOP")
    until(lambda: service.MainPID not in (pid, "0") and service.ActiveState == "active", "it runs again")
    goes_on(service, "cam1")
    assert "Watchdog timeout" in service.log()
    assert int(service.NRestarts) >= 1  # on a busy machine, more
    service.control("stop")
    assert_balanced(service)


@pytest.mark.parametrize("stage", ["worker", "publisher"])
def test_5_a_stage_that_hangs_gets_the_process_started_again(given: Given, stage: str) -> None:
    service = given(SIM.format(1), more=QUICK + "[workers]\ncount = 1", unit="WatchdogSec=3")
    service.control("start")
    goes_on(service, "cam1")
    pid = service.MainPID
    service.machine.write(f"/run/faults/{stage}", "")
    until(lambda: "no progress for" in service.StatusText, "systemctl status names it")
    assert "hangs by order" in service.log()
    until(lambda: service.MainPID not in (pid, "0"), "it is started again")
    service.machine.run("rm", f"/run/faults/{stage}")
    until(lambda: service.ActiveState == "active")
    goes_on(service, "cam1")
    log = service.log()
    assert "Watchdog timeout" in log
    assert 'File "/srv/faults/sitecustomize.py", line' in log, "where it hung"


@pytest.mark.parametrize(("fault", "state"), [("driver-hangs", "stalled"), ("driver-raises", "lost")])
def test_6_a_broken_driver_hurts_its_camera_alone(given: Given, fault: str, state: str) -> None:
    service = given(
        SIM.format(1), "folder:/srv/bright/golden?loop=1&rate=20", more=QUICK, unit="WatchdogSec=10\nRestart=no"
    )
    service.control("start")
    goes_on(service, "cam1")
    pid = service.MainPID
    service.machine.write(f"/run/faults/{fault}", "")
    until(lambda: service.StatusText.startswith(f"cam1 {state}; 1/2 cameras"), "systemctl status names it")
    before = settled(service, "cam2")
    until(lambda: settled(service, "cam2") >= before + 20 * 15, "longer than it would take the watchdog")
    service.machine.run("rm", f"/run/faults/{fault}")
    goes_on(service, "cam1")
    assert service.MainPID == pid


def test_7_it_is_started_again_as_often_as_it_takes(given: Given) -> None:
    service = given(SIM.format(1), unit="RestartSec=10ms")
    service.control("start")
    for _ in range(10):  # long before it is ready, so that they come faster than systemd's limit of 5 in 10 s
        pid = service.MainPID
        service.kill("SIGKILL")
        until(lambda pid=pid: service.MainPID not in (pid, "0"), "another one")  # type: ignore[misc]
    until(lambda: service.ActiveState == "active")
    goes_on(service, "cam1")
    assert int(service.NRestarts) == 10


def test_8_it_does_not_wait_for_a_camera(given: Given) -> None:
    service = given(SIM.format(1), "rtsp://127.0.0.1:9/stream", "camera:/dev/video77")
    service.control("start")
    goes_on(service, "cam1")
    until(lambda: service.StatusText.startswith("cam2 lost, cam3 lost; 1/3 cameras"), "systemctl status names them")


def test_9_a_reload_ends_when_the_configuration_was_read_again(given: Given) -> None:
    service = given(SIM.format(1), more='[models]\nstate = "/var/lib/inspector/models"')
    service.control("start")
    pid = service.MainPID
    runs = f"in use by the inspector that runs {CONFIG} (inspector (pid {pid})): publisher tcp://"
    assert runs in service.machine.run("inspector", "check", CONFIG).stdout
    for count, threshold in enumerate(("0.25", "0.5", "0.75"), 1):
        service.machine.run("sed", "-i", "-e", "/^threshold/d", "-e", f"/^bundle/a threshold = {threshold}", CONFIG)
        service.control("reload")
        assert f'inspector_model_changes_total{{change="taken"}} {count}.0' in service.get("/metrics")
    service.machine.run("sed", "-i", "s/queue = 50/queue = -1/", CONFIG)
    assert service.control("reload", check=False).returncode != 0
    until(lambda: "by another threshold, 0.75, or another view" in service.log() and "queue = -1" in service.log())
    assert service.ActiveState == "active"
    goes_on(service, "cam1")
    assert service.MainPID == pid


def test_9b_a_reload_without_state_asks_by_a_signal(given: Given) -> None:
    service = given(SIM.format(1))
    service.control("start")
    pid = service.MainPID
    service.control("reload")
    until(lambda: "reloaded: nothing has changed" in service.log())
    service.machine.run("sed", "-i", "s/queue = 50/queue = -1/", CONFIG)
    service.control("reload")
    until(lambda: "not reloaded, all stays as it was" in service.log())
    until(lambda: service.ActiveState == "active")
    goes_on(service, "cam1")
    assert service.MainPID == pid


def test_10_a_stop_under_load_loses_nothing(given: Given) -> None:
    full = "sim://line?seed={}&rate=100&width=128&height=96"
    folder = "folder:/srv/bright/golden?loop=1&rate=max"
    service = given(full.format(1), full.format(2), folder)
    service.control("start")
    for camera in ("cam1", "cam2", "cam3"):
        until(lambda camera=camera: settled(service, camera) >= 100)  # type: ignore[misc]
    service.control("stop")
    assert (service.Result, service.ExecMainStatus) == ("success", "0")
    said = re.findall(r"stopped: 0/3 cameras, (\d+) frames: (\d+) ok, (\d+) ng, (\d+) unknown", service.log())
    captured, *ends = map(int, said[-1])
    rows = ledger(service)
    assert sum(int(str(row["captured"])) for row in rows) == captured == sum(ends)
    assert all(row["unaccounted"] == row["in_flight"] == row["ends"]["crash"] == 0 for row in rows)  # type: ignore[index]
    kept = service.machine.run("inspector", "replay", CONFIG, "--topic", "verdict/").stdout.splitlines()
    frames = {(header["camera"], header["frame"]) for header in map(json.loads, kept)}
    assert len(frames) == len(kept) == captured


def test_11_a_secret_key_is_handed_over_by_systemd(given: Given) -> None:
    service = given(SIM.format(1), more='[security]\nsecret_key = "credential:line1.secret"\nsubscribers = "list"\n')
    machine, credentials = service.machine, "/etc/inspector/credentials"
    machine.run("inspector", "keygen", "line1", "--out", credentials)
    machine.run("inspector", "keygen", "gate", "--out", "/root/keys")
    machine.run("install", "-D", "-m", "644", "/root/keys/gate.pub", "/etc/inspector/list/gate.pub")
    assert "fine" in machine.run("inspector", "check", CONFIG).stdout, "outside of the unit, by root"
    service.control("start")
    keys = ("--secret", "/root/keys/gate.secret", "--server", f"{credentials}/line1.pub")
    machine.run("inspector", "listen", "tcp://127.0.0.1:5600", "--count", 3, *keys)
    until(lambda: settled(service, "cam1") >= 3)
    without = ("timeout", "3", "inspector", "listen", "tcp://127.0.0.1:5600", "--count", "1")
    assert machine.run(*without, check=False).returncode != 0, "without a key there is nothing to hear"
    secret = machine.run("cat", f"{credentials}/line1.secret").stdout.strip()
    assert len(secret) == 40
    assert machine.run("stat", "-c", "%U %a", f"{credentials}/line1.secret").stdout == "root 600\n"
    laid = "/run/credentials/inspector.service/inspector_line1.secret"
    assert machine.run("stat", "-c", "%U %a", laid).stdout == "inspector 400\n"
    environment = machine.run("cat", f"/proc/{service.MainPID}/environ").stdout
    assert "CREDENTIALS_DIRECTORY=" in environment
    for told in (environment, service.log(), machine.run("systemctl", "show", "inspector").stdout):
        assert secret not in told
    machine.run(
        "rm", "-r", f"{credentials}/line1.secret", f"{credentials}/line1.pub", "/root/keys", "/etc/inspector/list"
    )


def test_12_a_second_line_runs_beside_the_first(given: Given) -> None:
    first = given(SIM.format(1))
    machine = first.machine
    first.control("start")
    second = Service(machine, "inspector@press")
    text = machine.run("cat", CONFIG).stdout.replace("/var/lib/inspector/", "/var/lib/inspector@press/")
    machine.write(
        "/etc/inspector/inspector@press.toml",
        f'{text}\n[publish]\nendpoint = "tcp://127.0.0.1:5700"\n[http]\nport = 9700\n',
    )
    second.control("start")
    assert (first.ActiveState, second.ActiveState) == ("active", "active")
    machine.run("inspector", "listen", "tcp://127.0.0.1:5700", "--count", "3")
    second.control("stop")
    assert second.Result == "success"
    machine.run("test", "-s", "/var/lib/inspector@press/journal.sqlite")
    goes_on(first, "cam1")


def test_13_upgrade_and_back(given: Given, upstream: Path) -> None:
    service = given(SIM.format(1))
    machine = service.machine
    service.control("start")
    goes_on(service, "cam1")

    def version() -> str:
        running = machine.run("readlink", f"/proc/{service.MainPID}/exe", "-f").stdout
        assert "/usr/bin/python3" in running, "the system's Python"
        (sold,) = re.findall(r'inspector_build_info{.*version="([^"]+)".*} 1', service.get("/metrics"))
        assert machine.run("inspector", "--version").stdout == f"inspector {sold}\n"
        return str(sold)

    old = version()
    source = upstream / "inspector/__init__.py"
    source.write_text(source.read_text().replace(f'__version__ = "{old}"', '__version__ = "99.0"'))
    commit(upstream, "The next version")
    *upgrade, back = commands("### Upgrade, and back")
    for step in upgrade:
        machine.run("sh", "-c", step, cwd=CLONE)
    assert version() == "99.0"
    assert "is current already" in machine.run("sh", "-c", upgrade[-1], cwd=CLONE).stdout
    machine.run("sh", "-c", back, cwd=CLONE)
    assert version() == old
    goes_on(service, "cam1")
    machine.run("sh", "-c", "rm -r /opt/inspector/versions/99.0-*/lib/python3*/site-packages/cv2")
    failed = machine.run("sh", "-c", back, cwd=CLONE, check=False)  # which goes forward again
    assert failed.returncode == 1
    assert re.search(rf"99\.0-\S+ does not run here; {re.escape(old)}-\S+ is back", failed.stderr)
    assert version() == old
    goes_on(service, "cam1")
    service.control("stop")
    assert_balanced(service)


def test_14_more_extras(given: Given) -> None:
    machine = given(SIM.format(1)).machine
    wrong = machine.run("sh", "deploy/install.sh", "cpu,nonsense", cwd=CLONE, check=False)
    assert (wrong.returncode, "there is no extra 'nonsense'" in wrong.stderr) == (1, True)
    machine.run("sh", "deploy/install.sh", "cpu,view", cwd=CLONE)
    assert "cpu,view is current already" in machine.run("sh", "deploy/install.sh", cwd=CLONE).stdout
    missing = machine.run("inspector", "train", "/srv", "--out", "/tmp/bundle", check=False)
    assert (missing.returncode, "run `sh deploy/install.sh cpu,view,train` in" in missing.stderr) == (78, True)
    machine.run("sh", "deploy/install.sh", "rollback", cwd=CLONE)


def test_15_another_model_while_it_is_stopped(given: Given) -> None:
    service = given(SIM.format(1), more='[models]\nstate = "/var/lib/inspector/models"')
    machine = service.machine
    service.control("start")
    service.control("stop")
    machine.run("cp", "-r", "/srv/bright", "/root/other")
    machine.run("sed", "-i", "s/^threshold = .*/threshold = 0.25/", "/root/other/bundle.toml")
    told = machine.run("inspector", "model", "use", CONFIG, "/root/other").stdout
    assert "judges from the daemon's next start on" in told
    owners = machine.run("find", "/var/lib/inspector/models", "-printf", "%U:%G\\n").stdout.split()
    assert len(owners) > 10
    assert len(set(owners)) == 1
    assert owners[0] != "0:0"
    service.control("start")
    goes_on(service, "cam1")
    assert "`inspector model use` of /root/other), not by /srv/bright" in service.log()
    machine.run("rm", "-r", "/root/other")
