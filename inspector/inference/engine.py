"""A bundle made ready to run: loaded onto a device, proven there, and named for every message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inspector.errors import BundleError, DeviceError, ModelError
from inspector.inference import runtimes
from inspector.inference.bundle import VARIANTS, Bundle
from inspector.inference.detector import Detector
from inspector.inference.golden import prove
from inspector.inference.repairer import Repairer
from inspector.types import Image, ModelTag, Precision


@dataclass(frozen=True, slots=True)
class Engine:
    """One worker's sessions of one bundle; owned by one thread."""

    detector: Detector
    repairer: Repairer | None
    tag: ModelTag

    def beside(self, reference: Image | None, overlap: int | None = None) -> Engine:
        """The same engine for frames of one part, whose registered reference picture is `reference`.

        overlap: they are cut into tiles that overlap by so many pixels
        """
        repairer = None if self.repairer is None else self.repairer.beside(reference)
        return Engine(self.detector.beside(reference, overlap), repairer, self.tag)


@dataclass(frozen=True, slots=True)
class Team:
    """A bundle at work: an engine for each worker, by its index. The last frame that it judges lets go of it."""

    bundle: Bundle
    engines: Sequence[Engine]

    @property
    def tag(self) -> ModelTag:
        """Names it in every message."""
        return self.engines[0].tag


def start(
    bundle: Bundle,
    device: str,
    max_batch: int,
    precision: Precision = Precision.FP32,
    cache: Path | None = None,
) -> Engine:
    """Load and prove `bundle` on `device` (not "auto"). Raises DeviceError, ModelError, BundleError.

    precision: the detector's; the repairer stays in fp32, since its pictures are looked at and its work is rare
    cache: a folder where a runtime may keep what it compiled
    Call it from one thread at a time: creating sessions at once is not safe in every runtime.
    """
    model = _loaded(bundle, _graph(bundle, device, precision), device, precision, cache)
    detector = Detector(model, bundle, max_batch)
    repairer = None
    if bundle.repairer is not None:
        repairer = Repairer(_loaded(bundle, bundle.repairer, device, Precision.FP32, cache), bundle)
    prove(bundle, detector, repairer, precision)
    return Engine(detector, repairer, ModelTag(bundle.card.name, bundle.sha256, model.provider, precision.value))


def _loaded(bundle: Bundle, graph: bytes, device: str, precision: Precision, cache: Path | None) -> runtimes.Model:
    try:
        return runtimes.load(graph, device, precision, cache)
    except ModelError as error:
        if device != "cpu":  # it may be the device's fault, its memory's or its driver's
            raise
        raise BundleError(f"bundle {bundle.card.name!r} in {bundle.folder}: {error}; export it again") from error


def settle(bundle: Bundle, device: str, wish: str, cache: Path | None = None) -> tuple[Precision, str]:
    """The precision that `wish` means for `bundle` on `device`, and a sentence that says why.

    `auto` takes the fastest that the bundle proves itself in; any other wish is that or an error. Raises DeviceError,
    ModelError, BundleError.
    """
    able = runtimes.precisions(device)
    if wish != "auto":
        precision = Precision(wish)
        if precision not in able:
            raise DeviceError(
                f"precision {wish!r} was asked for, which {device!r} does not compute in; use {', '.join(able)} or auto"
            )
        _check_honoured(bundle, device, precision, cache)
        return precision, f"precision {wish!r} was asked for"
    refused = []
    for precision in able[:-1]:
        try:
            _check_honoured(bundle, device, precision, cache)
            start(bundle, device, 1, precision, cache)
        except (BundleError, DeviceError, ModelError) as error:
            refused.append(f"not {precision}: {str(error).partition(';')[0]}")  # the remedy is for who asked for it
        else:
            why = "; ".join(refused) if refused else "it is the fastest there is"
            return precision, f"precision 'auto' took {precision.value!r} ({why})"
    return able[-1], f"precision 'auto' took {able[-1].value!r} ({'; '.join(refused)})"


def precisions(bundle: Bundle, device: str) -> list[Precision]:
    """Those for which `bundle` and `device` have what it takes, fastest first, whether or not they work."""
    has = {Precision.FP32, *bundle.variants}
    able = runtimes.precisions(device)
    return [precision for precision in able if precision in has or runtimes.rounds(device, precision)]


def _graph(bundle: Bundle, device: str, precision: Precision) -> bytes:
    """The file to load: that of the precision, unless the runtime itself rounds the fp32 one."""
    if precision is Precision.FP32 or runtimes.rounds(device, precision):
        return bundle.detector
    if precision not in bundle.variants:
        raise BundleError(
            f"bundle {bundle.card.name!r} has no {VARIANTS[precision]}; "
            f"make it with `inspector quantise`, or set precision = 'auto' or 'fp32'"
        )
    return bundle.variants[precision]


def _check_honoured(bundle: Bundle, device: str, precision: Precision, cache: Path | None) -> None:
    """Raise DeviceError where `device` would compute in fp32 in spite of the wish."""
    model = _graph(bundle, device, precision)
    if not runtimes.rounds(device, precision):
        return  # fp32, or a graph that is of that precision itself
    wished, full = (runtimes.load(model, device, wish, cache) for wish in (precision, Precision.FP32))
    if not runtimes.differ(wished, full):
        raise DeviceError(
            f"precision {precision.value!r} was asked for, but {wished.provider} computes in fp32 on this machine; "
            f"set precision = 'auto' or 'fp32'"
        )
