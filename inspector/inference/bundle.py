"""A model bundle: a folder that holds a detector, perhaps a repairer, and the proof that they work.

    bundle.toml     the card (`Card` below): input, decision, golden pictures, training, licence, scores
    detector.onnx   image uint8 [N,H,W,C] -> score float32 [N], map float32 [N,H,W]
    detector.int8.onnx, detector.fp16.onnx   the same in fewer bits; optional (`inspector quantise`)
    repairer.onnx   image uint8 [N,H,W,C], mask uint8 [N,H,W] -> repaired uint8 [N,H,W,C]; optional
    golden/         pictures (PNG; of 2 or of 4 and more channels a TIFF, one page each) and their expected masks
    history/        how each network was trained, a line of JSON an epoch, and with what pictures; optional, and read by
                    none but reports, evaluation and calibration

One that compares (`input.reference`) has a further input `reference` uint8 [N,H,W,C] in both graphs: how the frame
should look, laid under it. Each camera then has reference pictures of its own; the golden ones have theirs beside them.

Normalisation, blanking and compositing are inside the graphs. Nothing is pickled, no file outside the folder is
read, and every file has a size limit and a checksum.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from inspector import files
from inspector.errors import BundleError, DataError, reading
from inspector.inference.channels import decode
from inspector.inference.contained import check_contained
from inspector.mistakes import repeated
from inspector.types import MAX_CHANNELS, MAX_INPUT, Image, Mask, Precision, Verdict

CARD = "bundle.toml"
DETECTOR = "detector.onnx"
VARIANTS: Mapping[Precision, str] = {Precision.INT8: "detector.int8.onnx", Precision.FP16: "detector.fp16.onnx"}
"""Detectors in fewer bits. bf16 needs no file: a runtime that has it rounds the fp32 one."""
REPAIRER = "repairer.onnx"
GOLDEN = "golden"
HISTORY = "history"
MAX_CARD_BYTES = 1 << 20
MAX_MODEL_BYTES = 1 << 30
MAX_GOLDEN_BYTES = 64 << 20
MAX_GOLDEN = 256
"""Golden pictures: each is judged at every start, in every precision that is tried."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
MODALITY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""What a modality may be called: as a camera of a configuration."""
Modality = Annotated[str, Field(pattern=f"^{MODALITY.pattern}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.(png|tiff)$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Unit = Annotated[float, Field(ge=0.0, le=1.0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Input(_Part):
    """What the detector takes; frames of another size are resized to it (`fit`).

    channels: 1 is grey, 3 are blue, green, red; other counts are stacked modalities, in the order of the stack's pages
    modalities: names of what is stacked and the channels of each, in their order, where they are known
    reference: whether it compares each frame with a picture of how it should look
    """

    height: Annotated[int, Field(ge=16, le=MAX_INPUT)]
    width: Annotated[int, Field(ge=16, le=MAX_INPUT)]
    channels: Annotated[int, Field(ge=1, le=MAX_CHANNELS)]
    fit: Literal["resize"] = "resize"
    reference: bool = False
    modalities: dict[Modality, Annotated[int, Field(ge=1, le=MAX_CHANNELS)]] = {}

    @field_validator("modalities")
    @classmethod
    def _all_channels(cls, modalities: dict[str, int], info: ValidationInfo) -> dict[str, int]:
        if modalities and sum(modalities.values()) != info.data.get("channels"):
            raise ValueError("the channels of the modalities are not input.channels in all")
        return modalities

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels: what a picture is fitted to."""
        return self.height, self.width, self.channels


class Decision(_Part):
    """When a frame is `ng`: one region of at least `min_area` pixels above `threshold`.

    min_area: in pixels of the detector's input, so that it does not depend on a camera's resolution
    chosen: how both were chosen, in a sentence
    """

    threshold: Annotated[float, Field(gt=0.0, lt=1.0)]
    min_area: Annotated[int, Field(ge=1)]
    chosen: str


