from __future__ import annotations

import os
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from inspector.errors import BundleError, ConfigError, SourceError
from inspector.mistakes import inner_model
from inspector.redact import redact
from inspector.settings import Settings, changed, config_sha256, load, state

CAMERA = """
[[camera]]
name = "cam1"
source = "sim://line"
bundle = "models/one"
"""
SOURCE = 'source = "sim://line"'
SECRET = "hunter2"
STACK = 'sources = { visible = "folder:a", infrared = "rtsp://u:hunter2@cam/live" }'


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("INSPECTOR_"):
            monkeypatch.delenv(name)


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., Path]:
    def write(text: str | bytes = CAMERA) -> Path:
        path = tmp_path / "line.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def problems_of(path: Path, **probes: Callable[[str], object]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path, probes)
    assert caught.value.exit_code == 78
    assert all(problem.startswith(f"{path}: ") and "\n" not in problem for problem in caught.value.problems)
    return [problem.removeprefix(f"{path}: ") for problem in caught.value.problems]


def test_a_camera_is_enough(config):
    settings = load(config(), {})
    assert (settings.line, settings.workers.device, settings.publish.endpoint) == (
        "line1",
        "auto",
        "tcp://127.0.0.1:5600",
    )
    (camera,) = settings.camera
    assert (camera.name, camera.deadline, camera.queue, camera.repair, camera.threshold) == ("cam1", 1.0, 4, True, None)


def test_sources_are_placed_probed_and_told_apart_by_their_order(tmp_path):
    path = tmp_path / "line.toml"
    path.write_text(CAMERA.replace('source = "sim://line"', STACK))
    camera = load(path, {}).camera[0]
    assert camera.source is None
    assert list(camera.sources.items()) == [
        ("visible", f"folder:{tmp_path}/a"), ("infrared", f"rtsp://u:{SECRET}@cam/live"),
    ]  # fmt: skip

    def probe(source: str) -> None:
        raise SourceError(f"{source} does not answer")

    assert problems_of(path, source=probe) == [
        f"camera 'cam1' (visible): source: folder:{tmp_path}/a does not answer",
        "camera 'cam1' (infrared): source: rtsp://u:***@cam/live does not answer",
    ]
    one, other = {"visible": "camera:0", "infrared": "camera:1"}, {"infrared": "camera:1", "visible": "camera:0"}
    assert config_sha256(settings_with(source=None, sources=one)) != config_sha256(
        settings_with(source=None, sources=other)
    )


def test_settings_are_frozen(config):
    settings = load(config(), {})
    with pytest.raises(ValidationError):
        settings.line = "other"
    with pytest.raises(ValidationError):
        settings.camera[0].queue = 9


def test_every_key_says_what_it_means():
    for section in (Settings, *filter(None, map(inner_model, Settings.model_fields.values()))):
        for key, field in section.model_fields.items():
            if inner_model(field) is None:
                assert field.description, f"{section.__name__}.{key}"


