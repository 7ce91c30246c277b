"""A daemon in a process of its own, with healthy cameras beside three that fall ill when they are told to.

`healthy1` and so on show pictures from memory; `stalled` is a network camera, `crashing` one in a process of its own;
`flooding` and `unlimited` send far too many frames while they are told to, and only the first has a `max_rate`.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import children, material
from benchmarks.preloaded import PICTURES
from inspector.assemble import assemble
from inspector.settings import Camera, Http, Publish, Settings, Workers
from inspector.sources import Source, open_source
from inspector.sources.pace import BACKLOG
from inspector.types import Image, Shot

FLOOD = 1000.0
"""Frames a second."""
PATIENTS = 7
"""Cameras in all."""


class Shown:
    """Shows the same pictures over and over, `rate` a second; at FLOOD while `ill` is set."""

    live = True

    def __init__(self, images: Sequence[Image], rate: float, ill: threading.Event) -> None:
        self._images, self._rate, self._ill = images, rate, ill
        self._closed = False

    def frames(self) -> Iterator[Shot]:
        """The pictures, uint8 [height, width, 3]; they are shared, and nobody may write to them."""
        due = time.monotonic()
        for image in itertools.cycle(self._images):
            rate = FLOOD if self._ill.is_set() else self._rate
            due = max(due + 1 / rate, time.monotonic() - BACKLOG)
            time.sleep(max(due - time.monotonic(), 0.0))  # as a driver waits: `Pace` takes as long as half of the rest
            if self._closed:
                return
            yield Shot(image)

    def close(self) -> None:
        """Show nothing more."""
        self._closed = True


def main() -> None:
    """The daemon's process: it says where it is; each question says which camera floods, if any."""
    given = children.options()
    rate = given["rate"]
    *clips, odd = [list(itertools.islice(material.read_clip(Path(clip)), PICTURES)) for clip in given["clips"]]
    shows = {f"healthy{index}": images for index, images in enumerate(clips, 1)}
    healthy = list(shows)
    # Not so many that each that a `max_rate` lets through would be the same, and so `frozen`.
    shows |= {"flooding": odd[:-1], "unlimited": odd[:-1]}
    floods = {name: threading.Event() for name in shows}
    # Each sends a frame more than the one before in each time that is looked at, so that all meet in all ways in each;
    # `rate` is their mean. Were they alike, chance would say who always meets whom, and an illness that moves one would
    # seem to cost or help.
    rates = {name: rate + more / given["window"] for more, name in enumerate(shows, -(len(shows) // 2))}
    known: dict[str, Source] = {
        f"sim://{name}": Shown(images, rates[name], floods[name]) for name, images in shows.items()
    }
    cameras = {name: f"sim://{name}" for name in shows}
    cameras |= {"stalled": given["rtsp"], "crashing": f"sim://line?rate={rate}"}
    assert len(cameras) == PATIENTS
    settings = Settings(
        workers=Workers(device="cpu"),
        publish=Publish(endpoint="tcp://127.0.0.1:*"),
        http=Http(port=0),
        camera=tuple(
            Camera(
                name=name,
                source=source,
                bundle=Path(given["bundle"]),
                isolate=name == "crashing",
                max_rate=1.2 * rates[name] if name == "flooding" else None,
            )
            for name, source in cameras.items()
        ),
    )
    with assemble(settings, opener=lambda url: known.get(url) or open_source(url)) as assembly:
        children.answer(endpoint=assembly.endpoint, http=assembly.http, line=settings.line, healthy=healthy)

        def listen() -> None:
            for question in children.questions():
                for name, ill in floods.items():
                    (ill.set if name == question["floods"] else ill.clear)()
            children.stop()

        threading.Thread(target=listen, daemon=True).start()
        assembly.daemon.run()


if __name__ == "__main__":
    main()
