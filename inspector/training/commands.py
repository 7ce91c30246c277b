"""The verbs `data`, `train`, `quantise`, `evaluate` and `compare`. Nothing heavy is imported before one runs."""

from __future__ import annotations

import argparse
import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from inspector import heap
from inspector.arguments import number
from inspector.companions import only_with
from inspector.errors import ConfigError, working_in
from inspector.extras import remedy
from inspector.training.check import command
from inspector.types import MAX_INPUT, Precision

if TYPE_CHECKING:
    from inspector.training.settings import Settings


def register(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verbs to the command line."""
    command.register(verbs)
    _register_train(verbs.add_parser("train", help="turn a folder of pictures into a model bundle"))
    quantise = verbs.add_parser("quantise", help="add a faster detector to a bundle, where it loses next to nothing")
    quantise.add_argument("bundle", type=Path, help="the bundle's folder")
    quantise.add_argument(
        "data",
        type=Path,
        help="the pictures that it was trained with, or others in such folders, to measure the loss on",
    )
    quantise.add_argument(
        "--to", choices=("int8", "fp16"), default="int8", help="int8 for CPUs, fp16 for cuda:N (int8)"
    )
    quantise.set_defaults(verb=_quantise)
    evaluate = verbs.add_parser("evaluate", help="measure a bundle on pictures with known truth")
    evaluate.add_argument("bundle", type=Path, help="the bundle's folder")
    evaluate.add_argument(
        "data", type=Path, help="folders test/<kind>, ground_truth and reference; or normal, defective"
    )
    evaluate.add_argument(
        "--out", type=Path, metavar="DIR", help="where evaluation.json and report.html go (BUNDLE.evaluation)"
    )
    evaluate.add_argument(
        "--references", type=Path, metavar="DIR",
        help="reference pictures by position, as a camera has them, for a bundle that compares (each picture's own)",
    )  # fmt: skip
    add_fit(evaluate)
    evaluate.add_argument("--device", default="cpu", help="what to run on: cpu, cuda:0, openvino:cpu, ... (cpu)")
    evaluate.add_argument(
        "--card", action="store_true",
        help="put the figures into the bundle's card; it is then another bundle, which calibrations made before are "
        "not for",
    )  # fmt: skip
    evaluate.set_defaults(verb=_evaluate)
    compare = verbs.add_parser("compare", help="put two evaluations on the same pictures side by side")
    compare.add_argument("first", type=Path, help="evaluation.json of one bundle")
    compare.add_argument("second", type=Path, help="evaluation.json of another bundle, or of another version")
    compare.add_argument(
        "--out", type=Path, default=Path("compare.html"), metavar="FILE", help="the page to write (compare.html)"
    )
    compare.set_defaults(verb=_compare)


def _register_train(train: argparse.ArgumentParser) -> None:
    train.add_argument(
        "data",
        type=Path,
        help="folders train/good [train_defective, train_ground_truth, train_reference]; or normal, defective",
    )
    train.add_argument("--out", type=Path, required=True, metavar="DIR", help="the bundle's folder")
    train.add_argument("--name", help="the bundle's name (that of --out)")
    train.add_argument(
        "--bundle-version", type=_text, default="1", metavar="V", help="the bundle's version, for its card (1)"
    )
    train.add_argument("--description", type=_text, default="", help="a sentence for its card")
    train.add_argument(
        "--licence", type=_text, default="not stated", help="the licence of the trained weights, for its card"
    )
    train.add_argument(
        "--mode", choices=("normal", "masks", "reference"),
        help="normal: from normal pictures alone; masks: from defective ones too, masked or not; reference: each "
        "picture beside another of how it should look (from the pictures)",
    )  # fmt: skip
    train.add_argument(
        "--detector", choices=("discover", "segmenter", "closeup", "unet", "paired"),
        help="the detector's architecture (discover for normal pictures alone, segmenter for masks, closeup where "
        "these show defects that are small beside the picture, paired for references); unet is smaller, and starts "
        "from nothing",
    )  # fmt: skip
    train.add_argument(
        "--size", type=_size, metavar="HxW", help="the detector's input, multiples of 16 (from the pictures)"
    )
    train.add_argument(
        "--epochs", type=positive, metavar="N",
        help="of the detector (about 500 batches; 1,500 small ones for closeup and unet); all but discover go on for a "
        "fifth more, or 100 batches",
    )  # fmt: skip
    train.add_argument("--repair-epochs", type=positive, metavar="N", help="of the repairer, of 100 batches (14)")
    train.add_argument(
        "--adversarial-epochs", type=positive, default=0, metavar="N",
        help="of an adversary that gives repaired places their grain; kept where validation sees a gain (none)",
    )  # fmt: skip
    train.add_argument("--rate", type=_share, default=2e-3, help="Adam's highest learning rate (0.002)")
    train.add_argument("--seed", type=_seed, default=0, help="decides the split, the views and the first weights (0)")
    train.add_argument(
        "--validation", type=_share, default=0.15, metavar="SHARE",
        help="of the good and of the defective pictures, held back by whole parts to choose by, and learnt last (0.15)",
    )  # fmt: skip
    train.add_argument(
        "--rotation", type=_up_to(180), metavar="DEGREES", help="views turn by up to this (15; binarised pictures: 0)"
    )
    train.add_argument("--shift", type=_up_to(1), metavar="SHARE", help="views shift by up to this (0.1)")
    train.add_argument(
        "--shear", type=_up_to(1), metavar="SHARE", help="views are sheared by up to this (0.1; binarised pictures: 0)"
    )
    train.add_argument(
        "--flips", choices=("none", "horizontal", "vertical", "both", "all"),
        help="how views may be mirrored; none where a mirrored part is a wrong part, all: also quarter turns (both; "
        "binarised pictures: all)",
    )  # fmt: skip
    train.add_argument(
        "--brightness",
        type=_up_to(1),
        metavar="SHARE",
        help="light changes by up to this (0.15; binarised pictures: 0)",
    )
    train.add_argument(
        "--golden", type=Path, metavar="DIR", help="pictures to choose the golden ones from (validation's)"
    )
    train.add_argument("--no-int8", action="store_true", help="leave out the int8 detector, half a minute's work")
    train.add_argument(
        "--resume", action="store_true", help="go on where a stopped run with the same pictures and settings was"
    )
    train.set_defaults(verb=_train)


def _train(options: argparse.Namespace) -> int:
    need("torch", "matplotlib", "tomli_w", "onnx", "onnxruntime")
    from inspector.training.train import train

    heap.keep()
    console = Console()
    settings = _settings(options)
    with working_in(settings.out):
        bundle = train(settings, lambda line: console.print(line, markup=False, highlight=False))
    console.print(
        f"{options.out}: bundle {bundle.card.name!r} {bundle.sha256[:12]}, proven", markup=False, highlight=False
    )
    return 0


def _settings(options: argparse.Namespace) -> Settings:
    from inspector.training.settings import Settings

    out = options.out.resolve()  # so that what stands at a link's end is replaced, and not the link
    views = {name: getattr(options, name) for name in ("rotation", "shift", "shear", "flips", "brightness")}
    return Settings(
        data=options.data, out=out, name=options.name or out.name,
        version=options.bundle_version, description=options.description, licence=options.licence, mode=options.mode,
        detector=options.detector, size=options.size, epochs=options.epochs, repair_epochs=options.repair_epochs,
        adversarial_epochs=options.adversarial_epochs, rate=options.rate, seed=options.seed,
        validation=options.validation,
        augmentation={name: value for name, value in views.items() if value is not None},
        golden=options.golden, int8=not options.no_int8, resume=options.resume,
    )  # fmt: skip


def _quantise(options: argparse.Namespace) -> int:
    need("onnxruntime", "onnx", "tomli_w", extra="quantise")
    from inspector.training.quantise import quantise

    console = Console()
    with working_in(options.bundle):
        bundle = quantise(
            options.bundle, options.data, Precision(options.to),
            lambda line: console.print(line, markup=False, highlight=False),
        )  # fmt: skip
    console.print(f"{bundle.folder}: now has detector.{options.to}.onnx, proven", markup=False, highlight=False)
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    need("onnxruntime", "matplotlib", "jinja2", "scipy", *(["tomli_w"] if options.card else []))
    from inspector.training.evaluate import evaluate

    console = Console()
    out = options.out or options.bundle.resolve().with_name(options.bundle.resolve().name + ".evaluation")
    with working_in(out):
        evaluate(
            options.bundle, options.data, out, options.device, options.card, console, options.references,
            options.fit, options.overlap,
        )  # fmt: skip
    return 0


def _compare(options: argparse.Namespace) -> int:
    need("matplotlib", "jinja2", "scipy")
    from inspector.training.compare import compare

    with working_in(options.out):
        compare(options.first, options.second, options.out, Console(soft_wrap=True))
    return 0


def need(*modules: str, extra: str = "train") -> None:
    """Raise ConfigError naming those of `modules` that are not installed, and our extra that brings them."""
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        # A second build of ONNX Runtime would break the first one.
        wanted = [extra, "cpu"] if "onnxruntime" in missing else [extra]
        raise ConfigError(f"{', '.join(missing)} not installed, which this needs; {remedy(*wanted)}")


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if not match or any(int(side) % 16 or not 16 <= int(side) <= MAX_INPUT for side in match.groups()):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not HxW with multiples of 16 up to {MAX_INPUT}, for example 240x320"
        )
    return int(match[1]), int(match[2])


def add_fit(verb: argparse.ArgumentParser) -> None:
    """Add the options that say how pictures become the model's input."""
    verb.add_argument(
        "--fit", choices=("resize", "tile"), default="resize",
        help="how pictures become the model's input, as the camera has it (resize)",
    )  # fmt: skip
    verb.add_argument(
        "--overlap", type=_from_none, metavar="N",
        help="pixels by which tiles overlap, as the camera has it (an eighth of the input's shorter side)",
    )  # fmt: skip
    only_with(verb, "--fit tile", "--overlap")


def _share(text: str) -> float:
    share = number(text)
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0 and below 1")
    return share


def _up_to(most: float) -> Callable[[str], float]:
    """An argument that is a number from 0 to `most`."""

    def parse(text: str) -> float:
        given = number(text)
        if not 0 <= given <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to {most:g}")
        return given

    return parse


def _seed(text: str) -> int:
    """As random numbers and a card take it."""
    if _from_none(text) >= 1 << 63:
        raise argparse.ArgumentTypeError(f"{text} is too large; give a whole number below 2**63")
    return int(text)


def _text(text: str) -> str:
    """Text that a card can hold: a shell passes on any bytes."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not UTF-8") from error
    return text


def _from_none(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)


def positive(text: str) -> int:
    """An argument that is a whole number above 0."""
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)
