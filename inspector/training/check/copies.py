"""Rules about pictures that are there twice, or nearly so: on both sides, or both as good and as defective."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from inspector.training.check.facts import Facts
from inspector.training.check.findings import Finding, error, note, warning
from inspector.training.split import NEAR_COPY, all_alike, names_of_copies

SAME = 0.97
"""Correlation of high-pass thumbnails (see split.py) that two parts of one mould were not seen to reach."""


def copies(training: Sequence[Facts], test: Sequence[Facts]) -> Iterator[Finding]:
    """The same picture on both sides, or as good and as defective; near copies and parts on both sides."""
    everything = [*training, *test]
    same: dict[bytes, list[Facts]] = defaultdict(list)
    for fact in everything:
        same[fact.pixels].append(fact)
    ids = {id(fact) for fact in test}
    doubles = [members for members in same.values() if len(members) > 1]
    torn = [m for m in doubles if len({fact.sample.good for fact in m}) > 1]
    if torn:
        yield error(
            "contradiction", f"pictures that are there both as good and as defective: {len(torn)}",
            "decide what they are, and remove the other copy", [fact.name for m in torn for fact in m],
        )  # fmt: skip
    leaked = [m for m in doubles if 0 < sum(id(fact) in ids for fact in m) < len(m)]
    if leaked:
        yield error(
            "leak", f"test pictures that are also trained on, so that the figures are too good: {len(leaked)}",
            "remove them from one side", [fact.name for m in leaked for fact in m],
        )  # fmt: skip
    within = [m for m in doubles if m not in torn and m not in leaked]
    if within:
        yield note(
            "copies", f"pictures that are copies of others: {sum(len(m) - 1 for m in within)}",
            "remove them: they count several times and tell nothing new", [fact.name for m in within for fact in m],
        )  # fmt: skip
    told = [fact.name for m in (*leaked, *torn) for fact in m]
    yield from _near_copies(training, [fact for fact in test if fact.name not in told])
    yield from _shared_groups(training, test)
    yield from _doubtful([fact for fact in everything if fact.name not in told])


def _near_copies(training: Sequence[Facts], test: Sequence[Facts]) -> Iterator[Finding]:
    if not training or not test or _all_alike(training):
        return
    likeness = np.stack([f.detail for f in test]) @ np.stack([f.detail for f in training]).T
    known = np.array([[bool(a.sample.group and b.sample.group) for b in training] for a in test])
    likeness[known & (likeness < SAME)] = 0  # of two parts that the manifest tells apart it knows better
    best = likeness.argmax(axis=1)
    pairs = [(float(likeness[i, j]), test[i].name, training[j].name) for i, j in enumerate(best)]
    as_good = "test pictures that are as good as copies of ones to train with, likely of the same part"
    much_like = "test pictures that look much like ones to train with, and may show the same part"
    for how, low, high, what in ((warning, SAME, math.inf, as_good), (note, NEAR_COPY, SAME, much_like)):
        found = [(name, other) for value, name, other in pairs if low < value <= high]
        if found:
            yield how(
                "near-copies", f"{what}: {len(found)} of {len(test)}, the first beside {found[0][1]}",
                "keep all pictures of a part on one side, else the figures are too good", [name for name, _ in found],
            )  # fmt: skip


def _doubtful(facts: Sequence[Facts]) -> Iterator[Finding]:
    """Good pictures that look like defective ones of a part that nobody says is the same."""
    good = [fact for fact in facts if fact.sample.good]
    bad = [fact for fact in facts if not fact.sample.good]
    if not bad or not good or _all_alike(good):
        return
    likeness = np.stack([fact.detail for fact in bad]) @ np.stack([fact.detail for fact in good]).T
    found = []
    for row, fact in zip(likeness, bad, strict=True):
        twin = good[int(row.argmax())]
        if row.max() > SAME and not (fact.sample.group and fact.sample.group == twin.sample.group):
            found += [fact.name, twin.name]
    if found:
        yield note(
            "alike",
            f"defective pictures that look the same as a good one: {len(found) // 2}; the first two are a pair",
            "look whether each is what its folder says; if only a small defect sets them apart, all is well", found,
        )  # fmt: skip


def _all_alike(facts: Sequence[Facts]) -> bool:
    return all_alike(names_of_copies([f.sample for f in facts], np.stack([f.detail for f in facts])))


def _shared_groups(training: Sequence[Facts], test: Sequence[Facts]) -> Iterator[Finding]:
    shared = {f.sample.group for f in training} & {f.sample.group for f in test} - {""}
    if shared:
        count = sum(fact.sample.group in shared for fact in test)
        yield warning(
            "shared-group",
            f"{len(shared)} parts of MANIFEST.tsv are on both sides ({', '.join(sorted(shared)[:5])}"
            f"{', ...' if len(shared) > 5 else ''}): {count} of {len(test)} test pictures",
            "move all pictures of a part to one side, unless what a group shows differs from picture to picture",
            [fact.name for fact in test if fact.sample.group in shared],
        )
