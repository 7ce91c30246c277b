"""Poses the challenges: one at a time, through the inbox like any frame, and tells how they end.

A challenge is entered in no ledger, and what is found of it goes to nobody but here. Its pixels go the way of the
camera's frames: the same fit, the same queue and worker, the same reference pictures, detector, view and judge.
"""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from inspector.challenges.outcome import BLIND, Outcome, outcome_of
from inspector.challenges.pictures import Picture
from inspector.challenges.rounds import Rounds
from inspector.clock import Clock
from inspector.mailbox import Closed
from inspector.stage import Service
from inspector.types import Challenge, Event, Frame, Image, Inspection, Standard

log = logging.getLogger(__name__)

LANE = "(challenges)"
"""Of the inbox; no camera is called so."""
LONGEST_WAIT = 0.25
"""Seconds after which it looks up and beats."""

Fit: TypeAlias = Callable[[str, Image], tuple[Standard, Image | None, str | None]]
"""What judges a camera's next frame, and what that is shown of a picture, or why it takes no such one."""


@dataclass(frozen=True, slots=True)
class Challenges:
    """What a camera is challenged with. every: seconds;  strict: whether a camera that is blind says no `ok`"""

    pictures: Sequence[Picture]
    every: float
    strict: bool


@dataclass(slots=True)
class Course:
    """A camera's challenges and how they go.

    passed_at: when all last passed, wall clock, seconds; 0 for never
    told: how each picture that does not pass was last told to have ended, of the model that judges now
    """

    plan: Challenges
    rounds: Rounds
    passed_at: float = 0.0
    told: dict[str, Outcome] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class _Posed:
    camera: str
    picture: Picture
    challenge: Challenge


