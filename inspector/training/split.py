"""Divides pictures into training and validation so that no part is on both sides.

The group (the physical part that a picture shows) comes from the data set's manifest. Where that is silent, near
copies are found by themselves: small high-pass thumbnails that correlate above a limit belong together.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector.errors import DataError
from inspector.training.data import MANIFEST, Sample, read_grey
from inspector.types import Image

SIDE = 48
"""Side of a thumbnail in pixels: enough to tell parts apart, small enough to compare thousands."""

VALIDATION = 0.15
"""Share of the good and of the defective pictures that is held back to validate on, unless told otherwise."""

NEAR_COPY = 0.9
"""Correlation of high-pass thumbnails above which two pictures show the same part."""


def split(samples: list[Sample], share: float, seed: int) -> tuple[list[Sample], list[Sample]]:
    """Training and validation samples; whole groups go to validation until it has `share` of the good and of the bad.

    Raises DataError where all pictures are of one group, since nothing could then be validated.
    """
    return divide(samples, group_names(samples), share, seed)


def divide(samples: list[Sample], groups: list[str], share: float, seed: int) -> tuple[list[Sample], list[Sample]]:
    """The same, by groups that are known already, one for each sample."""
    if len(set(groups)) < 2:
        raise DataError(
            f"all {len(samples)} pictures show the same part (or are near copies of each other); "
            "training needs pictures of at least two parts, to validate on a part that it has not seen"
        )
    members: dict[str, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)
    wanted = {good: max(1, round(share * sum(s.good == good for s in samples))) for good in (True, False)}
    goods = {i for i, sample in enumerate(samples) if sample.good}
    held: set[int] = set()
    order: list[str] = np.random.default_rng(seed).permutation(sorted(members)).tolist()
    # Near copies of near copies can be most of all pictures: then they are to train on, whatever else is short.
    most = [group for group in order if len(members[group]) > len(samples) / 2]
    order = [group for group in order if group not in most]
    for good in (False, True):
        if not any(s.good == good for s in samples):
            continue
        for group in [*order, *most] if good else order:
            have = sum(samples[i].good == good for i in held)
            gain = sum(samples[i].good == good for i in members[group])
            rest = set(range(len(samples))) - held - set(members[group])
            left = rest & goods and (good or rest - goods)  # without either there is nothing to train on
            enough = have > 0 if group in most else have >= wanted[good]
            if not enough and gain and left and held.isdisjoint(members[group]):
                held.update(members[group])
    validation = [sample for i, sample in enumerate(samples) if i in held]
    training = [sample for i, sample in enumerate(samples) if i not in held]
    if not any(sample.good for sample in training) or not any(sample.good for sample in validation):
        raise DataError(
            f"{sum(s.good for s in samples)} normal pictures of {len(members)} different parts cannot be divided into "
            "training and validation; add normal pictures of other parts"
        )
    return training, validation


def group_names(samples: list[Sample], details: NDArray[np.float32] | None = None) -> list[str]:
    """A group for each sample: the manifest's, or that of its near copies.

    details: the `thumbnail` of each, float32 [n, SIDE * SIDE], where somebody has looked at the pictures already
    """
    told = [sample.group for sample in samples]
    if all(told):
        return told
    return completed(told, names_of_copies(samples, _details(samples) if details is None else details))


def with_groups_of_copies(samples: list[Sample]) -> tuple[list[Sample], str | None]:
    """The samples, those that look nearly like others with a group in common where the manifest tells none.

    And what a reader of their figures must know of that.
    """
    told = [sample.group for sample in samples]
    if all(told):
        return samples, None
    copies = names_of_copies(samples, _details(samples))
    if all_alike(copies):
        return samples, (
            "Most pictures look nearly the same, so that nothing tells which show the same part: each without a group "
            f"in {MANIFEST} counts as a part of its own. Where several show one part, say so there, or intervals are "
            "too narrow."
        )
    names = completed(told, copies)
    sizes = Counter(names)
    grouped = [
        sample if sizes[name] == 1 else replace(sample, group=name) for sample, name in zip(samples, names, strict=True)
    ]
    guessed = sum(bool(sample.group) for sample in grouped) - sum(map(bool, told))
    if not guessed:
        return samples, None
    return grouped, (
        f"{guessed} pictures look nearly like others, and count as of the same part. If they show different parts, say "
        f"so in {MANIFEST}, column `group`."
    )


def completed(told: Sequence[str], copies: Sequence[str]) -> list[str]:
    """A group for each picture: the one it is `told`; else that of a near copy; else its near copies'.

    copies: the name of each picture's near copies
    """
    known = {copy: group for group, copy in zip(told, copies, strict=True) if group}
    return [group or known.get(copy, copy) for group, copy in zip(told, copies, strict=True)]


def all_alike(copies: Sequence[str]) -> bool:
    """Whether most pictures look the same, as those of a part in a fixed pose do: then copies cannot be told.

    copies: the name of each picture's near copies
    """
    return len(copies) > 2 and Counter(copies).most_common(1)[0][1] > len(copies) / 2


def names_of_copies(samples: list[Sample], thumbnails: NDArray[np.float32]) -> list[str]:
    """A group for each sample by its near copies alone; `thumbnails` are float32 [n, SIDE * SIDE]."""
    roots = near_copies(thumbnails, NEAR_COPY)
    return [f"near copies of {samples[root].picture.name} ({root})" for root in roots]


def near_copies(thumbnails: NDArray[np.float32], limit: float) -> list[int]:
    """For each row of float32 [n, d] (unit length) the first row that it is joined to by correlations above `limit`."""
    roots = list(range(len(thumbnails)))

    def root(i: int) -> int:
        while roots[i] != i:
            roots[i] = roots[roots[i]]
            i = roots[i]
        return i

    for i in range(len(thumbnails)):
        for j in np.flatnonzero(thumbnails[i + 1 :] @ thumbnails[i] > limit):
            first, second = sorted((root(i), root(i + 1 + int(j))))
            roots[second] = first
    return [root(i) for i in range(len(thumbnails))]


def _details(samples: list[Sample]) -> NDArray[np.float32]:
    return np.stack([thumbnail(read_grey(sample.picture)) for sample in samples])


def thumbnail(grey: Image) -> NDArray[np.float32]:
    """The detail of a picture [H,W,1], float32 [SIDE * SIDE] of unit length: two of them correlate by their product."""
    small = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    detail = (small - cv2.GaussianBlur(small, (0, 0), 4)).ravel()
    detail -= detail.mean()
    return np.asarray(detail / max(float(np.linalg.norm(detail)), 1e-6), np.float32)
