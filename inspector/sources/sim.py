"""The simulated line: `sim://line?seed=1&width=640&height=480&rate=25&defects=0.1&channels=3&frames=0`.

seed      which line; part n of a seed is the same picture everywhere
width, height, channels (1 or 3)   of the picture
rate      parts a second; 0 or max: as fast as they are taken, and the line waits
defects   share of defective parts, 0 to 1
frames    the line stops after so many; 0: never
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Iterator

from inspector.simulation import MAX_SIDE, MIN_SIDE, Line
from inspector.sources.pace import Pace
from inspector.sources.url import Url
from inspector.types import Shot


class Simulation:
    """Parts 1, 2, ... of a simulated line; the part's id is its number. `rate` infinite: not live.

    frames: how many; None: no end
    """

    def __init__(
        self, seed: int, width: int, height: int, defects: float, channels: int, rate: float, frames: int | None
    ) -> None:
        self.live = not math.isinf(rate)
        self._rate, self._frames = rate, frames
        self._plan = (seed, width, height, defects, channels)
        self._closed = threading.Event()

    def frames(self) -> Iterator[Shot]:
        """Run the line from part 1; uint8 [height, width, channels]."""
        line = Line(*self._plan)
        pace = Pace(self._rate, self._closed)
        numbers = itertools.count(1) if self._frames is None else range(1, self._frames + 1)
        for number in numbers:
            if not pace.wait():
                return
            yield Shot(line.part(number).image, part=str(number))

    def close(self) -> None:
        """Stop the line."""
        self._closed.set()


def from_url(url: Url) -> Simulation:
    """Raises ConfigError for what the simulated line cannot do."""
    if url.body != "//line":
        url.refuse("the simulation knows one thing, a line; write sim://line")
    simulation = Simulation(
        seed=url.whole("seed", 1, 0, 2**32 - 1),
        width=url.whole("width", 640, MIN_SIDE, MAX_SIDE),
        height=url.whole("height", 480, MIN_SIDE, MAX_SIDE),
        rate=url.number("rate", 25.0, 0, 10_000, {"max": math.inf}) or math.inf,
        defects=url.number("defects", 0.1, 0, 1),
        channels=int(url.choice("channels", "3", ("1", "3"))),
        frames=url.whole("frames", 0, 0, 2**53) or None,
    )
    url.finish()
    return simulation
