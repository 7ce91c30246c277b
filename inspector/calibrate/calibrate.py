"""From pictures to the file that the daemon reads."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import tomli_w
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from inspector import calibration, files
from inspector.calibrate.choose import Choice, Wish, candidates, choose
from inspector.calibrate.conformal import Interval
from inspector.calibrate.session import Session, detail, part_names
from inspector.calibration import Calibration, Data, Escapes, Estimate, For, Health, Promise, Seen, Side
from inspector.condition.checks import CHECKS
from inspector.condition.learn import Learner
from inspector.condition.limits import ANY
from inspector.critical import critical_thresholds
from inspector.errors import ConfigError, DataError, ModelError
from inspector.inference import bundle as bundles
from inspector.inference import engine, references, runtimes
from inspector.inference.bundle import Bundle
from inspector.inference.engine import Engine
from inspector.inference.references import References
from inspector.inference.view import Ignored, View, ignore_mask, view_of
from inspector.sources import Source
from inspector.types import Box, Image, Precision

COMMENT = "# A calibration, for a camera's key `calibration`; docs/calibration.md says what it promises.\n\n"


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for; `places` and `defective` as `Session` has them, `each`: each picture shows another part.

    references: the camera's reference pictures, for a bundle that compares
    fit, overlap, region, ignore: as the camera has them;  scan: as `Session` has it
    """

    places: Sequence[str]
    defective: Sequence[Path]
    wish: Wish
    frames: int
    each: bool
    camera: str | None
    device: str
    precision: str = Precision.FP32.value
    references: Path | None = None
    fit: str = "resize"
    overlap: int | None = None
    region: Box | None = None
    ignore: Path | None = None
    scan: tuple[int, int | None] | None = None


@dataclass
class _Seen:
    """Pictures of one kind: what was told of their parts, their thumbnails, their critical thresholds by area.

    sizes: their widths and heights
    """

    shown: list[tuple[str, NDArray[np.float32]]] = field(default_factory=list)
    sizes: set[tuple[int, int]] = field(default_factory=set)
    criticals: list[NDArray[np.float32]] = field(default_factory=list)

    def parts(self, each: bool, areas: int, worst: np.ufunc) -> NDArray[np.float32]:
        """Float32 [parts, areas]: of a part's pictures `worst` decides, np.maximum or np.minimum."""
        rows: dict[str, NDArray[np.float32]] = {}
        for name, row in zip(part_names(self.shown, each), self.criticals, strict=True):
            rows[name] = worst(rows[name], row) if name in rows else row
        return np.array(list(rows.values()), np.float32).reshape(-1, areas)


def calibrate(folder: Path, order: Order, opener: Callable[[str], Source], console: Console) -> Calibration:
    """Look at every picture and choose; prints what is found. Raises DataError where the wish cannot be kept.

    Further ConfigError, BundleError, DeviceError, ModelError, SourceError.
    """
    bundle = bundles.load(folder)
    golden = _references(bundle, order.references)
    ignored = None if order.ignore is None else Ignored(ignore_mask(order.ignore))
    view = view_of(bundle.card, order.fit, order.overlap, order.region, ignored)
    session = Session(order.places, order.defective, order.frames, bundle, opener, order.scan)
    device, _ = runtimes.resolve(order.device, bundle.networks)
    precision, _ = engine.settle(bundle, device, order.precision)
    running = engine.start(bundle, device, 1, precision)
    areas = candidates(bundle.card.decision.min_area, session.defective)
    learner = None if order.camera is None else Learner(list(bundle.card.input.modalities.values()))
    good, bad, sha256 = _look(session, running, view, golden, areas, learner, console)
    for note in session.notes:
        console.print(note, markup=False, highlight=False, soft_wrap=True)
    if not good.shown:
        raise DataError("there is no good picture that can be read and that the bundle was not trained on; give some")

    good_parts = good.parts(order.each, len(areas), np.maximum)
    bad_parts = bad.parts(order.each, len(areas), np.minimum)
    try:
        choice = choose(good_parts, bad_parts, areas, order.wish)
    except DataError as error:
        hint = f" ({len(good.shown)} pictures count as {len(good_parts)} parts; see --parts)"
        raise DataError(f"{error}{hint if len(good_parts) < len(good.shown) else ''}") from error
    width, height = (Side(least=min(sides), most=max(sides)) for sides in zip(*good.sizes, strict=True))
    found = _calibration(bundle, running, order, view, choice, Data(
        sha256=sha256, pictures=len(good.shown), parts=len(good_parts), width=width, height=height
    ), len(bad_parts), _health(learner, console))  # fmt: skip
    _tell(console, found, choice, bundle, good_parts[:, 0], bad_parts[:, 0])
    return found


def try_place(path: Path) -> None:
    """Raise OSError where `write` could not put a file at `path`: before all pictures are looked at, not after."""
    place = Path(os.path.realpath(path))
    if place.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    files.beside(place, b"").unlink()


def write(path: Path, found: Calibration) -> None:
    """Write the file, and read it as the daemon will before it replaces the one that is there.

    Raises ConfigError and OSError, and what is there stays.
    """
    path = Path(os.path.realpath(path))  # so that what stands at a link's end is replaced, and not the link
    content = COMMENT + tomli_w.dumps(found.model_dump(mode="json", exclude_none=True))
    new = files.beside(path, content.encode())
    try:
        calibration.load(new)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _references(bundle: Bundle, path: Path | None) -> References | None:
    if bundle.card.input.reference == (path is None):
        what = "compares each picture with a reference: give --references" if path is None else "does not compare"
        raise ConfigError(f"--references {path or 'is missing'}: bundle {bundle.card.name!r} {what}")
    return None if path is None else references.load(path, bundle.channels)


