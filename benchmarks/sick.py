"""What a sick camera costs the others: `python -m benchmarks.sick`, or `--quick` to try the code.

One daemon has three healthy cameras, and others that fall ill in turn: a network camera whose server is stopped, one
whose process is killed whenever it delivers, and one that sends 1000 frames a second, with a `max_rate` and without.
Together they send 45 % of the frames that it can carry of as many files, as is found out first. A network camera and
one in a process of its own cost more than a file, and the nearer to all, the more of p99 is what the machine does else:
where healthy cameras have `unknown` frames while all are well, the figures say nothing. A round is a calm time and an
illness after it; compared are the 99th percentiles of the healthy cameras' latencies, from capture to receipt. The
figure is the ratio of the median round: one in which the machine was slow has one vote like any other, while among the
frames of all rounds its own would be the slowest hundredth. How far chance goes the interval tells, from resampled
rounds.

It needs tests/requirements-full.txt.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import psutil  # type: ignore[import-untyped]
from numpy.typing import NDArray

from benchmarks import daemon, ending, material, report
from benchmarks.__main__ import BUNDLE
from benchmarks.children import Child
from benchmarks.material import CAMERAS, FULL, HEIGHT, QUICK, SEEDS, WIDTH
from benchmarks.ward import PATIENTS
from inspector.client import Subscriber
from inspector.messages import VerdictMessage
from inspector.simulation import Line

LOAD = 0.45
"""Of what the daemon can carry of files, while all are well."""
ILLNESSES = ("stalled", "crashing", "flooding", "unlimited")
GOAL = 1.10
START = 30.0
"""Seconds that the server may take to listen."""
RECOVER = 3.0
"""Seconds after an illness that belong to neither time."""
RESAMPLES = 1000
"""Of the rounds, for the interval."""


class Latencies:
    """Follows the healthy cameras; `during` gathers their seconds from capture to receipt."""

    def __init__(self, endpoint: str, line: str, cameras: list[str]) -> None:
        # To them alone: it shares its cores with the daemon, and should not take them from it with a flood of verdicts.
        self._subscriber = Subscriber(endpoint, line, cameras, kinds=["verdict"])
        self._found: list[float] = []
        self.unknown = 0
        threading.Thread(target=self._run, daemon=True).start()

    def during(self, seconds: float) -> list[float]:
        """What comes in so many seconds from now."""
        found: list[float] = []
        self._found = found
        time.sleep(seconds)
        self._found = []
        return found

    def _run(self) -> None:
        for message in self._subscriber:
            if isinstance(message, VerdictMessage):
                self._found.append((time.time_ns() - message.captured_ns) / 1e9)
                self.unknown += message.verdict == "unknown"


class Ward:
    """The daemon, the network camera's server, and the ways to make them ill."""

    def __init__(self, daemon: Child, server: subprocess.Popen[bytes]) -> None:
        self._daemon, self._server = daemon, server

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """The server stands still."""
        self._server.send_signal(signal.SIGSTOP)
        yield
        self._server.send_signal(signal.SIGCONT)

    @contextmanager
    def crashing(self) -> Iterator[None]:
        """The camera's process is killed a moment after each start."""
        over = threading.Event()

        def kill() -> None:
            while not over.wait(1.0):
                for child in psutil.Process(self._daemon.pid).children():
                    with suppress(psutil.NoSuchProcess):
                        child.kill()

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            yield
        finally:
            over.set()
            killer.join()

    def flooding(self) -> AbstractContextManager[None]:
        """A camera sends two hundred times as many frames, and has a `max_rate`."""
        return self._flood("flooding")

    def unlimited(self) -> AbstractContextManager[None]:
        """A camera sends two hundred times as many frames, and has no `max_rate`."""
        return self._flood("unlimited")

    @contextmanager
    def _flood(self, camera: str) -> Iterator[None]:
        self._daemon.send(floods=camera)
        yield
        self._daemon.send(floods=None)


