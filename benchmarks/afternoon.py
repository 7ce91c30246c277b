"""The rival: what a user would write in an afternoon, honestly. A thread a camera, each doing everything in a loop.

Read, detect, judge, repair, look again, encode, send: with OpenCV, one single-threaded ONNX Runtime session a thread
and a ZeroMQ PUB socket. There is no queue, no deadline, no account of frames, no metrics and no proof of the model.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path

import cv2
import zmq

from benchmarks import bare, children, material


def run(camera: str, clip: Path, model: bare.Model, socket: zmq.Socket[bytes], lock: threading.Lock) -> None:
    """One camera, for ever."""
    capture = material.open_clip(clip)
    number = 0
    while True:
        there, frame = capture.read()
        if not there:
            capture = material.open_clip(clip)
            continue
        number += 1
        header = {"camera": camera, "frame": number, "captured_ns": time.time_ns(), "sequence": number}
        score, probability = model.detect(frame)
        defects: list[bare.Defect] = []
        payloads: list[bytes] = []
        if probability.max() > model.threshold:
            mask, defects = model.judge(probability, frame)
        if defects:
            repaired, patches = model.repair(frame, mask, defects)
            residual, _ = model.detect(repaired)
            payloads = bare.encode(mask, patches)
            header |= {"residual": residual, "patches": [box for box, _ in patches]}
        header |= {
            "verdict": "ng" if defects else "ok",
            "score": score,
            "threshold": model.threshold,
            "defects": [asdict(defect) for defect in defects],
        }
        with lock:
            socket.send_multipart([camera.encode() + b"/", json.dumps(header).encode(), *payloads])


def main() -> None:
    """Publish at any free port, which is the first answer, until the input ends."""
    cv2.setNumThreads(1)
    given = children.options()
    socket = zmq.Context().socket(zmq.PUB)
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    lock = threading.Lock()
    for index, clip in enumerate(given["clips"], 1):
        model = bare.Model(Path(given["bundle"]))
        arguments = (f"cam{index}", Path(clip), model, socket, lock)
        threading.Thread(target=run, args=arguments, daemon=True).start()
    children.answer(endpoint=f"tcp://127.0.0.1:{port}")
    sys.stdin.read()


if __name__ == "__main__":
    main()