def test_five_mistakes_are_five_sentences(config):
    def no_bundle(folder: str) -> None:
        raise BundleError(f"bundle {folder!r} is not a folder")

    path = config("""
        [[camera]]
        name = "cam1"
        source = "sim://line"
        bundle = "models/none"
        deadline = -1
        [publish]
        maks = "png"
        endpoint = "tcp://0.0.0.0:5600"
        [workers]
        device = "gpu"
    """)
    problems = problems_of(path, bundle=no_bundle)
    assert sorted(problems) == [
        f"camera 'cam1': bundle: bundle '{path.parent}/models/none' is not a folder",
        "camera 'cam1': deadline = -1 is not allowed; use a number from 0.001 to 3600",
        "publish.endpoint = 'tcp://0.0.0.0:5600': other machines could read everything, as nothing is encrypted; "
        "use tcp://127.0.0.1:PORT, give [security] its keys (docs/security.md), or set publish.allow_plaintext = true "
        "if the network is yours alone",
        "publish.maks is not a key; did you mean 'mask'?",
        "workers.device = 'gpu': use auto, cpu, cuda:0, tensorrt:0, openvino:cpu, openvino:gpu or openvino:npu",
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "camera is missing; add one `[[camera]]` table for each camera"),
        ("camera = []", "camera = []: add a [[camera]] table for each camera"),
        ("[camera]\nname = 'x'", "camera = {'name': 'x'} is not allowed; use one or more [[camera]] tables"),
        ("camera = [3]", "[[camera]] number 1 = 3 is not allowed; use one or more [[camera]] tables"),
        (CAMERA + "queue = 2.5", "camera 'cam1': queue = 2.5 is not allowed; use a whole number from 1 to 1000"),
        (CAMERA + "threshold = 1", "camera 'cam1': threshold = 1 is not allowed; use a number above 0 and below 1"),
        (CAMERA + "deadline = nan", "camera 'cam1': deadline = nan is not allowed; use a number from 0.001 to 3600"),
        (CAMERA + "repair = 'maybe'", "camera 'cam1': repair = 'maybe' is not allowed; use true or false"),
        (CAMERA + "overlap = 8", "camera 'cam1': overlap = 8: only tiles overlap; set fit = \"tile\", or take this key "
                                 "out"),
        (CAMERA + "size = [640]", "camera 'cam1': size = [640] is not allowed; use a list of 2 whole numbers"),
        (CAMERA + "size = [64, 48]\nregion = [0, 0, 65, 48]", "camera 'cam1': region = [0, 0, 65, 48]: it reaches "
                                                             "beyond size = [64, 48]; mend either"),
        (CAMERA + "ignore_polygons = [[[1, 1], [5, 5]]]", "camera 'cam1': ignore_polygons = [[[1, 1], [5, 5]]]: "
                                                          "[[1, 1], [5, 5]] has fewer than 3 corners [x, y]; add some"),
        (CAMERA + "scan_rows = 100\nscan_overlap = 64", "camera 'cam1': scan_overlap = 64: at most half of scan_rows = "
                                                       "100 may be repeated; use 0 to 50"),
        (CAMERA + "size = [64, 48]\nscan_rows = 256", "camera 'cam1': scan_rows = 256: it makes frames of so many "
                                                      "rows, and size = [64, 48]; mend either"),
        (CAMERA + "colour = 1", "camera 'cam1': colour is not a key; the keys here are name, source, sources, "
                                "pair_within, bundle, reference, size, fit, overlap, region, ignore, ignore_polygons, "
                                "scan_rows, scan_overlap, threshold, min_area, calibration, deadline, queue, repair, "
                                "isolate, hangs_after, max_rate, challenges, challenge_every, challenge_strict, "
                                "health, silence, trigger_window, trigger_delay"),
        (CAMERA + "health = ['blurry']", "camera 'cam1': health = ['blurry']: 'blurry' is no check; the checks are "
                                         "black, saturated, frozen, drifted, shifted, defocused"),
        (CAMERA.replace("cam1", "daemon"), "camera 'daemon': name = 'daemon': that name is taken by the daemon's own "
                                           "events; use another"),
        (CAMERA.replace("cam1", "a/b"), "camera 'a/b': name = 'a/b': use 1 to 64 letters, digits, - and _, the first a "
                                        "letter or digit"),
        (CAMERA.replace("sim://line", ""), "camera 'cam1': source = '' is not allowed; use text"),
        (CAMERA.replace("source", "surce"), "camera 'cam1': source is missing; add where frames come from, a URL"),
        (CAMERA + "sources = { a = 'camera:0', b = 'camera:1' }", "camera 'cam1': sources = {'a': 'camera:0', "
                         "'b': 'camera:1'}: source is there too; keep source for one camera, or sources for the "
                         "modalities of a part"),
        (CAMERA.replace('source = "sim://line"', "sources = 3"), "camera 'cam1': sources = 3: use a table with a URL "
                        'for each modality, such as sources = { visible = "camera:0", infrared = "camera:1" }'),
        (CAMERA.replace('source = "sim://line"', "sources = { a = 'camera:0' }"), "camera 'cam1': sources = {'a': "
                        "'camera:0'}: use 2 to 16 modalities, such as sources = { visible = \"camera:0\", infrared = "
                        '"camera:1" }; a camera alone is a source'),
        (CAMERA.replace('source = "sim://line"', "sources = { 'a b' = 'x', c = 'y' }"), "camera 'cam1': sources = "
                        "{'a b': 'x', 'c': 'y'}: 'a b' names a modality: use 1 to 64 letters, digits, - and _, the "
                        "first a letter or digit"),
        (CAMERA * 2, "camera name = 'cam1' is there 2 times; give each camera its own"),
        (CAMERA.replace("name", "nam"), "[[camera]] number 1: name is missing; add its name in topics, metrics and "
                                        "logs: letters, digits, - and _"),
        (CAMERA + "[publish]\nmask = 'pgn'", "publish.mask = 'pgn' is not allowed; use 'png', 'rle' or 'raw'"),
        (CAMERA + "[publish]\nendpoint = '127.0.0.1:1'", "publish.endpoint = '127.0.0.1:1': use tcp://HOST:PORT, such "
                                                         "as tcp://127.0.0.1:5600, or ipc://PATH"),
        (CAMERA + "[http]\nport = 65536", "http.port = 65536 is not allowed; use a whole number from 0 to 65535"),
        (CAMERA + "[http]\nhost = 'a..b'", "http.host = 'a..b': use an address such as 127.0.0.1, 0.0.0.0 or ::1, or a "
                                           "host's name"),
        ("line = ''" + CAMERA, "line = '': use 1 to 64 letters, digits, - and _, the first a letter or digit"),
        ("daemon = 3" + CAMERA, "daemon = 3 is not allowed; use a table"),
        (CAMERA + "[deamon]", "deamon is not a key; did you mean 'daemon'?"),
    ],
)  # fmt: skip
def test_each_mistake_names_key_value_and_remedy(config, text, sentence):
    assert sentence in problems_of(config(text))


