"""The tables of what works beside the cameras."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo

from inspector.settings.part import Part
from inspector.shifts import Shifts
from inspector.types import Reason
from inspector.values import Device, Endpoint, Host, SecretKey


class Workers(Part):
    """What runs the models."""

    device: Device = "auto"
    """Where the models run: `cpu`, `cuda:N`, `tensorrt:N`, `openvino:cpu`, `openvino:gpu`, `openvino:npu`, or `auto`
    for the best that works here. Any but `auto` refuses to start where it would really run elsewhere."""
    precision: Literal["fp32", "bf16", "fp16", "int8", "auto"] = "fp32"
    """What detectors compute with: `fp32` anywhere, as trained; `bf16` on `openvino:cpu`; `int8` on CPUs, with bundles
    that have it; `fp16` on GPUs; or `auto` for the fastest in which each bundle proves itself here. Any but `auto`
    refuses to start where that is not what would really run."""
    cache: Path | None = None
    """Folder where TensorRT keeps the engines that it built, relative to the configuration file. Without it, they are
    built anew at each start, which takes minutes."""
    count: Annotated[int, Field(ge=0, le=256)] = 0
    """Workers, each with a session of its own. 0: one a core on a CPU, one on a GPU."""
    max_batch: Annotated[int, Field(ge=0, le=1024)] = 0
    """Most frames in one batch. 0: 1 on a CPU, where batches do not pay, 16 on a GPU."""
    max_wait: Annotated[float, Field(ge=0, le=10)] = 0.005
    """Seconds that a worker lingers for a batch to fill once it has a first frame; less where a frame would be late."""


class Models(Part):
    """How models are exchanged while the line runs (docs/models.md)."""

    state: Path | None = None
    """Folder where the daemon keeps the models that were in force, and which are now, relative to the configuration
    file; made if it is missing. `inspector model use` and `rollback` reach the daemon through it. Without it, models
    change by the configuration alone, and there is no way back but to change it again."""
    keep: Annotated[int, Field(ge=2, le=1000)] = 10
    """How many versions of what judged are kept, that of now included."""


class Publish(Part):
    """What subscribers get, and where."""

    allow_plaintext: bool = False
    """Whether `endpoint` may be reached from other machines though nothing is encrypted, as `[security]` is not set."""
    endpoint: Endpoint = "tcp://127.0.0.1:5600"
    """ZeroMQ address that the publisher binds: `tcp://HOST:PORT` (port * for any free one) or `ipc://PATH`."""
    catchup: Endpoint | None = None
    """ZeroMQ address where subscribers ask for what they missed: `tcp://HOST:PORT` or `ipc://PATH`. It needs a journal,
    which it answers from. Without it what a subscriber misses is lost to it."""
    buffer_mb: Annotated[int, Field(ge=1, le=65_536)] = 64
    """Megabytes that may wait for one slow subscriber before its messages are dropped, about: messages are counted, 64
    for each megabyte. Where results carry whole pictures they may take many times as much."""
    mask: Literal["png", "rle", "raw"] = "png"
    """Codec of defect masks."""
    repaired: Literal["patch", "jpeg", "png", "raw", "none"] = "patch"
    """Codec of repaired frames: `patch` is the repaired pieces alone, lossless, to be laid over the frame; `none`
    leaves them out."""
    source: Literal["none", "jpeg", "png", "raw"] = "none"
    """Codec of the source frame in a result's message; `none` leaves it out."""
    jpeg_quality: Annotated[int, Field(ge=1, le=100)] = 90
    """Quality wherever the codec is `jpeg`."""
    preview: Annotated[float, Field(ge=0, le=100)] = 10.0
    """Small pictures (JPEG, 640 pixels at most) a second of each camera, and as many again of its defective frames,
    while somebody subscribes to them, as `inspector view` does. 0: none."""


def _both(subscribers: Path | None, info: ValidationInfo) -> Path | None:
    if "secret_key" in info.data and (info.data["secret_key"] is None) != (subscribers is None):
        raise ValueError("secret_key and subscribers belong together; give both or neither")
    return subscribers


class Security(Part):
    """Who may subscribe. With both keys, connections are encrypted and closed to all but those listed (ZeroMQ's CURVE);
    without, whoever can reach the endpoint can read it. docs/security.md has the steps.
    """

    secret_key: SecretKey | None = None
    """The daemon's secret key: a file of mode 600 that `inspector keygen` made, relative to the configuration file, or
    `credential:NAME` for the file NAME in the folder `credentials` beside it, which the unit hands over."""
    subscribers: Annotated[Path | None, AfterValidator(_both), Field(validate_default=True)] = None
    """The folder of the subscribers' public keys, NAME.pub each, relative to the configuration file. It is looked at
    for every connection: put a key in and its owner may come, take it out and they are refused from then on."""


