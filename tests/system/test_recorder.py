"""The flight recorder of a real daemon, and what `replay` says of its recordings, on this machine and as on another.

1. ng on the simulated line is recorded with the frames before and after, and judged the same bit for bit
2. each thing that is not as recorded is named: a bundle, a threshold, a byte of a frame, a runtime, a provider
3. a bundle that was swapped on the line since: the recording has its own
4. pictures for people, JSON for machines, and options that are for the other kind
5. a disk that is full: an event, a metric, and the line goes on
6. SIGKILL in the midst of a recording leaves none that is taken for whole
7. batches of several frames; comparing bundles; tiles
8. a result that came too late is evidence, which is compared
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import signal
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from inspector.cli import main
from inspector.client import Subscriber
from inspector.inference import bundle
from inspector.journal.reading import Choice, Reader
from inspector.messages import BeatMessage, EventMessage, Kind, VerdictMessage
from inspector.recorder.recording import Recording
from inspector.wire import decode
from tests.boards import PLACES, moved, piece
from tests.bundles import detector, make_bundle, picture
from tests.calibrations import calibration_text
from tests.daemon import Process, configure, run
from tests.disks import fill, small_disk
from tests.pictures import noise, write
from tests.waiting import until

MODELS = Path(__file__).parents[2] / "models"
RECORDER = '[recorder]\npath = "rec"\n'
ALL = "after = 600\nlongest = 600\n"
"""Whatever comes after the first."""


def recordings(folder: Path) -> list[Path]:
    return sorted(folder.glob("rec/cam*"))


def record(folder: Path, bundle: Path, source: str, keys: str, **more: Any) -> list[Path]:
    """The recordings of a daemon that came to its source's end."""
    config = configure(
        folder / "c.toml", bundle, source, publish=RECORDER.replace('"rec"', f'"{folder}/rec"') + keys, **more
    )
    with Process(config) as daemon:
        assert daemon.wait() == 0
    return recordings(folder)


