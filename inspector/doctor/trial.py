"""Runs a line for some seconds: once as fast as it goes, and once at its own rate, if it can keep up with that."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from inspector.client import Subscriber
from inspector.doctor.pictures import Pictures, save
from inspector.doctor.prediction import Delay, Prediction, predict
from inspector.doctor.rehearsal import Account, Order
from inspector.errors import ModelError
from inspector.judging import Judging
from inspector.messages import VerdictMessage
from inspector.settings import Camera, Http, Models, Security, Settings, Trigger
from inspector.types import Verdict

FULL_SECONDS, PACED_SECONDS = 6.0, 6.0
LEAST_SHARE = 0.1
"""Of bad pictures while a frame's cost is measured: enough of them to tell what one costs."""
ROOM = 0.95
"""Share of the cores up to which the line's own rate is tried: beyond it, the outcome is known."""
BEGIN = '"begin"\n'
"""What a rehearsal says when its warm-up is over."""
PATIENCE = 600.0
"""Seconds that a rehearsal may take to start: TensorRT builds its engines first."""


def trial(
    settings: Settings,
    judging: Judging,
    shown: Mapping[str, Pictures],
    reading: Mapping[str, float],
    rates: Mapping[str, float | None],
    live: Mapping[str, bool],
    share: float,
    cores: float,
) -> Prediction:
    """Measure the line. shown: by camera, what it is shown;  live: whether it goes on without us

    The rest is as `predict` has it. Raises ModelError.
    """
    with tempfile.TemporaryDirectory(prefix="inspector-doctor-") as folder, _journal(settings) as journal:
        sources = _lay_out(settings, judging, shown, Path(folder))
        known = [rate for rate in rates.values() if rate is not None]
        usual = sum(known) / len(known) if known else 1.0
        order = Order(
            rehearsed(settings, journal).model_dump(mode="json"),
            {source: str(place) for source, (_, place) in sources.items()},
            {source: rates[camera] or usual for source, (camera, _) in sources.items()},
            {source: live[camera] for source, (camera, _) in sources.items()},
            paced=False,
            share=max(share, LEAST_SHARE),
            seconds=FULL_SECONDS,
        )
        account, _ = _run(order)
        found = predict(account, reading, rates, share, cores)
        if found.needed is None or found.needed > ROOM * cores or found.rate is None or found.rate > found.capacity:
            return found
        account, verdicts = _run(replace(order, paced=True, share=share, seconds=PACED_SECONDS))
    return replace(found, delay=delay(verdicts))


def delay(verdicts: list[tuple[float, bool]]) -> Delay | None:
    """verdicts: of each the seconds from capture to receipt, and whether the frame was judged."""
    if not verdicts:
        return None
    p50, p99 = np.percentile([seconds for seconds, _ in verdicts], (50, 99))
    return Delay(float(p50), float(p99), sum(not judged for _, judged in verdicts) / len(verdicts))


def rehearsed(settings: Settings, journal: Path | None) -> Settings:
    """The same line without what reaches out of it: its addresses, cameras, keys, triggers, journal, earlier models."""
    cameras = tuple(
        camera.model_copy(
            update={"isolate": False, "trigger_window": None, "max_rate": None, "challenges": None} | _named(camera)
        )
        for camera in settings.camera
    )
    publish = {"endpoint": "tcp://127.0.0.1:*", "catchup": None}
    return settings.model_copy(
        update={
            "camera": cameras,
            "station": (),
            "trigger": Trigger(),
            "publish": settings.publish.model_copy(update=publish),
            "security": Security(),
            "models": Models(),
            "journal": settings.journal.model_copy(update={"path": journal}),
            "recorder": settings.recorder.model_copy(update={"path": None}),
            "http": Http(port=0),
            "daemon": settings.daemon.model_copy(update={"memory_mb": None}),
        }
    )


def _named(camera: Camera) -> dict[str, Any]:
    """Its source, or sources, by names that a rehearsal knows."""
    if camera.sources is None:
        return {"source": f"sim://{camera.name}"}
    return {"sources": {modality: f"sim://{camera.name}/{modality}" for modality in camera.sources}}


def _lay_out(
    settings: Settings, judging: Judging, shown: Mapping[str, Pictures], folder: Path
) -> dict[str, tuple[str, Path]]:
    """Write what is shown; by source its camera, and where its pictures are."""
    sources = {}
    for camera in settings.camera:
        place = folder / camera.name
        if camera.sources is None:
            save(place, shown[camera.name])
            sources[f"sim://{camera.name}"] = (camera.name, place)
            continue
        known = judging.stations[camera.name].team.bundle.card.input
        each = known.channels // len(camera.sources)
        first = 0
        for modality in camera.sources:
            count = known.modalities.get(modality, each)
            save(place / modality, shown[camera.name], slice(first, first + count))
            sources[f"sim://{camera.name}/{modality}"] = (camera.name, place / modality)
            first += count
    return sources


@contextmanager
def _journal(settings: Settings) -> Iterator[Path | None]:
    """A journal's file for the trial: on the disk of the real one, as far as this user may write there."""
    if settings.journal.path is None:
        yield None
        return
    try:
        place = next(one for one in settings.journal.path.absolute().parents if one.is_dir())
        folder = tempfile.TemporaryDirectory(prefix=".inspector-doctor-", dir=place)
    except OSError:
        folder = tempfile.TemporaryDirectory(prefix="inspector-doctor-")  # the check of the journal says why
    with folder as name:
        yield Path(name) / "journal.sqlite"


def _run(order: Order) -> tuple[Account, list[tuple[float, bool]]]:
    """One rehearsal; its account, and of each verdict in it the delay and whether the frame was judged."""
    command = [sys.executable, "-m", "inspector.doctor.rehearsal"]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, bufsize=1
        )
        killer = threading.Timer(PATIENCE + order.seconds, process.kill)
        killer.start()
        try:
            assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - pipes were asked for
            process.stdin.write(json.dumps(asdict(order)) + "\n")
            first = process.stdout.readline()
            if first:
                return _listened(process, json.loads(first)["endpoint"])
            process.wait()
            log.seek(0)
            last = (log.read().strip().splitlines() or ["it said nothing"])[-1]
            raise ModelError(f"the trial did not start: {last}; see what `inspector check` says")
        finally:
            killer.cancel()
            process.kill()
            process.communicate()


def _listened(process: subprocess.Popen[str], endpoint: str) -> tuple[Account, list[tuple[float, bool]]]:
    """Be its subscriber until it has measured."""
    answers: queue.SimpleQueue[str] = queue.SimpleQueue()
    assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - as above
    lines = process.stdout

    def read() -> None:
        while line := lines.readline():
            answers.put(line)
        answers.put("")

    verdicts: list[tuple[float, bool]] = []
    with Subscriber(endpoint) as subscriber:
        while subscriber.receive(0.5) is None and process.poll() is None:
            pass  # its beat says that we are heard
        process.stdin.write("\n")
        threading.Thread(target=read, daemon=True).start()
        answer = BEGIN
        while answer == BEGIN:
            message = subscriber.receive(0.1)
            if isinstance(message, VerdictMessage):
                seconds = (time.time_ns() - message.captured_ns) / 1e9
                verdicts.append((seconds, message.verdict is not Verdict.UNKNOWN))
            if not answers.empty() and (answer := answers.get()) == BEGIN:
                verdicts.clear()  # those of the warm-up
    if not answer:
        raise ModelError("the trial ended before it had measured anything; see what `inspector run` says")
    return Account(**json.loads(answer)), verdicts
