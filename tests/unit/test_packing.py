"""Which pictures a bundle that is written takes for its golden ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inspector.errors import BundleError
from inspector.inference import bundle as bundles
from inspector.training import packing
from inspector.types import Verdict
from tests.bundles import make_bundle, picture

KILOBYTE = 1 << 10


def contents(folder: Path, reference: bool = False) -> packing.Contents:
    """Of the tiny bundle."""
    made = bundles.load(make_bundle(folder, reference=reference))
    card = made.card
    return packing.Contents(
        card.name, card.version, card.description, card.licence, card.input, card.decision, made.detector,
        made.repairer, card.repair, {},
    )  # fmt: skip


def grainy(most: int = 60, square: tuple[int, int, int, int] | None = None) -> np.ndarray:
    """A picture that no file holds in a kilobyte."""
    image = picture(square=square)
    return image - np.random.default_rng(1).integers(0, most, image.shape, np.uint8)


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "MAX_GOLDEN_BYTES", KILOBYTE)


def test_the_clearest_pictures_whose_files_are_small_enough_are_golden(tmp_path: Path) -> None:
    candidates = [
        ("large good", grainy(), None),
        ("small good", picture() + 5, None),
        ("large bad", grainy(square=(8, 8, 20, 20)), None),
        ("small bad", picture(square=(8, 8, 6, 6)), None),
    ]
    made = packing.write(tmp_path / "new", contents(tmp_path / "tiny"), candidates)
    golden = {entry.verdict: image for entry, image, _ in made.golden()}
    assert np.array_equal(golden[Verdict.OK], candidates[1][1])
    assert np.array_equal(golden[Verdict.NG], candidates[3][1])


def test_where_all_files_are_too_large_the_sentence_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"'a' and all others are larger .* again with --resume and --golden DIR"):
        packing.write(tmp_path / "new", contents(tmp_path / "tiny"), [("a", grainy(), None), ("b", grainy(), None)])
    assert not (tmp_path / "new").exists()


def test_a_reference_whose_file_is_too_large_rules_its_picture_out(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no picture can be golden"):
        packing.write(tmp_path / "new", contents(tmp_path / "tiny", True), [("a", picture(), grainy())])