def _shifts(starts: tuple[str, ...]) -> tuple[str, ...]:
    Shifts(starts)
    return starts


class Journal(Part):
    """Where every message is kept before it is published, so that none is lost."""

    path: Path | None = None
    """The file, relative to the configuration file; made if it is missing. Without it nothing is kept: what a
    subscriber misses is lost to it."""
    keep_days: Annotated[float, Field(gt=0, le=36_500)] = 30.0
    """Days after which messages are deleted. The ledger's counts stay."""
    max_gb: Annotated[float, Field(ge=0.001, le=100_000)] = 10.0
    """Gigabytes that the file may hold; then the oldest messages are deleted."""
    results: bool = True
    """Whether results are kept too, with the masks and pictures that `[publish]` says; else verdicts and events."""
    sync: Literal["normal", "full"] = "normal"
    """What verdicts survive: `normal` the death of the daemon, and all but the last second or so a power cut; `full` a
    power cut too, but then each waits for the disk."""
    memory_mb: Annotated[int, Field(ge=1, le=65_536)] = 64
    """Megabytes of messages that may wait in memory while the disk is full or fails."""
    shifts: Annotated[tuple[str, ...], AfterValidator(_shifts)] = ("00:00",)
    """When shifts begin, as local times; the ledger counts frames by shift."""


TRIGGERS = ("ng", "unknown", *(f"unknown:{reason}" for reason in Reason), "late")
"""What frames may be recorded for."""


def _triggers(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in TRIGGERS:
            raise ValueError(f"{name!r} is nothing to record for; there are {', '.join(TRIGGERS)}")
    if not names:
        raise ValueError(f"name something to record for, such as {TRIGGERS[0]}")
    return names


class Recorder(Part):
    """The flight recorder: what the cameras saw around a frame worth a second look, to be judged once more by
    `inspector replay`. docs/recorder.md tells more.
    """

    path: Path | None = None
    """The folder of the recordings, relative to the configuration file; made if it is missing. Without it nothing is
    recorded."""
    on: Annotated[tuple[str, ...], AfterValidator(_triggers)] = ("ng", "unknown", "late")
    """What is recorded: frames that are `ng`, `unknown` (or `unknown:deadline` and so on alone), or whose result came
    `late`."""
    before: Annotated[float, Field(ge=0, le=600)] = 2.0
    """Seconds of the camera's frames that are kept before such a frame."""
    after: Annotated[float, Field(ge=0, le=600)] = 2.0
    """Seconds of frames that are kept after it."""
    longest: Annotated[float, Field(ge=0, le=3600)] = 10.0
    """Seconds from the first such frame to the end of its recording, at the most; those that follow within `after`
    make it longer up to that."""
    pause: Annotated[float, Field(ge=0, le=86_400)] = 60.0
    """Seconds that a camera's recorder rests after a recording; what would have begun one is counted."""
    memory_mb: Annotated[int, Field(ge=1, le=1_048_576)] = 256
    """Megabytes of frames that may be held in memory, an equal share for each camera. Where that is less than `before`
    takes, the recordings begin later."""
    keep_days: Annotated[float, Field(gt=0, le=36_500)] = 30.0
    """Days after which recordings are deleted."""
    max_gb: Annotated[float, Field(ge=0.001, le=100_000)] = 10.0
    """Gigabytes that the folder may hold; then the oldest recordings are deleted."""
    max_recordings: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    """Recordings that it may hold."""


class Http(Part):
    """Where `/metrics`, `/healthz` and `/readyz` are served."""

    host: Host = "127.0.0.1"
    """Address to listen on; `0.0.0.0` for all of this machine's."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 9600
    """TCP port. 0: any free one, named in the log."""


class Daemon(Part):
    """The process itself."""

    memory_mb: Annotated[int | None, Field(ge=64, le=16_777_216)] = None
    """Megabytes that it may need at the most, with all queues full. Where this configuration could need more it does
    not start, and says what needs most. Every camera then needs a `size`. Without it, nothing is checked."""
    drain: Annotated[float, Field(ge=0, le=600)] = 10.0
    """Seconds after SIGTERM in which captured frames are still judged; the rest become `unknown`. All of the end may
    take two and a half times as long: systemd is asked for that, a container must be given it."""
    stall: Annotated[float, Field(ge=1, le=3600)] = 30.0
    """Seconds without progress after which a worker, the watch over deadlines, the publisher or the guard of keys
    counts as hung: health fails and systemd's watchdog is not fed."""
    log: Literal["auto", "text", "json"] = "auto"
    """Format of the log on stderr; `auto` is text on a terminal and JSON lines elsewhere."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level that is logged."""
