"""`inspector replay` of a recording: its frames judged once more by the code that judges live ones, and compared.

Compared is what was published, bit for bit: JSON holds a score's shortest digits that give the same number again. What
time decided (`unknown: deadline`, `overload`, `shutdown`), and what the camera's health did, is not judged by a model;
of such a frame it is told what it would have been.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from inspector import calibration
from inspector.clock import SystemClock
from inspector.errors import BundleError, ConfigError, DataError, DeviceError, ModelError
from inspector.inference import bundle, engine, runtimes
from inspector.inference.bundle import Bundle
from inspector.inference.runtimes.options import PROVIDERS
from inspector.judging import Judging, prepare
from inspector.recorder.opening import runtime
from inspector.recorder.recording import Recorded, Recording
from inspector.recorder.setup import BESIDE, digest_of, is_intact
from inspector.settings import Camera, Settings, Workers
from inspector.types import Cause, Frame, Inspection, ModelTag, Patch, Reason, Verdict
from inspector.wire import Encoder
from inspector.worker import Worker

KEYS = ("size", "fit", "overlap", "region", "ignore_polygons", "threshold", "min_area", "repair")
"""Of a camera's table: what a verdict depends on, files aside."""
TOLD = ("verdict", "reason", "cause", "score", "threshold", "residual", "position", "size")
"""Of a header: what a verdict says, the defects aside."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A frame that was judged once more. differs: a sentence for each difference; damage: for each damaged file

    compared: whether a model had judged it at all;  found: what it is here, in a few words
    """

    number: int
    was: str
    found: str
    compared: bool
    differs: tuple[str, ...]
    damage: tuple[str, ...]


