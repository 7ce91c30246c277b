"""The bundles that ship: complete, small, proven here, and as good on lines they have not seen as their cards say."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from inspector.cli import build_parser
from inspector.inference import engine
from inspector.inference.bundle import load
from inspector.judge import Judge
from inspector.simulation import KINDS, Line, Part
from inspector.training.metrics import PixelCounts, area_under_roc
from inspector.types import Detection, Mask, Verdict

MODELS = Path(__file__).parents[2] / "models"
BUNDLES = ("pcb", "simulated-line")
MOST_BYTES = 18 << 20
UNSEEN = (1, 2, 3, 4)
"""Seeds of lines; those of training begin at 1000."""


@pytest.mark.parametrize("name", BUNDLES)
def test_it_proves_itself_here(name: str) -> None:
    bundle = load(MODELS / name)
    running = engine.start(bundle, "cpu", max_batch=1)
    assert running.tag.name == name
    assert running.repairer is not None
    assert {golden.verdict for golden, _, _ in bundle.golden()} == {Verdict.OK, Verdict.NG}


def test_the_script_that_remakes_them_says_what_the_command_line_understands(tmp_path: Path) -> None:
    said = tmp_path / "said"
    for name in ("inspector", "python"):
        stand_in = tmp_path / name
        words = f'for word in {name} "$@"; do printf "%s\\037" "$word"; done; echo'
        draws = '[ "$1" != simulate ] || { mkdir "$2" && echo path > "$2/MANIFEST.tsv"; }'
        stand_in.write_text(f"#!/bin/sh\n{{ {words}; }} >> {said}\n{draws}\n")
        stand_in.chmod(0o755)
    for name in BUNDLES:
        (tmp_path / "out" / name).mkdir(parents=True)
    path = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(["sh", str(MODELS / "remake.sh"), str(tmp_path / "out"), "deeppcb"], env=path, check=True)
    calls = [line.split("\037")[:-1] for line in said.read_text().splitlines()]
    verbs = [build_parser().parse_args(words[1:]) for words in calls if words[0] == "inspector"]
    assert [words[1] for words in calls if words[0] == "inspector"] == [
        "simulate", "simulate", *["train", "evaluate"] * 2
    ]  # fmt: skip
    assert [options.out.name for options in verbs if hasattr(options, "epochs")] == ["simulated-line", "pcb"]
    assert {Path(words[1]).name for words in calls if words[0] == "python"} == {"draw_board.py"}


@pytest.mark.parametrize("name", BUNDLES)
def test_it_is_small_and_has_a_complete_card(name: str) -> None:
    files = [path for path in (MODELS / name).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= MOST_BYTES
    card = load(MODELS / name).card
    assert "Apache-2.0" in card.licence
    assert card.description
    assert card.scores
    assert {"data", "data_sha256", "seed", "detector", "repairer", "augmentation", "versions"} <= set(card.training)


@pytest.mark.parametrize("name", BUNDLES)
def test_it_keeps_its_trunks_notice(name: str) -> None:
    notice = (MODELS / name / "NOTICE.txt").read_text(encoding="utf-8")
    assert "Copyright (c) 2020, ML Illustrated" in notice
    assert "EfficientNet-Lite0" in load(MODELS / name).card.licence


def test_the_pcb_bundle_keeps_its_datas_notice() -> None:
    notice = (MODELS / "pcb" / "NOTICE.txt").read_text(encoding="utf-8")
    assert "Permission is hereby granted, free of charge" in notice
    assert "Copyright (c) 2018 tangsanli5201" in notice
    assert "Copyright (c) 2018 tangsanli5201" in load(MODELS / "pcb").card.licence


def inspected(defect_size: float | None = None) -> Iterator[tuple[Part, Detection, Mask | None]]:
    """Parts of unseen lines, half of them defective, what the shipped bundle says of each, and its mask."""
    bundle = load(MODELS / "simulated-line")
    running = engine.start(bundle, "cpu", max_batch=1)
    judge = Judge(bundle.card.decision.threshold, bundle.card.decision.min_area)
    for seed in UNSEEN:
        line = Line(seed, defect_size=defect_size)
        for number in range(24):
            part = line.part(number, defective=number % 2 == 1)
            (detection,) = running.detector.detect([part.image])
            yield part, detection, judge(detection, *part.image.shape[:2]).mask


def test_it_finds_the_defects_of_lines_that_it_has_not_seen() -> None:
    counts, scores, seen = PixelCounts(), {True: [], False: []}, set()
    for part, detection, mask in inspected():
        counts.add(np.zeros_like(part.mask) if mask is None else mask, part.mask)
        scores[part.kind is not None].append(detection.score)
        seen.add(part.kind)
    assert seen == {None, *KINDS}
    assert area_under_roc(np.array(scores[False]), np.array(scores[True])) >= 0.99
    assert counts.figures()["pixel_f1"] >= 0.85


def test_it_finds_defects_of_twelve_pixels_of_its_input() -> None:
    hits, alarms = [], 0
    for part, _, mask in inspected(defect_size=24):  # of 640x480, which it sees in half
        if part.kind is None:
            alarms += mask is not None
        else:
            hits.append(mask is not None and bool((mask & part.mask).any()))
    assert np.mean(hits) >= 0.95
    assert alarms <= 2


def test_its_repairs_look_good_to_itself_and_touch_nothing_else() -> None:
    bundle = load(MODELS / "simulated-line")
    running = engine.start(bundle, "cpu", max_batch=1)
    assert running.repairer is not None
    judge = Judge(bundle.card.decision.threshold, bundle.card.decision.min_area)
    before, after = [], []
    line = Line(UNSEEN[0])
    for number in range(12):
        image = line.part(number, defective=True).image
        (detection,) = running.detector.detect([image])
        found = judge(detection, *image.shape[:2])
        if found.mask is None:
            continue
        repaired, _ = running.repairer.repair(image, found.mask, [region.box for region in found.regions])
        assert np.array_equal(repaired[found.mask == 0], image[found.mask == 0])
        (again,) = running.detector.detect([repaired])
        before.append(detection.score)
        after.append(again.score)
    assert len(before) >= 9
    assert np.median(after) < 0.5 < np.median(before)
