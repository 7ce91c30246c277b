"""The verbs. Each is a few lines: parse, hand over, and turn an error with a remedy into one line and its exit code."""

from __future__ import annotations

import argparse
import faulthandler
import io
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from inspector import __version__, logs, notify, signals
from inspector.calibrate import commands as calibrating
from inspector.companions import only_with, refuse_lonely
from inspector.doctor import commands as examining
from inspector.errors import ConfigError, InspectorError, OutputError, noting, working_in
from inspector.journal import commands as bookkeeping
from inspector.models import commands as exchanging
from inspector.recorder import commands as recordings
from inspector.redact import redact
from inspector.training import commands
from inspector.view import commands as viewing

EXIT_CODES = """\
exit codes:
  0   done; a daemon: stopped by a signal, or every source came to its end
  1   a bug, with its traceback
  2   the command line is wrong
  3   `replay` of a recording: something is not as it was recorded
  65  a bundle, picture or message is damaged, or a bundle does not prove itself on this machine;
      or `data check` found errors
  66  a source cannot be read
  69  the device that was asked for does not work
  70  a stage of the daemon failed; what was captured has its verdicts; or a model in shadow saw too
      few frames, or agreed in too few
  74  an address or file cannot be written
  75  `doctor` found warnings, and no failure; a failure ends with the code that the daemon would end with
  78  the configuration is wrong; one line for each mistake
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; the exit code."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    refuse_lonely(options)
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # what we print may name a file, and names are any bytes
    try:
        code: int = options.verb(options)
        sys.stdout.flush()
    except ConfigError as error:
        for problem in error.problems:
            print(f"inspector: {problem}", file=sys.stderr)
        return error.exit_code
    except InspectorError as error:
        print(f"inspector: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read our lines went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception:  # a bug; with its traceback, but not with what a camera's URL holds
        print(redact(traceback.format_exc()), end="", file=sys.stderr)
        return 1
    return code


def build_parser() -> argparse.ArgumentParser:
    """The whole command line; the heavy modules behind a verb are imported when it runs."""
    parser = argparse.ArgumentParser(
        prog="inspector",
        description="Inspects a production line: a verdict for every frame, defect masks and repaired frames.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"inspector {__version__}")
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")

    run = verbs.add_parser("run", help="run the daemon until SIGTERM, or until every source came to its end")
    run.add_argument(
        "config", type=Path, help="the configuration, a TOML file; deploy/inspector.toml explains every key"
    )
    run.set_defaults(verb=_run)

    check = verbs.add_parser("check", help="do all that `run` does before the first frame, and say what would run")
    check.add_argument("config", type=Path, help="the configuration, a TOML file")
    check.set_defaults(verb=_check)

    examining.register(verbs)

    listen = verbs.add_parser("listen", help="show or save what a daemon publishes")
    listen.add_argument("endpoint", help="where the daemon publishes, for example tcp://127.0.0.1:5600")
    listen.add_argument("--save", type=Path, metavar="DIR", help="keep the newest defects there as pictures")
    listen.add_argument("--keep", type=int, default=24, metavar="N", help="of how many defects (24)")
    listen.add_argument("--count", type=commands.positive, metavar="N", help="end after N verdicts")
    listen.add_argument("--json", action="store_true", help="print each message's header as a line of JSON")
    listen.add_argument("--secret", type=Path, metavar="FILE", help="this subscriber's secret key (`inspector keygen`)")
    listen.add_argument("--server", type=Path, metavar="FILE", help="the daemon's public key, where it asks for keys")
    only_with(listen, "--save", "--keep")
    listen.set_defaults(verb=_listen)

    viewing.register(verbs)

    simulate = verbs.add_parser("simulate", help="write pictures of the simulated line, with masks, as a data set")
    simulate.add_argument("out", type=Path, help="the folder to write, which must not exist or be empty")
    simulate.add_argument("--seed", type=int, default=1000, help="first seed; every later one is free to use (1000)")
    simulate.add_argument("--good", type=commands.positive, default=200, help="normal pictures for training (200)")
    simulate.add_argument("--defective", type=_from_none, default=200, help="defective pictures for training (200)")
    simulate.add_argument(
        "--modalities", nargs="+", choices=("visible", "infrared"), default=(), metavar="M",
        help="visible, infrared or both: pictures of each in a folder of its own, and parts with hidden defects too",
    )  # fmt: skip
    simulate.add_argument("--width", type=commands.positive, default=640, help="of the pictures, in pixels (640)")
    simulate.add_argument("--height", type=commands.positive, default=480, help="of the pictures, in pixels (480)")
    simulate.add_argument(
        "--defect",
        type=commands.positive,
        metavar="N",
        help="pixels that a defect's longer side has, about (as they come)",
    )
    simulate.add_argument(
        "--columns", type=commands.positive, default=1, metavar="N", help="of plates, where pictures show trays (1)"
    )
    simulate.add_argument("--rows", type=commands.positive, default=1, metavar="N", help="of plates on a tray (1)")
    simulate.set_defaults(verb=_simulate)

    keygen = verbs.add_parser("keygen", help="make a pair of keys, for the daemon or for one of its subscribers")
    keygen.add_argument("name", help="whose it is: letters, digits, - and _; a subscriber's name in the daemon's log")
    keygen.add_argument(
        "--out", type=Path, default=Path(), metavar="DIR", help="where to write NAME.pub and NAME.secret"
    )
    keygen.set_defaults(verb=_keygen)

    recordings.extend(bookkeeping.register(verbs))
    exchanging.register(verbs)
    commands.register(verbs)
    calibrating.register(verbs)
    return parser


def _from_none(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)


def _run(options: argparse.Namespace) -> int:
    from inspector.assemble import assemble
    from inspector.reading import read

    faulthandler.enable()  # a crash, or the watchdog's SIGABRT, says where each thread was
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the daemon takes it: a reload may not end one that starts
    signals.end_as_init()  # until the daemon takes SIGTERM, too
    settings = read(options.config)
    logs.setup(settings.daemon.log, settings.daemon.log_level)
    notify.status("the models prove themselves")
    with assemble(settings, reread=lambda: read(options.config)) as assembly, logs.aside():
        code = assembly.daemon.run()
    assembly.daemon.leave(code)
    return code


def _check(options: argparse.Namespace) -> int:
    from inspector.assemble import assemble
    from inspector.doctor import addresses
    from inspector.doctor.machine import Machine
    from inspector.journal import opening
    from inspector.reading import read
    from inspector.recorder import folder

    settings = read(options.config)
    logs.setup(settings.daemon.log, settings.daemon.log_level)
    lost: dict[str, InspectorError] = {}
    taken = list(addresses.taken(settings, options.config, Machine(), lost))
    others = [one for one in taken if not one.is_own]
    problems = list(lost.values())
    for path, probe in ((settings.journal.path, opening.probe), (settings.recorder.path, folder.probe)):
        with noting(problems):
            if path is not None:
                probe(path)
    # All else is proven beside whoever has the addresses, and without those that cannot be had.
    quiet = addresses.without(settings, [one.what for one in taken], lost)
    with noting(problems), assemble(quiet, rehearsal=True) as assembly:
        if len(problems) == len(lost):
            fine = "all but its addresses is fine" if others or lost else "fine"
            print(f"{options.config}: {fine}; {assembly.summary}")
        for note in assembly.notes:
            print(note)
    told = [*map(str, others), *(line for error in problems for line in str(error).splitlines())]
    for line in dict.fromkeys(told):  # the last problem ended the assembly, and may have been found before
        print(f"inspector: {line}", file=sys.stderr)
    if own := [one for one in taken if one.is_own]:
        print(f"in use by {own[0].holder}: {', '.join(f'{one.what} {one.url}' for one in own)}")
    return problems[-1].exit_code if problems else OutputError.exit_code if others else 0


def _listen(options: argparse.Namespace) -> int:
    from inspector import listen
    from inspector.keys import ClientKeys

    return listen.run(
        options.endpoint,
        save=options.save,
        keep=options.keep,
        count=options.count,
        as_json=options.json,
        keys=ClientKeys.chosen(options.secret, options.server),
    )


def _keygen(options: argparse.Namespace) -> int:
    from inspector import keys

    public, secret = keys.generate(options.name, options.out)
    print(
        f"{public}: public key {keys.fingerprint(keys.read_public(public))}; give it to whoever {options.name} talks to"
    )
    print(f"{secret}: secret key; it stays with {options.name} alone")
    return 0


def _simulate(options: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.progress import Progress

    from inspector.simulation import write_dataset

    console = Console(stderr=True)
    with working_in(options.out), Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("drawing")
        write_dataset(
            options.out, options.seed, options.good, options.defective, modalities=options.modalities,
            width=options.width, height=options.height, defect_size=options.defect,
            columns=options.columns, rows=options.rows,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )  # fmt: skip
    print(
        f"{options.out}: {options.good} normal and {options.defective} defective pictures for training, and a test set"
    )
    return 0