class RepairMethod(_Part):
    """What fills holes of up to `max_depth`: the network, or one of OpenCV's inpainters where that did better.

    max_depth: pixels of the frame from a hole's deepest point to its nearest rim; absent in the last row: all others
    holes, psnr: on how many validation holes that was measured, and what each method reached there, in dB
    """

    method: Literal["network", "telea", "ns"]
    max_depth: Annotated[float, Field(gt=0.0)] | None = None
    holes: Annotated[int, Field(ge=0)] = 0
    psnr: dict[Literal["network", "telea", "ns"], float] = {}


class Repair(_Part):
    """How defects are repaired.

    windows: sizes (pixels, multiples of 16) that the repairer was trained for, smallest first
    rim: pixels around the mask that are hidden too: what is left of a defect there would be continued
    methods: shallowest holes first; a bundle without them leaves all to its network
    """

    windows: tuple[Annotated[int, Field(ge=16, le=2048, multiple_of=16)], ...] = Field(min_length=1)
    rim: Annotated[int, Field(ge=0, le=16)] = 2
    methods: Annotated[tuple[RepairMethod, ...], Field(min_length=1)] = (RepairMethod(method="network"),)

    @field_validator("methods")
    @classmethod
    def _ascending(cls, methods: tuple[RepairMethod, ...]) -> tuple[RepairMethod, ...]:
        *depths, last = [method.max_depth for method in methods]
        if last is not None or None in depths or depths != sorted(set(depths), key=float):  # type: ignore[arg-type]
            raise ValueError("every row but the last needs a max_depth, larger than that of the row before")
        return methods


class Files(_Part):
    """Checksums of the ONNX files."""

    detector: Sha256
    detector_int8: Sha256 | None = None
    detector_fp16: Sha256 | None = None
    repairer: Sha256 | None = None


class Golden(_Part):
    """A picture in golden/ and what the bundle makes of it; `mask` is absent for an `ok` one.

    reference: how the picture should look, where the bundle compares
    """

    picture: FileName
    verdict: Verdict
    score: Unit
    mask: FileName | None = None
    reference: FileName | None = None


class Bounds(_Part):
    """How far a machine may stray: score by absolute difference, mask by intersection over union."""

    score: Unit
    iou: Unit


class Tolerance(Bounds):
    """Bounds of fp32, and of each other precision: rounding moves a map's values (bf16: by up to 0.03 was seen)."""

    score: Unit = 0.02
    iou: Unit = 0.95
    bf16: Bounds = Bounds(score=0.05, iou=0.9)
    fp16: Bounds = Bounds(score=0.03, iou=0.93)
    int8: Bounds = Bounds(score=0.05, iou=0.9)

    def at(self, precision: Precision) -> Bounds:
        """The bounds of one precision."""
        bounds: Bounds = self if precision is Precision.FP32 else getattr(self, precision.value)
        return bounds


class Card(_Part):
    """bundle.toml."""

    format: Literal[1]
    name: Name
    version: str
    description: str
    licence: str
    classes: tuple[str, ...] = ("defect",)
    input: Input
    decision: Decision
    repair: Repair | None = None
    files: Files
    tolerance: Tolerance = Tolerance()
    golden: tuple[Golden, ...] = Field(min_length=1, max_length=MAX_GOLDEN)
    training: dict[str, Any] = {}
    scores: dict[str, float] = {}


