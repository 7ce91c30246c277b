"""Which pictures: those of a folder or data set, or the frames of a source that the daemon knows.

And which of them show the same part. Parts are what comes anew from the line, so parts are what is counted: two
pictures of one are no two witnesses.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.calibrate.live import Live
from inspector.errors import ConfigError, DataError
from inspector.inference.bundle import Bundle
from inspector.sources import SCHEMES, Source, plugins, redact
from inspector.sources.folder import Folder
from inspector.sources.scan import Scan
from inspector.sources.url import Url
from inspector.training import data, learnt
from inspector.training.data import Sample
from inspector.training.modalities import PICTURES, divisions, pictures_in
from inspector.training.split import NEAR_COPY, completed, near_copies, thumbnail
from inspector.types import Image, Shot

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+-]+):")


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture [H,W,C] as its camera gives it, with its name for people; `part` is which it shows, empty where nobody
    tells.

    stream: the source whose frames come in a row; None for a picture that follows on no other
    """

    image: Image
    name: str
    part: str
    good: bool
    stream: str | None = None


class Session:
    """The pictures of several places but for those that the bundle was trained on.

    notes: sentences on what was left out, complete after `pictures`
    places: folders or URLs of good pictures; data sets may bring defective ones along
    defective: folders of defective pictures;  frames: how many are taken of a source at most
    opener: makes a source of a URL
    scan: rows of the frames that sources' strips are gathered into, and those that the next one repeats, as `Scan`
        has them
    """

    def __init__(
        self,
        places: Sequence[str],
        defective: Sequence[Path],
        frames: int,
        bundle: Bundle,
        opener: Callable[[str], Source],
        scan: tuple[int, int | None] | None = None,
    ) -> None:
        self.notes: list[str] = []
        self._frames, self._scan = frames, scan
        self._bundle = bundle
        modalities = bundle.card.input.modalities
        self._converts = bool(modalities)  # as the sources of a stack are; other cameras give what they see
        self._samples = [(Path(place), self._good(Path(place))) for place in places if not _is_url(place)]
        self._samples += [(folder, self._bad(folder)) for folder in defective]
        for _, samples in self._samples:
            data.check_modalities(samples, modalities)
        self._sources = [(redact(place), opener(place)) for place in places if _is_url(place)]
        if scan is not None and not self._sources:
            raise ConfigError("--scan-rows gathers a source's strips, and there is none; give saved ones as folder:DIR")

    @property
    def defective(self) -> bool:
        """Whether defective pictures are among them."""
        return any(not sample.good for _, samples in self._samples for sample in samples)

    def pictures(self) -> Iterator[Picture]:
        """Every picture that can be read. Raises SourceError."""
        for root, samples in self._samples:
            for sample in samples:
                try:
                    image = data.read_picture(sample.picture, self._bundle.channels, self._converts)
                except DataError as error:
                    self.notes.append(f"left out: {error}")
                else:
                    yield Picture(image, str(sample.picture), sample.group and f"{root} {sample.group}", sample.good)
        for name, source in self._sources:
            yield from self._shots(name, source)

    def _shots(self, name: str, source: Source) -> Iterator[Picture]:
        tells = not isinstance(source, Folder)  # a file's name says nothing of the part
        seen = set[str]()
        if isinstance(source, Folder) and self._scan is None:  # a strip is no picture
            seen = self._trained_on(name, source.path)
        if self._scan is not None:
            source = Scan(source, *self._scan)
        if source.live:
            source = Live(source)
        with closing(source):
            for number, shot in itertools.islice(_others(source, seen), self._frames):
                if shot.image is None:
                    self.notes.append(f"left out: {name}, frame {number}: {shot.fault or 'no picture'}")
                    continue
                part = f"{name} {shot.part}" if tells and shot.part else ""
                yield Picture(shot.image, f"{name}, frame {number}", part, good=True, stream=name if tells else None)

    def _good(self, root: Path) -> list[Sample]:
        """The pictures of a folder, or of a data set, which may bring defective ones along."""
        if not root.is_dir():
            raise DataError(f"{root} is not a folder; give a folder of good pictures, or the URL of a source")
        if not any((root / name).is_dir() for name in ("train", "test", "normal")):
            samples = self._unseen(root, data.loose_samples(root, data.GOOD))
        else:
            trains = (root / "train" / data.GOOD).is_dir() or (root / "normal").is_dir()
            samples = self._unseen(root, data.training_samples(root)) if trains else []
            if (root / "test").is_dir():
                samples += self._unseen(root, data.test_samples(root))
        if not samples:
            raise DataError(
                f"{root} has no picture that the bundle was not trained on (files that end in "
                f"{', '.join(sorted(PICTURES))}); put good ones into it, or into test/good below it"
            )
        return samples

    def _bad(self, root: Path) -> list[Sample]:
        samples = self._unseen(root, _defective(root, self._bundle.card.input.modalities))
        if not samples:
            raise DataError(
                f"{root} has no picture that the bundle was not trained on; put others into it, or leave out "
                "--defective"
            )
        return samples

    def _unseen(self, place: Path | str, samples: Sequence[Sample]) -> list[Sample]:
        """Those that the bundle was not trained on; a note says how many others there are."""
        seen = set(learnt.seen(self._bundle, samples))
        if seen:
            self.notes.append(f"left out: {len(seen)} pictures in {place}, as the bundle was trained on them")
        return [sample for sample in samples if sample not in seen]

    def _trained_on(self, place: str, folder: Path) -> set[str]:
        """The files in a folder, which a source reads, that the bundle was trained on."""
        there: list[Sample] = []
        with suppress(OSError):  # the source says so
            there = [Sample(path, data.GOOD) for path in pictures_in(folder)]
        return {sample.picture.name for sample in set(there) - set(self._unseen(place, there))}


