"""Options that do something only with another: where that is missing they are refused, not ignored."""

from __future__ import annotations

import argparse


def only_with(verb: argparse.ArgumentParser, needed: str, *options: str) -> None:
    """Say of `options` of the verb that they do something only with `needed`, another one, or one and its value."""
    known = verb.get_default("companions") or ()
    verb.set_defaults(companions=(*known, (verb, needed, options)))


def refuse_lonely(told: argparse.Namespace) -> None:
    """Exit as argparse does where an option was given without the one that it needs."""
    for verb, needed, options in getattr(told, "companions", ()):
        for option in options:
            if is_given(verb, told, option) and not is_given(verb, told, needed):
                verb.error(f"{option} does something only with {needed}; give that too, or leave it out")


def is_given(verb: argparse.ArgumentParser, told: argparse.Namespace, option: str) -> bool:
    """Whether that option ("--save") was given other than as it is anyway, or with that value ("--fit tile")."""
    name, _, value = option.partition(" ")
    place = name.removeprefix("--").replace("-", "_")
    found = getattr(told, place)
    return str(found) == value if value else found != verb.get_default(place)