@pytest.mark.parametrize(
    ("key", "value", "other"),
    [
        ("pair_within", "0.02", "sources"),
        ("scan_overlap", "8", "scan_rows"),
        ("hangs_after", "30.0", "isolate"),
        ("challenge_every", "60", "challenges"),
        ("challenge_strict", "false", "challenges"),
        ("trigger_delay", "0", "trigger_window"),
    ],
)
def test_a_key_that_does_nothing_without_another_is_refused(config, key, value, other):
    shown = value.capitalize() if value == "false" else value
    assert problems_of(config(f"{CAMERA}{key} = {value}")) == [
        f"camera 'cam1': {key} = {shown}: it does nothing without {other}; set that too, or take this key out"
    ]
    text = {
        "sources": (CAMERA + f"{key} = {value}").replace(SOURCE, STACK),
        "scan_rows": f"{CAMERA}{key} = {value}\nscan_rows = 256",
        "isolate": f"{CAMERA}{key} = {value}\nisolate = true",
        "challenges": f"{CAMERA}{key} = {value}\nchallenges = 'known'",
        "trigger_window": f"{CAMERA}{key} = {value}\ntrigger_window = 0.1\n{TRIGGER}",
    }[other]
    load(config(text), {})


def test_what_a_key_needs_may_come_from_the_environment_or_be_off(config, monkeypatch):
    assert load(config(CAMERA + "isolate = false\nhangs_after = 5"), {}).camera[0].hangs_after == 5
    monkeypatch.setenv("INSPECTOR_CAMERA__0__ISOLATE", "true")
    assert load(config(CAMERA + "hangs_after = 5"), {}).camera[0].isolate


@pytest.mark.parametrize(
    ("table", "key", "value", "place"),
    [("journal", "keep_days", "7.0", "path"), ("recorder", "before", "1.0", "path"), ("models", "keep", "3", "state")],
)
def test_a_key_of_a_table_that_is_kept_nowhere_is_refused(config, monkeypatch, table, key, value, place):
    text = f"{CAMERA}[{table}]\n{key} = {value}\n"
    assert problems_of(config(text)) == [
        f"{table}.{key} = {value}: it does nothing without {table}.{place}; set that too, or take this key out"
    ]
    monkeypatch.setenv(f"INSPECTOR_{table.upper()}__{place.upper()}", "/kept/here")
    assert getattr(load(config(text), {}), table) is not None


