"""The verbs that read a journal, beside a daemon that writes it or without one: `ledger` and `replay`."""

from __future__ import annotations

import argparse
import sys
from argparse import ArgumentTypeError
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inspector.arguments import number
from inspector.companions import only_with

if TYPE_CHECKING:
    from inspector.journal.reading import Reader

BUFFER_BYTES = 64 << 20
"""What may wait for a slow subscriber of a replay."""


def register(verbs: Any) -> argparse.ArgumentParser:
    """Add the verbs to what `ArgumentParser.add_subparsers` gave; the parser of `replay`."""
    what = "the journal's file, or the configuration (a .toml) that names it"
    ledger = verbs.add_parser("ledger", help="count what became of every frame, by shift and camera")
    ledger.add_argument("journal", type=Path, help=what)
    ledger.add_argument(
        "--camera", action="append", default=[], metavar="NAME", help="of this one alone; may be given again"
    )
    ledger.add_argument(
        "--since", type=_moment, metavar="TIME", help="of shifts that begin then or later, like 2026-01-31 06:00"
    )
    form = ledger.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--csv", action="store_true", help="print CSV")
    ledger.set_defaults(verb=_ledger)

    replay: argparse.ArgumentParser = verbs.add_parser(
        "replay", help="print, save or publish again what a journal has kept; judge a recording once more"
    )
    replay.add_argument("journal", type=Path, help=f"{what}; or a recording's folder")
    replay.add_argument(
        "--topic", default="", metavar="PREFIX", help="of topics that begin so, such as verdict/line1/cam1/ (all)"
    )
    replay.add_argument("--session", type=int, metavar="N", help="of that run of the daemon alone")
    replay.add_argument("--first", type=int, default=0, metavar="N", help="from that sequence on")
    replay.add_argument("--last", type=int, default=(1 << 63) - 1, metavar="N", help="up to that sequence")
    replay.add_argument(
        "--since", type=_moment, metavar="TIME", help="kept then or later, like 2026-01-31 06:00 (local time)"
    )
    replay.add_argument("--until", type=_moment, metavar="TIME", help="kept before then")
    way = replay.add_mutually_exclusive_group()
    way.add_argument(
        "--save", type=Path, metavar="DIR", help="write headers and payloads there as files, or a recording's pictures"
    )
    way.add_argument(
        "--publish", metavar="ENDPOINT", help="publish there, once somebody subscribes; not where a daemon does"
    )
    replay.add_argument(
        "--speed", type=_speed, default=1.0, metavar="X", help="of --publish: 2 is twice as fast, 0 without waiting (1)"
    )
    only_with(replay, "--publish", "--speed")
    replay.set_defaults(verb=_replay)
    return replay


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is no time; write it like 2026-01-31 or 2026-01-31T06:00") from error


def _speed(text: str) -> float:
    speed = number(text)
    if not 0 <= speed <= 1e6:
        raise ArgumentTypeError(f"{text!r} is no speed; give a number from 0")
    return speed


def _reader(path: Path) -> Reader:
    """The journal at `path`, or the one that the configuration at `path` names."""
    from inspector import settings as configuration
    from inspector.errors import ConfigError
    from inspector.journal.reading import Reader

    if path.suffix != ".toml":
        return Reader(path)
    named = configuration.load(path, {}).journal.path
    if named is None:
        raise ConfigError(f"{path}: names no journal; set journal.path, or give the journal's file")
    return Reader(named)


def _ledger(options: argparse.Namespace) -> int:
    from inspector.journal import account

    reader = _reader(options.journal)
    since = "" if options.since is None else options.since.strftime("%Y-%m-%d %H:%M")
    rows = account.rows(reader.accounts(), options.camera, since)
    reader.close()
    write = account.write_json if options.json else account.write_csv if options.csv else account.write_table
    write(rows, sys.stdout)
    return 0


def _replay(options: argparse.Namespace) -> int:
    from inspector.journal import replay
    from inspector.journal.reading import Choice
    from inspector.outputs import open_output
    from inspector.signals import ended

    reader = _reader(options.journal)
    choice = Choice(options.topic, options.session, options.first, options.last)
    if options.since is not None:
        choice = replace(choice, since_ns=round(options.since.timestamp() * 1e9))
    if options.until is not None:
        choice = replace(choice, until_ns=round(options.until.timestamp() * 1e9))
    recorded = reader.messages(choice)
    if options.save is not None:
        print(f"{replay.save(recorded, options.save)} message(s) written to {options.save}", file=sys.stderr)
    elif options.publish is not None:
        output = open_output(options.publish, BUFFER_BYTES)
        print(f"publishing at {output.endpoint}, once somebody subscribes", file=sys.stderr, flush=True)
        with ended() as is_over:
            count = replay.publish(recorded, output, options.topic, options.speed, is_over)
        output.close()
        print(f"{count} message(s) published", file=sys.stderr)
    else:
        replay.write_lines(recorded, sys.stdout)
    reader.close()
    return 0
