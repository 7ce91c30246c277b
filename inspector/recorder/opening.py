"""Opens the flight recorder as the configuration says."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np

from inspector import __version__
from inspector.clock import Clock
from inspector.inference.runtimes.onnxruntime import check_installation
from inspector.judging import Judging
from inspector.recorder.folder import Bounds, Folder, probe
from inspector.recorder.recorder import Recorder
from inspector.recorder.ring import Terms
from inspector.recorder.setup import Setup, Setups
from inspector.settings import Settings

CPUINFO = Path("/proc/cpuinfo")


def open_recorder(
    stack: ExitStack,
    settings: Settings,
    judging: Judging,
    live: Mapping[str, bool],
    session: int,
    clock: Clock,
    rehearsal: bool,
) -> Recorder | None:
    """The recorder, if one is wished for; `stack` closes it. In a rehearsal nothing is made. Raises OutputError.

    live: by camera, whether its source goes on without us
    """
    wish = settings.recorder
    if wish.path is None:
        return None
    if rehearsal:
        probe(wish.path)
        return None
    folder = Folder(wish.path, Bounds(round(wish.max_gb * 1e9), wish.max_recordings, wish.keep_days * 86_400))
    stack.callback(folder.close)
    share = (wish.memory_mb << 20) // len(settings.camera)
    terms = {
        camera.name: Terms(
            wish.on,
            wish.before,
            wish.after,
            wish.longest,
            wish.pause,
            camera.deadline,
            live[camera.name],
            share,
        )
        for camera in settings.camera
    }
    about = {
        "line": settings.line,
        "session": session,
        "max_batch": judging.workshop.max_batch,
        "runtime": runtime(),
    }
    return Recorder(folder, Setups(wish.path, Setup.of(judging)), terms, about, clock)


def runtime() -> Mapping[str, str]:
    """What may move a score in its last bits, the model and its provider aside."""
    build = check_installation()
    return {
        "inspector": __version__,
        build: importlib.metadata.version(build),
        "opencv": cv2.__version__,
        "numpy": np.__version__,
        "machine": platform.machine(),
        "processor": _processor(),
    }


def _processor() -> str:
    """Its model's name: runtimes choose their instructions by it."""
    if not CPUINFO.exists():
        return platform.processor()
    lines = CPUINFO.read_text(errors="replace").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