class Replay:
    """Judges the frames of `recording`.

    bundle: another bundle than the recorded one;  camera, workers: another configuration's, for that camera
    device: where to judge; None: where it was judged, or else wherever it can be here
    differs: a sentence for each thing that is not as it was on the line
    damage: a sentence for each file beside the frames' that is not what was recorded
    Raises DataError, ConfigError, BundleError, DeviceError, ModelError.
    """

    def __init__(
        self,
        recording: Recording,
        bundle: Path | None = None,
        settings: Settings | None = None,
        device: str | None = None,
    ) -> None:
        self.damage = _damage(recording)
        self._recording = recording
        self._bundle, self._device = bundle, device
        self._was, self._workers_were = _recorded_settings(recording)
        self._camera = self._was if settings is None else _named(settings, recording.index.camera)
        self._workers = self._workers_were if settings is None else settings.workers
        self._clock = SystemClock()
        self._ready: dict[str | None, Judging] = {}
        self._said: dict[str, None] = dict.fromkeys(self._settings_differ())
        here = runtime()
        for key in dict.fromkeys([*recording.index.runtime, *here]):
            was, now = recording.index.runtime.get(key, "none"), here.get(key, "none")
            if was != now:
                self._said[f"{key}: recorded with {was}, here {now}"] = None

    @property
    def differs(self) -> list[str]:
        """What is not as it was on the line, as far as it is known yet."""
        return list(self._said)

    def outcomes(self) -> Iterator[Outcome]:
        """Every frame of the recording that has a picture, and every late result of one."""
        unjudged: dict[int, list[Inspection]] = {}
        for one in self._recording.frames():
            was = _words(one.header)
            if one.header.get("config") != self._recording.index.config_sha256:
                self._said["settings: frames were judged by others than those that came along"] = None
            if one.is_late:
                found = unjudged.pop(one.number, [])
            elif one.image is None:
                yield Outcome(one.number, was, "no picture", False, (), one.damage)
                continue
            else:
                found = self._judge(one)
            if not found:
                continue
            if not one.is_late and not _is_judged(one.header):
                unjudged[one.number] = found
                yield Outcome(one.number, was, _words(self._header(found[0])), False, (), one.damage)
                continue
            # It was in one row of its batch, nobody knows in which.
            compared = [(tuple(self._compare(one, each)), each) for each in found]
            differs, best = min(compared, key=lambda pair: len(pair[0]))
            yield Outcome(one.number, was, _words(self._header(best)), True, differs, one.damage)

    def _judge(self, one: Recorded) -> list[Inspection]:
        """What the live code makes of a frame, in a batch of the size that it was judged in."""
        model = one.header.get("model")
        judging = self._judging(model if isinstance(model, dict) else None)
        name = self._recording.index.camera
        station, now = judging.stations[name], self._clock.monotonic()
        captured_ns, part = one.header.get("captured_ns"), one.header.get("part")
        frame = Frame(name, one.number, int(captured_ns or 0), now, math.inf, one.image, part, None, one.reports)
        found: list[Inspection] = []
        try:
            assert one.image is not None  # noqa: S101 - looked at by who calls
            fitted = station.fit(one.image)
        except ModelError:
            return [Inspection(frame, Verdict.UNKNOWN, Reason.MODEL)]
        frames = [replace(frame, fitted=fitted, standard=station)] * min(one.batch, judging.workshop.max_batch)
        Worker(0, self._clock).inspect(frames, now, now, found.append)
        return found

    def _judging(self, model: Mapping[str, Any] | None) -> Judging:
        """What judges frames of a recorded model; None: any that was recorded."""
        sha256 = next(iter(self._recording.index.setup.bundles)) if model is None else str(model.get("sha256"))
        if sha256 not in self._ready:
            tag = {} if model is None else model
            self._ready[sha256] = judging = self._prepare(sha256, tag)
            (here,) = judging.tags
            self._said |= dict.fromkeys(_tag_differs(sha256, tag, here))
        return self._ready[sha256]

    def _prepare(self, sha256: str, tag: Mapping[str, Any]) -> Judging:
        """What judges as the recorded model did: where it did, or else on the best device that is here."""
        model = bundle.load(self._folder(sha256))
        camera = self._calibrated(self._camera.model_copy(update={"bundle": model.folder}), model)
        *others, last = self._devices(str(tag.get("provider")))
        for device in others:
            try:
                return prepare(self._settings(camera, model, device, tag))
            except (BundleError, DeviceError, ModelError):
                continue  # it is not here, cannot load it, or the bundle is not for it
        return prepare(self._settings(camera, model, last, tag))

    def _calibrated(self, camera: Camera, model: Bundle) -> Camera:
        """The camera without a calibration that belongs to another model than the one that is to judge here.

        A configuration that is judged by as it is has to be right by itself.
        """
        if camera.calibration is None or (self._bundle is None and self._camera is not self._was):
            return camera
        made_for = calibration.load(camera.calibration).bundle.sha256
        if made_for == model.sha256:
            return camera
        self._said[f"calibration: left out here, as it was made for bundle {_brief(made_for)}"] = None
        return camera.model_copy(update={"calibration": None})

    def _devices(self, provider: str) -> Sequence[str]:
        """Where to judge what `provider` judged, the best place first."""
        if self._device is not None:
            return [self._device]
        if self._camera is not self._was:
            return [self._workers.device]
        if self._workers.device != "auto":
            return [self._workers.device, *runtimes.BEST_FIRST]
        return sorted(runtimes.BEST_FIRST, key=lambda one: PROVIDERS[one.partition(":")[0]] != provider)

    def _settings(self, camera: Camera, model: Bundle, device: str, tag: Mapping[str, Any]) -> Settings:
        precision: str = self._workers.precision
        if self._camera is self._was:
            recorded = str(tag.get("precision"))
            precision = recorded if recorded in engine.precisions(model, device) else "fp32"
        how = {"device": device, "precision": precision, "count": 1, "cache": None}
        workers = self._workers.model_copy(update=how | {"max_batch": self._recording.index.max_batch})
        return Settings(camera=(camera,), workers=workers)

    def _folder(self, sha256: str) -> Path:
        if self._bundle is not None:
            return self._bundle
        if self._camera is not self._was:
            return self._camera.bundle
        carried = self._recording.index.setup.bundles.get(sha256)
        if carried is None:
            raise DataError(f"{self._recording.folder}: bundle {sha256[:12]} did not come along; give it with --bundle")
        return self._recording.path(carried)

    def _settings_differ(self) -> Iterator[str]:
        """Keys and files of another configuration that are not as recorded."""
        if self._camera is self._was:
            return
        was, now = (camera.model_dump(mode="json") for camera in (self._was, self._camera))
        for key in KEYS:
            if was[key] != now[key]:
                yield f"{key}: recorded with {_shown(was[key])}, here {_shown(now[key])}"
        for key in BESIDE:
            kept, path = getattr(self._recording.index.setup, key), getattr(self._camera, key)
            before, here = (None if kept is None else kept.sha256), (None if path is None else digest_of(path))
            if before != here:
                yield f"{key}: recorded with {_brief(before)}, here {_brief(here)} (sha256)"

    def _header(self, inspection: Inspection) -> dict[str, Any]:
        """What would be published of it."""
        index = self._recording.index
        header: dict[str, Any] = json.loads(Encoder(index.line, index.session, "").verdict(inspection, 1, 0.0)[1])
        return header

    def _compare(self, one: Recorded, inspection: Inspection) -> Iterator[str]:
        """How it differs from what was recorded, in sentences."""
        here = self._header(inspection)
        left_off = one.header.get("verdict") == Verdict.NG and not one.patches and one.header.get("residual") is None
        for key in TOLD[2:] if _is_doubted(one.header, here) else TOLD:
            was, now = one.header.get(key), here[key]
            if was != now and not (left_off and key == "residual"):
                yield f"{key} {_shown(was)}, here {_shown(now)}{_by(was, now)}"
        if one.header.get("defects") != here["defects"]:
            yield _defects(one.header.get("defects"), here["defects"])
        if (off := _pixels(one.mask, inspection.mask)) is not None:
            yield f"mask: {off}"
        if not left_off:  # a repair that there was no time for, as there is here
            yield from _patches(one.patches, inspection.patches)


