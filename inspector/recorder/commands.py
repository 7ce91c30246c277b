"""The verb `replay` for recordings, beside journals."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inspector.companions import is_given
from inspector.errors import DataError, reading

if TYPE_CHECKING:
    from inspector.recorder.recording import Index, Recording
    from inspector.recorder.replay import Outcome, Replay

DIFFERS = 3
"""The exit code where something is not as recorded."""
OF_JUDGING = ("--bundle", "--config", "--device", "--json")
OF_JOURNALS = ("--topic", "--session", "--first", "--last", "--since", "--until", "--publish", "--speed")


def extend(replay: argparse.ArgumentParser) -> None:
    """Have the verb, which takes journals, take recordings too."""
    of_journals = replay.get_default("verb")
    group = replay.add_argument_group("of a recording")
    group.add_argument(
        "--bundle", type=Path, metavar="DIR", help="of a recording: judge by this bundle, not by its own"
    )
    group.add_argument("--config", type=Path, metavar="FILE", help="of a recording: judge as this configuration says")
    group.add_argument("--device", metavar="NAME", help="of a recording: judge on this device (its own, if it is here)")
    group.add_argument("--json", action="store_true", help="of a recording: print JSON")

    def verb(options: argparse.Namespace) -> int:
        with reading(options.journal, DataError):
            is_recording = options.journal.is_dir()
        wrong = OF_JOURNALS if is_recording else OF_JUDGING
        for name in wrong:
            if is_given(replay, options, name):
                what = "a recording" if is_recording else "a journal"
                replay.error(f"{name} is not for {what}, and {options.journal} is one")
        for name in OF_JUDGING if options.save is not None else ():
            if is_given(replay, options, name):
                replay.error(f"{name} is for judging once more, and --save only writes pictures; give one of them")
        code: int = _replay(options) if is_recording else of_journals(options)
        return code

    replay.set_defaults(verb=verb)


def _replay(options: argparse.Namespace) -> int:
    import cv2

    from inspector import settings as configuration
    from inspector.recorder.recording import Recording
    from inspector.recorder.replay import Replay

    cv2.setNumThreads(1)  # as the daemon does it
    with reading(options.journal, DataError):
        recording = Recording(options.journal)
    if options.save is not None:
        print(f"{_save(recording, options.save)} picture(s) written to {options.save}", file=sys.stderr)
        return 0
    settings = None if options.config is None else configuration.load(options.config, {})
    replay = Replay(recording, options.bundle, settings, options.device)
    outcomes = list(replay.outcomes())
    (_print_json if options.json else _print)(recording.index, replay, outcomes)
    return DIFFERS if replay.damage or any(one.differs or one.damage for one in outcomes) else 0


def _print(index: Index, replay: Replay, outcomes: list[Outcome]) -> None:
    for trigger in index.triggers:
        print(f"camera {index.camera}, frame {trigger.frame}: {trigger.end}")
    for sentence in replay.damage:
        print(sentence)
    for sentence in replay.differs:
        print(f"not as recorded: {sentence}")
    for one in outcomes:
        for sentence in (*one.damage, *one.differs):
            print(f"frame {one.number}: {sentence}")
        if not one.compared and one.found != "no picture":
            print(f"frame {one.number}: was {one.was}; judged here it is {one.found}")
    compared = [one for one in outcomes if one.compared]
    other = sum(bool(one.differs) for one in compared)
    damaged = sum(bool(one.damage) for one in outcomes)
    print(
        f"{len(compared)} frame(s) judged once more: {len(compared) - other} the same bit for bit, {other} differ; "
        f"{damaged} damaged, {len(outcomes) - len(compared)} that no model had judged"
    )


def _print_json(index: Index, replay: Replay, outcomes: list[Outcome]) -> None:
    told: dict[str, Any] = index.model_dump(mode="json") | {
        "damage": replay.damage,
        "differs": replay.differs,
        "outcomes": [
            {"frame": one.number, "was": one.was, "here": one.found, "compared": one.compared}
            | {"differs": one.differs, "damage": one.damage}
            for one in outcomes
        ],
    }
    json.dump(told, sys.stdout, indent=1)
    print()


def _save(recording: Recording, folder: Path) -> int:
    """Write the recording's pictures as people view them: each frame, its mask and how it was repaired."""
    from inspector.codecs import overlay
    from inspector.errors import working_in
    from inspector.inference.channels import suffix, write

    count = 0
    with working_in(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for one in recording.frames():
            if one.image is None:
                continue
            pictures = {"": one.image}
            if one.mask is not None:
                pictures["-mask"] = one.mask[:, :, None]
            if one.patches:
                pictures["-repaired"] = overlay(one.image, one.patches)
            for name, image in pictures.items():
                write(folder / f"{recording.index.camera}-{one.number}{name}{suffix(image.shape[2])}", image)
                count += 1
    return count
