"""What the live view costs and holds: `python -m benchmarks.view [--cameras 16 --rate 10 --seconds 20]`.

1. What previews cost the daemon's publisher a frame: switched off, nobody looking, somebody looking.
2. `--cameras` cameras of `--rate` pictures a second each, played by this process, through `inspector view` into a real
   Chromium (playwright): pictures drawn a second, how old they are when they are drawn, and CPU of the server.
3. From opening the page to the first picture that is drawn.

The browser draws without a GPU, beside the rest of this on the same cores. Without playwright or chromium only the
first is measured.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count

import psutil  # type: ignore[import-untyped]

from benchmarks import children, ending, report
from inspector import codecs
from inspector.clock import SystemClock
from inspector.codecs import Formats
from inspector.outputs.memory import MemoryOutput
from inspector.outputs.zeromq import ZeroMqOutput
from inspector.publisher import Publisher
from inspector.simulation import make_line
from inspector.types import Frame, Image, Inspection, ModelTag, Verdict
from inspector.wire import Encoder

FRAMES = 2000
LOADS = 7
PARTS = 8
"""Different pictures that are shown by turns."""

# Notes when the first picture was drawn, milliseconds after the page was asked for.
FIRST = """new MutationObserver((_, self) => {
    if (document.querySelector('.tile[data-frame]:not([data-frame=""])') === null) return;
    window.first = performance.now();
    self.disconnect();
}).observe(document, { subtree: true, childList: true, attributes: true });"""

# Counts pictures as they are drawn.
WATCH = """() => {
    window.drawn = 0;
    const count = (changes) => { window.drawn += changes.length; };
    const watch = new MutationObserver(count);
    for (const tile of document.querySelectorAll(".tile"))
        watch.observe(tile, { attributes: true, attributeFilter: ["data-frame"] });
}"""


class Looked(MemoryOutput):
    """Wants what begins with `prefixes`, and keeps nothing."""

    def write(self, topic: str, parts: Sequence[bytes]) -> None:
        """Forget it."""


class Line:
    """Publishes verdicts and previews of `cameras`, `rate` a second each, in a thread; pictures are encoded before."""

    def __init__(self, cameras: int, rate: float) -> None:
        self._output = ZeroMqOutput("tcp://127.0.0.1:*", 1 << 28)
        self.endpoint = self._output.endpoint
        self._encoder = Encoder("bench", time.time_ns() // 1_000_000, "0" * 64)
        self._pause = 1 / (cameras * rate)
        self._cameras = [f"cam{number:02}" for number in range(1, cameras + 1)]
        self._pictures = [(image := picture(number), codecs.preview(image)) for number in range(PARTS)]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Line:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
        self._output.close()

    def _run(self) -> None:
        due = beat = time.monotonic()
        for number in count():
            if self._over.is_set():
                return
            self._output.poll()
            camera, frame = self._cameras[number % len(self._cameras)], number // len(self._cameras) + 1
            image, small = self._pictures[number % PARTS]
            inspection = judged(camera, frame, image)
            self._send(self._encoder.verdict(inspection, frame, 0.0))
            self._send(self._encoder.preview(inspection, small))
            if time.monotonic() >= beat:
                beat += 1.0
                self._send(self._encoder.beat({}, time.time_ns(), final=False))
            due += self._pause
            time.sleep(max(0.0, due - time.monotonic()))

    def _send(self, parts: list[bytes]) -> None:
        self._output.write(parts[0].decode(), parts)


class View:
    """`inspector view` as a process of its own, and where its page is."""

    def __init__(self, process: psutil.Process, url: str) -> None:
        self.process, self.url = process, url

    def cpu(self) -> float:
        """Seconds so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


