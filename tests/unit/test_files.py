"""Files of our own that take the places of others."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector import files


def test_where_a_file_cannot_take_its_place_those_before_it_have(tmp_path: Path) -> None:
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    first.write_bytes(b"old")
    third.write_bytes(b"old")
    second.mkdir()
    with pytest.raises(IsADirectoryError):
        files.replace({first: b"new", second: b"new", third: b"new"})
    assert (first.read_bytes(), third.read_bytes()) == (b"new", b"old")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "second", "third"]
