"""A daemon in a process of its own whose cameras hand out pictures from memory: no decoding, any rate."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2

from benchmarks import accounting, children, material, scrape
from benchmarks.children import Child
from benchmarks.daemon import Daemon, receiving
from benchmarks.material import HEIGHT, WIDTH, Material
from benchmarks.scrape import Account
from inspector.assemble import assemble
from inspector.errors import SourceError
from inspector.settings import Camera, Http, Journal, Models, Publish, Settings, Workers
from inspector.sources.pace import Pace
from inspector.types import Image, Shot

PICTURES = 20
"""Held in memory by each camera, and shown in turn."""
RUSH = 4.0
PATIENCE = 10.0
"""Seconds in which what was published last must have arrived."""


class Preloaded:
    """Shows the same pictures over and over, once `go` is set; live at `rate` frames a second, or (None) waiting.

    breaks: seconds after which it breaks off each time, as if its cable were pulled; None: never
    rush: seconds at the beginning in which frames come `RUSH` times as fast
    """

    def __init__(
        self,
        images: Sequence[Image],
        rate: float | None,
        go: threading.Event,
        breaks: float | None = None,
        rush: float = 0.0,
    ) -> None:
        self._breaks = math.inf if breaks is None else breaks
        self._rush, self._began = rush, math.nan
        self.live = rate is not None
        self._images, self._rate, self._go = images, rate or math.inf, go
        self._closed = threading.Event()

    def frames(self) -> Iterator[Shot]:
        """The pictures, uint8 [height, width, 3]; they are shared, and nobody may write to them."""
        self._go.wait()
        now = time.monotonic()
        self._began = now if math.isnan(self._began) else self._began
        rate = self._rate * (RUSH if now - self._began < self._rush else 1)
        pace, end = Pace(rate, self._closed), now + self._breaks
        for image in itertools.cycle(self._images):
            if not pace.wait():
                return
            if time.monotonic() > end:
                raise SourceError("the cable was pulled; put it back")
            yield Shot(image)

    def close(self) -> None:
        """Show nothing more."""
        self._go.set()
        self._closed.set()


class Line:
    """A daemon on preloaded pictures, seen from outside; `stop` it for its final account."""

    def __init__(self, child: Child, daemon: Daemon) -> None:
        self.daemon = daemon
        self._child = child

    def stop(self) -> tuple[Account, dict[str, Any]]:
        """Drain it; its account of the frames, and what the subscriber had received when all had time to arrive."""
        self._child.terminate()
        account = Account(**self._child.answer())
        end = time.monotonic() + PATIENCE
        while (received := self.daemon.receiver.ask())["verdicts"] < account.captured and time.monotonic() < end:
            time.sleep(0.1)
        return account, received


@contextmanager
def running(
    bundle: Path,
    clips: Sequence[Path],
    size: tuple[int, int],
    rate: float | None = None,
    workers: int = 0,
    max_batch: int = 0,
    journal: Path | None = None,
    journal_gb: float = 10.0,
    breaks: float | None = None,
    rush: float = 0.0,
    state: Path | None = None,
    **camera: float,
) -> Iterator[Line]:
    """A daemon with a camera a clip, whose first frames it holds at `size` (width, height).

    rate: of each camera, live; None: as fast as they are taken
    workers, max_batch, camera: as in the configuration
    journal, journal_gb: its file, and what it may hold; None: nothing is kept
    breaks: seconds after which each camera breaks off, again and again; None: never
    rush: seconds at the beginning in which each sends `RUSH` times as many frames, where cameras break off
    state: through which its models are exchanged; None: they are not
    """
    options: dict[str, Any] = {"rate": rate, "workers": workers, "max_batch": max_batch, "camera": camera}
    options |= {"journal": journal, "journal_gb": journal_gb, "breaks": breaks, "rush": rush, "state": state}
    with Child("preloaded", bundle=bundle, clips=list(map(str, clips)), size=size, **options) as child:
        where = child.answer()
        with receiving(where["endpoint"]) as receiver:
            scrape.wait_for_subscriber(where["http"])
            child.send()
            yield Line(child, Daemon(child.pid, where["http"], receiver, where["endpoint"], journal or Path()))


def capacity(given: Material) -> float:
    """Frames a second that a daemon can carry of cameras that wait for it."""
    with running(given.bundle, given.clips, (WIDTH, HEIGHT)) as line:
        time.sleep(given.plan.warm_up)
        http = line.daemon.http
        return accounting.watch(line.daemon.pid, lambda: scrape.judged(http), given.plan.window).rate


def main() -> None:
    """The daemon's process: it says where it is, begins at the first line of input, and ends with its account."""
    given = children.options()
    go = threading.Event()
    sources = {}
    for index, clip in enumerate(given["clips"], 1):
        frames = itertools.islice(material.read_clip(Path(clip)), PICTURES)
        images = [cv2.resize(frame, tuple(given["size"])) for frame in frames]
        sources[f"sim://{index}"] = Preloaded(images, given["rate"], go, given["breaks"], given["rush"])
    settings = Settings(
        workers=Workers(device="cpu", count=given["workers"], max_batch=given["max_batch"]),
        publish=Publish(endpoint="tcp://127.0.0.1:*", catchup="tcp://127.0.0.1:*" if given["journal"] else None),
        http=Http(port=0),
        journal=Journal(path=given["journal"] and Path(given["journal"]), max_gb=given["journal_gb"]),
        models=Models(state=given["state"] and Path(given["state"])),
        camera=tuple(
            Camera(name=f"cam{index}", source=source, bundle=Path(given["bundle"]), **given["camera"])
            for index, source in enumerate(sources, 1)
        ),
    )
    with assemble(settings, opener=sources.__getitem__) as assembly:
        children.answer(endpoint=assembly.endpoint, http=assembly.http)
        threading.Thread(target=_listen, args=(go,), daemon=True).start()
        assembly.daemon.run()
        children.answer(**asdict(scrape.account(assembly.http)))


def _listen(go: threading.Event) -> None:
    for _ in children.questions():
        go.set()
    children.stop()


if __name__ == "__main__":
    main()
