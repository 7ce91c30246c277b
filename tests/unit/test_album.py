from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from inspector import codecs
from inspector.album import CAPTION_PIXELS, GAP_PIXELS, GREY, Album, draw
from inspector.codecs import Formats
from inspector.errors import ConfigError, DataError, OutputError, WireError
from inspector.messages import ResultMessage
from inspector.types import Image, Inspection
from inspector.wire import Encoder, decode
from tests.inspections import ng

ENCODER = Encoder("line1", 17, "c0" * 32)
HEIGHT, WIDTH = 48, 64
PATCHES = Formats()
WITH_SOURCE = Formats(source="png")


def result(inspection: Inspection, how: Formats = PATCHES) -> ResultMessage:
    message = decode(ENCODER.result(inspection, 1, codecs.encode(inspection, how), 0.0, 0.0))
    assert isinstance(message, ResultMessage)
    return message


def defect(captured_ns: int, camera: str = "cam1") -> ResultMessage:
    """A result of frame number `captured_ns`, captured then."""
    inspection = ng(camera, captured_ns)
    return result(replace(inspection, frame=replace(inspection.frame, captured_ns=captured_ns)))


def damaged(message: ResultMessage, name: str = "mask") -> ResultMessage:
    """The message, with other bytes than a picture's in the payload `name`."""
    payloads = [replace(p, data=b"no picture") if p.name == name else p for p in message.payloads]
    return replace(message, payloads=tuple(payloads))


def named(captured_ns: int, camera: str = "cam1") -> str:
    return f"{captured_ns:019d}_{camera}_{captured_ns}.png"


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def panes(sheet: Image) -> Sequence[Image]:
    """Before, mask and repaired, without gaps and caption."""
    steps = [column * (WIDTH + GAP_PIXELS) for column in range(3)]
    return [sheet[:HEIGHT, step : step + WIDTH] for step in steps]


def in_colour(image: Image) -> Image:
    return np.broadcast_to(image, (*image.shape[:2], 3))


# ---- one sheet


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mask", ["png", "rle", "raw"])
def test_before_mask_and_repaired_stand_beside_each_other(channels, mask):
    inspection = ng(size=(HEIGHT, WIDTH, channels))
    sheet = draw(result(inspection, Formats(mask=mask, source="png")))
    assert sheet.dtype == np.uint8
    assert sheet.shape == (HEIGHT + CAPTION_PIXELS, 3 * (WIDTH + GAP_PIXELS), 3)
    before, shown, repaired = panes(sheet)
    np.testing.assert_array_equal(before, in_colour(inspection.frame.image))
    np.testing.assert_array_equal(shown, in_colour(inspection.mask[:, :, None]))
    np.testing.assert_array_equal(repaired, in_colour(codecs.overlay(inspection.frame.image, inspection.patches)))
    assert not np.array_equal(before, repaired)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_repaired_pieces_lie_on_grey_where_the_frame_was_not_sent(channels):
    inspection = ng(size=(HEIGHT, WIDTH, channels))
    before, mask, repaired = panes(draw(result(inspection)))
    grey = np.full((HEIGHT, WIDTH, channels), GREY, np.uint8)
    np.testing.assert_array_equal(before, in_colour(grey))
    np.testing.assert_array_equal(mask, in_colour(inspection.mask[:, :, None]))
    np.testing.assert_array_equal(repaired, in_colour(codecs.overlay(grey, inspection.patches)))


@pytest.mark.parametrize("source", ["none", "png"])
def test_a_whole_repaired_frame_is_drawn_as_it_came(source):
    inspection = ng()
    repaired = panes(draw(result(inspection, Formats(repaired="png", source=source))))[2]
    np.testing.assert_array_equal(repaired, codecs.overlay(inspection.frame.image, inspection.patches))


def test_a_jpeg_is_drawn_as_it_was_sent_and_the_pieces_over_it_unharmed():
    inspection = ng()
    message = result(inspection, Formats(source="jpeg"))
    before, _, repaired = panes(draw(message))
    np.testing.assert_array_equal(before, message.source())
    np.testing.assert_array_equal(repaired, codecs.overlay(message.source(), inspection.patches))


def test_a_frame_that_was_not_repaired_has_a_grey_pane():
    inspection = ng()
    before, _, repaired = panes(draw(result(inspection, Formats(repaired="none", source="png"))))
    np.testing.assert_array_equal(before, inspection.frame.image)
    assert np.all(repaired == GREY)


def test_a_mask_that_this_version_cannot_read_has_a_grey_pane():
    message = result(ng(), WITH_SOURCE)
    payloads = tuple(replace(p, codec="avif") if p.name == "mask" else p for p in message.payloads)
    before, mask, _ = panes(draw(replace(message, payloads=payloads)))
    np.testing.assert_array_equal(before, ng().frame.image)
    assert np.all(mask == GREY)


@pytest.mark.parametrize(
    "change", [{"camera": "cam2"}, {"frame": 2}, {"score": 0.5}, {"score": None}, {"residual": 0.5}, {"residual": None}]
)
def test_the_caption_tells_camera_frame_score_and_residual(change):
    message = result(ng(), WITH_SOURCE)
    sheet, other = draw(message), draw(replace(message, **change))
    np.testing.assert_array_equal(sheet[:HEIGHT], other[:HEIGHT])
    assert not np.array_equal(sheet[HEIGHT:], other[HEIGHT:])


def test_the_caption_says_that_the_frame_was_not_sent_and_fits_a_narrow_sheet():
    sheets = [draw(result(ng(), how)) for how in (WITH_SOURCE, PATCHES, Formats(repaired="none"))]
    captions = [sheet[HEIGHT:] for sheet in sheets]
    assert len({caption.tobytes() for caption in captions}) == 3
    for caption in captions:
        assert caption.min() < 100
        assert np.all(caption[:, -GAP_PIXELS:] == 255)


