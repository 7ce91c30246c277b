"""Rules about masks and defect-free twins: do they fit their pictures, and do they say what was meant?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from inspector.training.check.facts import Facts
from inspector.training.check.findings import Finding, error, note, warning
from inspector.training.check.pictures import by_kind

MOST = 0.5
"""Share of a picture from which a mask is suspicious: it may be inverted."""

SOFT = 0.01
"""Share of a mask's pixels that may be neither 0 nor 255: soft edges of a drawing program."""


def masks(everything: Sequence[Facts]) -> Iterator[Finding]:
    """Masks that cannot be used, or that hardly mean what they say."""
    facts = [fact for fact in everything if fact.sample.mask is not None]
    yield from _said(
        error, "mask-unreadable", [f for f in facts if f.mask_problem], "masks that cannot be read",
        "mend their rights, or save them anew as PNG, 0 where it is normal and 255 where it is defective",
    )  # fmt: skip
    yield from _said(
        error, "mask-size", [f for f in facts if f.mask and f.mask.size != f.size],
        "masks of another size than their picture", "draw them on the picture itself, at its full size",
    )  # fmt: skip
    dark = [f for f in facts if f.mask and 0 < f.mask.peak <= 127]
    yield from _said(
        error, "mask-values", dark,
        f"masks without a value above {max((f.mask.peak for f in dark if f.mask), default=0)}, which count as empty: "
        "below 128 is normal",
        "write 255 where it is defective, not 1 or a class number",
    )  # fmt: skip
    yield from _said(
        warning, "mask-empty", [f for f in facts if f.mask and f.mask.peak == 0],
        "empty masks of defective pictures, of which all counts as normal",
        "draw the defect, remove the mask, or move the picture to the good ones",
    )  # fmt: skip
    yield from _said(
        warning, "mask-full", [f for f in facts if f.mask and f.mask.share == 1], "masks that mark the whole picture",
        "draw only the defect, or remove the mask: then the picture counts as defective without saying where",
    )  # fmt: skip
    yield from _said(
        warning, "mask-large", [f for f in facts if f.mask and MOST <= f.mask.share < 1],
        f"masks that mark more than {MOST:.0%} of their picture", "look whether black and white are exchanged",
    )  # fmt: skip
    yield from _said(
        warning, "mask-soft", [f for f in facts if f.mask and f.mask.soft > SOFT and f.mask.peak > 127],
        "masks with values between 0 and 255, which are cut at 127", "save them in two values, and not as JPEG",
    )  # fmt: skip


def unmasked(facts: Sequence[Facts]) -> Iterator[Finding]:
    """Defective pictures without a mask, by kind."""
    whole, rest = [], []
    for kind, members in by_kind([fact for fact in facts if not fact.sample.good]).items():
        without = [fact.name for fact in members if fact.sample.mask is None]
        if len(without) == len(members):
            whole.append(f"{kind!r} ({len(members)})")
        rest += without if len(without) < len(members) else []
    if whole:
        yield note(
            "no-masks", f"defective pictures of a kind without masks: {', '.join(whole)}",
            "draw masks, as <stem>_mask.png, if the model shall learn and be measured on where these defects are",
        )  # fmt: skip
    if rest:
        yield warning(
            "mask-missing", f"pictures without the mask that others of their kind have: {len(rest)}",
            "draw the masks, or look whether they are named <stem>_mask.png", rest,
        )  # fmt: skip


def twins(facts: Sequence[Facts]) -> Iterator[Finding]:
    """References that cannot be used."""
    yield from _said(
        error, "reference-unreadable", [f for f in facts if f.twin_problem], "references that cannot be read",
        "copy them again or remove them",
    )  # fmt: skip
    yield from _said(
        warning, "reference-size", [f for f in facts if f.twin_size and f.twin_size != f.size],
        "references of another size than their picture, which are not used", "align them with their pictures",
    )  # fmt: skip
    yield from _said(
        warning, "reference-same", [f for f in facts if f.twin_same],
        "references that are the defective picture itself",
        "put the picture of the good part there, or remove the reference",
    )  # fmt: skip


def _said(kind: object, rule: str, found: list[Facts], text: str, remedy: str) -> Iterator[Finding]:
    if found:
        yield kind(rule, f"{text}: {len(found)}", remedy, [fact.name for fact in found])  # type: ignore[operator]
