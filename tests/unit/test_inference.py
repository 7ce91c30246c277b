from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.errors import BundleError, ModelError
from inspector.inference import runtimes
from inspector.inference.bundle import load
from inspector.inference.detector import Detector
from inspector.inference.engine import Engine, start
from inspector.inference.fit import fit
from inspector.inference.repairer import Repairer, depth, method_for
from inspector.judge import Judge
from tests.bundles import FILL, make_bundle, picture


@pytest.fixture(scope="module")
def engine(bright: Path) -> Engine:
    return start(load(bright), "cpu", max_batch=4)


@pytest.fixture(scope="module")
def mixed(bright: Path, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """A bundle that leaves shallow holes to OpenCV."""
    folder = Path(shutil.copytree(bright, tmp_path_factory.mktemp("mixed") / "bundle"))
    return start(load(with_repair(folder, TWO_METHODS)), "cpu", max_batch=1)


@pytest.fixture
def copy(bright: Path, tmp_path: Path) -> Path:
    """A copy of the tiny bundle that a test may damage."""
    return Path(shutil.copytree(bright, tmp_path / "copy"))


def test_detects_in_batches_of_frames_of_any_size_and_channels(engine: Engine) -> None:
    frames = [
        picture(48, 64, 1),
        picture(96, 128, 3, square=(20, 30, 16, 16)),
        picture(24, 32, 3),
    ]
    dark, bright, small = engine.detector.detect(frames)
    assert dark.score == pytest.approx(60 / 255)
    assert bright.score == pytest.approx(250 / 255)
    assert bright.map.shape == (48, 64)
    assert small.score == pytest.approx(60 / 255)


@dataclass
class Told:
    """A model that answers what it was told to, whatever it is shown; `counts` has how many pictures it was given."""

    answers: list[np.ndarray]
    inputs: Mapping[str, tuple[int | str, ...]] = field(default_factory=lambda: {"image": ("n", 48, 64, 1)})
    outputs: tuple[str, ...] = ("score", "map")
    provider: str = "here"
    counts: list[int] = field(default_factory=list)

    def run(self, **inputs: np.ndarray) -> list[np.ndarray]:
        self.counts.append(len(inputs["image"]))
        return self.answers


def zeros(*shape: int, dtype: str = "float32") -> np.ndarray:
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("answers", "given"),
    [
        ([zeros(1), zeros(1, 12, 16)], r"map float32 \[1, 12, 16\] for 1 picture"),
        ([zeros(1), zeros(1, 48, 64, dtype="float16")], r"map float16 \[1, 48, 64\]"),
        ([zeros(1, 1, 1), zeros(1, 48, 64)], r"score float32 \[1, 1, 1\]"),
        ([zeros(), zeros(1, 48, 64)], r"score float32 \[\]"),
        ([zeros(2), zeros(2, 48, 64)], r"score float32 \[2\], map float32 \[2, 48, 64\] for 1 picture"),
    ],
)
def test_a_detector_that_answers_in_another_form_has_failed(
    bright: Path, answers: list[np.ndarray], given: str
) -> None:
    detector = Detector(Told(answers), load(bright), max_batch=2)
    with pytest.raises(ModelError, match=f"{given}.*should give float32"):
        detector.detect([picture(48, 64, 1)])


def test_a_detector_for_one_picture_is_shown_one_at_a_time(bright: Path) -> None:
    model = Told([zeros(1), zeros(1, 48, 64)], {"image": (1, 48, 64, 1)})
    detector = Detector(model, load(bright), max_batch=4)
    assert len(detector.detect([picture(48, 64, 1)] * 3)) == 3
    assert model.counts == [1, 1, 1]
    with pytest.raises(BundleError, match="takes batches of 4 alone; export it for any number"):
        Detector(Told([], {"image": (4, 48, 64, 1)}), load(bright), max_batch=4)


@pytest.mark.parametrize("filled", [zeros(1, 32, 32, 1), zeros(1, 16, 16, 1, dtype="uint8"), zeros(1, dtype="uint8")])
def test_a_repairer_that_answers_in_another_form_has_failed(bright: Path, filled: np.ndarray) -> None:
    repairer = Repairer(Told([filled], {"image": (), "mask": ()}, ("repaired",)), load(bright))
    image, mask = picture(96, 128, 1), np.zeros((96, 128), np.uint8)
    mask[40:48, 60:70] = 255
    with pytest.raises(ModelError, match=r"repairer.onnx gave .*should give uint8"):
        repairer.repair(image, mask, [(60, 40, 10, 8)])