class Challenger(Service):
    """Challenges the cameras of `plans`; what is not `run` may be called from any thread.

    fit: as for frames of a camera;  offer: puts a challenge into its lane of the inbox
    doubted: the cameras that say no `ok`, since a challenge shows that they are blind
    """

    niceness = 19  # nobody waits for a challenge to be read from its file

    def __init__(
        self,
        plans: Mapping[str, Challenges],
        fit: Fit,
        offer: Callable[[Challenge], object],
        announce: Callable[[Event], None],
        clock: Clock,
    ) -> None:
        now = clock.monotonic()
        self.doubted: set[str] = set()
        self.courses = {camera: Course(plan, Rounds(plan.pictures, plan.every, now)) for camera, plan in plans.items()}
        self._fit, self._offer, self._announce, self._clock = fit, offer, announce, clock
        self._heard: queue.SimpleQueue[tuple[Challenge, Inspection | None] | str] = queue.SimpleQueue()
        self._posed: _Posed | None = None
        self._stopping = False

    def run(self, beat: Callable[[], None]) -> None:
        """Challenge until `stop`."""
        while not self._stopping:
            beat()
            now = self._clock.monotonic()
            for camera, course in self.courses.items():
                self._look(camera, course, now)
            try:
                if self._posed is None:
                    self._pose(now)
            except Closed:
                return
            self._listen()

    def stop(self) -> None:
        """Challenge no more."""
        self._stopping = True
        self._heard.put("")

    def begin(self, cameras: Collection[str] | None = None) -> None:
        """Begin a new round at once, as for a new model; of all cameras, or of those of `cameras` that have any."""
        for camera in self.courses if cameras is None else cameras:
            self._heard.put(camera)

    def awaits(self, frame: Frame) -> bool:
        """Whether it is still of interest what becomes of this challenge."""
        posed = self._posed
        return posed is not None and posed.challenge is frame and not self._stopping

    def dropped(self, challenge: Challenge) -> None:
        """Learn that it gave way to frames."""
        self._heard.put((challenge, None))

    def judged(self, inspection: Inspection) -> None:
        """Learn how it was judged."""
        if isinstance(inspection.frame, Challenge):
            self._heard.put((inspection.frame, inspection))

    def _look(self, camera: str, course: Course, now: float) -> None:
        if self._posed is not None and self._posed.camera == camera and now >= course.rounds.ends:
            self._posed = None
        if course.rounds.look(now):
            self._tell(
                camera,
                "challenge_overdue",
                f"not all {len(course.plan.pictures)} challenge(s) could be judged beside the frames within "
                f"{course.plan.every:g} s: nothing proves just now what the detector sees",
                logging.WARNING,
            )

    def _pose(self, now: float) -> None:
        """Put the picture of the camera that has waited longest into the inbox, if it is anybody's turn."""
        due = [(course.rounds.acts_at, camera) for camera, course in self.courses.items() if course.rounds.turn(now)]
        if not due:
            return
        camera = min(due)[1]
        course = self.courses[camera]
        picture = course.rounds.turn(now)
        assert picture is not None  # noqa: S101 - it was looked for above
        try:
            image = picture.image()
            standard, fitted, misfit = self._fit(camera, image)
        except Exception as error:  # a picture that nobody foresaw fails by itself and ends nothing else
            detail = f"{picture.name}: looking at it failed with {error!r}"
            if course.told.get(picture.name) is not Outcome.FAILED:  # where it came from is told when it is news
                log.error("camera %s: %s", camera, detail, exc_info=error, extra={"camera": camera})
            self._ended(camera, picture, Outcome.FAILED, detail)
            return
        if misfit is not None:
            self._ended(camera, picture, Outcome.FAILED, f"{picture.name} is {misfit}")
            return
        at, at_ns = self._clock.monotonic(), self._clock.wall_ns()
        challenge = Challenge(camera, 0, at_ns, at, course.rounds.ends, image, picture.name, fitted, standard=standard)
        self._posed = _Posed(camera, picture, challenge)
        self._offer(challenge)

    def _listen(self) -> None:
        """Take in one word from outside, or wait until there is something to do."""
        wait = LONGEST_WAIT
        if self._posed is None:
            next_act = min(course.rounds.acts_at for course in self.courses.values())
            wait = min(max(next_act - self._clock.monotonic(), 0.0), LONGEST_WAIT)
        try:
            heard = self._heard.get(timeout=wait)
        except queue.Empty:
            return
        if isinstance(heard, str):
            self._restart(heard)
            return
        challenge, inspection = heard
        if self._posed is None or self._posed.challenge is not challenge:
            return  # it was given up
        posed, self._posed = self._posed, None
        if inspection is None:
            self.courses[posed.camera].rounds.take(Outcome.DROPPED, self._clock.monotonic())
        else:
            self._ended(posed.camera, posed.picture, *outcome_of(posed.picture, inspection))

    def _restart(self, camera: str) -> None:
        if camera in self.courses:
            if self._posed is not None and self._posed.camera == camera:
                self._posed = None
            self.courses[camera].rounds.begin(self._clock.monotonic())
            self.courses[camera].told.clear()

    def _ended(self, camera: str, picture: Picture, outcome: Outcome, detail: str) -> None:
        course = self.courses[camera]
        rounds = course.rounds
        complete = rounds.take(outcome, self._clock.monotonic())
        was_doubted, is_doubted = camera in self.doubted, course.plan.strict and rounds.is_blind
        (self.doubted.add if is_doubted else self.doubted.discard)(camera)
        so = ""
        if course.plan.strict and outcome in BLIND:
            so = "; `ok` is `unknown: model` until it passes"
        elif was_doubted and not is_doubted:
            so = "; `ok` stands again"
        if outcome is Outcome.PASSED:
            course.told.pop(picture.name, None)
        elif course.told.get(picture.name) is not outcome:
            course.told[picture.name] = outcome
            self._tell(camera, "challenge_failed", f"{detail}{so}", logging.ERROR)
        if complete and not rounds.failing:
            course.passed_at = self._clock.wall_ns() / 1e9
            self._tell(camera, "challenge_passed", f"{len(course.plan.pictures)} challenge(s) passed", logging.INFO)
        elif outcome is Outcome.PASSED and so:
            self._tell(camera, "challenge_recovered", f"{detail}{so}", logging.INFO)

    def _tell(self, camera: str, state: str, detail: str, level: int) -> None:
        log.log(level, "camera %s %s: %s", camera, state, detail, extra={"camera": camera, "state": state})
        self._announce(Event(camera, state, detail, self._clock.wall_ns()))
