"""Writes the pages in docs that are made from the code: `python -m inspector.docs`; `--check` only looks."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from inspector import logs
from inspector.cli import EXIT_CODES, build_parser
from inspector.doctor.checks import CHECKS
from inspector.metrics import LABELS, TABLE
from inspector.mistakes import allowed, inner_model
from inspector.repeats import BURST
from inspector.settings import ENVIRONMENT, Settings

GENERATED = "<!-- Written by `python -m inspector.docs`; edit the code instead. -->"

CONFIG = f"""\
{GENERATED}
# Configuration

`inspector run CONFIG.toml` reads one TOML file; [deploy/inspector.toml](../deploy/inspector.toml) is one with every
key. A key that is not here, or a value that is not allowed, ends the program before anything starts, with exit code
78 and one line for each mistake. `inspector check CONFIG.toml` looks without running.

The environment goes over the file: `{ENVIRONMENT}` and the key in capitals, two underscores for each step down, so
`{ENVIRONMENT}HTTP__PORT=9700` is `port` in `[http]`. Cameras are counted from 0:
`{ENVIRONMENT}CAMERA__0__SOURCE=rtsp://...` keeps a camera's password out of the file. Lists and tables are written as
JSON: `{ENVIRONMENT}CAMERA__0__SIZE='[640, 480]'`.
"""

CLI = f"""\
{GENERATED}
# Command line

`inspector VERB --help` says the same. Exit codes, of every verb:
"""

LOGS = f"""\
{GENERATED}
# The log

On stderr. At a terminal it is text, in local time:

    12:30:01.123 WARNING inspector.sources.reader: camera top lost: no frame came for 2 s

Elsewhere each line is one JSON object: under systemd, in a container, in a file. `[daemon] log = "text"` or `"json"`
says otherwise, `log_level` what is left out. Only what keeps the daemon from starting is told in plain lines that begin
with `inspector:`, since it may be the configuration itself that is wrong.

    journalctl -u inspector -o cat | jq -rR 'fromjson? | select(.camera == "top") | [.time, .message] | @tsv'
    journalctl -u inspector -p warning -o cat

The second works since each line tells systemd its priority; the plain ones that begin with `inspector:` have none, and
it leaves them out. Passwords are taken out of every field: `***` stands for what was between a user's name and the @ of
a URL, or after `password=` and the like.

## Fields
"""

LOGS_END = """\
## What comes again and again

What may go wrong with every frame, connection or trigger is tallied: the first is told at once, and then once a second
how many there were, and the last of them, in one line with `count`.

Of any other line, the same place in the program (for each camera by itself) says {BURST} at once at the most, and from
then on one a second, with the number of those that were left out as `repeated` (in text: "and 37 like it"). No count is
lost, at the end neither, unless the process is killed.

Where whoever reads stderr hangs, a pager or a collector, the line goes on: up to 1,000 lines wait, and a line says by
`count` how many were dropped beyond that, once it reads again.

Libraries below Python (camera drivers, the runtime of a GPU) may write lines of their own to stderr, which are no JSON.
"""

METRICS = f"""\
{GENERATED}
# Metrics

Served at `/metrics` in Prometheus' text format. Every row below exists from the start, at 0, for every camera, model
and topic that is configured. Labels never hold URLs, ids or error texts.
"""

DOCTOR = f"""\
{GENERATED}
# Doctor

`inspector doctor CONFIG.toml` says whether this machine can run this line: a table with a remedy for whatever is not as
it should be, what a frame costs, and how many the line carries. `--json` prints the same for machines. Run it where the
daemon will run, as its user or as root, while the daemon is stopped: otherwise it shares the cores that are measured,
and the cameras that one program alone may have.

`inspector check` asks another question: whether the configuration is right. It tells all addresses, the journal and the
recorder's folder that cannot be had, and ends at the first other thing that the daemon could not open; it opens no
camera, and says nothing of the machine. The doctor begins with the same code, goes on after a mistake with all that
does not depend on it, and then looks at the machine. Put `check` into whatever changes the configuration; run `doctor`
when a machine, a camera or a bundle is new.

`check` may be run beside the daemon, before a reload or a restart. Addresses that the daemon of this very file has, or
one whose configuration names the same `line`, are told and are no mistake: whoever writes a new configuration may check
it before it takes the old one's place. An address that anybody else has is one (exit code 74), said with that program's
name where this user may see it; all else is proven all the same.

| Outcome | Exit code |
| --- | --- |
| all fine, or not looked at (`skipped`) | 0 |
| warnings: it runs, but not as well, as long or as safely as it should | 75 |
| a failure: what the daemon would end with, of the first one ([cli.md](cli.md)) | 65, 66, 69, 70, 74, 78 |

## The benchmark

The line runs in a process of its own for 6 seconds as fast as it goes, and for 6 more at its own rate if it can keep up
with that: the daemon's real code with the real models, workers and codecs, a subscriber, and a journal beside the real
one, which is deleted again. It shows the cameras' own pictures where they could be opened, else the bundle's golden
ones at the camera's `size`, and defective golden ones in between. From that come

- the CPU time of each part of a frame. `read` is measured while the cameras are looked at; `repair` holds the second
  look; the last row is what joins the parts;
- cores needed at the cameras' rates, and frames/s at the most. Rates are measured; where that cannot be, those of the
  URL (`fps=`, `rate=`) or of `--rate` count. `--ng` says how many frames have defects;
- latency from capture to receipt with all cameras exposing at once, the worst that free-running ones come to.