def test_fit_resizes_in_place_and_converts_channels() -> None:
    batch = np.zeros((2, 10, 20, 1), np.uint8)
    fit(picture(20, 40, 3), batch[1])
    assert (batch[1] == 60).all()
    assert (batch[0] == 0).all()


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_hairline_survives_in_a_picture_that_is_squeezed_one_way_and_stretched_the_other(
    channels: int, axis: int
) -> None:
    for place in range(40, 50):
        wide, into = np.zeros((20, 100, channels), np.uint8), np.zeros((30, 40, channels), np.uint8)
        wide[:, place] = 250
        fit(wide.swapaxes(0, axis ^ 1).copy(), turned := into.swapaxes(0, axis ^ 1).copy())
        assert turned.sum(axis=axis) == pytest.approx(250 / 2.5, abs=2)


def test_a_bundle_proves_itself(bright: Path) -> None:
    engine = start(load(bright), "cpu", max_batch=1)
    assert engine.tag.name == "bright"
    assert engine.tag.provider == "CPUExecutionProvider"
    assert len(engine.tag.sha256) == 64


def test_a_bundle_that_does_not_reproduce_its_golden_pictures_is_refused(copy: Path) -> None:
    card = (copy / "bundle.toml").read_text()
    (copy / "bundle.toml").write_text(card.replace(f"score = {250 / 255}", "score = 0.9"))
    with pytest.raises(BundleError, match=r"'bad.png' in fp32: score 0.9804 where 0.9000 was expected"):
        start(load(copy), "cpu", max_batch=1)


def test_a_golden_mask_that_differs_is_refused(copy: Path) -> None:
    mask = np.zeros((48, 64), np.uint8)
    mask[8:14, 8:17] = 255
    cv2.imwrite(str(copy / "golden" / "bad_mask.png"), mask)
    with pytest.raises(BundleError, match=r"mask overlaps the expected one by 0.667"):
        start(load(copy), "cpu", max_batch=1)


def test_a_golden_verdict_that_differs_is_refused(copy: Path) -> None:
    shutil.copy(copy / "golden" / "good.png", copy / "golden" / "bad.png")
    with pytest.raises(BundleError, match="verdict ok where ng was expected"):
        start(load(copy), "cpu", max_batch=1)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda f: (f / "detector.onnx").write_bytes(b"x"), "has sha256"),
        (lambda f: (f / "repairer.onnx").unlink(), "repairer.onnx cannot be read"),
        (lambda f: (f / "bundle.toml").unlink(), "bundle.toml cannot be read"),
        (lambda f: (f / "bundle.toml").write_text("format = ["), "is not TOML"),
        (lambda f: (f / "bundle.toml").write_text("format = 2"), "format = 2"),
        (lambda f: (f / "golden" / "bad.png").write_bytes(b"no picture"), "is not a picture"),
        (lambda f: (f / "golden" / "bad.png").unlink(), "bad.png cannot be read"),
        (
            lambda f: (f / "bundle.toml").write_text(
                (f / "bundle.toml").read_text().replace('"bad.png"', '"../../bad.png"')
            ),
            "golden.1.picture",
        ),
    ],
)
def test_a_damaged_bundle_gets_one_sentence(copy: Path, damage: object, sentence: str) -> None:
    damage(copy)  # type: ignore[operator]
    with pytest.raises(BundleError) as caught:
        start(load(copy), "cpu", max_batch=1)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "instead", "sentence"),
    [
        ("licence = .*", "", "licence is missing (1 problem(s))"),
        ("min_area = .*", "", "decision.min_area is missing (1 problem(s))"),
        ("licence = .*", f"licence = [{'1, ' * 99}]", f"licence = [{'1, ' * 26}1...: Input should be a valid string"),
    ],
)
def test_a_mistake_on_a_card_is_told_without_the_rest_of_it(copy: Path, line: str, instead: str, sentence: str) -> None:
    card = copy / "bundle.toml"
    text, found = re.subn(f"(?m)^{line}$", instead, card.read_text())
    assert found == 1
    card.write_text(text)
    with pytest.raises(BundleError) as caught:
        load(copy)
    assert str(caught.value).startswith(f"{card}: {sentence}")


def test_a_card_may_begin_with_the_mark_that_windows_puts_there(copy: Path) -> None:
    card = copy / "bundle.toml"
    card.write_text(card.read_text(), encoding="utf-8-sig")
    assert load(copy).card.name == "bright"


