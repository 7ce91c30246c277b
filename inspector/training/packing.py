"""Writes a model bundle: graphs, card, golden pictures; complete or not at all."""

from __future__ import annotations

import hashlib
import math
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import tomli_w
from pydantic import TypeAdapter, ValidationError

from inspector import files
from inspector.errors import BundleError, DataError
from inspector.inference import bundle as bundles
from inspector.inference import channels, engine, runtimes
from inspector.inference.bundle import (
    CARD,
    DETECTOR,
    GOLDEN,
    HISTORY,
    REPAIRER,
    Bundle,
    Card,
    Decision,
    Files,
    Input,
    Repair,
)
from inspector.inference.detector import Detector
from inspector.judge import Judge, Judgement
from inspector.training.describe import describe
from inspector.types import Detection, Image, Verdict

Candidate: TypeAlias = tuple[str, Image, Image | None]
"""A golden picture's name, itself, and what it is compared with, where the bundle compares."""

COMMENT = "# The card of a model bundle. The daemon refuses the bundle where this and the files beside it disagree.\n\n"


@dataclass(frozen=True)
class Contents:
    """All that a bundle is made of; `training` goes into the card as it is.

    history: the networks' logs and what pictures they saw (`learnt`), copied beside the graphs; no part of what the
        sha256 names
    """

    name: str
    version: str
    description: str
    licence: str
    input: Input
    decision: Decision
    detector: bytes
    repairer: bytes | None
    repair: Repair | None
    training: Mapping[str, Any]
    history: tuple[Path, ...] = ()


def check_name(name: str) -> None:
    """Raise DataError where a card cannot have the name."""
    try:
        TypeAdapter(bundles.Name).validate_python(name)
    except ValidationError as error:
        raise DataError(
            f"{name!r} cannot be a bundle's name: give --name 1 to 64 letters (a to z), digits, ., _ and -, the first "
            "a letter or digit"
        ) from error


def check_replaceable(folder: Path) -> None:
    """Raise DataError where something stands at `folder` that is no bundle."""
    if folder.exists() and not (folder / CARD).is_file():
        raise DataError(f"{folder} exists and is no bundle; give another --out, or remove it")


def write(folder: Path, contents: Contents, golden: Iterable[Candidate]) -> Bundle:
    """Write the bundle with two of the `golden` candidates, prove it, and put it at `folder`.

    A bundle that is there already is replaced; anything else is not. Raises BundleError, DataError.
    """
    check_replaceable(folder)
    contents, draft = _described(contents)
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / GOLDEN).mkdir(parents=True)
    (partial / DETECTOR).write_bytes(contents.detector)
    if contents.repairer is not None:
        (partial / REPAIRER).write_bytes(contents.repairer)
    (partial / HISTORY).mkdir()
    for log in contents.history:
        shutil.copyfile(log, partial / HISTORY / log.name)
    cards = _golden(partial / GOLDEN, draft, golden)
    write_card(partial, _card(contents, cards))
    engine.start(bundles.load(partial), "cpu", max_batch=1)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return bundles.load(folder)


def write_card(folder: Path, card: Card) -> None:
    """Write bundle.toml, whole or not at all."""
    files.replace({folder / CARD: encoded(card)})


def encoded(card: Card) -> bytes:
    """The card as bundle.toml has it."""
    content = card.model_dump(mode="json", exclude_none=True)
    return (COMMENT + tomli_w.dumps(content, multiline_strings=True)).encode()


def with_scores(folder: Path, scores: Mapping[str, float]) -> None:
    """Put the finite `scores` into a bundle's card."""
    card = bundles.load(folder).card
    finite = {key: round(value, 4) for key, value in scores.items() if math.isfinite(value)}
    write_card(folder, card.model_copy(update={"scores": finite}))


def _card(contents: Contents, golden: tuple[bundles.Golden, ...]) -> Card:
    return Card(
        format=1,
        name=contents.name,
        version=contents.version,
        description=contents.description,
        licence=contents.licence,
        input=contents.input,
        decision=contents.decision,
        repair=contents.repair,
        files=Files(
            detector=hashlib.sha256(contents.detector).hexdigest(),
            repairer=None if contents.repairer is None else hashlib.sha256(contents.repairer).hexdigest(),
        ),
        golden=golden,
        training=dict(contents.training),
    )


def unproven(contents: Contents) -> Bundle:
    """The bundle before it has golden pictures: enough to run its models."""
    reference = "none.png" if contents.input.reference else None
    placeholder = bundles.Golden(picture="none.png", verdict=Verdict.OK, score=0.0, reference=reference)
    return Bundle(Path(), _card(contents, (placeholder,)), "", contents.detector, contents.repairer)


def _described(contents: Contents) -> tuple[Contents, Bundle]:
    """The contents, their graphs with metadata, and the bundle that they are."""
    card = unproven(contents).card
    repairer = None if contents.repairer is None else describe(contents.repairer, card, "repairer")
    contents = replace(contents, detector=describe(contents.detector, card, "detector"), repairer=repairer)
    return contents, unproven(contents)


def _golden(folder: Path, bundle: Bundle, candidates: Iterable[Candidate]) -> tuple[bundles.Golden, ...]:
    """Keep the clearest `ng` and the clearest `ok` among the candidates, judged by the daemon's own detector.

    Those whose files a bundle may not hold are passed over.
    """
    detector = Detector(runtimes.load(bundle.detector, "cpu"), bundle, max_batch=1)
    judge = Judge(bundle.card.decision.threshold, bundle.card.decision.min_area)
    chosen: dict[Verdict, tuple[float, bytes, bytes | None, Detection, Judgement]] = {}
    large = ""
    for name, image, reference in candidates:
        (detection,) = detector.beside(reference).detect([image])
        judgement = judge(detection, *image.shape[:2])
        largest = max((region.area for region in judgement.regions), default=0)
        clarity = largest * detection.score if judgement.verdict is Verdict.NG else -detection.score
        if judgement.verdict not in chosen or clarity > chosen[judgement.verdict][0]:
            picture, beside = channels.encoded(image), None if reference is None else channels.encoded(reference)
            if max(len(picture), len(beside or b"")) > bundles.MAX_GOLDEN_BYTES:
                large = large or name
            else:
                chosen[judgement.verdict] = clarity, picture, beside, detection, judgement
    if not chosen and large:
        raise BundleError(
            f"no picture can be golden: {large!r} and all others are larger as files than the "
            f"{bundles.MAX_GOLDEN_BYTES >> 20} MiB that are allowed; train again with --resume and --golden DIR, a "
            "folder of smaller ones"
        )
    if not chosen:
        raise BundleError("a bundle needs at least one golden picture; give a folder with some to --golden")
    entries = []
    suffix = channels.suffix(bundle.channels)
    for verdict, (_, picture, beside, detection, judgement) in sorted(chosen.items()):
        entry = bundles.Golden(picture=f"{verdict}{suffix}", verdict=verdict, score=round(detection.score, 6))
        (folder / entry.picture).write_bytes(picture)
        if judgement.mask is not None:
            entry = entry.model_copy(update={"mask": f"{verdict}_mask.png"})
            channels.write(folder / f"{verdict}_mask.png", judgement.mask[:, :, np.newaxis])
        if beside is not None:
            entry = entry.model_copy(update={"reference": f"{verdict}_reference{suffix}"})
            (folder / f"{verdict}_reference{suffix}").write_bytes(beside)
        entries.append(entry)
    return tuple(entries)
