"""The simulated line: `sim://line?seed=1&width=640&height=480&rate=25&defects=0.1&channels=3&frames=0&first=1`.

seed      which line; part n of a seed is the same picture everywhere
modality  visible or infrared: one of two cameras over the same belt, whose parts have hidden defects too
width, height, channels (1 or 3; 3, of infrared 1)   of the picture
rate      parts a second; 0 or max: as fast as they are taken, and the line waits
defects   share of defective parts, 0 to 1
frames    the line stops after so many; 0: never
first     number of the first part: where another session of the same line goes on
light     the lamp's brightness, 1 when it was new; it drifts from session to session, and may hide defects
columns, rows   of plates on a tray, for large frames (1 and 1: one plate as large as the picture)
defect    pixels that a defect's longer side has, about (0: as they come)
strip     rows of a strip: each picture comes in strips, as from a line-scan camera (0: as a whole)
"""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import partial

from inspector.errors import ConfigError
from inspector.simulation import INFRARED, MAX_SIDE, MIN_SIDE, MODALITIES, Line, Tray, check_plates, make_line
from inspector.sources.pace import BACKLOG, Pace
from inspector.sources.url import Url
from inspector.types import Shot


class Simulation:
    """Parts `first`, `first` + 1, ... of `line`; the part's id is its number. `rate` infinite: not live.

    line: makes it, when the source is opened: drawing its metal takes a while;  frames: how many; None: no end
    belt: names the belt that it shares with other cameras of this process: whoever comes late sees the later parts;
        None: it has one of its own
    strip: rows that come at once; None: all
    """

    def __init__(
        self,
        line: Callable[[], Line | Tray],
        rate: float,
        first: int,
        frames: int | None,
        belt: Hashable = None,
        strip: int | None = None,
    ) -> None:
        self.live = not math.isinf(rate)
        self._strip = strip
        self._rate, self._first, self._frames = rate, first, frames
        self._line, self._belt = line, belt
        self._closed = threading.Event()

    def frames(self) -> Iterator[Shot]:
        """Run the line from its first part; uint8 [height, width, channels]."""
        line = self._line()
        for number in self._alone() if self._belt is None or not self.live else self._beside_others():
            image = line.part(number).image
            step = self._strip or len(image)
            for top in range(0, len(image), step):
                yield Shot(image[top : top + step], part=str(number))

    def close(self) -> None:
        """Stop the line."""
        self._closed.set()

    def _alone(self) -> Iterator[int]:
        """Number after number, each when it is due."""
        pace = Pace(self._rate, self._closed)
        numbers = itertools.islice(itertools.count(self._first), self._frames)
        return itertools.takewhile(lambda _: pace.wait(), numbers)

    def _beside_others(self) -> Iterator[int]:
        """The numbers of the parts that pass; what is over when it is looked at was missed."""
        with BELTS.riding(self._belt) as began:
            count = max(math.ceil((time.monotonic() - began) * self._rate - 0.5), 0)
            while self._frames is None or count < self._frames:
                wait = began + count / self._rate - time.monotonic()
                if wait < -BACKLOG:
                    count -= math.ceil(wait * self._rate)
                    continue
                if self._closed.wait(max(wait, 0.0)):
                    return
                yield self._first + count
                count += 1


class _Belts:
    """When each belt began to run: with its first camera, until its last one is gone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[Hashable, tuple[float, int]] = {}

    @contextmanager
    def riding(self, belt: Hashable) -> Iterator[float]:
        """Look at a belt; its beginning, in monotonic seconds."""
        with self._lock:
            began, cameras = self._running.get(belt, (time.monotonic(), 0))
            self._running[belt] = began, cameras + 1
        try:
            yield began
        finally:
            with self._lock:
                began, cameras = self._running.pop(belt)
                if cameras > 1:
                    self._running[belt] = began, cameras - 1


BELTS = _Belts()


def from_url(url: Url) -> Simulation:
    """Raises ConfigError for what the simulated line cannot do."""
    if url.body != "//line":
        url.refuse("the simulation knows one thing, a line; write sim://line")
    modality = url.choice("modality", "", MODALITIES) or None
    seed = url.whole("seed", 1, 0, 2**32 - 1)
    width, height = url.whole("width", 640, MIN_SIDE, MAX_SIDE), url.whole("height", 480, MIN_SIDE, MAX_SIDE)
    columns, rows = url.whole("columns", 1, 1, 64), url.whole("rows", 1, 1, 64)
    defect_size = url.number("defect", 0.0, 0, 1000) or None
    line = partial(
        make_line,
        seed=seed,
        width=width,
        height=height,
        columns=columns,
        rows=rows,
        defect_size=defect_size,
        defect_share=url.number("defects", 0.1, 0, 1),
        channels=int(url.choice("channels", "1" if modality == INFRARED else "3", ("1", "3"))),
        light=url.number("light", 1.0, 0.1, 4),
        modality=modality,
    )
    rate = url.number("rate", 25.0, 0, 10_000, {"max": math.inf}) or math.inf
    first, frames = url.whole("first", 1, 0, 2**53), url.whole("frames", 0, 0, 2**53) or None
    strip = url.whole("strip", 0, 0, MAX_SIDE) or None
    url.finish()
    try:
        check_plates(width, height, columns, rows, defect_size)
    except ConfigError as error:
        raise ConfigError(*(f"{url}: {problem}" for problem in error.problems)) from error
    belt = None if modality is None else (seed, rate, first)
    return Simulation(line, rate, first, frames, belt, strip)