def test_a_detector_of_another_size_than_its_card_is_refused(bright: Path, tmp_path: Path) -> None:
    other = load(make_bundle(tmp_path / "other", height=32, width=32))
    with pytest.raises(BundleError, match="export it again"):
        Detector(runtimes.load(load(bright).detector, "cpu"), other, max_batch=1)


@pytest.fixture(scope="module")
def comparing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("models") / "comparing", reference=True)


def test_a_bundle_that_compares_sees_each_frame_beside_its_own_reference(comparing: Path) -> None:
    engine = start(load(comparing), "cpu", max_batch=2)
    images = [picture(square=(20, 20, 9, 9)), picture(96, 128, 3, square=(40, 40, 18, 18))]
    changed, same = engine.detector.detect(images, [picture(), images[1]])
    assert changed.score == pytest.approx((250 - 60) / 255)
    assert (changed.map > 0).sum() == 81
    assert same.score == 0
    (alone,) = engine.beside(picture()).detector.detect([images[0]])
    assert alone.score == changed.score


def test_a_bundle_that_compares_repairs_from_the_reference(comparing: Path) -> None:
    engine = start(load(comparing), "cpu", max_batch=1)
    assert engine.repairer is not None
    image, reference = picture(square=(50, 40, 14, 8)), np.random.default_rng(3).integers(0, 256, (48, 64, 1), np.uint8)
    mask = np.where(image[:, :, 0] == 250, 255, 0).astype(np.uint8)
    repaired, _ = engine.repairer.repair(image, mask, [(50, 40, 14, 8)], reference)
    assert np.array_equal(repaired, np.where(mask[:, :, None] > 0, reference, image))


def test_a_reference_is_given_if_and_only_if_the_bundle_compares(comparing: Path, engine: Engine) -> None:
    with pytest.raises(ValueError, match="takes image and reference, and was given image"):
        start(load(comparing), "cpu", max_batch=1).detector.detect([picture()])
    with pytest.raises(ValueError, match="takes image, and was given image and reference"):
        engine.detector.detect([picture()], [picture()])


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda card: card.replace("reference = true", "reference = false"), "'good.png' should have no reference"),
        (lambda card: card.replace('reference = "black.png"', ""), "'good.png' should have a reference"),
        (lambda card: card.replace('"black.png"', '"white.png"'), "white.png cannot be read"),
        (lambda card: card.replace('"black.png"', '"bad.png"'), "golden picture 'good.png'"),
    ],
)
def test_a_bundle_that_compares_proves_itself_with_its_references(
    comparing: Path, tmp_path: Path, damage: Callable[[str], str], sentence: str
) -> None:
    damaged = Path(shutil.copytree(comparing, tmp_path / "damaged"))
    card = (damaged / "bundle.toml").read_text()
    (damaged / "bundle.toml").write_text(damage(card))
    with pytest.raises(BundleError) as caught:
        start(load(damaged), "cpu", max_batch=1)
    assert sentence in str(caught.value)


def test_models_that_do_not_compare_are_refused_where_the_card_says_so(bright: Path, comparing: Path) -> None:
    with pytest.raises(BundleError, match=r"its card wants image and reference \[N, 48, 64, 1\]"):
        Detector(runtimes.load(load(bright).detector, "cpu"), load(comparing), max_batch=1)
    repairer = load(bright).repairer
    assert repairer is not None
    with pytest.raises(BundleError, match="it should take image, mask, reference and give repaired"):
        Repairer(runtimes.load(repairer, "cpu"), load(comparing))


squares = st.tuples(st.integers(0, 130), st.integers(0, 100), st.integers(3, 120), st.integers(3, 90))


@settings(max_examples=40)
@given(st.lists(squares, min_size=1, max_size=4), st.sampled_from([1, 3]), st.sampled_from([(100, 130), (30, 40)]))
def test_repair_fills_the_mask_and_leaves_every_other_pixel(
    engine: Engine, found: list[tuple[int, int, int, int]], channels: int, size: tuple[int, int]
) -> None:
    height, width = size
    image = np.random.default_rng(7).integers(0, 100, (height, width, channels), dtype=np.uint8)
    mask = np.zeros(size, np.uint8)
    for x, y, w, h in found:
        mask[y : y + h, x : x + w] = 255
    boxes = [(x, y, min(w, width - x), min(h, height - y)) for x, y, w, h in found if x < width and y < height]
    before = image.copy()
    assert engine.repairer is not None
    repaired, patches = engine.repairer.repair(image, mask, boxes)
    assert np.array_equal(image, before)
    assert np.array_equal(repaired[mask == 0], image[mask == 0])
    assert (repaired[mask != 0] == FILL).all()
    overlaid = image.copy()
    for patch in patches:
        x, y, w, h = patch.box
        overlaid[y : y + h, x : x + w] = patch.image
    assert np.array_equal(overlaid, repaired)


