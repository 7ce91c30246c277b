"""A daemon that goes on for ever, and the programs that read what it publishes."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2

from tests.bundles import picture
from tests.daemon import configure, environment

ROUND = 20
"""So many pictures, and they begin again; every fifth is defective, by a square of 9 x 9 pixels at (10, 10)."""

PATIENCE_SECONDS = 600.0


def endless(folder: Path, bundle: Path, publish: str = "", rate: int = 100) -> Path:
    """The configuration of one camera, judged by one worker so that verdicts come in the order of the frames."""
    pictures = folder / "pictures"
    pictures.mkdir()
    for number in range(ROUND):
        image = picture(square=(10, 10, 9, 9)) if number % 5 == 4 else picture()
        cv2.imwrite(str(pictures / f"{number:02}.png"), image)
    source = f"folder:{pictures}?loop=1&rate={rate}"
    return configure(folder / "c.toml", bundle, source, publish=publish, more="workers = { count = 1 }")


@contextmanager
def reading(command: Sequence[str], out: int = subprocess.PIPE, **extra: str) -> Iterator[subprocess.Popen[str]]:
    """A program that runs until it ends itself, or the block does; its stderr is a pipe, and its stdout `out`.

    One that says nothing more is killed after a while, so that a test that waits for its next line fails.
    """
    with subprocess.Popen(command, env=environment(**extra), stdout=out, stderr=subprocess.PIPE, text=True) as process:
        patience = threading.Timer(PATIENCE_SECONDS, process.kill)
        patience.start()
        try:
            yield process
        finally:
            patience.cancel()
            patience.join()
            process.kill()


def rest(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What it still says, to its end: stdout and stderr.

    `communicate` would lose the lines that were read ahead of those that were asked for.
    """
    assert process.stdout is not None
    assert process.stderr is not None
    out, errors = process.stdout.read(), process.stderr.read()
    process.wait()
    return out, errors
