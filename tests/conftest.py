from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from tests.bundles import convolutional, make_bundle, masked_pictures, picture


@pytest.fixture(scope="session")
def bright(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tiny bundle (48 x 64, grey): bright pixels are defects. Not to be written to."""
    return make_bundle(tmp_path_factory.mktemp("bundles") / "bright")


@pytest.fixture(scope="session")
def reduced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The like of it made of convolutions, with an int8 and an fp16 detector beside. Not to be written to."""
    pytest.importorskip("tomli_w", reason="needs tomli-w, which writes cards")
    from inspector.inference.bundle import load
    from inspector.training.quantise import add
    from inspector.types import Precision

    folder = make_bundle(tmp_path_factory.mktemp("bundles") / "reduced", graph=convolutional)
    for precision in (Precision.INT8, Precision.FP16):
        add(load(folder), masked_pictures(), True, precision, print)
    return folder


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of 20 pictures, every fifth defective."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(20):
        image = picture(square=(10, 10, 9, 9)) if number % 5 == 4 else picture()
        cv2.imwrite(str(folder / f"{number:02}.png"), image)
    return folder
