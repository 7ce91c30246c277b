"""Detectors in fewer bits: what is made of them, what they may lose, and what becomes of the bundle."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import onnx
import pytest

pytest.importorskip("tomli_w", reason="needs tomli-w, which writes cards")

from inspector.errors import BundleError, DataError
from inspector.inference.bundle import load
from inspector.training import packing, quantise
from inspector.training.data import data_hash, training_samples
from inspector.training.quantise import Figures, too_much
from inspector.training.reduce import between, to_int8
from inspector.types import Precision, Verdict
from tests.bundles import convolutional, make_bundle, masked_pictures, picture
from tests.daemon import run
from tests.disks import no_room
from tests.pictures import noise, write

FINE = Figures(0.9, 0.99, (Verdict.OK,) * 200)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "bundle", graph=convolutional)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("after", "sentence"),
    [
        (FINE, None),
        (replace(FINE, pixel_f1=0.891, image_auroc=0.986), None),
        (replace(FINE, pixel_f1=0.95, image_auroc=1.0), None),
        (replace(FINE, pixel_f1=0.889), "pixel F1 0.889 where fp32 has 0.900"),
        (replace(FINE, image_auroc=0.984), "image AUROC 0.9840 where"),
        (replace(FINE, pixel_f1=float("nan")), "pixel F1 nan"),
        (replace(FINE, image_auroc=float("nan")), "image AUROC nan"),
        (replace(FINE, verdicts=(Verdict.NG,) * 2 + FINE.verdicts[2:]), None),
        (
            replace(FINE, verdicts=(Verdict.NG,) * 3 + FINE.verdicts[3:]),
            r"3 of 200 verdicts differ from fp32's (2 may)",
        ),
    ],
)
def test_what_may_be_lost(after: Figures, sentence: str | None) -> None:
    found = too_much(FINE, after)
    assert found is None if sentence is None else found is not None and sentence in found


def test_convolutions_at_both_ends_and_the_decision_stay_in_fp32() -> None:
    model = onnx.load_model_from_string(convolutional(16, 16, 3))
    for number, node in enumerate(model.graph.node):
        node.name = f"{number} {node.op_type}"
    names = [name.split()[1] for name in between(model, 1, 2)]
    assert names == ["Relu", "Conv", "Relu", "Conv", "Relu", "Conv", "Relu"]
    assert between(model, 3, 3) == []


def test_int8_weights_and_unsigned_activations() -> None:
    pictures = [image for image, _ in masked_pictures()]
    graph = onnx.load_model_from_string(to_int8(convolutional(48, 64, 1), pictures, 1, 2)).graph
    kinds = {tensor.data_type for tensor in graph.initializer if "zero_point" in tensor.name and "w" not in tensor.name}
    assert onnx.TensorProto.UINT8 in kinds
    assert sum(tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) == 4 for tensor in graph.initializer) == 3
    assert sum(node.op_type == "Conv" for node in graph.node) == 6


def test_a_network_with_nothing_between_is_refused() -> None:
    with pytest.raises(BundleError, match="nothing is left to compute in int8"):
        to_int8(convolutional(16, 16, 1), [picture(16, 16)], 3, 8)


def test_the_card_and_the_file_say_what_it_is(reduced: Path) -> None:
    card = load(reduced).card
    assert "the first 1 and last 1 convolutions in fp32" in card.training["int8"]["how"]
    assert "on 12 pictures with real defects: pixel F1 1.0000 (fp32 1.0000)" in (card.training["int8"]["measured"])
    assert "at most 0.01 of pixel F1" in card.training["int8"]["rule"]
    for name in ("int8", "fp16"):
        model = onnx.load(reduced / f"detector.{name}.onnx")
        facts = {entry.key: entry.value for entry in model.metadata_props}
        assert (facts["bundle"], facts["precision"], facts["role"]) == ("bright", name, "detector")
        assert (facts["input_height"], facts["input_width"], facts["channels"]) == ("48", "64", "1")
        assert facts["licence"] == "Apache-2.0"


def test_where_too_much_is_lost_the_bundle_is_as_it_was(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantise, "F1_LOSS", -0.5)
    before, said = files(bundle), []
    with pytest.raises(BundleError, match=r"would lose too much in fp16 .*; it stays in fp32") as caught:
        quantise.add(load(bundle), masked_pictures(), True, False, Precision.FP16, said.append)
    assert "\n" not in str(caught.value)
    assert len(said) == 1
    assert files(bundle) == before


def test_more_is_left_in_fp32_until_it_loses_little(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantise, "IN_FP32", ((0.0, 0.0), (0.3, 0.0)))
    verdicts = iter(["too bad", None])
    monkeypatch.setattr(quantise, "too_much", lambda *_: next(verdicts))
    said: list[str] = []
    added = quantise.add(load(bundle), masked_pictures(), True, False, Precision.INT8, said.append)
    assert [("not taken" in line) for line in said] == [True, False]
    assert "the first 2 and last 1 convolutions" in added.card.training["int8"]["how"]


def test_a_damaged_variant_is_refused(reduced: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(reduced, tmp_path / "copy")
    (copy / "detector.int8.onnx").write_bytes(b"x")
    with pytest.raises(BundleError, match=r"detector.int8.onnx has sha256"):
        load(copy)
    (copy / "detector.int8.onnx").unlink()
    with pytest.raises(BundleError, match=r"detector.int8.onnx cannot be read"):
        load(copy)


@pytest.mark.parametrize("room", [100, 10_000])
def test_a_full_disk_leaves_the_bundle_as_it_was(
    reduced: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    """There is room for nothing, or for the variant but not for the card."""
    copy = Path(shutil.copytree(reduced, tmp_path / "copy"))
    card = load(copy).card
    packing.write_card(copy, card.model_copy(update={"description": 20_000 * "x"}))
    other = to_int8(load(copy).detector, [image for image, _ in masked_pictures()], 2, 2)
    monkeypatch.setattr(quantise, "_candidates", lambda *_: [(other, "by hand")])
    before = files(copy)
    with no_room(room), pytest.raises(OSError, match="File too large"):
        quantise.add(load(copy), masked_pictures(), True, False, Precision.INT8, lambda _: None)
    assert files(copy) == before
    quantise.add(load(copy), masked_pictures(), True, False, Precision.INT8, lambda _: None)
    assert files(copy).keys() == before.keys()
    assert load(copy).card.training["int8"]["how"] == "by hand"


def test_the_verb_on_any_bundle_and_any_pictures(bundle: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    for folder in ("train/good", "train_defective/square", "train_ground_truth/square"):
        (data / folder).mkdir(parents=True)
    for number, (image, mask) in enumerate(masked_pictures()):
        kind = "train_defective/square" if mask.any() else "train/good"
        cv2.imwrite(str(data / kind / f"{number}.png"), image)
        if mask.any():
            cv2.imwrite(str(data / "train_ground_truth" / "square" / f"{number}_mask.png"), mask)
    done = run("quantise", bundle, data, COLUMNS="400")
    assert done.returncode == 0, done.stderr
    assert "not the pictures that it was trained with: all 12 are used" in done.stdout
    assert done.stdout.splitlines()[-1] == f"{bundle}: now has detector.int8.onnx, proven"
    assert Precision.INT8 in load(bundle).variants


@pytest.mark.parametrize(("training", "held"), [({}, 6), ({"validation": 0.05}, 2), ({"validation": 0.5}, 20)])
def test_it_measures_on_what_was_held_back(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, training: dict[str, float], held: int
) -> None:
    for seed in range(40):
        write(tmp_path / "data" / "normal" / f"{seed}.png", noise(seed))
    card = load(bundle).card
    known = {"data_sha256": data_hash(training_samples(tmp_path / "data")), **training}
    packing.write_card(bundle, card.model_copy(update={"training": card.training | known}))
    monkeypatch.setattr(quantise, "add", lambda bundle, *_: bundle)
    said: list[str] = []
    quantise.quantise(bundle, tmp_path / "data", Precision.INT8, said.append)
    which = "held back until the threshold was chosen, and learnt since"
    assert said == [f"the pictures that it was trained with: {held} of them are used, {which}"]


def test_pictures_that_it_has_learnt_since_are_called_so(bundle: Path) -> None:
    added = quantise.add(load(bundle), masked_pictures(), True, True, Precision.FP16, lambda _: None)
    measured = added.card.training["fp16"]["measured"]
    assert measured.startswith("on 12 pictures (held back until the threshold was chosen, and learnt since) with real")


@pytest.mark.parametrize("more", [[], ["defective/a.png"]])
def test_where_no_normal_picture_can_be_read_that_is_said(bundle: Path, tmp_path: Path, more: list[str]) -> None:
    write(tmp_path / "data" / "normal" / "a.png", picture()).write_bytes(b"none")
    for path in more:
        write(tmp_path / "data" / path, picture())
    before, said = files(bundle), []
    with pytest.raises(DataError, match="data has no normal picture that can be read"):
        quantise.quantise(bundle, tmp_path / "data", Precision.INT8, said.append)
    assert said == [
        f"left out: {tmp_path}/data/normal/a.png is not a picture that OpenCV can read; replace or remove it"
    ]
    assert files(bundle) == before


def test_it_needs_no_torch() -> None:
    script = "import sys; sys.modules['torch'] = None; import inspector.training.quantise"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
