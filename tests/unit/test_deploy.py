from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from inspector import errors
from inspector.cli import build_parser
from inspector.mistakes import inner_model
from inspector.settings import Daemon, Http, Settings, load

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "deploy/inspector.toml"
UNIT = ROOT / "systemd/inspector.service"
COMMENTED_KEY = re.compile(r"^#(\w+ = |\[\[)", re.MULTILINE)
"""A default in the sample, `#key = value`, or a table that may be there; prose has a space after the #."""


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("INSPECTOR_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def unit() -> dict[str, list[str]]:
    """The unit's keys with all their values; sections do not matter here."""
    keys: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            keys.setdefault(key, []).append(value)
    return keys


def test_the_sample_is_a_valid_configuration():
    settings = load(SAMPLE, {})
    assert settings.journal.path == Path("/var/lib/inspector/journal.sqlite")  # the unit's StateDirectory
    assert settings == Settings(
        camera=[settings.camera[0].model_dump(include={"name", "source", "bundle"})],
        journal={"path": settings.journal.path},
        publish={"catchup": "tcp://127.0.0.1:5601"},
    )


def test_the_sample_has_every_key_with_its_real_default():
    everything = tomllib.loads(COMMENTED_KEY.sub(r"\1", SAMPLE.read_text()))
    for key, field in Settings.model_fields.items():
        section = inner_model(field)
        if section is None:
            assert everything.pop(key) == field.default, key
            continue
        table = everything.pop(key)
        (table,) = table if isinstance(table, list) else [table]
        assert table.keys() == section.model_fields.keys(), key
        for name, value in table.items():
            default = section.model_fields[name].default
            value = tuple(value) if isinstance(value, list) else value
            if not section.model_fields[name].is_required() and default is not None:
                assert (value, type(value)) == (default, type(default)), f"{key}.{name}"
    assert everything == {}


def test_the_sample_with_its_comments_taken_off_is_valid(tmp_path):
    path = tmp_path / "all.toml"
    everything = COMMENTED_KEY.sub(r"\1", SAMPLE.read_text())
    everything = re.sub(r"(?m)^fit = .*", 'fit = "tile"', everything)  # else there is nothing that overlaps
    # A calibration stands instead of threshold and min_area, and sources instead of a source.
    path.write_text(re.sub(r"(?m)^(calibration|sources|pair_within) = .*", "", everything))
    assert load(path, {}).camera[0].threshold is not None
    path.write_text(re.sub(r"(?m)^(threshold|min_area) = .*|^source = \"sim.*", "", everything))
    assert load(path, {}).camera[0].calibration == tmp_path / "cam1.calibration.toml"
    assert list(load(path, {}).camera[0].sources or {}) == ["infrared", "visible"]


def test_the_demo_runs_four_simulated_lines_on_what_ships():
    settings = load(ROOT / "deploy/demo.toml", {})
    assert [camera.name for camera in settings.camera] == ["cam1", "cam2", "cam3", "cam4"]
    assert len({camera.source for camera in settings.camera}) == 4
    assert all(camera.source.startswith("sim://line?") for camera in settings.camera)
    assert {camera.bundle.resolve() for camera in settings.camera} == {ROOT / "models/simulated-line"}
    assert settings.publish.source == "jpeg"


class TestUnit:
    def test_it_starts_a_verb_that_exists(self, unit):
        (start,) = unit["ExecStart"]
        program, *arguments = start.split()
        assert Path(program).name == "inspector"
        assert build_parser().parse_args(arguments).config == Path("/etc/inspector/%N.toml")

    def test_each_line_has_a_state_of_its_own(self, unit):
        for key in ("StateDirectory", "RuntimeDirectory", "CacheDirectory"):
            assert unit[key] == ["%N"]

    def test_a_drain_fits_before_the_kill(self, unit):
        # Half as long again: the publisher and a hung reader get a share of their own.
        assert float(unit["TimeoutStopSec"][0]) > 1.5 * Daemon().drain

    def test_the_watchdog_waits_longer_than_a_stall(self, unit):
        assert float(unit["WatchdogSec"][0]) > Daemon().stall

    def test_only_what_a_restart_can_mend_is_restarted(self, unit):
        hopeless = {int(code) for code in unit["RestartPreventExitStatus"][0].split()}
        mendable = {errors.SourceError, errors.OutputError, errors.ModelError, errors.DeviceError}
        assert hopeless == {kind.exit_code for kind in (errors.ConfigError, errors.BundleError)}
        assert hopeless & {kind.exit_code for kind in mendable} == set()
        assert unit["Restart"] == ["on-failure"]
        assert unit["StartLimitIntervalSec"] == ["0"]

    def test_it_phones_nobody(self, unit):
        assert "ORT_DISABLE_TELEMETRY=1" in unit["Environment"]

    @pytest.mark.full
    @pytest.mark.parametrize("name", ["inspector.service", "inspector@press.service"])
    def test_systemd_has_no_complaint(self, name, tmp_path):
        # The program is not installed where the unit wants it, and verify would say so.
        text = re.sub(r"^(Exec\w+=)\S+", rf"\1{sys.executable}", UNIT.read_text(), flags=re.MULTILINE)
        (tmp_path / name.replace("press", "")).write_text(text)
        run = analyse("verify", tmp_path / name)
        # An unknown key is said on stderr alone, with exit code 0; other units of this machine are not our matter.
        assert [line for line in run.stderr.splitlines() if "inspector" in line] == []
        assert run.returncode == 0

    @pytest.mark.full
    def test_it_is_hardened(self):
        run = analyse("security", "--offline=true", "--threshold=20", UNIT)  # tenths: 2.0 of 10, of which 0 is best
        assert run.returncode == 0, run.stdout[-200:]


def analyse(*arguments: object) -> subprocess.CompletedProcess[str]:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed: the unit is not verified")
    return subprocess.run(["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, timeout=60)


@pytest.mark.full
def test_shell_scripts_are_clean():
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed: the shell scripts are not checked")
    scripts = [
        *ROOT.glob("deploy/*.sh"),
        *ROOT.glob("tests/*.sh"),
        *ROOT.glob("tests/guest/*.sh"),
        ROOT / "tests/guest/init",
    ]
    done = subprocess.run(["shellcheck", *scripts], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout


def test_prometheus_scrapes_the_default_port():
    assert f'"{Http().host}:{Http().port}"' in (ROOT / "deploy/prometheus.yml").read_text()
