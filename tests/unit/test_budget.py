from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inspector import budget
from inspector.errors import ConfigError
from inspector.inference.view import View
from inspector.judge import Judge
from inspector.settings import Camera, Daemon, Recorder, Settings
from inspector.worker import Station

MIB = 1 << 20
MODELS = 200 * MIB
LARGE = (5472, 3648)
TEAM: Any = None
"""Nobody has to judge anything here."""


def depth(memory_mb: int | None, overlap: int | None = 30, workers: int = 1, **keys: Any) -> int:
    keys = {"size": LARGE, "queue": 2} | keys
    camera = Camera(name="cam1", source="sim://line", bundle=Path("b"), **keys)
    settings = Settings(camera=(camera,), daemon=Daemon(memory_mb=memory_mb))
    stations = {"cam1": Station("cam1", TEAM, Judge(0.5, 1), True, View((240, 320, 3), overlap))}
    return budget.outbox_depth(settings, stations, workers, 1, MODELS)


def test_without_a_budget_nothing_is_checked() -> None:
    assert depth(None, size=None) == 64


def test_20_megapixels_fit_into_a_gibibyte_and_a_half() -> None:
    assert 2 <= depth(1536) < 64
    assert depth(16_384, workers=4) == 64


def test_what_is_left_of_it_may_wait_to_be_encoded() -> None:
    frame = LARGE[0] * LARGE[1] * 3
    assert depth(1536 + 10 * frame // MIB) == pytest.approx(depth(1536) + 10, abs=1)


@pytest.mark.parametrize(
    ("keys", "largest"),
    [
        ({"queue": 50}, r"53 frames of camera 'cam1', 50 of them in its queue: make its queue shorter"),
        ({"workers": 16}, r"what 16 worker\(s\) work on: have fewer workers"),
    ],
)
def test_what_needs_most_is_named(keys: dict[str, int], largest: str) -> None:
    with pytest.raises(ConfigError, match=rf"daemon.memory_mb = 1536: .* may need \d+ MB; .* for {largest}"):
        depth(1536, **keys)


def test_a_region_needs_less_than_all_of_the_frame() -> None:
    assert depth(1536, region=(0, 0, 1000, 1000)) > depth(1536)


def test_a_challenge_needs_memory_too() -> None:
    assert depth(1536, challenges=Path("c")) == depth(1536) - 1


def test_what_the_recorder_holds_is_counted() -> None:
    camera = Camera(name="cam1", source="sim://line", bundle=Path("b"), size=LARGE, queue=2)
    stations = {"cam1": Station("cam1", TEAM, Judge(0.5, 1), True, View((240, 320, 3), 30))}
    of = {"camera": (camera,), "daemon": Daemon(memory_mb=1536)}
    settings = Settings(**of, recorder=Recorder(path=Path("rec"), memory_mb=3000))
    with pytest.raises(ConfigError, match=r"3001 MB for frames that the flight recorder holds: lower recorder.mem"):
        budget.outbox_depth(settings, stations, 1, 1, MODELS)
    assert budget.outbox_depth(Settings(**of, recorder=Recorder(memory_mb=3000)), stations, 1, 1, MODELS) >= 2


def test_a_second_set_of_models_is_counted_by_daemon_and_doctor_alike() -> None:
    camera = Camera(name="cam1", source="sim://line", bundle=Path("b"), size=LARGE, queue=2)
    stations = {"cam1": Station("cam1", TEAM, Judge(0.5, 1), True, View((240, 320, 3), 30))}
    settings = Settings(camera=(camera,), daemon=Daemon(memory_mb=1536))
    spare = 3000 << 20
    with pytest.raises(ConfigError, match=r"3001 MB for a second set of models, for an exchange: use smaller models"):
        budget.outbox_depth(settings, stations, 1, 1, MODELS, spare)
    one, both = (sum(part.size for part in budget.needs(settings, stations, 1, 1, MODELS, more)) for more in (0, spare))
    assert both - one == spare


def test_frames_of_unknown_size_cannot_be_checked() -> None:
    with pytest.raises(ConfigError, match=r"camera 'cam1' need is not known; give each a size = \[width, height\]"):
        depth(1536, size=None)


def test_what_the_process_has_is_measured() -> None:
    assert budget.resident_bytes() > 10 * MIB
