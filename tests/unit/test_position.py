from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.client import Subscriber, position
from inspector.errors import ConfigError, OutputError
from tests.inspections import few, name, whole

NOBODY = "tcp://127.0.0.1:1"
positions = st.dictionaries(st.builds("verdict/{}/{}/".format, name, name), st.tuples(whole, whole))


@few
@given(positions)
def test_a_position_comes_back_as_it_was(tmp_path_factory, places):
    path = tmp_path_factory.mktemp("position") / "p.json"
    position.save(path, places)
    assert position.load(path) == places
    assert [file.name for file in path.parent.iterdir()] == ["p.json"], "nothing else is left behind"


def test_a_file_that_is_not_there_is_a_beginning(tmp_path):
    assert position.load(tmp_path / "none.json") == {}
    with Subscriber(NOBODY, position=tmp_path / "none.json") as subscriber:
        assert subscriber.position() == {}


@pytest.mark.parametrize(
    "content", ["", "[]", '{"verdict/line1/cam1/": 5}', '{"verdict/line1/cam1/": [5]}', '{"cam1": [1, 2]}', "\xff"]
)
def test_a_file_that_is_something_else_is_refused_in_a_sentence(tmp_path, content):
    path = tmp_path / "p.json"
    path.write_text(content, "latin-1")
    with pytest.raises(ConfigError, match=r"p.json is no saved position \(.+\); remove it"):
        Subscriber(NOBODY, position=path)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(OutputError, match=r"position .*p.json cannot be written: No such file"):
        position.save(tmp_path / "none" / "p.json", {})


def test_a_failure_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "p.json"
    position.save(path, {"verdict/line1/cam1/": (1, 2)})

    def fail(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(position.os, "fsync", fail)
    with pytest.raises(OutputError, match="No space left"):
        position.save(path, {"verdict/line1/cam1/": (1, 3)})
    assert json.loads(path.read_text()) == {"verdict/line1/cam1/": [1, 2]}
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_asked_for_goes_on_where_it_was(tmp_path):
    place = {"verdict/line1/cam1/": (17, 4), "result/line1/cam1/": (17, 1), "beat/line1/": (17, 0)}
    with Subscriber(NOBODY, kinds=["verdict"], position=place) as subscriber:
        subscriber.save(tmp_path / "p.json")
    del place["result/line1/cam1/"]
    assert position.load(tmp_path / "p.json") == place