def _look(
    session: Session,
    running: Engine,
    view: View,
    golden: References | None,
    areas: Sequence[int],
    learner: Learner | None,
    console: Console,
) -> tuple[_Seen, _Seen, str]:
    """What the daemon would make of every picture: the good ones, the defective ones, and the checksum over all.

    learner: shown the good ones too, if they are a camera's
    """
    good, bad = _Seen(), _Seen()
    digest = hashlib.sha256()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("looking at pictures", total=None)
        for number, picture in enumerate(session.pictures(), 1):
            height, width, _ = picture.image.shape
            try:
                match = None if golden is None else golden.match(picture.image)
                if golden is not None and match is None:
                    session.notes.append(f"left out: {picture.name} lies on no reference, the daemon calls it unknown")
                    continue
                beside = running.beside(None if match is None else view.crop(match.image), view.overlap)
                shown = view.fit(picture.image)
                (detection,) = beside.detector.detect([shown])
                inside = view.crop(picture.image)
                ignored = view.ignored_in(height, width)
                row = critical_thresholds(detection, inside.shape[0], inside.shape[1], areas, ignored)
            except ModelError as error:
                raise ModelError(f"{picture.name}: {error}; the bundle cannot be calibrated with it") from error
            seen = good if picture.good else bad
            seen.shown.append((picture.part, detail(picture.image)))
            seen.sizes.add((width, height))
            seen.criticals.append(row)
            if learner is not None and picture.good:
                learner.add(picture.image, picture.stream)
            digest.update(_fingerprint(picture.image))
            bar.update(task, completed=number, description=f"looking at pictures: {number}")
    return good, bad, digest.hexdigest()


def _fingerprint(image: Image) -> bytes:
    return hashlib.sha256(repr(image.shape).encode() + image.tobytes()).digest()


def _calibration(
    bundle: Bundle,
    running: Engine,
    order: Order,
    view: View,
    choice: Choice,
    data: Data,
    defective: int,
    health: Health | None,
) -> Calibration:
    lost = choice.escapes
    return Calibration(
        format=1 if health is None else 3,
        date=datetime.now(UTC).strftime(calibration.DATE),
        camera=order.camera,
        bundle=For(
            name=bundle.card.name, sha256=bundle.sha256, provider=running.tag.provider, precision=running.tag.precision
        ),
        frames=Seen.of(*view.traits),
        decision=calibration.Decision(threshold=choice.threshold, min_area=choice.min_area, chosen=choice.why),
        promise=Promise(false_reject_rate=order.wish.rate, confidence=order.wish.confidence),
        data=data,
        false_rejects=Estimate(**_per_1000(choice.false_rejects)),
        escapes=None if lost is None else Escapes(**_per_1000(lost), parts=defective),
        health=health,
    )


def _health(learner: Learner | None, console: Console) -> Health | None:
    """What was learnt of the camera, if the pictures are a camera's."""
    if learner is None:
        return None
    limits = learner.limits()
    notes = learner.notes if limits is None else [
        *(f"healthy: {CHECKS[cause].measures}, {one}" for cause, one in limits.ranges.items() if one != ANY),
        *learner.notes,
    ]  # fmt: skip
    for note in notes:
        console.print(note, markup=False, highlight=False, soft_wrap=True)
    return None if limits is None else Health.of(limits, learner.pictures)


def _per_1000(share: Interval) -> dict[str, float]:
    return {
        "per_1000": round(1000 * share.share, 3),
        "low": round(1000 * share.low, 3),
        "high": round(1000 * share.high, 3),
    }


def _tell(
    console: Console,
    found: Calibration,
    choice: Choice,
    bundle: Bundle,
    good: NDArray[np.float32],
    bad: NDArray[np.float32],
) -> None:
    """What was found, and what the bundle's own decision would have done to the same parts."""
    own, chosen, promise = bundle.card.decision, found.decision, found.promise
    sure = f"{promise.confidence:.10g}"
    lines = [
        f"threshold {chosen.threshold:.6g}, min_area {chosen.min_area}, from {found.data.pictures} pictures of "
        f"{found.data.parts} good parts",
        f"{chosen.chosen}",
        f"false rejects: at most {1000 * promise.false_reject_rate:g} of 1,000 good parts, with confidence {sure}; "
        f"expected {_span(found.false_rejects)}",
    ]
    if found.escapes is not None:
        lines.append(
            f"escapes: {_span(found.escapes)} of 1,000 defective parts; {choice.escaped} of {found.escapes.parts} here"
        )
    lost = f", {int((bad <= own.threshold).sum())} of {len(bad)} defective ones escape" if len(bad) else ""
    lines.append(
        f"by the bundle's own threshold {own.threshold:g} and min_area {own.min_area}: "
        f"{int((good > own.threshold).sum())} of {len(good)} good parts are rejected{lost}"
    )
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _span(estimate: Estimate) -> str:
    return f"{estimate.per_1000:.1f} ({estimate.low:.1f} to {estimate.high:.1f})"
