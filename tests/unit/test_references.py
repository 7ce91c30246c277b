"""Frames are laid on the right reference picture, to a part of a pixel, or on none."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.errors import ConfigError
from inspector.inference.references import References, load
from inspector.inference.registration import Placement, Reduced, laid, place
from models.draw_board import draw_board
from tests.boards import PLACES, moved, moving, piece
from tests.pictures import noise, write

BOARD = draw_board()[:, :, None]
AGAIN = draw_board(seed=8)[:, :, None]
SMALL = piece("vias")

near = st.floats(-12, 12)
angles = st.floats(-1.0, 1.0)


def placed(frame: np.ndarray, golden: np.ndarray) -> Placement | None:
    reduced = Reduced(golden)
    return place(Reduced(frame, reduced.grey.shape), reduced)


def furthest(image: np.ndarray, found: np.ndarray, x: float, y: float, degrees: float) -> float:
    """By how many pixels a corner of the frame is misplaced."""
    height, width = image.shape[:2]
    corners = np.array([[0, 0, 1], [width - 1, 0, 1], [0, height - 1, 1], [width - 1, height - 1, 1]], float).T
    there = np.vstack([found @ corners, np.ones(4)])
    return float(np.abs(moving(image, x, y, degrees) @ there - corners[:2]).max())


@settings(max_examples=25)
@given(near, near, angles, st.sampled_from([0.7, 1.0, 1.2]), st.floats(-20, 20))
def test_shift_and_rotation_are_found_to_half_a_pixel(x, y, degrees, contrast, light):
    frame = np.clip(contrast * (moved(AGAIN, x, y, degrees).astype(np.float32) - 128) + 128 + light, 0, 255)
    placement = placed(frame.astype(np.uint8), BOARD)
    assert placement is not None
    assert furthest(BOARD, placement.matrix, x, y, degrees) < 0.5
    assert placement.score > 0.9


@settings(max_examples=15)
@given(st.floats(-6, 6), st.floats(-6, 6), angles)
def test_a_frame_that_is_hardly_reduced_is_placed_as_well(x, y, degrees):
    placement = placed(moved(SMALL, x, y, degrees), SMALL)
    assert placement is not None
    assert furthest(SMALL, placement.matrix, x, y, degrees) < 0.5


def test_a_frame_of_another_resolution_is_placed() -> None:
    frame = cv2.resize(BOARD, (320, 320), interpolation=cv2.INTER_AREA)[:, :, None]
    placement = placed(frame, BOARD)
    assert placement is not None
    corners = np.array([[0, 0, 1], [319, 319, 1]], float).T
    assert placement.matrix @ corners == pytest.approx(np.array([[0.5, 638.5], [0.5, 638.5]]), abs=0.5)


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros_like(BOARD),
        noise(3, 640, 640),
        moved(BOARD, 200, 0),
        moved(BOARD, 0, 0, 15),
        BOARD[::-1],
        np.where(np.arange(640)[:, None, None] < 450, 0, BOARD).astype(np.uint8),
    ],
    ids=["nothing", "noise", "far", "turned", "mirrored", "covered"],
)
def test_what_does_not_show_the_reference_is_not_placed(frame: np.ndarray) -> None:
    assert placed(frame, BOARD) is None


def test_a_reference_comes_to_lie_under_its_frame_and_the_frame_beyond_it() -> None:
    frame = moved(BOARD, 7, 3)
    frame[:, :4] = 77
    under = laid(BOARD, np.array([[1.0, 0, -7], [0, 1.0, -3]]), frame)
    assert np.array_equal(under[3:, 7:], BOARD[:-3, :-7])
    assert np.array_equal(under[:, :4], frame[:, :4])


# ---- positions


def positions(channels: int = 1) -> References:
    return References([(name, piece(name)) for name in PLACES], channels)


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_right_position_is_found_though_it_is_defective_and_moved(name: str, channels: int) -> None:
    frame = moved(piece(name, scan=9, defective=True), 4, -3, 0.4)
    match = positions(channels).match(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
    assert match is not None
    assert match.position == name
    assert match.image.shape == (192, 192, channels)
    good = moved(piece(name, scan=9), 4, -3, 0.4)
    apart = np.abs(good.astype(int) - match.image[:, :, :1])[8:-8, 8:-8]
    assert (apart > 160).mean() < 0.02  # but for edges, which differ from scan to scan


def rectangles(picture: np.ndarray, count: int, side: int, seed: int, margin: int = 0) -> np.ndarray:
    """`picture` [H,W] with that many components of all shades on it."""
    rng = np.random.default_rng(seed)
    height, width = picture.shape
    for _ in range(count):
        x, y = int(rng.integers(margin, width - margin)), int(rng.integers(margin, height - margin))
        w, h = (int(length) for length in rng.integers(side // 2, side, 2))
        cv2.rectangle(picture, (x, y), (x + w, y + h), int(rng.integers(20, 255)), -1)
    return picture


@pytest.mark.parametrize("variants", [3, 8])
@pytest.mark.parametrize("share", [0.03, 0.06, 0.09])
def test_positions_that_look_alike_are_told_apart_though_the_frame_is_moved(variants: int, share: float) -> None:
    belt = rectangles(np.full((700, 900), 60, np.uint8), 150, 70, seed=5)
    boards = [rectangles(belt.copy(), 3, 40, seed=100 + variant, margin=220) for variant in range(variants)]
    boards = [cv2.GaussianBlur(board, (0, 0), 1.0)[:, :, None] for board in boards]
    window = np.s_[110:590, 130:770]
    pictures = References([(str(number), board[window]) for number, board in enumerate(boards)], 1)
    for number, board in enumerate(boards):
        turn = 1 if number % 2 else -1
        match = pictures.match(moved(board, turn * share * 640, share * 480, 0.8 * turn)[window])
        assert match is not None
        assert match.position == str(number)


def test_a_frame_of_another_place_lies_nowhere() -> None:
    three = References([(name, piece(name)) for name in list(PLACES)[1:]], 1)
    assert three.match(piece(next(iter(PLACES)))) is None


def test_positions_of_other_sizes_stand_side_by_side() -> None:
    pictures = References([("large", BOARD), ("small", SMALL)], 1)
    for name, frame in (("large", AGAIN), ("small", piece("vias", scan=9))):
        match = pictures.match(frame)
        assert match is not None
        assert match.position == name
        assert match.image.shape == frame.shape


# ---- from the disk


def test_a_file_is_one_position_and_a_folder_many(tmp_path: Path) -> None:
    for name in PLACES:
        write(tmp_path / "golden" / f"{name}.png", piece(name))
    (tmp_path / "golden" / "notes.txt").write_text("no picture")
    assert load(tmp_path / "golden", 1).names == sorted(PLACES)
    assert load(tmp_path / "golden" / "bus.png", 3).names == ["bus"]


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("nowhere", "is neither a reference picture nor a folder of them"),
        ("empty", "holds no reference picture"),
        ("twice", "more than one reference picture named 'a'"),
        ("damaged.png", "is no picture, or a damaged one"),
    ],
)
def test_what_is_no_reference_is_named(tmp_path: Path, path: str, sentence: str) -> None:
    (tmp_path / "empty").mkdir()
    write(tmp_path / "twice" / "a.png", SMALL)
    write(tmp_path / "twice" / "a.bmp", SMALL)
    (tmp_path / "damaged.png").write_bytes(b"no picture")
    with pytest.raises(ConfigError, match=sentence) as caught:
        load(tmp_path / path, 1)
    assert str(tmp_path / path) in str(caught.value)
