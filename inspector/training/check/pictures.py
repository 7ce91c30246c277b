"""Rules about pictures by themselves: sizes, channels, depth, exposure and sharpness."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from inspector.training.check.facts import Facts
from inspector.training.check.findings import Finding, error, note, warning

STRETCH = 1.25
"""How far a picture may be stretched when all are resized to one shape, before it is said."""

ENOUGH = 8
"""Pictures of a kind from which an outlier can be told."""

OUTLYING = 6.0
"""Robust standard deviations (1.4826 median absolute deviations) from the median that make an outlier."""

LOW_BITS = 4096
"""A 16-bit picture whose pictures all stay below this uses at most 12 bits, and looks black once 8 are kept."""


def shapes(facts: Sequence[Facts]) -> Iterator[Finding]:
    """Sizes, and how far the detector's one input shape stretches them."""
    sizes = Counter(fact.size for fact in facts)
    if len(sizes) < 2:
        return
    aspects = np.array([fact.size[0] / fact.size[1] for fact in facts])
    aspect = float(np.median(aspects))  # the shape that training takes, unless told otherwise
    far = np.abs(np.log(aspects / aspect)) > math.log(STRETCH)
    stretched = [fact for fact, is_far in zip(facts, far, strict=True) if is_far]
    text = f"the pictures have {len(sizes)} sizes"
    if stretched:
        yield warning(
            "sizes",
            f"{text}; resized to one shape, {aspect:.2f} times as wide as high, {len(stretched)} of {len(facts)} are "
            f"stretched by more than {STRETCH - 1:.0%}",
            "cut all pictures to one shape around the part, or give train a --size that suits most of them",
            [fact.name for fact in stretched],
        )
    else:
        yield note("sizes", f"{text}; all are resized to one", "nothing, if the line's cameras see them so too")


def colours(facts: Sequence[Facts]) -> Iterator[Finding]:
    """Stacks mixed with others, and grey pictures mixed with colour ones."""
    counts = Counter(fact.channels if fact.channels not in (1, 3) else 3 for fact in facts)
    if len(counts) > 1:
        usual = counts.most_common(1)[0][0]
        odd = [fact.name for fact in facts if (fact.channels if fact.channels not in (1, 3) else 3) != usual]
        yield error(
            "channels", f"pictures with another number of channels than the rest: {len(odd)}",
            "save all with the same channels; for colour without transparency that is three", odd,
        )  # fmt: skip
        return
    if facts[0].channels not in (1, 3):
        yield note(
            "stacks",
            f"pictures of {facts[0].channels} channels: {len(facts)}; on the line a camera then needs `sources`, one "
            "for each modality, in the order of these channels",
            "save them without transparency if that is what the fourth channel is",
        )  # fmt: skip
        return
    grey = [fact for fact in facts if fact.grey]
    if 0 < len(grey) < len(facts):
        few = grey if 2 * len(grey) <= len(facts) else [fact for fact in facts if not fact.grey]
        yield warning(
            "colours", f"{len(grey)} pictures are grey and {len(facts) - len(grey)} have colour",
            "use one kind of camera setting, or make all grey: a model learns to tell the two apart",
            [fact.name for fact in few],
        )  # fmt: skip


def depths(facts: Sequence[Facts]) -> Iterator[Finding]:
    """Pictures of more than 8 bits: the upper 8 are kept."""
    deep = [fact for fact in facts if fact.depth == "uint16"]
    if not deep:
        return
    names = [fact.name for fact in deep]
    if max(fact.peak for fact in deep) < LOW_BITS:
        yield error(
            "depth",
            f"pictures of 16 bits that use only the lower 12; the upper 8 are kept, so they are black: {len(deep)}",
            "scale them to the full range, or to 8 bits, in the same way as the camera will deliver them", names,
        )  # fmt: skip
    else:
        yield note(
            "depth", f"pictures of 16 bits, of which the upper 8 are kept: {len(deep)}",
            "nothing, unless a defect shows only in the lower 8: then scale the pictures to 8 bits yourself", names,
        )  # fmt: skip


def outliers(facts: Sequence[Facts]) -> Iterator[Finding]:
    """Blank pictures, and those far darker, brighter, more clipped, softer or sharper than others of their kind."""
    blank = [fact.name for fact in facts if fact.blank]
    if blank:
        yield warning(
            "blank", f"pictures that show nothing at all: {len(blank)}",
            "remove pictures that were taken without a part", blank,
        )  # fmt: skip
    for rule, what, remedy, of, least in _MEASURES:
        odd = []
        for members in by_kind(facts).values():
            members = [fact for fact in members if not (fact.blank or fact.two_toned)]
            values = np.array([of(fact) for fact in members])
            odd += [members[i].name for i in np.flatnonzero(outlying(values, least))]
        if odd:
            yield warning(
                rule, f"pictures far {what} than others of their kind: {len(odd)}",
                remedy, odd,
            )  # fmt: skip


def outlying(values: np.ndarray, least: float) -> np.ndarray:
    """Which of float [n] lie OUTLYING robust deviations, and `least`, from the median; none where n is small."""
    if len(values) < ENOUGH:
        return np.zeros(len(values), bool)
    distance = np.abs(values - np.median(values))
    return np.asarray(distance > np.maximum(OUTLYING * 1.4826 * np.median(distance), least))


def by_kind(facts: Sequence[Facts]) -> dict[str, list[Facts]]:
    """The pictures of each kind."""
    kinds: dict[str, list[Facts]] = defaultdict(list)
    for fact in facts:
        kinds[fact.sample.kind].append(fact)
    return kinds


_RELIGHT = "take them again in the line's light, or remove them unless the line will show such frames too"
_MEASURES: tuple[tuple[str, str, str, Callable[[Facts], float], float], ...] = (
    ("exposure", "darker or brighter", _RELIGHT, lambda fact: fact.brightness, 20.0),
    ("clipping", "more, or less, clipped to black and white", _RELIGHT, lambda fact: fact.clipped, 0.05),
    (
        "sharpness", "blurrier or sharper",
        "look at focus, motion and dirt on the lens; remove them unless the line will show such frames too",
        lambda fact: fact.sharpness, 1.5,
    ),
)  # fmt: skip
"""Rule, what is said, remedy, the measure, and the least difference that matters."""