@pytest.mark.parametrize(("name", "how"), [("mask", PATCHES), ("repaired", PATCHES), ("source", WITH_SOURCE)])
def test_damaged_bytes_cannot_be_drawn(name, how):
    with pytest.raises(WireError):
        draw(damaged(result(ng(), how), name))


def test_a_message_without_pictures_cannot_be_drawn():
    with pytest.raises(DataError, match="no picture"):
        draw(replace(result(ng()), payloads=()))
    with pytest.raises(DataError, match="no picture"):
        draw(replace(result(ng()), size=None))


# ---- the folder


def test_what_is_written_is_what_is_drawn(tmp_path: Path) -> None:
    album = Album(tmp_path / "a" / "b", keep=3)
    message = result(ng("cam1", 7), WITH_SOURCE)
    album.note(message)
    assert files(album.folder) == []
    album.write()
    (path,) = album.folder.iterdir()
    assert path.name == f"{message.captured_ns:019d}_cam1_7.png"
    np.testing.assert_array_equal(cv2.imread(str(path)), draw(message))
    assert album.summary() == f"1 picture(s) in {tmp_path / 'a' / 'b'}"


def test_the_newest_are_drawn_first_and_as_many_as_there_is_time_for(tmp_path: Path) -> None:
    album = Album(tmp_path, keep=5)
    for number in (1, 2, 3):
        album.note(defect(number))
    album.write(most=1)
    assert files(tmp_path) == [named(3)]
    album.note(defect(4))
    album.write(most=2)
    assert files(tmp_path) == [named(2), named(3), named(4)]
    album.write(most=7)
    assert files(tmp_path) == [named(1), named(2), named(3), named(4)]
    album.write()
    assert album.summary().startswith("4 picture(s)")


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    album = Album(tmp_path, keep=3)
    for number in range(1, 8):
        album.note(defect(number, "cam1" if number % 2 else "cam0"))
        if number in (2, 3, 6):
            album.write()
    album.write()
    assert files(tmp_path) == [named(5), named(6, "cam0"), named(7)]
    assert album.summary().startswith("3 picture(s)")


def test_what_newer_ones_push_out_is_never_drawn(tmp_path: Path) -> None:
    album = Album(tmp_path, keep=2)
    album.note(damaged(defect(1)))
    album.note(defect(2))
    album.note(defect(3))
    album.write()
    assert files(tmp_path) == [named(2), named(3)]
    assert "could not be drawn" not in album.summary()


def test_a_picture_that_is_older_than_all_that_are_kept_does_not_stay(tmp_path: Path) -> None:
    album = Album(tmp_path, keep=2)
    for number in (8, 9, 1):
        album.note(defect(number))
        album.write()
    assert files(tmp_path) == [named(8), named(9)]


def test_pictures_of_earlier_runs_count(tmp_path: Path) -> None:
    earlier = Album(tmp_path, keep=5)
    for number in (1, 2, 3):
        earlier.note(defect(number))
    earlier.write()
    album = Album(tmp_path, keep=2)
    assert album.summary().startswith("3 picture(s)")
    album.note(defect(4))
    album.write()
    assert files(tmp_path) == [named(3), named(4)]
    assert album.summary().startswith("2 picture(s)")


def test_foreign_files_are_let_alone_and_not_counted(tmp_path: Path) -> None:
    foreign = [
        "notes.txt",
        "0.png",
        "1_cam1_1.png",
        named(1) + ".bak",
        named(1).replace(".png", ".jpg"),
        "x" + named(1),
    ]
    for name in foreign:
        (tmp_path / name).write_text("mine")
    (tmp_path / "folder").mkdir()
    album = Album(tmp_path, keep=1)
    assert album.summary().startswith("0 picture(s)")
    for number in (2, 3):
        album.note(defect(number))
        album.write()
    assert files(tmp_path) == sorted([*foreign, "folder", named(3)])
    assert {(tmp_path / name).read_text() for name in foreign} == {"mine"}


def test_a_picture_that_somebody_deleted_is_no_failure(tmp_path: Path) -> None:
    album = Album(tmp_path, keep=1)
    album.note(defect(1))
    album.write()
    (tmp_path / named(1)).unlink()
    album.note(defect(2))
    album.write()
    assert files(tmp_path) == [named(2)]


def test_damaged_results_are_counted_and_the_others_drawn(tmp_path: Path) -> None:
    album = Album(tmp_path, keep=9)
    album.note(defect(1))
    album.note(damaged(defect(2)))
    album.note(replace(defect(3), payloads=()))
    album.note(damaged(defect(4), "repaired"))
    album.note(defect(5))
    album.write()
    assert files(tmp_path) == [named(1), named(5)]
    assert album.summary() == f"2 picture(s) in {tmp_path}, 3 result(s) could not be drawn"


@pytest.mark.parametrize("keep", [0, -1])
def test_an_album_without_pictures_is_refused(tmp_path: Path, keep: int) -> None:
    with pytest.raises(ConfigError, match=f"^{keep} pictures cannot be kept"):
        Album(tmp_path / "album", keep)
    assert not (tmp_path / "album").exists()


@pytest.mark.parametrize("inside", [".", "album"])
def test_a_folder_that_cannot_be_had_is_an_output_error(tmp_path: Path, inside: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be used for pictures"):
        Album(tmp_path / "file" / inside, keep=1)


def test_a_folder_that_went_away_is_an_output_error(tmp_path: Path) -> None:
    album = Album(tmp_path / "album", keep=1)
    album.folder.rmdir()
    album.folder.touch()
    album.note(defect(1))
    with pytest.raises(OutputError, match="cannot be written"):
        album.write()
