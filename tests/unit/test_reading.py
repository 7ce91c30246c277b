"""A configuration with all that it names: what no key alone, and no file alone, shows to be wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector import sources
from inspector.errors import ConfigError
from inspector.judging import prepare
from inspector.reading import read
from inspector.sources import sim
from tests.bundles import make_bundle
from tests.calibrations import calibration_text
from tests.daemon import configure

STATION = '[[station]]\nname = "gate"\ncameras = ["cam1", "cam2"]\n'
TRIGGER = '[trigger]\nendpoint = "tcp://127.0.0.1:*"\n'


def problems(config: Path) -> list[str]:
    """What is wrong with a configuration, without its path."""
    try:
        read(config)
    except ConfigError as error:
        return [problem.removeprefix(f"{config}: ") for problem in error.problems]
    return []


# ---- stations


@pytest.mark.parametrize("source", ["rtsp://192.0.2.1/live", "camera:0", "file:{clip}"])
def test_a_camera_of_a_station_that_never_knows_its_parts_is_refused(source: str, bright: Path, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").touch()
    source = source.format(clip=tmp_path / "clip.mp4")
    config = configure(tmp_path / "c.toml", bright, "sim://line", source, more=STATION)
    assert problems(config) == [
        "station 'gate': camera 'cam2' never knows which part it sees, since its source tells no part ids; give it a "
        "trigger_window, and set trigger.endpoint (docs/parts.md), or take it out of the station"
    ]
    assert problems(configure(tmp_path / "c.toml", bright, "sim://line", source)) == []
    window = ("", "trigger_window = 0.1")
    assert problems(configure(tmp_path / "c.toml", bright, "sim://line", source, more=f"{STATION}{TRIGGER}",
                              cameras=window)) == []  # fmt: skip


def test_a_source_that_may_tell_part_ids_may_be_at_a_station(
    bright: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = f"folder:{bright / 'golden'}"
    assert problems(configure(tmp_path / "c.toml", bright, "SIM://line", folder, more=STATION)) == []
    monkeypatch.setattr(sources.plugins, "factory", lambda url: lambda given: sim.from_url(sources.Url("sim://line")))
    assert problems(configure(tmp_path / "c.toml", bright, "sim://line", "other:", more=STATION)) == []


@pytest.mark.parametrize(("url", "is_wrong"), [("sim://line", False), ("rtsp://192.0.2.1/a", True)])
def test_one_source_of_a_stack_that_tells_part_ids_is_enough(
    url: str, is_wrong: bool, bright: Path, tmp_path: Path
) -> None:
    stack = f'[[camera]]\nname = "cam2"\nbundle = "{bright}"\nsources = {{ a = "{url}", b = "rtsp://192.0.2.2/b" }}\n'
    config = configure(tmp_path / "c.toml", bright, "sim://line", more=f"{stack}{STATION}")
    assert any("'cam2' never knows which part it sees" in problem for problem in problems(config)) == is_wrong


# ---- what fits together


def test_what_does_not_fit_is_told_of_all_cameras_at_once(bright: Path, tmp_path: Path) -> None:
    stack = make_bundle(tmp_path / "stack", channels=5)
    (tmp_path / "other.toml").write_text(calibration_text(stack))
    config = configure(
        tmp_path / "c.toml", bright, "sim://line", "sim://line",
        more=f'[[camera]]\nname = "cam3"\nsource = "sim://line"\nbundle = "{stack}"',
        cameras=('ignore = "none.png"', 'calibration = "other.toml"'),
    )  # fmt: skip
    settings = read(config)
    with pytest.raises(ConfigError) as caught:
        prepare(settings)
    beginnings = (f"camera 'cam3': bundle '{stack}' takes 5 channels", "camera 'cam1': ignore = ",
                  f"camera 'cam2': calibration {tmp_path / 'other.toml'}: it was made for ")  # fmt: skip
    for beginning, problem in zip(beginnings, caught.value.problems, strict=True):
        assert problem.startswith(beginning)
