"""Several modalities of one part, from two cameras to a subscriber.

A folder of pictures for each modality, and a bundle that takes both: each part has its verdict, one that a modality
lacks, or that is black in infrared alone, is `unknown: camera`, and a defect that infrared alone shows is `ng`, with a
repaired frame of all channels in any codec.
"""

from __future__ import annotations

import signal
from pathlib import Path

import cv2
import numpy as np
import pytest

from inspector.client import Subscriber
from inspector.messages import ResultMessage, VerdictMessage
from inspector.types import Image, Reason, Verdict
from tests.bundles import FILL, make_bundle, picture
from tests.daemon import Process, configure
from tests.waiting import PATIENCE

HOT = (20, 20, 8, 8)


def stacked(config: Path, sources: str) -> Path:
    """The configuration with `sources` instead of its source."""
    config.write_text(config.read_text().replace('source = "nothing"', f"sources = {{ {sources} }}"))
    return config


def written(folder: Path, pictures: dict[str, Image]) -> Path:
    folder.mkdir()
    for name, image in pictures.items():
        cv2.imwrite(str(folder / f"{name}.png"), image)
    return folder


@pytest.mark.parametrize(("repaired", "source"), [("patch", "raw"), ("png", "png"), ("raw", "none"), ("jpeg", "jpeg")])
def test_each_part_has_its_verdict_and_a_defect_of_one_modality_is_found(
    tmp_path: Path, repaired: str, source: str
) -> None:
    bundle = make_bundle(tmp_path / "bundle", channels=4, modalities="visible = 3, infrared = 1")
    colour = picture(channels=3)
    colour[:, :, 0] = 30
    visible = written(tmp_path / "visible", dict.fromkeys(("1", "2", "3", "4", "5"), colour))
    dark = np.zeros_like(picture())
    infrared = written(tmp_path / "infrared", {"1": picture(), "3": picture(square=HOT), "4": picture(), "5": dark})
    config = configure(tmp_path / "c.toml", bundle, "nothing", publish=f'repaired = "{repaired}"\nsource = "{source}"')
    options = "loop=1&rate=50"
    stacked(config, f'visible = "folder:{visible}?{options}", infrared = "folder:{infrared}?{options}"')
    verdicts: dict[str | None, VerdictMessage] = {}
    results: list[ResultMessage] = []
    with Process(config) as daemon, Subscriber(daemon.endpoint) as subscriber:
        daemon.keep_reading()
        for message in subscriber.messages(timeout=PATIENCE):
            if isinstance(message, VerdictMessage):
                verdicts[message.part] = message
            elif isinstance(message, ResultMessage):
                results.append(message)
            if len(verdicts) == 5 and results:
                break
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0
    assert {part: (v.verdict, v.reason, v.size) for part, v in verdicts.items()} == {
        "1.png": (Verdict.OK, None, (48, 64, 4)),
        "2.png": (Verdict.UNKNOWN, Reason.CAMERA, None),
        "3.png": (Verdict.NG, None, (48, 64, 4)),
        "4.png": (Verdict.OK, None, (48, 64, 4)),
        "5.png": (Verdict.UNKNOWN, Reason.CAMERA, (48, 64, 4)),
    }
    assert verdicts["5.png"].cause == "black"
    assert any("(2.png): infrared sent no picture of this part" in line["message"] for line in daemon.log)
    mask = results[0].mask()
    assert mask is not None
    np.testing.assert_array_equal(mask > 0, picture(square=HOT)[:, :, 0] > 100)
    whole = np.concatenate([colour, picture(square=HOT)], axis=2)
    expected = np.where(mask[:, :, None] > 0, np.uint8(FILL), whole)
    found = results[0].repaired(whole if source == "none" else None)
    assert found is not None
    loss = 24 if repaired == "jpeg" else 0
    assert np.abs(found.astype(int) - expected).max() <= loss
    before = results[0].source()
    assert (before is None) == (source == "none")
    assert before is None or np.abs(before.astype(int) - whole).max() <= loss
