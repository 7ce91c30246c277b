"""What either camera alone misses, a model of both finds: trained, measured and run on the simulated line.

Voids show in infrared alone, stains in visible light alone. Three small models with fixed seeds learn from the same
parts: one from the stack of both modalities, one from each, which is spared the defects that it cannot see.

1. evaluated on other parts  -> each single model finds what its camera shows and misses the rest, the stack finds both
2. repaired on these parts   -> in all four channels, and not worse than OpenCV
3. a daemon on two cameras   -> ng for a void, with its mask and a repaired frame of four channels at the subscriber
"""

from __future__ import annotations

import json
import shutil
import signal
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch, which `make test-all` installs")

import torch
from rich.console import Console

from inspector.client import Subscriber
from inspector.inference.bundle import load
from inspector.messages import ResultMessage
from inspector.simulation import Line, write_dataset
from inspector.training import settings as choices
from inspector.training import train_detector, train_repairer
from inspector.training.evaluate import evaluate
from inspector.training.train import train
from inspector.types import Verdict
from tests.daemon import Process, configure
from tests.waiting import PATIENCE

pytestmark = pytest.mark.full

CAMERAS = {"infrared": 1, "visible": 3}
SHOWN_BY = {"void": "infrared", "stain": "visible"}
WIDTH, HEIGHT = 192, 144
SEED = 5100
EPOCHS = {"both": 5, "visible": 4, "infrared": 3}
"""Of 50 batches: a soft, warm spot on a smooth part is learned sooner than a faint stain on brushed metal."""

FOUND = {"void": 0.6, "stain": 0.3}
"""Share of the parts with that defect of which a model that sees it finds it, at least.

Measured with this and other seeds: voids 0.95 to 1, by the stack and in infrared; stains by the stack 0.71 to 0.89, in
visible light 0.83 to 0.95.
"""

UNSEEN, REJECTED = 0.15, 0.25
"""Share of the defects that a blind model marks by chance, and of good parts that any calls `ng`, at most.

Measured: 0, and 0 to 0.17.
"""


class Trained(NamedTuple):
    """bundle: its folder;  figures: of the evaluation;  found: by kind, the share of parts whose defect was found
    where it is; of `good` ones, the share that is `ng`."""

    bundle: Path
    figures: dict[str, float]
    found: dict[str, float]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trained]:
    """The models by the cameras that they see with, trained as `inspector train` does, on small and few views."""
    root = tmp_path_factory.mktemp("stacks")
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_detector, "VIEW", 48)
        patch.setattr(train_detector, "BATCH", 16)
        patch.setattr(train_repairer, "BATCH", 16)
        patch.setattr(choices, "REPAIRER_EPOCH", 10)
        torch.set_num_threads(1)
        try:
            draw(root / "both")
            return {cameras: trained(root, cameras) for cameras in EPOCHS}
        finally:
            torch.set_num_threads(threads)


def draw(data: Path) -> None:
    """Parts that both cameras saw: good ones, and some with one of the two defects."""
    write_dataset(
        data, SEED, 96, 384, test_good=48, test_defective=168, width=WIDTH, height=HEIGHT, modalities=tuple(CAMERAS)
    )
    for folder in data.glob("*/*/"):
        if folder.name not in ("good", *SHOWN_BY):
            shutil.rmtree(folder)


def trained(root: Path, cameras: str) -> Trained:
    data, out = root / cameras, root / f"model_{cameras}"
    if cameras != "both":
        others = [name for name in CAMERAS if name != cameras]
        shutil.copytree(root / "both", data, ignore=lambda _, names: [name for name in names if name in others])
        for kind, camera in SHOWN_BY.items():
            for folder in data.glob(f"train_*/{kind}/") if camera != cameras else ():
                shutil.rmtree(folder)
    settings = choices.Settings(
        data, out, cameras, detector="unet", size=(HEIGHT, WIDTH), epochs=EPOCHS[cameras], repair_epochs=1,
        rate=4e-3, seed=1, int8=False,
    )  # fmt: skip
    train(settings, lambda line: None)
    figures = evaluate(out, data, root / f"evaluation_{cameras}", "cpu", False, Console(quiet=True))
    hits: dict[str, list[bool]] = defaultdict(list)
    for row in json.loads((root / f"evaluation_{cameras}" / "evaluation.json").read_text())["results"]:
        hits[row["kind"]].append(row["verdict"] == "ng" if row["kind"] == "good" else row["regions_found"] > 0)
    return Trained(out, figures, {kind: sum(seen) / len(seen) for kind, seen in hits.items()})


def test_1_the_stack_finds_what_either_alone_misses(models: dict[str, Trained]) -> None:
    assert load(models["both"].bundle).card.input.modalities == CAMERAS
    found = {cameras: model.found for cameras, model in models.items()}
    for kind, camera in SHOWN_BY.items():
        (blind,) = CAMERAS.keys() - {camera}
        assert found["both"][kind] >= FOUND[kind], found
        assert found[camera][kind] >= FOUND[kind], found
        assert found[blind][kind] <= UNSEEN, found
    assert max(kinds["good"] for kinds in found.values()) <= REJECTED, found


def test_2_all_channels_are_repaired_as_well_as_opencv_would(models: dict[str, Trained]) -> None:
    figures = models["both"].figures
    # Measured: 18.29 dB, as OpenCV has, since after 10 batches the bundle leaves the repair to its better inpainter.
    assert figures["repair_psnr"] >= max(figures["telea_psnr"], figures["ns_psnr"]) - 0.5


def test_3_two_cameras_and_a_daemon_find_and_repair_a_void(models: dict[str, Trained], tmp_path: Path) -> None:
    options = f"seed={SEED - 1}&width={WIDTH}&height={HEIGHT}&defects=1&rate=max"
    sources = ", ".join(f'{name} = "sim://line?{options}&modality={name}"' for name in CAMERAS)
    config = configure(tmp_path / "c.toml", models["both"].bundle, "nothing", publish='source = "png"')
    config.write_text(config.read_text().replace('source = "nothing"', f"sources = {{ {sources} }}"))
    views = [Line(SEED - 1, WIDTH, HEIGHT, 1.0, count, modality=name) for name, count in CAMERAS.items()]
    with Process(config) as daemon, Subscriber(daemon.endpoint) as subscriber:
        daemon.keep_reading()
        for message in subscriber.messages(timeout=PATIENCE):
            if not isinstance(message, ResultMessage):
                continue
            heat, light = (view.part(int(message.part or 0)) for view in views)
            mask = message.mask()
            if heat.kind == "void" and mask is not None and (mask & heat.mask).any():
                break
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0
    assert (message.verdict, message.size) == (Verdict.NG, (HEIGHT, WIDTH, 4))
    np.testing.assert_array_equal(light.image, light.reference, "visible light shows the void")
    frame = np.concatenate([heat.image, light.image], axis=2)
    np.testing.assert_array_equal(message.source(), frame)
    repaired = message.repaired()
    assert repaired is not None
    np.testing.assert_array_equal(repaired[mask == 0], frame[mask == 0])
    hole = (mask & heat.mask) > 0
    wanted = heat.reference[hole][:, 0].astype(int)
    before, after = (np.abs(image[hole][:, 0] - wanted).mean() for image in (frame, repaired))
    assert after < before, "the warm spot is gone"
