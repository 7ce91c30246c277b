"""What is installed: ONNX Runtime and OpenCV, their builds and back ends, and that nothing phones home."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.metadata import version

import cv2

from inspector.doctor.case import Case
from inspector.doctor.finding import Finding, failure, fine
from inspector.inference.runtimes.onnxruntime import check_installation

BACK_ENDS = {"FFmpeg": cv2.CAP_FFMPEG, "V4L2": cv2.CAP_V4L2}
NEEDED = {"file": "FFmpeg", "rtsp": "FFmpeg", "rtsps": "FFmpeg", "camera": "V4L2"}
"""By scheme of a source, the back end that it is read by."""


def runtimes(_: Case) -> Iterator[Finding]:
    """One build of ONNX Runtime and one of OpenCV."""
    build = check_installation()
    yield fine(f"{build} {version(build)}, alone, as OpenCV is")


def opencv(case: Case) -> Iterator[Finding]:
    """The back ends that this line's sources need."""
    # Not getBackends(): it also lists those whose plugin is missing.
    there = [name for name, code in BACK_ENDS.items() if cv2.videoio_registry.hasBackend(code)]
    text = f"OpenCV {cv2.__version__} with {' and '.join(there) or 'no back end of ours'}"
    needed = {scheme: NEEDED[scheme] for scheme in schemes(case) if scheme in NEEDED}
    missing = sorted(f"{name} (for {scheme}:)" for scheme, name in needed.items() if name not in there)
    if missing:
        remedy = "pip install opencv-python-headless, whose wheels have them, in place of what is there"
        yield failure(f"{text}, and without {', '.join(missing)}", remedy)
    else:
        yield fine(text)


def telemetry(_: Case) -> Iterator[Finding]:
    """ONNX Runtime's."""
    if os.environ.get("ORT_DISABLE_TELEMETRY") != "1":
        yield failure("ONNX Runtime's telemetry is on", "set ORT_DISABLE_TELEMETRY=1 before Python starts")
    else:
        yield fine("off")


def schemes(case: Case) -> set[str]:
    """The kinds of sources that the line has."""
    if case.settings is None:
        return set()
    urls = [url for one in case.settings.camera for url in (one.sources or {"": one.source or ""}).values()]
    return {url.partition(":")[0].lower() for url in urls}