def replayed(*arguments: object) -> dict[str, Any]:
    with redirect_stdout(io.StringIO()) as out:
        code = main(["replay", *map(str, arguments), "--json"])
    told = json.loads(out.getvalue())
    assert code == 3 * bool(told["damage"] or any(one["differs"] or one["damage"] for one in told["outcomes"]))
    return dict(told)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The simulated line with its own bundle, around its first defect: 2 s before, 1 s after, at 10 frames/s."""
    folder = tmp_path_factory.mktemp("recorded")
    bundle = shutil.copytree(MODELS / "simulated-line", folder / "model")
    source = "sim://line?seed=11&rate=10&frames=45"  # its 27th part is its first defective one
    (first, *_) = record(
        folder, bundle, source, 'on = ["ng"]\nafter = 1\npause = 1000\n',
        more=f'[journal]\npath = "{folder}/journal.sqlite"\n', camera="queue = 50\ndeadline = 60",
    )  # fmt: skip
    return first


@pytest.fixture
def copy(recorded: Path, tmp_path: Path) -> Path:
    """A recording on another machine, to be spoilt."""
    return shutil.copytree(recorded, tmp_path / recorded.name)


def index(recording: Path) -> dict[str, Any]:
    return dict(json.loads((recording / "recording.json").read_text()))


def journalled(recording: Path) -> dict[int, float]:
    """When each frame was captured, also those that are not recorded."""
    reader = Reader(recording.parents[1] / "journal.sqlite")
    told = [decode(one.kept.parts) for one in reader.messages(Choice("verdict/"))]
    reader.close()
    return {message.frame: message.captured_ns / 1e9 for message in told if isinstance(message, VerdictMessage)}


def change(recording: Path, how: Callable[[list[dict[str, Any]]], None]) -> None:
    """Have it recorded otherwise."""
    lines = [json.loads(line) for line in (recording / "frames.jsonl").read_text().splitlines()]
    how(lines)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (recording / "frames.jsonl").write_text(text)
    told = index(recording) | {"frames_sha256": hashlib.sha256(text.encode()).hexdigest()}
    (recording / "recording.json").write_text(json.dumps(told))


def test_1_the_frames_before_and_after_are_recorded_and_judged_the_same(recorded: Path) -> None:
    first, *more = (one["frame"] for one in index(recorded)["triggers"])
    frames = list(Recording(recorded).frames())
    numbers = {one.number for one in frames}
    assert len(numbers) == len(frames)
    captured = journalled(recorded)
    begin, end = captured[first] - 2, max(captured[number] for number in (first, *more)) + 1

    def between(slack: float) -> set[int]:
        return {number for number, at in captured.items() if begin - slack <= at <= end + slack}

    assert between(-1e-3) <= numbers <= between(1e-3)  # the recorder goes by a clock that nobody sets
    assert {one.header["verdict"] for one in frames} == {"ok", "ng"}
    defective = next(one for one in frames if one.number == first)
    assert defective.mask is not None
    assert defective.patches
    again = replayed(recorded)
    assert (again["differs"], len(again["outcomes"])) == ([], len(frames))
    assert all(one["compared"] and one["was"] == one["here"] for one in again["outcomes"])
    assert "the same bit for bit, 0 differ; 0 damaged" in run("replay", recorded).stdout


def test_2_another_bundle_is_named(recorded: Path, tmp_path: Path) -> None:
    other = shutil.copytree(MODELS / "simulated-line", tmp_path / "other")
    card = (other / "bundle.toml").read_text()
    (other / "bundle.toml").write_text(card.replace('version = "', 'version = "9', 1))
    told = replayed(recorded, "--bundle", other)
    assert [one.split(":")[0] for one in told["differs"]] == ["bundle"]
    assert not any(one["differs"] for one in told["outcomes"])  # only its card says another word


def test_2_another_threshold_is_named_with_what_it_changes(recorded: Path, tmp_path: Path) -> None:
    config = configure(tmp_path / "c.toml", MODELS / "simulated-line", "sim://line", camera="threshold = 0.001")
    told = replayed(recorded, "--config", config)
    assert told["differs"] == ["threshold: recorded with none, here 0.001"]
    assert all(any("threshold" in why and "here 0.001" in why for why in one["differs"]) for one in told["outcomes"])
    assert any("verdict ok, here ng" in one["differs"] for one in told["outcomes"])
    assert any("mask: none, here one" in one["differs"] for one in told["outcomes"])


def test_2_a_changed_byte_of_a_frame_is_named_with_what_it_changes(copy: Path) -> None:
    number = index(copy)["triggers"][0]["frame"]
    path = copy / "frames" / f"{number}.npy"
    content = bytearray(path.read_bytes())
    content[-500_000] ^= 0x80
    path.write_bytes(content)
    told = replayed(copy)
    (spoilt,) = (one for one in told["outcomes"] if one["damage"])
    assert spoilt["frame"] == number
    assert spoilt["damage"] == [f"frames/{number}.npy is not what was recorded (sha256)"]
    assert all(not one["differs"] for one in told["outcomes"] if one is not spoilt)


def test_2_a_changed_byte_of_what_judged_is_named(copy: Path) -> None:
    model = next(copy.glob("setup/bundle-*/model"))
    picture = sorted(model.glob("golden/*"))[0]
    for path in (picture, model / "detector.int8.onnx"):
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content + b"\n")
    done = run("replay", copy)
    assert done.returncode == 65
    assert "detector.int8.onnx has sha256" in done.stderr
    (model / "detector.int8.onnx").write_bytes(content)
    told = replayed(copy)
    assert told["damage"] == [f"{picture.relative_to(copy)} is not what was recorded (sha256)"]
    assert not any(one["differs"] for one in told["outcomes"])


def test_2_another_score_is_named_with_by_how_much(copy: Path) -> None:
    def spoil(lines: list[dict[str, Any]]) -> None:
        lines[3]["header"]["score"] += 1e-9

    change(copy, spoil)
    (other,) = (one for one in replayed(copy)["outcomes"] if one["differs"])
    (why,) = other["differs"]
    assert why.startswith("score ")
    assert why.endswith("(by 1e-09)")


def test_2_a_verdict_that_a_missed_challenge_took_is_no_difference(copy: Path) -> None:
    def doubt(lines: list[dict[str, Any]]) -> None:
        for line in lines:
            if line["header"]["verdict"] == "ok":
                line["header"] |= {"verdict": "unknown", "reason": "model"}

    change(copy, doubt)
    told = replayed(copy)
    assert any(one["was"].startswith("unknown: model, score") for one in told["outcomes"])
    assert not any(one["differs"] for one in told["outcomes"])


def test_2_a_repair_that_there_was_no_time_for_is_no_difference(copy: Path) -> None:
    def leave_off(lines: list[dict[str, Any]]) -> None:
        for line in lines:
            line["header"]["residual"] = None
            line["payloads"] = [one for one in line["payloads"] if one["name"] == "mask"]

    change(copy, leave_off)
    told = replayed(copy)
    assert any(one["was"].startswith("ng") for one in told["outcomes"])
    assert not any(one["differs"] for one in told["outcomes"])


def test_2_another_runtime_or_provider_is_named(copy: Path) -> None:
    def on_a_gpu(lines: list[dict[str, Any]]) -> None:
        for line in lines:
            line["header"]["model"] |= {"provider": "CUDAExecutionProvider", "precision": "fp16"}

    change(copy, on_a_gpu)
    told = index(copy) | {"config_sha256": "f" * 64}
    told["runtime"] |= {"opencv": "4.0", "processor": "another"}
    (copy / "recording.json").write_text(json.dumps(told))
    differs = replayed(copy)["differs"]
    assert [one.split(",")[0] for one in differs] == [
        "opencv: recorded with 4.0",
        "processor: recorded with another",
        "settings: frames were judged by others than those that came along",
        "provider: recorded on CUDAExecutionProvider",
        "precision: recorded on fp16",
    ]


def test_2_a_device_that_is_not_here_is_refused(recorded: Path) -> None:
    done = run("replay", recorded, "--device", "cuda:0")
    if done.returncode != 0:  # there may be one, after all
        assert done.returncode == 69
        assert "CUDAExecutionProvider" in done.stderr


def test_2_the_precision_is_that_of_the_line_or_of_the_configuration(
    reduced: Path, pictures: Path, tmp_path: Path
) -> None:
    workers = '[workers]\nprecision = "int8"\n'
    (first,) = record(tmp_path, reduced, f"folder:{pictures}", 'on = ["ng"]\n', more=workers)
    told = replayed(first)
    assert (told["differs"], any(one["differs"] for one in told["outcomes"])) == ([], False)
    config = configure(tmp_path / "fp32.toml", reduced, "sim://line")
    assert replayed(first, "--config", config)["differs"] == ["precision: recorded on int8, here fp32"]


def test_2_another_bundle_judges_by_what_it_has(reduced: Path, bright: Path, pictures: Path, tmp_path: Path) -> None:
    """Neither by a calibration of the recorded bundle, nor in a precision that it has no detector for."""
    (tmp_path / "calibration.toml").write_text(calibration_text(reduced, threshold=0.6))
    workers = '[workers]\nprecision = "int8"\n'
    source, camera = f"folder:{pictures}", 'calibration = "calibration.toml"\n'
    (first,) = record(tmp_path, reduced, source, 'on = ["ng"]\n', more=workers, camera=camera)
    told = replayed(first, "--bundle", reduced)
    assert (told["differs"], any(one["differs"] for one in told["outcomes"])) == ([], False)
    told = replayed(first, "--bundle", bright)
    sha256, other = (bundle.load(one).sha256[:12] for one in (reduced, bright))
    assert told["differs"] == [
        f"calibration: left out here, as it was made for bundle {sha256}",
        f"bundle: recorded with {sha256}, here {other} (sha256)",
        "precision: recorded on int8, here fp32",
    ]
    assert "verdict" not in str([one["differs"] for one in told["outcomes"]])
    assert any("threshold 0.5, here 0.7 (by 0.2)" in one["differs"] for one in told["outcomes"])


def test_2_what_another_bundle_judged_is_judged_without_the_calibration_of_the_first(
    bright: Path, pictures: Path, tmp_path: Path
) -> None:
    (tmp_path / "calibration.toml").write_text(calibration_text(bright))
    camera = 'calibration = "calibration.toml"\n'
    (first,) = record(tmp_path, bright, f"folder:{pictures}", 'on = ["ng"]\n', camera=camera)
    made_for, sha256 = (bundle.load(one).sha256 for one in (bright, make_bundle(first / "setup/other", threshold=0.6)))
    told = index(first)
    told["setup"]["bundles"][sha256] = "setup/other"
    (first / "recording.json").write_text(json.dumps(told))

    def exchange(lines: list[dict[str, Any]]) -> None:
        lines[-1]["header"]["model"]["sha256"] = sha256

    change(first, exchange)
    told = replayed(first)
    assert told["differs"] == [f"calibration: left out here, as it was made for bundle {made_for[:12]}"]
    assert [one["frame"] for one in told["outcomes"] if one["differs"]] == [told["outcomes"][-1]["frame"]]


def test_3_the_recording_has_the_bundle_that_was_swapped_since(bright: Path, pictures: Path, tmp_path: Path) -> None:
    own = shutil.copytree(bright, tmp_path / "model")
    (first,) = record(tmp_path, own, f"folder:{pictures}", f'on = ["ng"]\n{ALL}')
    for file in own.rglob("*.onnx"):
        file.write_bytes(b"another")
    moved = shutil.move(first, tmp_path / "elsewhere")
    shutil.rmtree(tmp_path / "rec")
    told = replayed(moved)
    assert told["differs"] == []
    assert [one["was"].split(",")[0] for one in told["outcomes"]].count("ng") == 4
    assert not any(one["differs"] for one in told["outcomes"])
    shutil.rmtree(next(Path(moved).glob("setup/bundle-*")))
    done = run("replay", moved)
    assert done.returncode == 65
    assert "is not a folder" in done.stderr


def test_4_pictures_are_saved_for_people(recorded: Path, tmp_path: Path) -> None:
    assert run("replay", recorded, "--save", tmp_path / "out").returncode == 0
    number = index(recorded)["triggers"][0]["frame"]
    frame = np.load(recorded / "frames" / f"{number}.npy", allow_pickle=False)
    assert np.array_equal(cv2.imread(str(tmp_path / "out" / f"cam1-{number}.png")), frame)
    mask = cv2.imread(str(tmp_path / "out" / f"cam1-{number}-mask.png"), cv2.IMREAD_GRAYSCALE)
    repaired = cv2.imread(str(tmp_path / "out" / f"cam1-{number}-repaired.png"))
    changed = (repaired != frame).any(axis=2)
    assert changed.any()
    assert not changed[mask == 0].any()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["{recording}", "--topic", "verdict/"], "--topic is not for a recording"),
        (["{recording}", "--session", "3"], "--session is not for a recording"),
        (["c.toml", "--bundle", "x"], "--bundle is not for a journal"),
    ],
)
def test_4_options_of_the_other_kind_are_refused(recorded: Path, arguments: list[str], why: str) -> None:
    done = run("replay", *(one.format(recording=recorded) for one in arguments))
    assert done.returncode == 2
    assert why in done.stderr


def test_5_a_disk_that_is_full_costs_recordings_and_no_verdict(bright: Path, pictures: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "4m") as disk:
        keys = f'[recorder]\npath = "{disk}/rec"\non = ["ng"]\nbefore = 0.2\nafter = 0.2\nlongest = 0.2\npause = 0\n'
        source = f"folder:{pictures}?loop=1&rate=20"
        config = configure(tmp_path / "c.toml", bright, source, publish=keys + "keep_days = 1\nmax_recordings = 10\n")
        kinds: list[Kind] = ["verdict", "event", "beat"]
        with Process(config) as daemon, Subscriber(daemon.endpoint, kinds=kinds) as subscriber:
            daemon.keep_reading()
            states, frames = list[str](), list[int]()

            def heard(state: str) -> bool:
                """Whether the recorder was in a state by now, or the line is over."""
                while (message := subscriber.receive(0)) is not None:
                    if isinstance(message, EventMessage) and "recorder" in message.event.detail:
                        states.append(message.event.state)
                    elif isinstance(message, VerdictMessage):
                        frames.append(message.frame)
                    elif isinstance(message, BeatMessage) and message.final:
                        states.append("over")
                return state in states

            kept, failed = (f'inspector_recordings_total{{fate="{fate}"}}' for fate in ("kept", "failed"))
            until(lambda: daemon.metrics()[kept] > 0, "one is recorded")
            fill(disk / "filler")
            until(lambda: daemon.metrics()[failed] > 1, "recordings fail")
            until(lambda: heard("failing"), "it is told")
            assert daemon.get("/healthz") == "ok\n"
            (disk / "filler").unlink()
            until(lambda: daemon.metrics()["inspector_recorder_failing"] == 0, "it works again")
            until(lambda: heard("recovered"), "it is told")
            until(lambda: daemon.metrics()['inspector_recorder_frames_total{camera="cam1",fate="lost"}'] > 0)
            daemon.send(signal.SIGTERM)
            until(lambda: heard("over"), "its last beat")
            assert daemon.wait() == 0
        assert states[:2] == ["failing", "recovered"]
        assert sorted(frames) == list(range(min(frames), max(frames) + 1)), "none is lost; they may overtake each other"
        for one in disk.glob("rec/cam*"):
            assert all(not frame.damage for frame in Recording(one).frames())
        assert not list(disk.glob("rec/.cam*"))


def test_6_a_kill_leaves_no_recording_that_is_half(bright: Path, pictures: Path, tmp_path: Path) -> None:
    keys = '[recorder]\npath = "rec"\nafter = 60\nlongest = 60\n'
    config = configure(tmp_path / "c.toml", bright, f"folder:{pictures}?loop=1&rate=50", publish=keys)
    with Process(config) as daemon:
        daemon.keep_reading()
        until(lambda: len(list(tmp_path.glob("rec/.cam*/frames/*.npy"))) > 5, "a recording is being written")
        daemon.send(signal.SIGKILL)
        daemon.wait()
    (half,) = tmp_path.glob("rec/.cam*")
    assert recordings(tmp_path) == []
    done = run("replay", half)
    assert (done.returncode, done.stdout) == (65, "")
    assert "was cut off while it was written" in done.stderr
    named = half.rename(half.with_name("cam1-by-hand"))
    assert run("replay", named).returncode == 65
    with Process(config) as daemon:
        daemon.keep_reading()
        until(lambda: bool(list(tmp_path.glob("rec/.cam*/frames/*.npy"))), "it records again")
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0
    assert not list(tmp_path.glob("rec/.cam*"))
    (whole,) = (one for one in recordings(tmp_path) if one != named)
    assert not any(one["differs"] for one in replayed(whole)["outcomes"])


def by_the_batch(height: int, width: int, channels: int) -> bytes:
    """A detector whose scores depend on how many pictures it is shown at once, as those of some runtimes do."""
    model = onnx.load_from_string(detector(height, width, channels))
    graph = model.graph
    for node in graph.node:
        if node.output[0] == "score":
            node.output[0] = "peak"
    for name, value in (("many", 1e-4), ("less", 0.999)):
        graph.initializer.append(helper.make_tensor(name, TensorProto.FLOAT, [], [value]))
    graph.initializer.append(helper.make_tensor("first", TensorProto.INT64, [], [0]))
    graph.node.extend([
        helper.make_node("Shape", ["image"], ["shape"]),
        helper.make_node("Gather", ["shape", "first"], ["count"]),
        helper.make_node("Cast", ["count"], ["pictures"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["pictures", "many"], ["more"]),
        helper.make_node("Mul", ["peak", "less"], ["lowered"]),
        helper.make_node("Add", ["lowered", "more"], ["score"]),
    ])  # fmt: skip
    return bytes(model.SerializeToString())


def test_7_frames_are_judged_in_batches_of_the_size_that_they_were_judged_in(pictures: Path, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "batched", graph=by_the_batch)
    workers = "[workers]\nmax_batch = 4\nmax_wait = 0.5\ncount = 1\n"
    (first,) = record(tmp_path, bundle, f"folder:{pictures}", 'on = ["ng"]\n', more=workers, camera="queue = 20")
    assert {one.batch for one in Recording(first).frames()} >= {4}
    told = replayed(first)
    assert not any(one["differs"] for one in told["outcomes"])

    def alone(lines: list[dict[str, Any]]) -> None:
        for line in lines:
            line["batch"] = 1

    change(first, alone)
    assert any(one["differs"] for one in replayed(first)["outcomes"])


def test_7_tiles_and_regions_are_judged_the_same(bright: Path, pictures: Path, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.mkdir()
    for number in range(6):
        image = picture(144, 192, square=(70, 60, 9, 9)) if number == 3 else picture(144, 192)
        cv2.imwrite(str(large / f"{number}.png"), image)
    cv2.imwrite(str(tmp_path / "ignore.png"), np.zeros((144, 192), np.uint8))
    camera = 'fit = "tile"\nregion = [8, 8, 170, 130]\nignore = "ignore.png"\nthreshold = 0.6\n'
    (first,) = record(tmp_path, bright, f"folder:{large}", 'on = ["ng"]\n', camera=camera)
    told = replayed(first)
    assert [one["was"].split(",")[0] for one in told["outcomes"]].count("ng") == 1
    assert (told["differs"], any(one["differs"] for one in told["outcomes"])) == ([], False)
    other = np.full((144, 192), 255, np.uint8)
    cv2.imwrite(str(tmp_path / "ignore.png"), other)
    told = replayed(first, "--config", tmp_path / "c.toml")
    assert [one.split(":")[0] for one in told["differs"]] == ["ignore"]
    assert "verdict ng, here ok" in str(told["outcomes"])


def test_7_a_bundle_that_compares_has_its_reference_pictures(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "comparing", 192, 192, reference=True)
    places = list(PLACES)[:2]
    for number, place in enumerate(places):
        write(tmp_path / "golden" / f"{place}.png", piece(place))
        broken = piece(place)
        broken[60:74, 100:112] = 255 - broken[60:74, 100:112]
        write(tmp_path / "frames" / f"{number}.png", moved(broken, -3, 2 + number, -0.3))
    write(tmp_path / "frames" / "9.png", noise(1, 192, 192))
    source = f"folder:{tmp_path / 'frames'}"
    (first,) = record(tmp_path, bundle, source, f'on = ["ng"]\n{ALL}', camera='reference = "golden"')
    shutil.rmtree(tmp_path / "golden")
    outcomes = replayed(first)["outcomes"]
    told = [one["was"].split(",")[0] for one in sorted(outcomes, key=lambda one: one["frame"])]  # two workers race
    assert told == ["ng", "ng", "unknown: camera"]
    assert all(one["compared"] and not one["differs"] for one in outcomes)
    assert {one.header["position"] for one in Recording(first).frames()} == {*places, None}


def test_8_a_late_result_is_compared_in_the_place_of_a_verdict_that_time_gave(copy: Path) -> None:
    first = index(copy)["triggers"][0]["frame"]

    def too_late(lines: list[dict[str, Any]]) -> None:
        """The first defective frame's result came past its deadline."""
        line = next(line for line in lines if line["frame"] == first)
        late = line | {"picture": None, "header": line["header"] | {"kind": "late"}}
        none = dict.fromkeys(("score", "threshold", "residual", "model"), None)
        line |= {"payloads": [], "header": line["header"] | none | {"defects": []}}
        line["header"] |= {"verdict": "unknown", "reason": "deadline"}
        lines.append(late)

    change(copy, too_late)
    frame, late = (one for one in replayed(copy)["outcomes"] if one["frame"] == first)
    assert (frame["was"], frame["compared"]) == ("unknown: deadline", False)
    assert (late["compared"], late["differs"]) == (True, [])
    assert frame["here"] == late["was"] == late["here"]

    def otherwise(lines: list[dict[str, Any]]) -> None:
        lines[-1]["header"]["score"] = 0.5

    change(copy, otherwise)
    assert [one["frame"] for one in replayed(copy)["outcomes"] if one["differs"]] == [first]
