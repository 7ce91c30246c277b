"""A daemon in a process of its own, with healthy cameras beside three that fall ill when they are told to.

`healthy1` and so on show pictures from memory; `stalled` is a network camera, `crashing` one in a process of its own;
`flooding` and `unlimited` send far too many frames while they are told to, and only the first has a `max_rate`.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import children, material
from benchmarks.preloaded import PICTURES, Preloaded
from inspector.assemble import assemble
from inspector.settings import Camera, Http, Publish, Settings, Workers
from inspector.sources import Source, open_source
from inspector.sources.pace import Pace
from inspector.types import Image, Shot

FLOOD = 1000.0
"""Frames a second."""


class Flooding:
    """Shows the same pictures over and over at `rate` frames a second; at FLOOD while `ill` is set."""

    live = True

    def __init__(self, images: Sequence[Image], rate: float, ill: threading.Event) -> None:
        self._images, self._rate, self._ill = images, rate, ill
        self._closed = threading.Event()

    def frames(self) -> Iterator[Shot]:
        """The pictures, uint8 [height, width, 3]; they are shared, and nobody may write to them."""
        ill, pace = False, Pace(self._rate, self._closed)
        for image in itertools.cycle(self._images):
            if ill != self._ill.is_set():
                ill = not ill
                pace = Pace(FLOOD if ill else self._rate, self._closed)
            if not pace.wait():
                return
            yield Shot(image)

    def close(self) -> None:
        """Show nothing more."""
        self._closed.set()


def main() -> None:
    """The daemon's process: it says where it is; each question says which camera floods, if any."""
    given = children.options()
    floods = {name: threading.Event() for name in ("flooding", "unlimited")}
    go = threading.Event()
    go.set()
    rate = given["rate"]
    clips = [list(itertools.islice(material.read_clip(Path(clip)), PICTURES)) for clip in given["clips"]]
    known: dict[str, Source] = {
        f"sim://{index}": Preloaded(images, rate, go) for index, images in enumerate(clips[:-1], 1)
    }
    cameras = {f"healthy{index}": url for index, url in enumerate(known, 1)}
    odd = clips[-1][:-1]  # not so many that each that a `max_rate` lets through would be the same, and so `frozen`
    healthy = list(cameras)
    known |= {f"sim://{name}": Flooding(odd, rate, ill) for name, ill in floods.items()}
    cameras |= {name: f"sim://{name}" for name in floods}
    cameras |= {"stalled": given["rtsp"], "crashing": f"sim://line?rate={rate}"}
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
                max_rate=1.2 * rate if name == "flooding" else None,
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

        threading.Thread(target=listen, daemon=True).start()
        assembly.daemon.run()


if __name__ == "__main__":
    main()