def test_a_key_that_is_wrong_anyhow_is_told_of_once(config):
    (problem,) = problems_of(config(CAMERA + "[journal]\nkeep_day = 3"))
    assert "does nothing" not in problem


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("region = [0, 0, 0, 5]", "region.2 = 0 is not allowed; use a whole number from 1 to 65535"),
        ("region = [1, 2]", "region = [1, 2] is not allowed; use a list of 4 whole numbers"),
        ("region = 5", "region = 5 is not allowed; use a list of 4 whole numbers"),
        ("health = ['black', 1]", "health.1 = 1 is not allowed; use text"),
        ("ignore_polygons = [[[1, 1, 5], [5, 5], [1, 5]]]", "ignore_polygons.0.0 = [1, 1, 5] is not allowed; use a "
                                                            "list of 2 whole numbers"),
        ("ignore_polygons = [[[1], [5, 5], [1, 5]]]", "ignore_polygons.0.0 = [1] is not allowed; use a list of 2 whole "
                                                      "numbers"),
        ("ignore_polygons = [[[1, -5], [5, 5], [1, 5]]]", "ignore_polygons.0.0.1 = -5 is not allowed; use a whole "
                                                          "number from 0 to 65535"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_list_is_told_once_and_with_what_is_right_there(config, text, sentence):
    assert problems_of(config(CAMERA + text)) == [f"camera 'cam1': {sentence}"]


@pytest.mark.parametrize(
    "key", ["journal.path", "recorder.path", "models.state", "workers.cache", "publish.endpoint", "security.secret_key"]
)
def test_no_path_has_a_nul_in_it(config, key):
    (problem,) = problems_of(config(f'{key} = "ipc://a\\u0000b"\n{CAMERA}'))
    assert problem.startswith(f"{key} = ")
    assert problem.endswith(": no path or address has a NUL in it; take it out")


@pytest.mark.parametrize("key", ["bundle", "reference", "ignore", "calibration", "challenges", "source"])
def test_no_path_of_a_camera_has_a_nul_in_it(config, key):
    camera = {"name": "cam1", "source": "sim://line", "bundle": "one"} | {key: "a\\u0000b"}
    path = config("[[camera]]\n" + "\n".join(f'{key} = "{value}"' for key, value in camera.items()))
    (problem,) = problems_of(path)
    assert problem.startswith(f"camera 'cam1': {key} = ")
    assert problem.endswith(": no path or address has a NUL in it; take it out")


def test_a_path_of_the_environment_that_is_not_utf_8_is_refused(config, monkeypatch):
    monkeypatch.setenv("INSPECTOR_CAMERA__0__BUNDLE", os.fsdecode(b"/caf\xe9"))
    assert problems_of(config()) == [
        "camera 'cam1': bundle (from INSPECTOR_CAMERA__0__BUNDLE) = '/caf\\udce9': it is not UTF-8; rename what is "
        "there, or name another"
    ]


STATION = "[[station]]\nname = 'gate'\ncameras = ['cam1', 'cam2']\n"
TWO = CAMERA + CAMERA.replace("cam1", "cam2")
TRIGGER = "[trigger]\nendpoint = 'tcp://127.0.0.1:5602'\n"


def test_a_station_and_triggers(config):
    settings = load(config(TWO + "trigger_window = 0.2\ntrigger_delay = -0.05\n" + STATION + TRIGGER), {})
    assert [(one.name, one.cameras, one.deadline) for one in settings.station] == [("gate", ("cam1", "cam2"), 5.0)]
    assert [camera.trigger_window for camera in settings.camera] == [None, 0.2]
    assert settings.trigger.endpoint == "tcp://127.0.0.1:5602"
    assert settings_with().station == ()


def test_the_manual_of_parts_shows_a_valid_configuration(config):
    manual = (Path(__file__).parents[2] / "docs/parts.md").read_text()
    sample = manual.split("\n\n    ", 1)[1].split("\n\n## ")[0]
    settings = load(config(textwrap.dedent(f"    {sample}")), {})
    assert [(one.cameras, one.deadline) for one in settings.station] == [(("top", "side"), 0.5)]
    assert [(one.trigger_delay, one.trigger_window) for one in settings.camera] == [(0.02, 0.08), (0.0, 0.1)]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (TWO + STATION.replace("cam2", "cam3"), "station 'gate': there is no camera 'cam3'"),
        (TWO + STATION.replace("'cam1', ", "") + STATION.replace(", 'cam2'", ""),
         "station name = 'gate' is there 2 times; give each station its own"),
        (TWO + STATION + STATION.replace("gate", "exit").replace("'cam1', ", ""),
         "station 'gate' and station 'exit' both have camera 'cam2'; a camera is at one station"),
        (TWO + STATION.replace("cam2", "cam1"),
         "station 'gate': cameras = ['cam1', 'cam1']: name each camera that sees the part, once"),
        (TWO + STATION.replace("['cam1', 'cam2']", "[]"),
         "station 'gate': cameras = []: name each camera that sees the part, once"),
        (TWO + STATION.replace("['cam1', 'cam2']", "'cam1'"), "station 'gate': cameras = 'cam1' is not allowed; use a "
                                                              "list of texts"),
        (TWO + STATION + "deadline = 0",
         "station 'gate': deadline = 0 is not allowed; use a number from 0.001 to 86400"),
        (TWO + "[[station]]\nname = 'gate'",
         "station 'gate': cameras is missing; add the cameras' names, like `[\"top\", \"side\"]`"),
        (TWO + "[station]\nname = 'x'", "station = {'name': 'x'} is not allowed; use one or more [[station]] tables"),
        (TWO + TRIGGER, "trigger.endpoint is there for no camera; give those that are triggered a trigger_window"),
        (TWO + "trigger_window = 0.2", "camera 'cam2': trigger_window is set, but no trigger can come in; set "
                                       "trigger.endpoint"),
        (TWO + "trigger_window = 0.2\n" + TRIGGER.replace("127.0.0.1", "0.0.0.0"),
         "trigger.endpoint = 'tcp://0.0.0.0:5602': other machines could read everything, as nothing is encrypted; "
         "use tcp://127.0.0.1:PORT, give [security] its keys (docs/security.md), or set publish.allow_plaintext = true "
         "if the network is yours alone"),
    ],
)  # fmt: skip
def test_each_mistake_of_a_station_or_a_trigger_is_a_sentence(config, text, sentence):
    assert problems_of(config(text)) == [sentence]


