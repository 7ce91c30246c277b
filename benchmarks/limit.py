"""The limit: what the bare parts of the work on a frame cost, in as many processes at once as there are cores.

So the parts pay for the same shared caches, memory and hyper-threads as the daemon's threads do, and for nothing of
what joins them: no queue, no message, no loop around them.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Self

import cv2

from benchmarks import bare, children, material
from benchmarks.children import Child
from benchmarks.material import Material

ALWAYS = ("decode", "resize", "infer")
"""Parts of every frame."""
DEFECTIVE = ("judge", "repair", "second look", "encode")
"""Parts of a defective frame alone; the second look is resize and detector on the repaired frame."""
BLOCK = 40
"""Times that a part is done in a row, so that it finds the caches as warm as it can."""
FRAMES_HELD = 16


@dataclass(frozen=True, slots=True)
class Limit:
    """CPU seconds of each part, and the share of frames that the model finds defective in these clips."""

    parts: dict[str, float]
    share: float

    def cpu_ms(self, share: float) -> float:
        """CPU milliseconds a frame where `share` of the frames are defective."""
        often = sum(self.parts[part] for part in ALWAYS)
        return 1e3 * (often + share * sum(self.parts[part] for part in DEFECTIVE))

    @property
    def slowest(self) -> float:
        """Seconds that a defective frame takes by itself, from the picture in memory to its repair."""
        return sum(self.parts[part] for part in ("resize", "infer", "judge", "repair", "second look"))


class Limits:
    """The processes, which wait from one measurement to the next."""

    def __init__(self, given: Material) -> None:
        # Every clip in turn, so that on a machine of any size the processes together see all of them.
        clips = list(itertools.islice(itertools.cycle(given.clips), max(material.cores(), len(given.clips))))
        shares = [clips[index :: material.cores()] for index in range(material.cores())]
        with ExitStack() as stack:
            self._children = [
                stack.enter_context(Child("limit", bundle=given.bundle, clips=list(map(str, share))))
                for share in shares
            ]
            for child in self._children:
                child.answer()
            self._stack = stack.pop_all()

    def measure(self, seconds: float) -> Limit:
        """All of them at once for `seconds`; the mean over them."""
        for child in self._children:
            child.send(seconds=seconds)
        answers = [child.answer() for child in self._children]
        parts = {part: fmean(answer["parts"][part] for answer in answers) for part in (*ALWAYS, *DEFECTIVE)}
        return Limit(parts, fmean(answer["share"] for answer in answers))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


class Meter:
    """CPU seconds by part. The clock is the kernel's account of this process, all threads, user and system."""

    def __init__(self) -> None:
        self._seconds = dict.fromkeys((*ALWAYS, *DEFECTIVE), 0.0)
        self._times = dict.fromkeys(self._seconds, 0)

    @contextmanager
    def part(self, name: str, times: int) -> Iterator[None]:
        """What is done inside is `times` times this part."""
        start = time.process_time()
        yield
        self._seconds[name] += time.process_time() - start
        self._times[name] += times

    def means(self) -> dict[str, float]:
        """CPU seconds of each part, once."""
        return {part: seconds / max(self._times[part], 1) for part, seconds in self._seconds.items()}


class Bench:
    """One process's share: its clips, and what the model makes of them."""

    def __init__(self, bundle: Path, clips: list[Path]) -> None:
        self.model = bare.Model(bundle)
        self.clips = itertools.cycle(clips)
        self.frames: list[bare.Picture] = []
        self.defective = []
        seen = 0
        for clip in clips:
            for frame in material.read_clip(clip):
                seen += 1
                _, probability = self.model.detect(frame)
                if self.model.judge(probability, frame)[1]:
                    self.defective.append((frame, probability.copy()))
                elif len(self.frames) < FRAMES_HELD:
                    self.frames.append(frame)
        self.share = len(self.defective) / seen

    def measure(self, seconds: float) -> dict[str, float]:
        """Part after part, over and over."""
        meter = Meter()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._every_frame(meter)
            self._defective_frames(meter)
        return meter.means()

    def _every_frame(self, meter: Meter) -> None:
        clip = material.open_clip(next(self.clips))
        with meter.part("decode", BLOCK):
            for _ in range(BLOCK):
                clip.read()
        with meter.part("resize", BLOCK):
            for frame in itertools.islice(itertools.cycle(self.frames), BLOCK):
                self.model.resize(frame)
        with meter.part("infer", BLOCK):
            for _ in range(BLOCK):
                self.model.infer(self.model.row)

    def _defective_frames(self, meter: Meter) -> None:
        model, times = self.model, len(self.defective)
        with meter.part("judge", times):
            judged = [(frame, *model.judge(probability, frame)) for frame, probability in self.defective]
        with meter.part("repair", times):
            repaired = [(mask, *model.repair(frame, mask, defects)) for frame, mask, defects in judged]
        with meter.part("second look", times):
            for _, picture, _ in repaired:
                model.detect(picture)
        with meter.part("encode", times):
            for mask, _, patches in repaired:
                bare.encode(mask, patches)


def main() -> None:
    """One process of the limit: asked for seconds, it answers with the parts."""
    cv2.setNumThreads(1)
    given = children.options()
    bench = Bench(Path(given["bundle"]), [Path(clip) for clip in given["clips"]])
    bench.measure(0.0)
    children.answer()
    for question in children.questions():
        children.answer(parts=bench.measure(question["seconds"]), share=bench.share)


if __name__ == "__main__":
    main()
