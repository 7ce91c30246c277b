"""The verb `view`. Nothing of what it needs is imported before it runs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from inspector.errors import ConfigError
from inspector.extras import remedy

PORT = 9680


def register(verbs: Any) -> None:
    """Add the verb to what `ArgumentParser.add_subparsers` gave."""
    verb = verbs.add_parser("view", help="show what a daemon publishes on a page for browsers")
    verb.add_argument("endpoint", help="where the daemon publishes, for example tcp://127.0.0.1:5600")
    verb.add_argument("--line", metavar="NAME", help="of that line alone, where several publish there")
    verb.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; one that others can reach needs --token (127.0.0.1)"
    )
    verb.add_argument("--port", type=_port, default=PORT, help=f"TCP port; 0 for any free one ({PORT})")
    verb.add_argument(
        "--token", type=Path, metavar="FILE", help="ask browsers for what is in there; made, with mode 600, if missing"
    )
    verb.add_argument(
        "--name", action="append", default=[], metavar="HOST",
        help="what browsers may call this machine, beside its addresses and own name; may be given again",
    )  # fmt: skip
    verb.add_argument("--secret", type=Path, metavar="FILE", help="this subscriber's secret key (`inspector keygen`)")
    verb.add_argument("--server", type=Path, metavar="FILE", help="the daemon's public key, where it asks for keys")
    verb.set_defaults(verb=_view)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a TCP port, 0 to 65535")
    return int(text)


def _view(options: argparse.Namespace) -> int:
    from inspector.keys import ClientKeys

    try:
        from inspector.view.serve import Wish, run
    except ModuleNotFoundError as error:
        if error.name != "websockets":
            raise
        raise ConfigError(f"the page needs websockets; {remedy('view')}") from error
    return run(
        Wish(
            options.endpoint, options.host, options.port, options.token, options.name, options.line,
            ClientKeys.chosen(options.secret, options.server),
        )
    )  # fmt: skip
