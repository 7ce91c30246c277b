"""`inspector train`: from a folder of pictures to a model bundle. Reads from top to bottom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path

from inspector import __version__
from inspector.errors import BundleError, DataError
from inspector.inference.bundle import Bundle, Decision, Input, Repair
from inspector.training import data, explain, learnt, packing, quantise
from inspector.training.batches import Pair
from inspector.training.check.run import check
from inspector.training.compared_pairs import registered_pairs, with_reference
from inspector.training.data import Sample
from inspector.training.export import export_detector, export_repairer
from inspector.training.material import Material
from inspector.training.modalities import pictures_in
from inspector.training.mode import choose as choose_mode
from inspector.training.networks import COMPARERS, DETECTORS, Architecture
from inspector.training.pairs import validation_pairs
from inspector.training.pictures import Pictures
from inspector.training.repair_choice import TRIALS, explained, with_methods
from inspector.training.resume import begin
from inspector.training.settings import RIM, Mode, Settings
from inspector.training.split import split
from inspector.training.suited import choose_augmentation, choose_detector, choose_size, choose_windows
from inspector.training.train_detector import train_detector
from inspector.training.train_repairer import train_repairer
from inspector.training.trials import trials
from inspector.types import Precision, Say


def train(settings: Settings, say: Say) -> Bundle:
    """Train both networks and write the bundle to `settings.out`; `say` is told what is chosen and why.

    Raises DataError for pictures that cannot be trained with, BundleError where the bundle does not prove itself.
    """
    packing.check_name(settings.name)
    packing.check_replaceable(settings.out)

    # The pictures: what there is, and who goes to which side.
    everything = data.training_samples(settings.data)
    modalities = data.modalities(everything)
    channels = sum(modalities.values()) or data.count_channels(everything)
    samples, problems = data.readable(everything, channels, whole=True)
    for problem in problems:
        say(f"left out: {problem}")
    if not any(sample.good for sample in samples):
        raise DataError(f"{settings.data} has no normal picture that can be read, to learn from; add some")
    for line in check(settings.data, test=False, validation=settings.validation).briefly(str(settings.data)):
        say(line)
    mode, why = choose_mode(samples, settings.mode)
    say(why)
    compares = mode == "reference"
    if settings.golden is not None:
        for _ in _given(settings.golden, channels, compares):  # what cannot be read is better known now
            pass
    name, architecture, why = _architecture(settings, samples, mode)
    say(why)
    augmentation, why = choose_augmentation(samples, settings.augmentation)
    say(why)
    if mode == "normal":
        samples = [sample for sample in samples if sample.good]
    training_samples, validation_samples = split(samples, settings.validation, settings.seed)
    size = settings.size or choose_size(samples, architecture.pixels)
    windows = choose_windows(samples)

    # What is trained, so that --resume goes on with nothing else.
    data_sha256 = data.data_hash(samples)
    counts = explain.counts(training_samples, validation_samples)
    run = {
        "pictures": {"sha256": data_sha256, **counts},
        "validation pictures": data.data_hash(validation_samples),
        "modalities": modalities,
        "mode": mode,
        "detector": name,
        "input": [*size, channels],
        "views": asdict(augmentation),
        "version": __version__,
    }
    begin(settings.work, run, settings.resume)
    marks = learnt.write(settings.work, samples)

    # What the networks are shown, and what they are validated on.
    training = Pictures(training_samples, size, channels)
    validation = Pictures(validation_samples, size, channels)
    pairs, real = (registered_pairs if compares else validation_pairs)(validation, settings.seed)
    looks = {1: "grey", 3: "colour"}.get(channels, f"{channels} channels")
    if modalities:
        looks = " + ".join(f"{name} ({count})" for name, count in modalities.items())
    say(f"input {size[1]}x{size[0]} {looks}; frames of another size are resized to it")
    compared = sum(len(with_reference(side)) for side in (training, validation)) if compares else 0
    for line in explain.pictures(samples, validation_samples, mode, architecture.whole, compared):
        say(line)
    if not real:
        lacking = "mask and a reference of its size" if compares else "mask"
        say(f"no validation picture has a {lacking}: the threshold will be chosen on synthetic defects")

    # The networks: a classifier of pixels, with its decision, and one that fills holes.
    material = Material(mode, training, validation, pairs, real, augmentation)
    detector = train_detector(settings, architecture, material, say)
    repairer = train_repairer(settings, material, windows, say)

    # The bundle: everything that the daemon needs, proven by running it.
    called = settings.data.resolve().name.encode(errors="replace").decode()  # a folder's name need not be UTF-8
    contents = packing.Contents(
        name=settings.name,
        version=settings.version,
        description=settings.description or f"Trained on {called}.",
        licence=settings.licence,
        input=Input(height=size[0], width=size[1], channels=channels, reference=compares, modalities=modalities),
        decision=Decision(threshold=0.5, min_area=detector.choice.min_area, chosen=detector.choice.why),
        detector=export_detector(detector.network, detector.choice.threshold, size, channels, compares),
        repairer=export_repairer(repairer.network, channels, compares),
        repair=Repair(windows=windows, rim=RIM),
        training={
            "data": called,
            "data_sha256": data_sha256,
            "date": date.today().isoformat(),
            "seed": settings.seed,
            "validation": settings.validation,
            "folded_threshold": detector.choice.threshold,
            "pictures": counts,
            "mode": mode,
            "augmentation": asdict(augmentation),
            "detector": {"architecture": name, **detector.card},
            **repairer.card,
            "versions": explain.versions(),
        },
        history=(settings.work / "detector.jsonl", settings.work / "repairer.jsonl", marks),
    )
    if compares:  # what the reference shows there is always nearer than what an inpainter makes up
        say("repairs all holes by network, from the reference")
    else:
        repair = with_methods(packing.unproven(contents), trials(validation, TRIALS))
        say(explained(repair))
        contents = replace(contents, repair=repair)
    bundle = packing.write(settings.out, contents, _golden_candidates(settings, validation, pairs, compares))
    return _with_int8(bundle, pairs, real, say) if settings.int8 else bundle


def _with_int8(bundle: Bundle, pairs: list[Pair], real: bool, say: Say) -> Bundle:
    """The bundle with an int8 detector too; as it is where that would lose too much."""
    try:
        return quantise.add(bundle, pairs, real, True, Precision.INT8, say)
    except BundleError as error:
        say(str(error))
        return bundle


def _architecture(settings: Settings, samples: list[Sample], mode: Mode) -> tuple[str, Architecture, str]:
    known = COMPARERS if mode == "reference" else DETECTORS
    if settings.detector is None:
        name, why = choose_detector(samples, mode)
        return name, known[name], why
    if settings.detector not in known:
        raise DataError(
            f"--detector {settings.detector} does not learn in mode {mode}; use {' or '.join(known)}, or leave it out"
        )
    return settings.detector, known[settings.detector], f"detector {settings.detector}: it was asked for"


def _golden_candidates(
    settings: Settings, validation: Pictures, shown: list[Pair], compares: bool
) -> Iterator[packing.Candidate]:
    """Pictures of the folder that was given; else validation pictures; else, without defective ones, synthetic ones.

    Where the bundle compares, the folder has their references below `reference`; else they are as validated.
    """
    if settings.golden is not None:
        yield from _given(settings.golden, validation.channels, compares)
        return
    if compares:
        channels = validation.channels
        for number, (pair, _) in enumerate(shown):
            yield f"validation {number}", pair[:, :, :channels].copy(), pair[:, :, channels:].copy()
        return
    for good in (True, False):
        for index in [i for i, sample in enumerate(validation.samples) if sample.good == good][:32]:
            yield validation.samples[index].picture.name, validation.native(index)[0], None
    for number, (image, _) in enumerate(shown[:32]):
        yield f"synthetic {number}", image, None


def _given(golden: Path, channels: int, compares: bool) -> Iterator[packing.Candidate]:
    """The pictures of the folder `golden`, with their references where the bundle compares; raises DataError."""
    paths = pictures_in(golden)
    if not paths:
        raise DataError(f"--golden {golden} holds no pictures; draw or photograph a good and a defective part")
    for path in paths:
        reference = data.read_picture(golden / "reference" / path.name, channels) if compares else None
        yield path.name, data.read_picture(path, channels), reference