@pytest.mark.parametrize(
    ("endpoint", "allowed"),
    [
        ("tcp://127.0.0.1:5600", True),
        ("tcp://127.9.9.9:*", True),
        ("tcp://localhost:0", True),
        ("tcp://[::1]:5600", True),
        ("ipc:///run/inspector/out", True),
        ("tcp://*:5600", False),
        ("tcp://0.0.0.0:5600", False),
        ("tcp://[::]:5600", False),
        ("tcp://192.0.2.1:5600", False),
        ("tcp://localhost.example.com:5600", False),
    ],
)
def test_plaintext_stays_on_this_machine_unless_allowed(config, endpoint, allowed):
    publish = f"[publish]\nendpoint = '{endpoint}'\n"
    if allowed:
        assert load(config(CAMERA + publish), {}).publish.endpoint == endpoint
    else:
        assert "encrypted" in problems_of(config(CAMERA + publish))[0]
        assert load(config(CAMERA + publish + "allow_plaintext = true"), {}).publish.endpoint == endpoint


@pytest.mark.parametrize(("value", "allowed"), [("true", True), ("1", True), ("false", False), ("0", False)])
def test_the_environment_may_allow_plaintext(config, monkeypatch, value, allowed):
    monkeypatch.setenv("INSPECTOR_PUBLISH__ALLOW_PLAINTEXT", value)
    text = CAMERA + "[publish]\nendpoint = 'tcp://*:5600'\n"
    if allowed:
        assert load(config(text), {}).publish.allow_plaintext
        (problem,) = problems_of(config(text + "mask = 'gif'"))
        assert "mask" in problem, "nothing is told of the endpoint where another key is wrong"
    else:
        assert "encrypted" in problems_of(config(text))[0]


def test_a_leave_that_is_neither_true_nor_false_is_none(config, monkeypatch):
    monkeypatch.setenv("INSPECTOR_PUBLISH__ALLOW_PLAINTEXT", "maybe")
    wrong, exposed = problems_of(config(CAMERA + "[publish]\nendpoint = 'tcp://*:5600'\n"))
    assert "(from INSPECTOR_PUBLISH__ALLOW_PLAINTEXT) = 'maybe' is not allowed; use true or false" in wrong
    assert "encrypted" in exposed


def test_a_file_that_is_not_there(tmp_path):
    assert problems_of(tmp_path / "none.toml") == [
        "there is no such file; give a configuration such as deploy/inspector.toml"
    ]


def test_a_file_that_cannot_be_read(tmp_path):
    assert "cannot be read" in problems_of(tmp_path)[0]


def test_a_file_that_is_not_toml_names_the_line(config):
    (problem,) = problems_of(config("line = 'a'\nworkers = [\n!"))
    assert "is not TOML" in problem
    assert "line 3" in problem


@pytest.mark.parametrize("value", ["[" * 3000 + "]" * 3000, "1" * 5000])
def test_a_value_that_no_parser_takes_is_a_sentence(config, monkeypatch, value):
    assert "is not TOML" in problems_of(config(f"line = {value}"))[0]
    monkeypatch.setenv("INSPECTOR_CAMERA__0__SIZE", value)
    assert "size (from INSPECTOR_CAMERA__0__SIZE) = " in problems_of(config())[0]


def test_a_file_may_begin_with_the_mark_that_windows_puts_there(config):
    assert load(config(b"\xef\xbb\xbf" + CAMERA.encode()), {}) == load(config(), {})


def test_a_file_that_is_not_text(config):
    assert "is not UTF-8" in problems_of(config(b"line = '\xff'"))[0]


def test_the_environment_goes_over_the_file(config, monkeypatch):
    monkeypatch.setenv("INSPECTOR_LINE", "press")
    monkeypatch.setenv("INSPECTOR_HTTP__PORT", "0")
    monkeypatch.setenv("INSPECTOR_WORKERS", '{"count": 3}')
    monkeypatch.setenv("INSPECTOR_CAMERA__1__SOURCE", f"rtsp://u:{SECRET}@cam/live")
    text = CAMERA + CAMERA.replace("cam1", "cam2") + "[http]\nhost = 'localhost'\n[workers]\nmax_batch = 5"
    settings = load(config(text), {})
    assert settings.line == "press"
    assert (settings.http.host, settings.http.port) == ("localhost", 0)
    assert (settings.workers.count, settings.workers.max_batch) == (3, 5)
    assert [camera.source for camera in settings.camera] == ["sim://line", f"rtsp://u:{SECRET}@cam/live"]