def _others(source: Source, seen: Collection[str]) -> Iterator[tuple[int, Shot]]:
    """The frames of a source with their numbers, but for those of parts in `seen`; ends where it gives no others."""
    skipped = 0
    for number, shot in enumerate(source.frames(), 1):
        skipped = skipped + 1 if shot.part in seen else 0
        if skipped > len(seen):  # a folder without others, from the first again
            return
        if not skipped:
            yield number, shot


def part_names(pictures: Sequence[tuple[str, NDArray[np.float32]]], each: bool) -> list[str]:
    """Which part each picture (what is told of its part, its thumbnail) shows.

    Where nobody tells, near copies show the same part; with `each`, every picture shows another.
    """
    if each:
        return [str(index) for index in range(len(pictures))]
    told = [part for part, _ in pictures]
    if all(told):
        return told
    roots = near_copies(np.stack([thumbnail for _, thumbnail in pictures]), NEAR_COPY)
    return completed(told, [f"near copies {root}" for root in roots])


def detail(image: Image) -> NDArray[np.float32]:
    """The thumbnail of a picture [H,W,C] by which near copies are found."""
    grey: NDArray[Any] = image if image.shape[2] == 1 else image.mean(axis=2, keepdims=True)
    return thumbnail(grey.astype(np.uint8))


def _defective(root: Path, modalities: Mapping[str, int]) -> list[Sample]:
    """Defective pictures: those in a folder, and those in the folders below it, one a kind or a modality."""
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; give a folder of pictures of defective parts")
    if modalities and [below.name for below in divisions(root)] == list(modalities):
        return data.loose_samples(root, data.PLAIN_DEFECT)
    samples = data.loose_samples(root, data.PLAIN_DEFECT, divided=False)
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        samples += data.loose_samples(folder, folder.name)
    if not samples:
        raise DataError(f"{root} has no pictures of defective parts; put them into it, or into folders below it")
    return samples


def _is_url(place: str) -> bool:
    """Whether `place` is a source's URL and no path; an unknown scheme is refused."""
    if _SCHEME.match(place) is None or Path(place).exists():
        return False
    url = Url(place)
    if url.scheme not in SCHEMES and plugins.factory(url) is None:
        known = ", ".join(f"{name}:" for name in SCHEMES)
        raise ConfigError(f"{url}: there is no such folder, and a source's URL starts with one of {known}")
    return True