def _damage(recording: Recording) -> list[str]:
    """What is not as it came along: single files, or else folders, as where a picture was added."""
    damage = recording.damage()
    for kept in (getattr(recording.index.setup, key) for key in BESIDE):
        if kept is None or any(kept.path in one for one in damage):
            continue
        if not is_intact(recording.path(kept.path), kept.sha256):
            damage.append(f"{kept.path} is not what was recorded (sha256)")
    return damage


def _recorded_settings(recording: Recording) -> tuple[Camera, Workers]:
    """The camera's table with the files that came along, and the workers'."""
    config, setup = recording.config, recording.index.setup
    try:
        table = next(one for one in config["camera"] if one["name"] == recording.index.camera)
        beside = {key: getattr(setup, key) for key in BESIDE}
        paths = {key: None if kept is None else recording.path(kept.path) for key, kept in beside.items()}
        return Camera(**table | paths), Workers(**config["workers"] | {"cache": None})
    except (ValidationError, StopIteration, KeyError, TypeError) as error:
        raise DataError(
            f"{recording.folder}: its settings are not what this version knows; replay it with inspector "
            f"{recording.index.runtime.get('inspector', 'as it was then')}, or give --config"
        ) from error


def _named(settings: Settings, name: str) -> Camera:
    for camera in settings.camera:
        if camera.name == name:
            return camera
    raise ConfigError(f"there is no camera {name!r}, which was recorded; give a configuration that has it")


def _is_judged(header: Mapping[str, Any]) -> bool:
    """Whether a model had its say, and not time or the camera's health."""
    return header.get("reason") in (None, Reason.MODEL) or header.get("cause") == Cause.UNMATCHED


def _is_doubted(was: Mapping[str, Any], here: Mapping[str, Any]) -> bool:
    """Whether the model's `ok` counted for nothing, as it had missed a challenge; what it said is in the rest."""
    return was.get("reason") == Reason.MODEL and was.get("score") is not None and here["verdict"] == Verdict.OK


def _tag_differs(sha256: str, was: Mapping[str, Any], here: ModelTag) -> Iterator[str]:
    if here.sha256 != sha256:
        yield f"bundle: recorded with {_brief(sha256)}, here {_brief(here.sha256)} (sha256)"
    for key in ("provider", "precision"):
        if was and was.get(key) != (now := getattr(here, key)):
            yield f"{key}: recorded on {was.get(key)}, here {now}"


def _words(header: Mapping[str, Any]) -> str:
    """`ng, score 0.875`, `unknown: deadline`."""
    verdict, reason, score = (header.get(key) for key in ("verdict", "reason", "score"))
    end = f"{verdict}: {reason}" if reason else f"{verdict}"
    return end if score is None else f"{end}, score {score:.4g}"


def _shown(value: object) -> str:
    return "none" if value is None else str(value)


def _brief(sha256: str | None) -> str:
    return "none" if sha256 is None else sha256[:12]


def _by(was: object, now: object) -> str:
    numbers = [value for value in (was, now) if isinstance(value, float | int)]
    return f" (by {abs(numbers[0] - numbers[1]):.3g})" if len(numbers) == 2 else ""


def _defects(was: object, now: Sequence[Mapping[str, Any]]) -> str:
    before: Sequence[Any] = was if isinstance(was, list) else ()
    if len(before) != len(now):
        return f"defects: {len(before)}, here {len(now)}"
    which = next(number for number, pair in enumerate(zip(before, now, strict=True)) if pair[0] != pair[1])
    return f"defect {which + 1}: {before[which]}, here {now[which]}"


def _pixels(was: np.ndarray | None, now: np.ndarray | None) -> str | None:
    """How two masks or pictures differ, if they do."""
    if was is None or now is None:
        return None if was is now else f"{'none' if was is None else 'one'}, here {'none' if now is None else 'one'}"
    if was.shape != now.shape:
        return f"of shape {was.shape}, here {now.shape}"
    off = np.abs(was.astype(np.int16) - now)
    return f"{np.count_nonzero(off)} value(s) differ, by up to {off.max()}" if off.any() else None


def _patches(was: Iterable[Patch], now: Iterable[Patch]) -> Iterator[str]:
    before, here = list(was), list(now)
    if [patch.box for patch in before] != [patch.box for patch in here]:
        yield f"repaired pieces: {[patch.box for patch in before]}, here {[patch.box for patch in here]}"
        return
    for patch, other in zip(before, here, strict=True):
        if (off := _pixels(patch.image, other.image)) is not None:
            yield f"repaired piece at {list(patch.box)}: {off}"