def test_the_environment_may_bring_the_cameras(config, monkeypatch):
    monkeypatch.setenv("INSPECTOR_CAMERA", '[{"name": "a", "source": "sim://line", "bundle": "b"}]')
    assert [camera.name for camera in load(config(""), {}).camera] == ["a"]


def test_the_environment_brings_lists_and_tables_of_a_camera_as_json(config, monkeypatch):
    text = CAMERA + CAMERA.replace("cam1", "cam2").replace(SOURCE, "") + STATION.replace("['cam1', 'cam2']", "['cam1']")
    monkeypatch.setenv("INSPECTOR_CAMERA__0__SIZE", "[640, 480]")
    monkeypatch.setenv("INSPECTOR_CAMERA__0__HEALTH", '["black"]')
    monkeypatch.setenv("INSPECTOR_CAMERA__0__IGNORE_POLYGONS", "[[[0, 0], [9, 0], [9, 9]]]")
    monkeypatch.setenv("INSPECTOR_CAMERA__1__SOURCES", '{"visible": "folder:a", "infrared": "folder:b"}')
    monkeypatch.setenv("INSPECTOR_STATION__0__CAMERAS", '["cam1", "cam2"]')
    settings = load(config(text), {})
    one, two = settings.camera
    assert (one.size, one.health) == ((640, 480), ("black",))
    assert one.ignore_polygons == (((0, 0), (9, 0), (9, 9)),)
    assert list(two.sources or {}) == ["visible", "infrared"]
    assert settings.station[0].cameras == ("cam1", "cam2")


@pytest.mark.parametrize("value", ["[1]", '["a"]', "[x", "{}", "12", "true"])
def test_a_text_stays_one_whatever_it_looks_like(config, monkeypatch, value):
    monkeypatch.setenv("INSPECTOR_CAMERA__0__SOURCE", value)
    assert load(config(), {}).camera[0].source == value


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("INSPECTOR_CAMERA__0__SIZE", "[640,", "camera 'cam1': size (from INSPECTOR_CAMERA__0__SIZE) = '[640,' is not "
                                               "allowed; use a list of 2 whole numbers"),
        ("INSPECTOR_HTTP__PORT", "many", "http.port (from INSPECTOR_HTTP__PORT) = 'many' is not allowed; use a whole "
                                         "number from 0 to 65535"),
        ("INSPECTOR_DAEMON", "{oops", "daemon (from INSPECTOR_DAEMON) = '{oops' is not allowed; use a table"),
        ("INSPECTOR_HTP__PORT", "1", "htp (from INSPECTOR_HTP__PORT) is not a key; did you mean 'http'?"),
        ("INSPECTOR_HTTP__PROT", "1", "http.prot (from INSPECTOR_HTTP__PROT) is not a key; did you mean 'port'?"),
        ("INSPECTOR_LINE__X", "abc", "line (from INSPECTOR_LINE__X) = {} is not allowed; use text"),
        ("INSPECTOR_CAMERA__0__QUEUE", "0", "camera 'cam1': queue (from INSPECTOR_CAMERA__0__QUEUE) = '0' is not "
                                            "allowed; use a whole number from 1 to 1000"),
    ],
)  # fmt: skip
def test_a_wrong_variable_is_named(config, monkeypatch, variable, value, sentence):
    monkeypatch.setenv(variable, value)
    assert problems_of(config()) == [sentence]


def test_building_settings_reads_no_environment(monkeypatch):
    monkeypatch.setenv("INSPECTOR_LINE", "press")
    assert Settings(camera=[{"name": "a", "source": "s", "bundle": "b"}]).line == "line1"


def test_a_probe_sees_each_value_once_and_blames_all_who_use_it(config):
    seen = []

    def probe(folder: str) -> None:
        seen.append(folder)
        raise BundleError("it is damaged")

    path = config(CAMERA + CAMERA.replace("cam1", "cam2") + CAMERA.replace("cam1", "cam3").replace("one", "two"))
    assert problems_of(path, bundle=probe) == [
        "camera 'cam1', camera 'cam2': bundle: it is damaged",
        "camera 'cam3': bundle: it is damaged",
    ]
    assert seen == [f"{path.parent}/models/one", f"{path.parent}/models/two"]


def test_a_probe_is_spared_what_is_wrong_already(config):
    def probe(source: str) -> None:
        raise AssertionError(source)

    assert len(problems_of(config(CAMERA.replace('"sim://line"', "3")), source=probe)) == 1
    assert len(problems_of(config(CAMERA.replace("sim://line", "")), source=probe)) == 1


def test_a_probe_may_find_several_mistakes(config):
    def probe(source: str) -> None:
        raise ConfigError("this", "that")

    assert problems_of(config(), source=probe) == ["camera 'cam1': source: this", "camera 'cam1': source: that"]


