"""The verbs on models: `models` lists and proves bundles, `model` exchanges those of a running daemon, and `reload`."""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
from argparse import ArgumentTypeError
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inspector.arguments import number
from inspector.companions import only_with
from inspector.errors import ConfigError, OutputError
from inspector.types import MAX_AREA


def register(verbs: Any) -> None:
    """Add the verbs to what `ArgumentParser.add_subparsers` gave."""
    models = verbs.add_parser("models", help="list model bundles, and prove them on this machine")
    models.add_argument("folder", type=Path, nargs="*", default=[Path("models")], help="bundles, or folders of them")
    models.add_argument("--verify", action="store_true", help="run each on its golden pictures, in all its precisions")
    models.add_argument("--device", default="auto", help="where, as `workers.device` of a configuration (auto)")
    models.add_argument("--json", action="store_true", help="print JSON")
    only_with(models, "--verify", "--device")
    models.set_defaults(verb=_models)

    model = verbs.add_parser("model", help="exchange the models of a daemon, while it runs or for its next start")
    kinds = model.add_subparsers(title="verbs", required=True, metavar="VERB")
    config = "the daemon's configuration, a TOML file with a [models] state"

    use = kinds.add_parser("use", help="have another bundle judge, once it has proven itself")
    use.add_argument("config", type=Path, help=config)
    use.add_argument("bundle", type=Path, help="the bundle's folder, which the daemon can read")
    use.add_argument(
        "--camera", action="append", default=[], metavar="NAME",
        help="whose frames it shall judge; may be given again (all whose model has the bundle's name)",
    )  # fmt: skip
    use.add_argument("--calibration", type=Path, metavar="FILE", help="what it is calibrated by")
    use.add_argument("--uncalibrated", action="store_true", help="where there is a calibration now, judge without one")
    use.add_argument("--threshold", type=_threshold, metavar="P", help="instead of the bundle's own")
    use.add_argument("--min-area", type=_area, metavar="N", help="instead of the bundle's own")
    use.add_argument("--shadow", type=_whole, metavar="N", help="before that, show it N live frames and compare")
    use.add_argument("--within", type=_seconds, default=60.0, metavar="S", help="seconds that --shadow may take (60)")
    use.add_argument(
        "--agree", type=_share, metavar="SHARE", help="refuse it unless it gives the same verdict in so many of them"
    )
    only_with(use, "--shadow", "--within", "--agree")
    use.set_defaults(verb=_use)

    for verb, what in (
        ("rollback", "go back to what judged before, also after a restart"),
        ("versions", "show what judged, and what judges now: the last line"),
    ):
        parser = kinds.add_parser(verb, help=what)
        parser.add_argument("config", type=Path, help=config)
        parser.set_defaults(verb={"rollback": _rollback, "versions": _versions}[verb])

    reload = verbs.add_parser(
        "reload", help="have a running daemon read its configuration again, and say what came of it"
    )
    reload.add_argument("config", type=Path, help=config)
    reload.add_argument(
        "--pid", type=_whole, metavar="N",
        help="the daemon's process: without a [models] state it is sent SIGHUP, and its log says what came of it",
    )  # fmt: skip
    reload.set_defaults(verb=_reload)


def _share(text: str) -> float:
    share = number(text)
    if not 0 < share <= 1:
        raise ArgumentTypeError(f"{text!r} is no share; give a number above 0 and up to 1")
    return share


def _threshold(text: str) -> float:
    threshold = number(text)
    if not 0 < threshold < 1:  # with 1 nothing would be a defect
        raise ArgumentTypeError(f"{text!r} is no threshold; give a number above 0 and below 1")
    return threshold


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def _area(text: str) -> int:
    area = _whole(text)
    if area > MAX_AREA:
        raise ArgumentTypeError(f"{text!r} is no area of a defect; give a whole number from 1 to {MAX_AREA}")
    return area


def _seconds(text: str) -> float:
    seconds = number(text)
    if not 0 < seconds < math.inf:  # nan among them: no time is ever past it
        raise ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return seconds


def _models(options: argparse.Namespace) -> int:
    from inspector.models import listing

    rows = list(listing.rows(listing.found(options.folder), options.device if options.verify else None))
    (listing.write_json if options.json else listing.write_table)(rows, sys.stdout)
    return max(row.code for row in rows)


def _use(options: argparse.Namespace) -> int:
    def absolute(path: Path | None) -> str | None:
        return None if path is None else str(path.absolute())

    wish = {"frames": options.shadow, "within": options.within, "agree": options.agree}
    use = {
        "bundle": absolute(options.bundle),
        "cameras": options.camera,
        "calibration": absolute(options.calibration),
        "threshold": options.threshold,
        "min_area": options.min_area,
        "uncalibrated": options.uncalibrated,
    }
    return _change(options.config, {"verb": "use", "use": use, "shadow": wish if options.shadow else None})


def _rollback(options: argparse.Namespace) -> int:
    return _change(options.config, {"verb": "rollback"})


def _reload(options: argparse.Namespace) -> int:
    from inspector import settings as configuration

    if options.pid is None or configuration.state(options.config) is not None:
        return _ask(options.config, {"verb": "reload"})
    try:
        os.kill(options.pid, signal.SIGHUP)
    except OSError as error:
        raise OutputError(f"process {options.pid} cannot be asked: {error.strerror}; give the daemon's") from error
    print(f"asked process {options.pid}; its log says what came of it")
    return 0


def _versions(options: argparse.Namespace) -> int:
    from inspector.models.versions import Versions

    for version in Versions(_state(options.config), keep=2, make=False).all:
        cameras = ", ".join(
            f"{name}: {one.name} {one.version} {one.sha256[:12]}" for name, one in version.cameras.items()
        )
        print(f"{version.at}  {cameras}  ({version.why})")
    return 0


def _state(config: Path) -> Path:
    from inspector import settings as configuration

    folder = configuration.state(config)
    if folder is None:
        raise ConfigError(f"{config}: models.state is not set; set it and restart the daemon")
    return folder


def _change(config: Path, request: Mapping[str, Any]) -> int:
    """Have the daemon do it, or do it for its next start if none runs."""
    from inspector.models.control import NobodyError

    try:
        return _ask(config, request)
    except NobodyError:
        from inspector.models import stopped
        from inspector.reading import read

        print(stopped.act(read(config), request, _tell))
        return 0


def _tell(sentence: str) -> None:
    print(sentence, file=sys.stderr)


def _ask(config: Path, request: Mapping[str, Any]) -> int:
    from inspector.models.control import ask

    outcome, code = ask(_state(config), request, _tell)
    print(outcome if code == 0 else f"inspector: {outcome}", file=sys.stderr if code else sys.stdout)
    return code