@contextmanager
def viewing(endpoint: str) -> Iterator[View]:
    """`inspector view` of what is published at `endpoint`."""
    command = [sys.executable, "-m", "inspector", "view", endpoint, "--port", "0"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+/", process.stdout.readline())
        assert found is not None
        yield View(psutil.Process(process.pid), found[0])
    finally:
        children.end(process)


def main() -> int:
    """Measure and print."""
    ending.by_signals()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.view", description=__doc__)
    parser.add_argument("--cameras", type=int, default=16)
    parser.add_argument("--rate", type=float, default=10.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    print(report.machine())
    publishing()
    found = {"playwright": importlib.util.find_spec("playwright"), "chromium": shutil.which("chromium")}
    if missing := [name for name, where in found.items() if where is None]:
        print(f"  no {' and no '.join(missing)} here: the page is not measured")
        return 0
    with Line(options.cameras, options.rate) as line, viewing(line.endpoint) as view:
        browsing(view, options.cameras, options.rate, options.seconds)
    return 0


def publishing() -> None:
    """What previews cost a frame, in CPU time of the publisher's thread."""
    inspections = [judged("cam01", number, picture(number)) for number in range(PARTS)]

    def cost(rate: float, prefixes: list[str]) -> tuple[float, int]:
        output = Looked()
        output.prefixes = prefixes
        encoder = Encoder("bench", 1, "0" * 64)
        publisher = Publisher(
            [output], encoder, ["cam01"], Formats(), SystemClock(), lambda *_: None, preview_rate=rate
        )
        publisher.tick()
        begin = time.thread_time()
        for number in range(FRAMES):
            publisher.publish([inspections[number % PARTS]])
        shown = publisher.messages.get("preview/bench/cam01/", 0)
        return (time.thread_time() - begin) / FRAMES * 1e6, shown

    rounds = [(cost(0.0, ["verdict/"])[0], cost(10.0, ["verdict/"])[0]) for _ in range(7)]
    off, idle = (statistics.median(one) for one in zip(*rounds, strict=True))
    all_frames, shown = cost(1e6, ["verdict/", "preview/"])
    print(f"  publisher, a frame: {off:.1f} us without previews, {idle:.1f} us with nobody looking (medians of 7)")
    print(f"  a preview of 640x480: {(all_frames - idle) * FRAMES / shown / 1000:.2f} ms, while somebody looks")


def browsing(view: View, cameras: int, rate: float, seconds: float) -> None:
    """The page in a browser."""
    from playwright.sync_api import sync_playwright

    ready = '.tile[data-frame]:not([data-frame=""])'
    with sync_playwright() as maker:
        browser = maker.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        loads = []
        for _ in range(LOADS):
            page = browser.new_context(viewport={"width": 1920, "height": 1080}).new_page()
            page.add_init_script(FIRST)
            page.goto(view.url, wait_until="commit")
            page.wait_for_selector(ready)
            loads.append(page.evaluate("window.first") / 1000)
            page.context.close()
        page = browser.new_context(viewport={"width": 1920, "height": 1080}).new_page()
        page.goto(view.url)
        page.wait_for_selector(f'.tile:nth-of-type({cameras})[data-frame]:not([data-frame=""])')
        page.evaluate(WATCH)
        began, used, memory = time.monotonic(), view.cpu(), view.process.memory_info().rss
        ages = []
        while time.monotonic() < began + seconds:
            page.wait_for_timeout(500)
            ages += page.eval_on_selector_all(".tile .stamp", "all => all.map(each => each.textContent)")
        drawn, took = page.evaluate("window.drawn"), time.monotonic() - began
        cpu, grown = (view.cpu() - used) / took, view.process.memory_info().rss - memory
        browser.close()
    told = [float(found[1]) for age in ages if (found := re.search(r"([\d.]+) s$", age)) is not None]
    print(f"  {cameras} cameras of {rate:g} pictures/s: {drawn / took:.0f} drawn a second of {cameras * rate:.0f}")
    print(f"  a picture's age when it is looked at: median {statistics.median(told):.1f} s, most {max(told):.1f} s")
    print(f"  server: {cpu:.0%} of a core; its memory grew by {grown / 2**20:.1f} MiB in {took:.0f} s")
    print(
        f"  from opening the page to its first picture: median {statistics.median(loads):.2f} s, most {max(loads):.2f}"
    )


_line = make_line(1)


def picture(number: int) -> Image:
    """A part of the simulated line, uint8 [480, 640, 3]."""
    return _line.part(number + 1).image


def judged(camera: str, number: int, image: Image) -> Inspection:
    """A good frame."""
    now = time.monotonic()
    frame = Frame(camera, number, time.time_ns(), now, now + 1, image, str(number))
    model = ModelTag("bench", "0" * 64, "CPUExecutionProvider")
    return replace(Inspection(frame, Verdict.OK, None, 0.1, 0.5), model=model)


if __name__ == "__main__":
    raise SystemExit(main())