def test_a_bug_in_a_probe_is_not_hidden(config):
    def probe(source: str) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        load(config(), {"source": probe})


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("file:clips/a.mp4?loop=1", "file:{folder}/clips/a.mp4?loop=1"),
        ("file:../a.mp4", "file:{folder}/../a.mp4"),
        ("FOLDER:pictures", "FOLDER:{folder}/pictures"),
        ("file:/data/a.mp4", "file:/data/a.mp4"),
        ("file:///data/a.mp4", "file:///data/a.mp4"),
        ("rtsp://host/file:a", "rtsp://host/file:a"),
    ],
)
def test_paths_are_relative_to_the_file(tmp_path, source, expected):
    folder = tmp_path / "50% ä"
    folder.mkdir()
    path = folder / "line.toml"
    path.write_text(CAMERA.replace("sim://line", source))
    (camera,) = load(path, {}).camera
    assert camera.source == expected.format(folder=f"{tmp_path}/50%25%20%C3%A4")
    assert camera.bundle == folder / "models/one"


@pytest.mark.parametrize("look", [lambda path: load(path, {}), state])
def test_a_folder_whose_name_is_not_utf_8_is_one_sentence(tmp_path, monkeypatch, look):
    folder = tmp_path / os.fsdecode(b"caf\xe9") / "line"
    folder.mkdir(parents=True)
    (folder / "line.toml").write_text(CAMERA.replace("sim://line", "folder:pictures"))
    monkeypatch.chdir(folder)
    for path in (folder / "line.toml", Path("line.toml")):
        with pytest.raises(ConfigError) as caught:
            look(path)
        assert str(caught.value) == (
            f"{path}: the name of its folder {str(folder)!r} is not UTF-8; rename that, or put the line elsewhere"
        )


def test_a_relative_configuration_gives_absolute_paths(config, monkeypatch):
    path = config()
    monkeypatch.chdir(path.parent)
    assert load(Path(path.name), {}).camera[0].bundle == path.parent / "models/one"


def test_no_password_is_shown(config):
    def probe(source: str) -> None:
        raise SourceError(f"{source} does not answer")

    text = CAMERA.replace("sim://line", f"rtsp://admin:{SECRET}@cam/live")
    assert problems_of(config(text), source=probe) == [
        "camera 'cam1': source: rtsp://admin:***@cam/live does not answer"
    ]
    assert SECRET not in repr(load(config(text), {}))
    assert SECRET not in problems_of(config(text.replace("[[camera]]", "[camera]")))[0]


def settings_with(**camera: Any) -> Settings:
    return Settings(camera=[{"name": "a", "source": "sim://line", "bundle": "b"} | camera])


def test_the_hash_tells_configurations_apart_but_not_passwords():
    one = settings_with(source="rtsp://u:one@cam/live")
    assert config_sha256(one) == config_sha256(settings_with(source="rtsp://u:two@cam/live"))
    assert config_sha256(one) != config_sha256(settings_with(source="rtsp://u:one@cam/other"))
    assert config_sha256(one) != config_sha256(settings_with(source="rtsp://u:one@cam/live", queue=5))
    assert len(config_sha256(one)) == 64


@given(st.text(min_size=1).filter(lambda text: not any(character.isspace() for character in text)))
def test_any_password_is_redacted(password):
    assert redact(f"open rtsp://u:{password}@host/live failed") == "open rtsp://u:***@host/live failed"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://cam/video?user=a&pwd=x&size=1", "http://cam/video?user=a&pwd=***&size=1"),
        ("rtsp://cam/live?user=a&psw=x", "rtsp://cam/live?user=a&psw=***"),
        ("rtsp://dvr/user=a_password=x_channel=1_stream=0.sdp?real", "rtsp://dvr/user=a_password=***"),
        ("rtsp://dvr/password=x&channel=1", "rtsp://dvr/password=***&channel=1"),
        ("tcp://127.0.0.1:5600 and a@b", "tcp://127.0.0.1:5600 and a@b"),
        ("rtsp://host:554/live?channel=1", "rtsp://host:554/live?channel=1"),
    ],
)
def test_only_passwords_are_redacted(text, shown):
    assert redact(text) == shown


# ---- [security]

SECURITY = '[security]\nsecret_key = "daemon.secret"\nsubscribers = "list"\n'


def test_keys_lie_beside_the_configuration(config):
    path = config(CAMERA + SECURITY)
    security = load(path, {}).security
    assert security.secret_key == str(path.parent / "daemon.secret")
    assert security.subscribers == path.parent / "list"
    assert load(config(), {}).security.secret_key is None


