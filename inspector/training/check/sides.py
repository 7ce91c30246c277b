"""Rules about how much there is, and about what tells good from defective without showing a defect."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from inspector.errors import DataError
from inspector.training.bootstrap import unseen
from inspector.training.check.facts import Facts
from inspector.training.check.findings import Finding, error, note, warning
from inspector.training.metrics import area_under_roc
from inspector.training.split import divide, group_names

FEW_NORMALS, ENOUGH_NORMALS = 20, 60
"""Of these 3 and 9 are held back to choose the threshold on, by the usual share."""

FEW_PARTS = 5
"""Parts from which one can be held back and the rest still tell what normal is."""

FEW_TESTED = 20
"""Where all of so many pictures are judged rightly, up to every sixth of the next may still be judged wrongly."""

TELLING = 0.9
"""AUROC from which a single measure tells good from defective too well."""

COMPARABLE = 10
"""Pictures on either side from which two sides are compared."""


def amounts(training: Sequence[Facts], test: Sequence[Facts], validation: float) -> Iterator[Finding]:
    """Too few pictures to train with, to divide, or to believe a figure; `validation` is the share held back."""
    good = [fact for fact in training if fact.sample.good]
    held = max(1, round(validation * len(good)))
    if len(good) < ENOUGH_NORMALS:
        how = warning if len(good) < FEW_NORMALS else note
        yield how(
            "few-normals",
            f"{len(good)} normal pictures: {100 * validation:.3g}% are held back, so the threshold rests on {held}",
            f"collect {ENOUGH_NORMALS} or more, of all that is normal on the line: other parts, days and light",
        )
    yield from _parts(training, good, validation)
    if not test:
        return
    tested = Counter(fact.sample.good for fact in test)
    few = [
        f"{tested[good]} {name} (after no mistake the true rate of {mistake} may be {unseen(tested[good]):.0%})"
        for good, name, mistake in ((True, "good", "false rejects"), (False, "defective", "escapes"))
        if tested[good] < FEW_TESTED
    ]
    if few:
        yield note("few-tested", f"few pictures to evaluate with: {', '.join(few)}", "add test pictures of new parts")


def _parts(training: Sequence[Facts], good: Sequence[Facts], validation: float) -> Iterator[Finding]:
    samples = [f.sample for f in training]
    groups = group_names(samples, np.stack([f.detail for f in training]))
    try:
        divide(samples, groups, validation, 0)
    except DataError as problem:
        yield error(
            "parts", f"training cannot begin: {problem}",
            "add pictures of other parts; if these do show different ones, say so in MANIFEST.tsv, column `group`",
        )  # fmt: skip
        return
    parts = len({group for group, fact in zip(groups, training, strict=True) if fact.sample.good})
    if parts < FEW_PARTS:
        yield warning(
            "few-parts",
            f"the {len(good)} normal pictures show {parts} parts, or so alike they look: validation sees one or two",
            "add other parts; if these do show different ones, say so in MANIFEST.tsv, column `group`",
        )


def confounds(sides: Mapping[str, Sequence[Facts]]) -> Iterator[Finding]:
    """What tells good from defective without showing a defect: a model may learn that instead."""
    found: dict[str, list[str]] = defaultdict(list)
    for side, facts in sides.items():
        good = [fact for fact in facts if fact.sample.good]
        bad = [fact for fact in facts if not fact.sample.good]
        if min(len(good), len(bad)) < COMPARABLE:
            continue
        for name, of in _FEATURES.items():
            area = area_under_roc(np.array([of(f) for f in good]), np.array([of(f) for f in bad]))
            if max(area, 1 - area) >= TELLING:
                found[name].append(
                    f"{side}: defective ones are {'higher' if area > 0.5 else 'lower'}, AUROC {max(area, 1 - area):.2f}"
                )
        for name, kind_of in _CATEGORIES.items():
            only = _only_one_side(Counter(map(kind_of, good)), Counter(map(kind_of, bad)))
            if only:
                found[name].append(f"{side}: {only}")
    for name, places in found.items():
        yield warning(
            "confound", f"{name} tells good from defective without any defect ({'; '.join(places)})",
            "take good and defective pictures in the same way; until then believe masks more than scores",
        )  # fmt: skip


def _only_one_side(good: Counter[str], bad: Counter[str]) -> str:
    """Values that hold a tenth of one side or more and are absent from the other."""
    told = []
    for mine, other, name in ((good, bad, "good"), (bad, good, "defective")):
        total = sum(mine.values())
        told += [
            f"{value} only {name} ({count} of {total})"
            for value, count in mine.items() if count >= max(3, total / 10) and not other[value]
        ]  # fmt: skip
    return ", ".join(told)


_FEATURES: dict[str, Callable[[Facts], float]] = {
    "brightness": lambda fact: fact.brightness,
    "sharpness": lambda fact: fact.sharpness,
}
_CATEGORIES: dict[str, Callable[[Facts], str]] = {
    "the size": lambda fact: f"{fact.size[0]}x{fact.size[1]}",
    "the file format": lambda fact: fact.sample.picture.suffix.lower(),
    "colour": lambda fact: "grey" if fact.grey else "colour",
}