@contextmanager
def serving(folder: Path, frames: int, rate: Fraction) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """An RTSP server with a clip of the simulated line; its camera's URL."""
    media = folder / "media"
    media.mkdir()
    line = Line(SEEDS[0], WIDTH, HEIGHT)
    with av.open(str(media / "cam.mp4"), "w") as container:
        stream = container.add_stream("h264", rate=rate, options={"tune": "zerolatency"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(1, frames + 1):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(line.part(number).image, format="bgr24")))
        container.mux(stream.encode())
    program = shutil.which("rtsp-server", path=str(Path(sys.executable).parent)) or "rtsp-server"
    ports = [_free_port(), _free_port()]
    where = ["--host", "127.0.0.1", "--port", str(ports[0]), "--control-port", str(ports[1])]
    server = subprocess.Popen(
        [program, "--dir", str(media), *where], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(ports[0])
        yield f"rtsp://127.0.0.1:{ports[0]}/cam.mp4", server
    finally:
        server.kill()
        server.wait()


def main() -> int:
    """Measure, print; a missed goal is a finding and no failure."""
    ending.by_signals()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sick", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="look for seconds only: to try the code, not to report")
    parser.add_argument("--rounds", type=int, default=24, help="times that each camera falls ill (24)")
    parser.add_argument("--window", type=float, default=8.0, help="seconds of each time that is looked at (8)")
    parser.add_argument("--only", default=",".join(ILLNESSES), metavar="ILLNESS,...", help=f"of {', '.join(ILLNESSES)}")
    options = parser.parse_args()
    plan, rounds, window = (QUICK, 1, 3.0) if options.quick else (FULL, options.rounds, options.window)
    print(report.machine(), flush=True)
    with tempfile.TemporaryDirectory(prefix="inspector-bench-") as folder:
        given = material.prepare(plan, Path(folder), BUNDLE)
        capacity = daemon.measure(given, CAMERAS).rate
        rate = Fraction(LOAD * capacity / PATIENTS).limit_denominator(100)
        print(f"{PATIENTS} cameras, each with {float(rate):.1f} frames/s: {LOAD:.0%} of {capacity:.1f}", flush=True)
        with (
            serving(given.folder, 600, rate) as (url, server),
            Child(
                "ward",
                bundle=given.bundle,
                clips=list(map(str, given.clips)),
                rate=float(rate),
                rtsp=url,
                window=window,
            ) as child,
        ):
            where = child.answer()
            latencies = Latencies(where["endpoint"], where["line"], where["healthy"])
            time.sleep(RECOVER)
            ward = Ward(child, server)
            for name in options.only.split(","):
                print(measure(name, getattr(ward, name), latencies, rounds, window), flush=True)
            print(f"healthy cameras: {latencies.unknown} frame(s) unknown")
    return 0


def measure(
    name: str, illness: Callable[[], AbstractContextManager[None]], latencies: Latencies, rounds: int, window: float
) -> str:
    """The line for one illness."""
    calm, ill, unknown = [], [], 0
    for _ in range(rounds):
        before = latencies.unknown
        calm.append(latencies.during(window))
        unknown += latencies.unknown - before
        with illness():
            ill.append(latencies.during(window))
        time.sleep(RECOVER)
    ratios = np.array([np.percentile(now, 99) / np.percentile(then, 99) for then, now in zip(calm, ill, strict=True)])
    ratio = np.median(ratios)
    low, high = np.percentile(_resampled(ratios), (2.5, 97.5))
    well, sick = (1e3 * np.percentile(np.concatenate(found), (50, 99)) for found in (calm, ill))
    return (
        f"  {'reached' if ratio <= GOAL else 'MISSED ':7}  {name:9} p99 of the median round {ratio:.2f} of before "
        f"(95 %: {low:.2f} to {high:.2f}); of all frames together p50 {well[0]:.1f} -> {sick[0]:.1f} ms, "
        f"p99 {well[1]:.1f} -> {sick[1]:.1f}, {sum(map(len, calm))} and {sum(map(len, ill))} frames, {unknown} unknown "
        f"while all were well; goal <= {GOAL}"
    )


def _resampled(ratios: NDArray[np.float64]) -> NDArray[np.float64]:
    """The median, had other rounds of the same kind been seen."""
    rng = np.random.default_rng(0)
    return np.asarray(np.median(rng.choice(ratios, (RESAMPLES, len(ratios))), axis=1))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int) -> None:
    end = time.monotonic() + START
    while time.monotonic() < end:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.05)
    raise RuntimeError(f"rtsp-server does not listen at port {port}")


if __name__ == "__main__":
    raise SystemExit(main())
