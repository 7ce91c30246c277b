"""What `inspector train` refuses before it trains anything."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs torch, which `make test-all` installs")

from inspector.errors import DataError
from inspector.training.settings import Settings
from inspector.training.train import train
from tests.pictures import noise, write

pytestmark = pytest.mark.full


@pytest.mark.parametrize("more", [[], ["defective/a.png"]])
def test_where_no_normal_picture_can_be_read_that_is_said(tmp_path: Path, more: list[str]) -> None:
    for name in "ab":
        write(tmp_path / f"data/normal/{name}.png", noise(1)).write_bytes(b"none")
    for path in more:
        write(tmp_path / "data" / path, noise(2))
    said: list[str] = []
    with pytest.raises(DataError, match="data has no normal picture that can be read, to learn from; add some"):
        train(Settings(tmp_path / "data", tmp_path / "model", "mine"), said.append)
    assert said == [
        f"left out: {tmp_path}/data/normal/{name}.png is not a picture that OpenCV can read; replace or remove it"
        for name in "ab"
    ]
