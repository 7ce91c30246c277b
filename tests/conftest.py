from __future__ import annotations

from pathlib import Path

import pytest

from tests.bundles import make_bundle


@pytest.fixture(scope="session")
def bright(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tiny bundle (48 x 64, grey): bright pixels are defects. Not to be written to."""
    return make_bundle(tmp_path_factory.mktemp("bundles") / "bright")
