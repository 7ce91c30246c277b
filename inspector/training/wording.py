"""What the figures of an evaluation mean, in sentences (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MEANINGS = {
    "image_auroc": ("Image AUROC", "chance that a defective picture scores higher than a good one; 0.5 is a coin"),
    "image_ap": ("Image average precision", "area under the precision-recall curve of pictures"),
    "image_auroc_control": (
        "Image AUROC without the defect", "the same when the defect is taken out of the map; should be near 0.5",
    ),
    "pixel_auroc": ("Pixel AUROC", "the same for pixels; flatters where defects are small"),
    "aupro_30": ("AUPRO", "mean overlap of true regions, each alike, up to 30 % false positive pixels"),
    "pixel_ap": ("Pixel average precision", "area under the precision-recall curve of pixels"),
    "pixel_f1_max": ("Best pixel F1", "at the threshold that suits these pictures best; not what you will get"),
    "pixel_f1": ("Pixel F1", "of the published masks, at the bundle's threshold"),
    "pixel_iou": ("Pixel IoU", "intersection over union of the published masks with the truth"),
    "pixel_precision": ("Pixel precision", "share of the marked pixels that are defective"),
    "pixel_recall": ("Pixel recall", "share of the defective pixels that are marked"),
    "pixel_accuracy": ("Pixel accuracy", "share of all pixels judged rightly; high wherever defects are small"),
    "regions_found": ("Regions found", "share of the true regions that a published mask touches"),
    "false_regions_per_good": ("False regions a good picture", "marked regions on a good picture, on average"),
    "false_regions_per_defective": (
        "False regions a defective picture", "marked regions that touch no true defect, on average",
    ),
    "loss": ("Loss", "mean cross-entropy of the map, in nats a pixel"),
}  # fmt: skip
"""Each figure's title, and what it says."""

MISTAKES = {
    "false_rejects_per_1000_good": ("False rejects", "of 1,000 good pictures, called ng"),
    "escapes_per_1000_defective": ("Escapes", "of 1,000 defective pictures, called ok"),
}
"""The same of the figures that have a table of their own."""

CONTROL_GOOD, CONTROL_BAD = 0.6, 0.75
"""Below the first the control says nothing bad; above the second the score cannot be trusted."""

FORMULA = 0.01
"""How far a graph's score may be from that of its map for the control to speak about the graph."""

ENOUGH_GOOD = 368
"""Good pictures of separate parts from which on none rejected shows less than 10 false rejects in 1,000: where the
upper end of the exact interval (95 %, two-sided, as `verdict` gives it) comes below that."""


def verdict(record: Mapping[str, Any]) -> list[str]:
    """What a line would see of this bundle, each in a sentence."""
    rates, drawn = record["rates"], record["intervals"]
    return [
        _rate(rates["false_rejects"], drawn.get("false_rejects_per_1000_good"), "good", "be rejected wrongly"),
        _rate(rates["escapes"], drawn.get("escapes_per_1000_defective"), "defective", "pass as good"),
    ]


def _rate(rate: Mapping[str, Any], drawn: Sequence[float] | None, parts: str, fate: str) -> str:
    """With the wider of the two intervals: the exact one, and `drawn` by groups, per 1,000."""
    if not rate["of"]:
        return f"There is no {parts} picture, so nothing is known of how many {parts} parts would {fate}."
    low, high = (1000 * limit for limit in rate["interval"])
    if drawn is not None:
        low, high = min(low, drawn[0]), max(high, drawn[1])
    return (
        f"Of 1,000 {parts} parts about {1000 * rate['share']:.0f} would {fate}: {rate['count']} of the {rate['of']} "
        f"here did; with 95 % confidence between {low:.0f} and {high:.0f}."
    )


def cautions(record: Mapping[str, Any]) -> list[str]:
    """What makes the figures weaker than they look."""
    found = []
    rates, counts = record["rates"], record["data"]["pictures"]
    pictures = sum(counts.values())
    if seen := len(record["data"]["seen"]):
        found.append(
            f"The bundle was trained with {seen} of these {pictures} pictures: the figures on them say nothing of its "
            "work on others. evaluation.json names them."
        )
    good, groups = rates["false_rejects"]["of"], rates["false_rejects"]["groups"]
    if groups < ENOUGH_GOOD:
        of_groups = f" of {groups} group{'s' if groups > 1 else ''}" if groups < good else ""
        found.append(
            f"{good} good pictures{of_groups} cannot show that fewer than 10 in 1,000 are rejected; "
            f"that takes {ENOUGH_GOOD} of separate parts, without a mistake."
        )
    if record["groups_drawn"] == 1:
        found.append("All pictures are of one group (part, place or line): nothing shows how figures move on another.")
    elif record["groups_drawn"] < pictures:
        found.append(
            f"The {pictures} pictures show {record['groups_drawn']} groups (parts, places or lines). Pictures of one "
            "group resemble each other and say less than as many separate parts would: the sentences above give the "
            "wider of the exact interval, which counts each group as one picture, and the one by groups."
        )
    if 1 < record["groups_drawn"] < 10:
        found.append(f"With {record['groups_drawn']} groups the bootstrap intervals are rough.")
    found += record["notes"]
    if unknown := rates["unknown"]["count"]:
        found.append(f"{unknown} pictures got the verdict unknown; they count as neither rejects nor escapes.")
    if left_out := len(record["left_out"]):
        found.append(
            f"{left_out} pictures were left out: the picture, its mask or its reference cannot be read, does not fit "
            "or is not there. evaluation.json says why of each."
        )
    if unmasked := sum(1 for row in record["results"] if row["loss"] is None):
        found.append(f"{unmasked} defective pictures have no mask; figures of pixels and regions leave them out.")
    return found


def frames(overlap: int | None) -> str:
    """How pictures became the detector's input; `overlap` is that of tiles."""
    if overlap is None:
        return "resized to the detector's input"
    return f"cut into tiles of the size of the detector's input, which overlap by {overlap} pixels"


def control(figures: Mapping[str, Any], results: list[Mapping[str, Any]]) -> list[str]:
    """What the confounder control says; empty where no defect is marked."""
    before, after = figures["image_auroc_map"], figures["image_auroc_control"]
    if after is None:
        return []
    if after <= CONTROL_GOOD:
        meaning = "The score looks at the defects: without them it hardly tells the pictures apart."
    elif after <= CONTROL_BAD:
        meaning = (
            "Part of the ranking is left when the defects are gone: either something else goes with them (light, "
            "backdrop, focus), or their effect reaches far beyond their masks. Look at the score maps below."
        )
    else:
        meaning = (
            "Most of the ranking is left when the defects are gone. The score follows something that goes with the "
            "defects in these pictures (light, backdrop, size, another session) or defects that nobody marked: "
            "do not trust the image AUROC before it is known what."
        )
    if before is not None and before < CONTROL_GOOD:
        meaning = "The score hardly tells these pictures apart even with the defects, so the control can say little."
    known = [row for row in results if row["map_score"] is not None]
    differing = max((abs(row["score"] - row["map_score"]) for row in known), default=0)
    if differing <= FORMULA:
        return [meaning]
    return [
        meaning,
        f"This graph's score is not the highest mean of 3x3 pixels of its map (they differ by up to {differing:.2f}), "
        "so the control speaks about the map only.",
    ]