@dataclass(frozen=True)
class Bundle:
    """A checked bundle; the ONNX models are held as bytes, so that what was hashed is what runs.

    sha256: over card and models, hex; names the bundle in every message
    variants: the detector in fewer bits, where the bundle has it
    """

    folder: Path
    card: Card
    sha256: str
    detector: bytes
    repairer: bytes | None
    variants: Mapping[Precision, bytes] = field(default_factory=dict)

    def golden(self) -> Iterator[tuple[Golden, Image, Mask | None]]:
        """The golden pictures with their expected masks (uint8 [height, width], 0 or 255), one at a time."""
        for golden in self.card.golden:
            mask = None if golden.mask is None else _picture(self.folder, golden.mask, 1)[:, :, 0]
            yield golden, _picture(self.folder, golden.picture, self.channels), mask

    def reference(self, golden: Golden) -> Image | None:
        """What the golden picture is compared with, or None where the bundle does not compare."""
        return None if golden.reference is None else _picture(self.folder, golden.reference, self.channels)

    @property
    def networks(self) -> tuple[bytes, ...]:
        """What a device must be able to load: the detector, and the repairer if there is one."""
        return (self.detector,) if self.repairer is None else (self.detector, self.repairer)

    @property
    def channels(self) -> int:
        """Of every picture that the models take."""
        return self.card.input.channels


def load(folder: Path) -> Bundle:
    """Read and check a bundle; raises BundleError, naming the file and the remedy. Runs no model."""
    with reading(folder, BundleError, "bundle "):
        if not folder.is_dir():
            raise BundleError(f"bundle {str(folder)!r} is not a folder; give the folder that holds {CARD}")
    card_bytes = _read(folder, CARD, MAX_CARD_BYTES)
    card = _card(folder / CARD, card_bytes)
    detector = _checked(folder, DETECTOR, card.files.detector)
    repairer = None if card.files.repairer is None else _checked(folder, REPAIRER, card.files.repairer)
    if (repairer is None) != (card.repair is None):
        raise BundleError(f"{folder / CARD}: [repair] and files.repairer belong together; give both or neither")
    for golden in card.golden:
        if (golden.reference is None) == card.input.reference:
            raise BundleError(
                f"{folder / CARD}: input.reference is {str(card.input.reference).lower()}, so golden picture "
                f"{golden.picture!r} should have {'a' if card.input.reference else 'no'} reference"
            )
    sums = {Precision.INT8: card.files.detector_int8, Precision.FP16: card.files.detector_fp16}
    variants = {
        precision: _checked(folder, VARIANTS[precision], sha256) for precision, sha256 in sums.items() if sha256
    }
    digest = hashlib.sha256(card_bytes)
    for model in (detector, repairer or b"", *variants.values()):
        digest.update(model)
    return Bundle(folder, card, digest.hexdigest(), detector, repairer, variants)


def _card(path: Path, content: bytes) -> Card:
    try:
        return Card.model_validate(tomllib.loads(content.decode("utf-8-sig")))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        wrong = "is missing" if first["type"] == "missing" else f"= {repeated(first['input'])}: {first['msg']}"
        raise BundleError(f"{path}: {key} {wrong} ({error.error_count()} problem(s))") from error
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path} is not TOML ({error}); restore it from where the bundle came from") from error


def _checked(folder: Path, name: str, sha256: str) -> bytes:
    content = _read(folder, name, MAX_MODEL_BYTES)
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise BundleError(f"{folder / name} has sha256 {found}, its card says {sha256}; copy the bundle again")
    try:
        check_contained(content)
    except DataError as error:
        raise BundleError(f"{folder / name} is {error}") from error
    return content


def _read(folder: Path, name: str, limit: int) -> bytes:
    path = folder / name
    try:
        return files.read(path, limit, within=folder)
    except DataError as error:
        raise BundleError(f"{path} is {error}") from error
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror}); a bundle needs it") from error


def _picture(folder: Path, name: str, channels: int) -> Image:
    path = folder / GOLDEN / name
    content = _read(folder, f"{GOLDEN}/{name}", MAX_GOLDEN_BYTES)
    try:
        image = decode(content, channels)
    except DataError as error:
        raise BundleError(f"{path} is {error}; copy the bundle again") from error
    if image is None:
        raise BundleError(f"{path} is not a picture; copy the bundle again")
    return image
