"""The verb `calibrate`. Nothing heavy is imported before it runs."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from inspector.arguments import number
from inspector.companions import only_with
from inspector.errors import ConfigError, working_in
from inspector.training.commands import add_fit, need, positive
from inspector.values import CameraName


def register(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    verb = verbs.add_parser("calibrate", help="choose a threshold that rejects few good parts, guaranteed")
    verb.add_argument("bundle", type=Path, help="the bundle's folder")
    verb.add_argument(
        "good", nargs="+",
        help="good parts that the bundle was not trained on: a folder of pictures, a data set, or a source's URL "
        "(file:session.mp4, rtsp://..., sim://line?defects=0)",
    )  # fmt: skip
    verb.add_argument(
        "--defective", type=Path, action="append", default=[], metavar="DIR",
        help="pictures of defective parts, or folders of them, to tell escapes and choose min_area by; repeatable",
    )  # fmt: skip
    verb.add_argument(
        "--false-rejects", type=_share, default=0.02, metavar="SHARE",
        help="share of good parts that may be judged defective, at the most (0.02)",
    )  # fmt: skip
    verb.add_argument(
        "--confidence",
        type=_share,
        default=0.95,
        metavar="SHARE",
        help="how sure that and all intervals are (0.95)",
    )
    verb.add_argument(
        "--frames", type=positive, default=1000, metavar="N", help="frames to take of a source, at the most (1000)"
    )
    verb.add_argument(
        "--parts", choices=("found", "each"), default="found",
        help="which pictures show the same part: found by MANIFEST.tsv's groups, a source's part ids, or as near "
        "copies; each: every picture shows another part (found)",
    )  # fmt: skip
    verb.add_argument(
        "--camera",
        metavar="NAME",
        help="the camera that they come from: no other may then use the result, and it also learns what the camera's "
        "pictures are like while it is well",
    )
    verb.add_argument(
        "--references", type=Path, metavar="PATH",
        help="the camera's reference pictures, a file or folder, for a bundle that compares",
    )  # fmt: skip
    add_fit(verb)
    verb.add_argument(
        "--region", type=_box, metavar="X,Y,W,H", help="what alone is looked at of each picture, as the camera has it"
    )
    verb.add_argument(
        "--ignore", type=Path, metavar="PNG", help="white where nothing is a defect, as the camera has it"
    )
    verb.add_argument(
        "--scan-rows", type=_rows, metavar="N",
        help="rows of the frames that a source's strips are gathered into, as the camera has it",
    )  # fmt: skip
    verb.add_argument(
        "--scan-overlap", type=int, metavar="N",
        help="rows that the next frame repeats, as the camera has it (64, or half of --scan-rows if that is less)",
    )  # fmt: skip
    only_with(verb, "--scan-rows", "--scan-overlap")
    verb.add_argument("--device", default="cpu", help="what to run on, as the daemon will: cpu, cuda:0, ... (cpu)")
    verb.add_argument(
        "--precision", choices=("fp32", "bf16", "fp16", "int8", "auto"), default="fp32",
        help="what the detector computes with, as the daemon's will (fp32)",
    )  # fmt: skip
    verb.add_argument("--out", type=Path, metavar="FILE", help="the file to write (BUNDLE.calibration.toml)")
    verb.set_defaults(verb=_calibrate)


def _calibrate(options: argparse.Namespace) -> int:
    need("onnxruntime", "scipy", "tomli_w")
    from pydantic import TypeAdapter, ValidationError

    from inspector.calibrate.calibrate import Order, calibrate, try_place, write
    from inspector.calibrate.choose import Wish
    from inspector.sources import open_source

    if options.camera is not None:
        try:
            TypeAdapter(CameraName).validate_python(options.camera)
        except ValidationError as error:
            raise ConfigError(f"--camera {options.camera!r}: {error.errors()[0]['ctx']['error']}") from error
    folder = options.bundle.resolve()
    out = options.out or folder.with_name(f"{folder.name}.calibration.toml")
    order = Order(
        options.good, options.defective, Wish(options.false_rejects, options.confidence), options.frames,
        options.parts == "each", options.camera, options.device, options.precision, options.references,
        options.fit, options.overlap, options.region, options.ignore, _scan(options),
    )  # fmt: skip
    console = Console()
    with working_in(out):
        try_place(out)
        write(out, calibrate(options.bundle, order, open_source, console))
    console.print(f"{out}", markup=False, highlight=False, soft_wrap=True)
    return 0


def _scan(options: argparse.Namespace) -> tuple[int, int | None] | None:
    """Rows of a frame and those that the next one repeats, where strips are to be gathered. Raises ConfigError."""
    rows, overlap = options.scan_rows, options.scan_overlap
    if rows is None:
        return None
    if overlap is not None and not 0 <= overlap <= rows // 2:
        raise ConfigError(
            f"--scan-overlap {overlap}: at most half of --scan-rows {rows} may be repeated; use 0 to {rows // 2}"
        )
    return rows, overlap


def _rows(text: str) -> int:
    if not text.isdecimal() or not 16 <= int(text) <= 16_384:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 16 to 16384")
    return int(text)


def _box(text: str) -> tuple[int, int, int, int]:
    numbers = text.split(",")
    if len(numbers) != 4 or not all(number.isascii() and number.isdecimal() for number in numbers):
        raise argparse.ArgumentTypeError(f"{text!r} is not X,Y,W,H in pixels, for example 0,0,640,480")
    x, y, width, height = map(int, numbers)
    if not width or not height:
        raise argparse.ArgumentTypeError(f"{text!r} holds no pixel; give a width and a height above 0")
    return x, y, width, height


def _share(text: str) -> float:
    share = number(text)
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0 and below 1, for example 0.02")
    return share