@pytest.mark.parametrize("key", ["secret_key", "subscribers"])
def test_keys_are_both_there_or_none(config, key):
    text = "".join(line for line in SECURITY.splitlines(keepends=True) if not line.startswith(key))
    (problem,) = problems_of(config(CAMERA + text))
    assert "secret_key and subscribers belong together; give both or neither" in problem


@pytest.mark.parametrize("endpoint", ["tcp://0.0.0.0:5600", "tcp://[::]:5600", "tcp://192.0.2.1:*"])
def test_with_keys_other_machines_may_connect(config, endpoint):
    publish = f"[publish]\nendpoint = '{endpoint}'\n"
    assert load(config(CAMERA + publish + SECURITY), {}).publish.endpoint == endpoint


def test_a_cameras_login_lies_beside_the_configuration_or_where_systemd_lays_it(config, monkeypatch, tmp_path):
    def source(login):
        url = f"rtsp://host/live?a=1&credentials={login}&b=2"
        return load(config(CAMERA.replace("sim://line", url)), {}).camera[0].source

    assert source("my%20login") == f"rtsp://host/live?a=1&credentials={quote(str(tmp_path))}/my%20login&b=2"
    assert source("/run/login") == "rtsp://host/live?a=1&credentials=/run/login&b=2"
    assert (
        source("credential:front") == f"rtsp://host/live?a=1&credentials={quote(str(tmp_path))}/credentials/front&b=2"
    )
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/inspector.service")
    assert source("credential:front").endswith("credentials=credential%3A/run/credentials/inspector.service/front&b=2")


def test_a_credential_is_where_systemd_lays_it_or_takes_it_from(config, monkeypatch, tmp_path):
    path = config(CAMERA + SECURITY.replace("daemon.secret", "credential:line1.secret"))
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert load(path, {}).security.secret_key == str(path.parent / "credentials" / "line1.secret")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert load(path, {}).security.secret_key == f"credential:{tmp_path}/line1.secret"
    (tmp_path / "inspector_line1.secret").touch()  # LoadCredential=inspector:FOLDER
    assert load(path, {}).security.secret_key == f"credential:{tmp_path}/inspector_line1.secret"


@pytest.mark.parametrize("laid", [True, False])
@pytest.mark.parametrize("name", ["", "..", "../shadow", "/etc/shadow", "a/b"])
def test_a_credential_lies_nowhere_else(config, monkeypatch, name, laid):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    if laid:
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/inspector.service")
    (problem,) = problems_of(config(CAMERA + SECURITY.replace("daemon.secret", f"credential:{name}")))
    assert "no credential has such a name" in problem


@pytest.mark.parametrize("prefix", ["", "/"])
def test_a_secret_in_the_configuration_is_refused_and_not_repeated(config, prefix):
    secret = (prefix + "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6")[:40]
    path = config(CAMERA + SECURITY.replace("daemon.secret", secret))
    (problem,) = problems_of(path)
    assert "a key itself has no place in a configuration" in problem
    assert secret not in problem


def test_what_changed_is_told_by_key_and_never_by_value(config):
    station = '[[station]]\nname = "gate"\ncameras = ["cam1"]\n'
    old = load(config(), {})
    assert changed(old, load(config(), {})) == []
    text = f"workers = {{ count = 2 }}\n{CAMERA}threshold = 0.5\n{CAMERA.replace('cam1', 'cam2')}{station}"
    assert changed(old, load(config(text), {})) == [
        "workers.count", "camera.cam1.threshold", "camera.cam2", "station.gate",
    ]  # fmt: skip
    login = load(config(CAMERA.replace("sim://line", f"rtsp://u:{SECRET}@cam/live")), {})
    assert changed(old, login) == ["camera.cam1.source"]
    stacked = CAMERA.replace('source = "sim://line"', STACK)
    turned = CAMERA.replace(
        'source = "sim://line"', 'sources = { infrared = "rtsp://u:hunter2@cam/live", visible = "folder:a" }'
    )
    assert changed(load(config(stacked), {}), load(config(turned), {})) == ["camera.cam1.sources"]


def test_where_models_are_kept_is_told_without_secrets(config, monkeypatch):
    login = 'source = "rtsp://cam/live?credentials=credential:front"'
    secrets = f'{CAMERA.replace(SOURCE, login)}[security]\nsecret_key = "credential:inspector"\n'
    path = config(f'[models]\nstate = "kept"\n{secrets}')
    with pytest.raises(ConfigError):
        load(path, {})
    assert state(path) == path.parent / "kept"
    monkeypatch.setenv("INSPECTOR_MODELS__STATE", "/elsewhere")
    assert state(path) == Path("/elsewhere")
    monkeypatch.delenv("INSPECTOR_MODELS__STATE")
    assert state(config()) is None