TWO_METHODS = """windows = [32, 48]
rim = 1
methods = [{ max_depth = 3.0, method = "ns", holes = 20, psnr = { network = 20.0, telea = 24.0, ns = 25.0 } }, \
{ method = "network" }]"""


def with_repair(folder: Path, repair: str) -> Path:
    """The bundle with another [repair] in its card."""
    card = (folder / "bundle.toml").read_text()
    assert "windows = [32, 48]" in card
    (folder / "bundle.toml").write_text(card.replace("windows = [32, 48]", repair))
    return folder


def test_shallow_holes_are_left_to_the_inpainter_that_the_card_names(copy: Path) -> None:
    repairer = start(load(with_repair(copy, TWO_METHODS)), "cpu", max_batch=1).repairer
    assert repairer is not None
    image = picture(100, 400)
    mask = np.zeros((100, 400), np.uint8)
    mask[40:44, 10:30] = 255  # a scratch
    mask[40:60, 150:170] = 255  # a stain
    mask[:3, 300:306] = 255  # at the frame's border: as deep as it is high, for nothing is known past it
    image[mask > 0] = 200
    repaired, _ = repairer.repair(image, mask, [(10, 40, 20, 4), (150, 40, 20, 20), (300, 0, 6, 3)])
    assert (repaired[40:44, 10:30] == 60).all()
    assert (repaired[40:60, 150:170] == FILL).all()
    assert (repaired[:3, 300:306] == 60).all()
    assert (repaired[mask == 0] == 60).all()


@settings(max_examples=30)
@given(mask=st.lists(squares, min_size=1, max_size=4), channels=st.sampled_from([1, 3]))
def test_whatever_fills_a_hole_no_other_pixel_changes(
    mixed: Engine, mask: list[tuple[int, int, int, int]], channels: int
) -> None:
    image = np.random.default_rng(7).integers(0, 256, (60, 80, channels), dtype=np.uint8)
    hole = np.zeros((60, 80), np.uint8)
    boxes = [(x, y, min(w, 80 - x), min(h, 60 - y)) for x, y, w, h in mask if x < 80 and y < 60]
    for x, y, w, h in boxes:
        hole[y : y + h, x : x + w] = 255
    assert mixed.repairer is not None
    repaired, _ = mixed.repairer.repair(image, hole, boxes)
    assert repaired.shape == image.shape
    assert np.array_equal(repaired[hole == 0], image[hole == 0])


def test_a_bundle_without_methods_leaves_every_hole_to_its_network(bright: Path) -> None:
    repair = load(bright).card.repair
    assert repair is not None
    assert [method_for(deep, repair.methods) for deep in (0.5, 8.0, 1e9)] == ["network"] * 3


@pytest.mark.parametrize("methods", [
    "[]",
    '[{ max_depth = 4.0, method = "ns" }]',
    '[{ method = "ns" }, { method = "network" }]',
    '[{ max_depth = 4.0, method = "ns" }, { max_depth = 4.0, method = "telea" }, { method = "network" }]',
    '[{ method = "magic" }]',
])  # fmt: skip
def test_methods_that_leave_a_depth_open_or_unclear_are_refused(copy: Path, methods: str) -> None:
    with pytest.raises(BundleError, match=r"bundle.toml: repair.methods"):
        load(with_repair(copy, f"windows = [32]\nmethods = {methods}"))


def test_a_hole_is_as_deep_as_its_nearest_healthy_pixel_is_far() -> None:
    mask = np.zeros((40, 60), np.uint8)
    mask[10:13, 5:50] = 255
    assert depth(mask) == pytest.approx(2, abs=0.1)
    mask[:20] = 255
    assert depth(mask) == pytest.approx(20, rel=0.05)


def test_the_second_detection_sees_the_repair(engine: Engine) -> None:
    image = picture(square=(20, 20, 9, 9))
    (detection,) = engine.detector.detect([image])
    judgement = Judge(0.7, 4)(detection, 48, 64)
    assert judgement.mask is not None
    assert engine.repairer is not None
    repaired, _ = engine.repairer.repair(image, judgement.mask, [region.box for region in judgement.regions])
    (again,) = engine.detector.detect([repaired])
    assert again.score == pytest.approx(FILL / 255)
