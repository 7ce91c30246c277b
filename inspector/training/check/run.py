"""`inspector data check`: reads a data folder once and says what a model would suffer from. Needs no torch."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from inspector.errors import DataError
from inspector.training.check import copies, folder, masks, pictures, sides
from inspector.training.check.facts import Facts, Unusable, measure
from inspector.training.check.findings import Finding, Report, error, note, sorted_by_severity
from inspector.training.data import Sample, find_test, find_training, read_manifest, with_groups
from inspector.training.split import VALIDATION

Track = Callable[[Sequence[Sample]], Iterable[Sample]]


def check(root: Path, track: Track = iter, test: bool = True, validation: float = VALIDATION) -> Report:
    """Check `root`; `track` wraps what is looped over, to show progress. Raises DataError where it is no folder.

    test: False leaves the test pictures, strays and the manifest's sums out, and so takes less time
    validation: share of the pictures to train with that will be held back
    """
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; give one with train/good or normal in it")
    found: list[Finding] = []
    rows = None
    training, tested = find_training(root), find_test(root) if test else []
    try:
        rows = read_manifest(root)
        training, tested = with_groups(root, training), with_groups(root, tested)
    except DataError as problem:
        found.append(error("manifest", str(problem), "save it as UTF-8, its head `path`, `group`, divided by tabs"))
    plain = bool(tested) and {s.picture for s in tested} == {s.picture for s in training}
    if plain:
        tested = []
    facts = _measured(root, [*training, *tested], track, found)
    learnt = [facts[s.picture] for s in training if s.picture in facts]
    judged = [facts[s.picture] for s in tested if s.picture in facts]
    found += folder.dangling(root, test)
    if test:
        sums = {path: digest for fact in facts.values() for path, digest in fact.sums.items()}
        found += [
            *folder.strays(root, [*training, *tested]),
            *folder.modalities(root, [*training, *tested]),
            *folder.ambiguous(root, [*training, *tested]),
            *folder.manifest(root, rows, [*training, *tested], sums),
        ]
        found += _nothing(training, tested, plain)
    found += _rules(learnt, judged, validation)
    everything = [*learnt, *judged]
    sizes = Counter(f"{fact.size[0]}x{fact.size[1]}" for fact in everything)
    return Report(
        data=root.resolve().name,
        pictures={"training": _kinds(learnt), "test": _kinds(judged)},
        sizes=dict(sizes.most_common()),
        findings=sorted_by_severity(found),
    )


def _measured(root: Path, samples: list[Sample], track: Track, found: list[Finding]) -> dict[Path, Facts]:
    facts: dict[Path, Facts] = {}
    broken: dict[Unusable, list[str]] = defaultdict(list)
    for sample in track(samples):
        result = measure(sample, root)
        if isinstance(result, Unusable):
            broken[result].append(sample.picture.relative_to(root).as_posix())
        else:
            facts[sample.picture] = result
    for why, names in broken.items():
        text = f"pictures that cannot be used, since {why.why}: {len(names)}"
        found.append(error(why.rule, text, why.remedy, names))
    return facts


def _nothing(training: list[Sample], tested: list[Sample], plain: bool) -> Iterator[Finding]:
    if not any(sample.good for sample in training):
        yield error(
            "no-normals", "there are no normal pictures, and every way of training needs some",
            "put pictures of good parts into train/good/ or normal/",
        )  # fmt: skip
    if plain or not tested:
        yield note(
            "no-test", "there is nothing to evaluate with that is not trained on",
            "put good and defective pictures of other parts into test/good/ and test/<kind>/",
        )  # fmt: skip


def _rules(training: list[Facts], test: list[Facts], validation: float) -> Iterator[Finding]:
    everything = [*training, *test]
    if not everything:
        return
    yield from masks.masks(everything)
    yield from masks.twins(everything)
    yield from masks.unmasked(everything)
    yield from copies.copies(training, test)
    if any(fact.sample.good for fact in training):
        yield from sides.amounts(training, test, validation)
    yield from sides.confounds({"training": training, "test": test})
    yield from pictures.shapes(everything)
    yield from pictures.colours(everything)
    yield from pictures.depths(everything)
    yield from pictures.outliers(everything)


def _kinds(facts: list[Facts]) -> dict[str, int]:
    return dict(Counter(fact.sample.kind for fact in facts))
