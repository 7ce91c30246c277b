"""The verb `doctor`. Nothing heavy is imported before it runs."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from inspector.arguments import number


def register(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    verb = verbs.add_parser("doctor", help="say whether this machine can run this line, and what to do if not")
    verb.add_argument("config", type=Path, help="the configuration, a TOML file")
    verb.add_argument("--json", action="store_true", help="print one JSON document instead of tables")
    verb.add_argument("--no-cameras", action="store_true", help="open no camera: another program needs them")
    verb.add_argument("--no-benchmark", action="store_true", help="do not run the line for some seconds")
    verb.add_argument(
        "--rate", type=_rate, metavar="FRAMES", help="a second, of each camera whose rate cannot be measured or read"
    )
    verb.add_argument(
        "--ng", type=_share, default=0.05, metavar="SHARE", help="share of frames with defects to reckon with (0.05)"
    )
    verb.add_argument(
        "--unit", default="inspector.service", help="the systemd unit that runs the line (inspector.service)"
    )
    verb.set_defaults(verb=_doctor)


def _doctor(options: argparse.Namespace) -> int:
    import logging

    import cv2
    from rich.console import Console

    from inspector.doctor import report
    from inspector.doctor.case import Case, Wish
    from inspector.doctor.examine import examine
    from inspector.doctor.finding import exit_code

    logging.basicConfig(level=logging.ERROR)  # what the daemon would log of it is in the findings
    cv2.setNumThreads(1)  # as the daemon does, whose cost is measured
    wish = Wish(not options.no_cameras, not options.no_benchmark, options.rate, options.ng, options.unit)
    case = Case(options.config, wish)
    waiting = Console(stderr=True)
    with waiting.status("looking ...") as status:
        findings = list(examine(case, progress=lambda name: status.update(f"looking at {name} ...")))
    if options.json:
        sys.stdout.write(json.dumps(report.as_json(options.config, findings, case.prediction), indent=1) + "\n")
    else:
        console = Console()
        console.print(report.table(findings))
        if case.prediction is not None:
            console.print(report.costs(case.prediction))
        console.print(report.summary(findings), markup=False, highlight=False, soft_wrap=True)
    return exit_code(findings)


def _rate(text: str) -> float:
    return _up_to(text, 100_000.0, "frames a second, for example 30")


def _share(text: str) -> float:
    return _up_to(text, 1.0, "a share above 0 and up to 1, for example 0.05")


def _up_to(text: str, most: float, what: str) -> float:
    given = number(text)
    if not 0 < given <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
    return given