Not in it: encryption, triggers, stations, challenges, the flight recorder, more subscribers than one, and what reading
costs in other threads than the camera's own: in those of its driver, of the parts of a stack, and in the process of an
isolated camera that is scanned.
What other programs take of the cores meanwhile is told, and frames/s are those without them; latency is with them.
`python -m benchmarks --only doctor` puts what is foretold beside what the daemon does.

## What is looked at

Whatever fails here does so with the daemon's own sentence. A failure in one row leaves the others to be looked at,
unless they need what failed.
"""


def doctor_page() -> str:
    """docs/doctor.md."""
    rows = [(one.name, one.looks_at, one.warns, one.fails, one.remedy) for one in CHECKS]
    return f"{DOCTOR}\n{_table(('Check', 'Looks at', 'Warning', 'Failure', 'Remedy'), rows)}"


def config_page() -> str:
    """docs/config.md."""
    fields = Settings.model_fields
    parts = [CONFIG, "## Top level", _keys({key: field for key, field in fields.items() if inner_model(field) is None})]
    for key, field in fields.items():
        if (section := inner_model(field)) is not None:
            title = f"[{key}]" if isinstance(field.default, BaseModel) else f"[[{key}]]"
            parts += [f"## `{title}`", f"{section.__doc__}\n", _keys(section.model_fields)]
    return "\n".join(parts)


def metrics_page() -> str:
    """docs/metrics.md."""
    metrics = [
        (f"`{metric.name}`", metric.kind, ", ".join(f"`{label}`" for label in metric.labels), metric.meaning)
        for metric in TABLE
    ]
    labels = [(f"`{label}`", meaning) for label, meaning in LABELS.items()]
    buckets = [
        (f"`{metric.name}`", ", ".join(f"{bound:g}" for bound in metric.buckets)) for metric in TABLE if metric.buckets
    ]
    return "\n".join(
        [
            METRICS,
            _table(("Metric", "Type", "Labels", "Meaning"), metrics),
            "## Labels",
            _table(("Label", "Meaning"), labels),
            "## Buckets of the histograms",
            _table(("Metric", "Upper bounds"), buckets),
        ]
    )


def logs_page() -> str:
    """docs/logs.md."""
    traceback = {logs.TRACEBACK: "of an exception: all its lines in one field"}
    rows = [
        (f"`{name}`", present, meaning)
        for fields, present in ((logs.ALWAYS, "always"), ({**logs.SOMETIMES, **traceback}, ""))
        for name, meaning in fields.items()
    ]
    return "\n".join([LOGS, _table(("Field", "There", "Meaning"), rows), LOGS_END.format(BURST=BURST)])


def cli_page() -> str:
    """docs/cli.md."""
    parser = build_parser()
    parts = [f"{CLI}", f"```text\n{EXIT_CODES}```\n"]
    for verb, (meaning, verb_parser) in verbs(parser).items():
        rows = [
            (f"`{', '.join(action.option_strings) or action.dest}{_value(action)}`", (action.help or "") % vars(action))
            for action in verb_parser._actions  # argparse keeps them nowhere else
            if action.dest != "help"
        ]
        parts += [
            f"## `inspector {verb}`",
            f"{meaning[0].upper()}{meaning[1:]}.\n",
            _table(("Argument", "Meaning"), rows),
        ]
    return "\n".join(parts)


def verbs(parser: argparse.ArgumentParser) -> dict[str, tuple[str, argparse.ArgumentParser]]:
    """Each verb's one line of help and its parser; a verb below another is named with it, as in "data check"."""
    found: dict[str, tuple[str, argparse.ArgumentParser]] = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            lines = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for verb, below in action.choices.items():
                inner = {f"{verb} {name}": value for name, value in verbs(below).items()}
                found |= inner or {verb: (lines[verb], below)}
    return found


def _value(action: argparse.Action) -> str:
    """What an option takes: its name in the help, one of its choices, or nothing for a switch."""
    if action.nargs == 0 or not action.option_strings:
        return ""
    choices = f"{{{','.join(action.choices)}}}" if action.choices else action.dest.upper()
    return f" {action.metavar or choices}"


PAGES = {
    "cli.md": cli_page,
    "config.md": config_page,
    "doctor.md": doctor_page,
    "logs.md": logs_page,
    "metrics.md": metrics_page,
}


def stale(folder: Path) -> list[str]:
    """The pages in `folder` that are not what the code says."""
    pages = {folder / name: page() for name, page in PAGES.items()}
    return [str(path) for path, text in pages.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]


def write(folder: Path) -> None:
    """Write every page into `folder`."""
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")


def main() -> int:
    """Write the pages of this checkout, or look whether they are up to date; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m inspector.docs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a page is out of date")
    parser.add_argument("--folder", type=Path, default=Path("docs"), help="where the pages are (docs)")
    options = parser.parse_args()
    if not options.check:
        write(options.folder)
        return 0
    pages = stale(options.folder)
    if pages:
        sys.stderr.write(f"out of date: {', '.join(pages)}; run `python -m inspector.docs`\n")
    return 1 if pages else 0


def _keys(fields: Mapping[str, FieldInfo]) -> str:
    rows = [
        (f"`{key}`", allowed(field), _default(field), " ".join((field.description or "").split()))
        for key, field in fields.items()
    ]
    return _table(("Key", "Value", "Default", "Meaning"), rows)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    return "" if field.default is None else f"`{json.dumps(field.default)}`"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    raise SystemExit(main())
