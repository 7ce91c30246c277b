"""Other models while the line runs: loaded beside those that judge, proven, shown live frames, and then put in force.

One change after another, by a thread beside the flow (jobs.py). A frame is judged by what was in force when it was
captured, so that a change lies between two frames of each camera; whatever fails leaves all as it was.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from pydantic import TypeAdapter, ValidationError

from inspector import budget
from inspector import settings as configuration
from inspector.clock import Clock
from inspector.errors import ConfigError, DataError, InspectorError
from inspector.judging import Judging, prepare
from inspector.metrics import REFUSED, TAKEN
from inspector.models.account import account
from inspector.models.shadow import Shadow, Wish
from inspector.models.versions import AT_START, KEYS, Version, Versions
from inspector.models.wanted import USE, Use, used
from inspector.redact import redact
from inspector.settings import Settings
from inspector.types import Event, Frame, ModelTag, Say
from inspector.worker import Station

log = logging.getLogger(__name__)

LIVE = (
    *KEYS, "reference", "fit", "overlap", "region", "ignore", "ignore_polygons", "repair",
)  # fmt: skip
"""Keys of a camera that can change without a restart: a frame's picture and when it is due depend on none of them."""

LAST_FRAMES, PUBLISHED = 10.0, 0.2
"""Seconds that the last frames of a model get for their verdicts, and then to leave the publisher."""


class Changes:
    """Changes what judges.

    configured: the configuration;  judging: what judges now, which may be by earlier choices in `versions`
    reread: reads the configuration again;  shadow: shows frames to models that do not judge yet
    room: bytes that a second set of models may need; None: any
    adopt: puts in force what is to judge from now on, and is told of what judged so far
    in_flight: the frames that wait for their verdict;  later: has something done by the thread that does the changes
    """

    def __init__(
        self,
        configured: Settings,
        judging: Judging,
        reread: Callable[[], Settings] | None,
        versions: Versions | None,
        shadow: Shadow,
        room: int | None,
        adopt: Callable[[Judging, Judging], None],
        announce: Callable[[Event], None],
        clock: Clock,
        in_flight: Callable[[], Sequence[Frame]],
        later: Callable[[Callable[[], None]], object],
    ) -> None:
        self.counts = Counter[str]()
        """Changes by what came of them: `taken` and `refused`."""
        self._configured = configured
        self.judging = judging
        """What judges now."""
        self._reread = reread
        self._versions = versions
        self._shadow = shadow
        self._room = room
        self._adopt = adopt
        self._announce = announce
        self._clock = clock
        self._in_flight = in_flight
        self._later = later

    def reload(self, tell: Say = lambda _: None) -> str:
        """Read the configuration again, and do what can be done without a restart; a sentence on what came of it."""
        with self._counted():
            if self._reread is None:
                raise ConfigError("there is no configuration file to be read again")
            wanted = self._reread()
            now = self._configured
            keys = configuration.changed(now, wanted)
            live = [key for key in keys if _is_live(key, now)]
            waiting = [key for key in keys if key not in live]
            words = [f"{', '.join(waiting)} changed and waits for a restart"] if waiting else []
            target = _with_live(now, wanted)
            settings = target if self._versions is None else self._versions.effective(target)
            done = self._take_over(target, settings, "the configuration was read again", tell, None)
            if live or done:
                words.insert(0, f"{', '.join(live) or 'what the files hold'} changed: {done or 'in force'}")
            return "; ".join(words) or "nothing has changed"

    def use(self, use: Use, wish: Wish | None, tell: Say = lambda _: None) -> str:
        """Put another bundle in force; what came of it. Raises InspectorError, and all stays as it was."""
        with self._counted():
            versions = self._needed()
            # The others go on with the copies of what judges them, whatever lies at its place by now.
            now = self.judging.settings if versions.now is None else versions.back(self.judging.settings, versions.now)
            why = f"`inspector model use` of {use.bundle}"
            wanted = used(use, now, {name: station.tag.name for name, station in self.judging.stations.items()})
            return self._take_over(self._configured, wanted, why, tell, wish) or "it is what judges already"

    def rollback(self, tell: Say = lambda _: None) -> str:
        """Put the version in force that was before; what came of it."""
        with self._counted():
            versions = self._needed()
            if (before := versions.before) is None:
                raise ConfigError("there is no version before the one that judges; nothing to go back to")
            settings = versions.back(self.judging.settings, before)
            return self._take_over(self._configured, settings, "`inspector model rollback`", tell, None, is_back=True)

    def act(self, request: Mapping[str, Any], tell: Say) -> str:
        """Do what a verb asks for (control.py). Raises InspectorError."""
        try:
            match request.get("verb"):
                case "reload":
                    outcome = self.reload(tell)
                    self._tell_all("reloaded", outcome)
                    return outcome
                case "rollback":
                    return self.rollback(tell)
                case "use":
                    wish = request.get("shadow")
                    return self.use(USE.validate_python(request["use"]), wish and _WISH.validate_python(wish), tell)
                case verb:
                    raise DataError(f"there is no verb {verb!r}; use reload, use or rollback")
        except (ValidationError, KeyError) as error:
            raise DataError(f"the request makes no sense: {error}") from error
        except InspectorError as error:
            log.error("%s was refused, all stays as it was: %s", request.get("verb"), error)
            self._tell_refused(request, str(error))
            raise
        except Exception as error:  # a bug, which control.py logs
            self._tell_refused(request, repr(error))
            raise

    def _tell_refused(self, request: Mapping[str, Any], why: str) -> None:
        self._tell_all("reload-refused" if request.get("verb") == "reload" else "change-refused", redact(why))

    def _tell_all(self, state: str, detail: str) -> None:
        self._announce(Event("daemon", state, detail, self._clock.wall_ns()))

    def notes(self) -> Iterator[str]:
        """A sentence on each camera that is not judged as its configuration says."""
        return iter(()) if self._versions is None else self._versions.notes(self._configured)

    def begin(self) -> None:
        """Keep what judges at the start, so that there is a way back to it. Raises OutputError."""
        if self._versions is not None:
            version = self._account(self._versions, self.judging, self._configured, AT_START, self.judging.stations)
            self._versions.put(version)

    def _take_over(
        self,
        target: Settings,
        settings: Settings,
        why: str,
        tell: Say,
        wish: Wish | None,
        is_back: bool = False,
    ) -> str:
        """Have the cameras judged as `settings` say, and `target` for the configuration; empty where they are."""
        before = self.judging
        tell("loading, and proving each model on its golden pictures")
        resident = budget.resident_bytes()
        judging = prepare(settings, before)
        changed = [name for name, station in judging.stations.items() if station is not before.stations[name]]
        self._check_stacks(judging, changed)
        shown = {} if wish is None else _apart(judging, before, changed)
        if shown or judging.teams.keys() - before.teams.keys():
            self._check_room(budget.resident_bytes() - resident)
        if wish is not None and shown:
            tell(self._shadow.watch(shown, wish, tell))
        if self._versions is not None:
            version = self._account(self._versions, judging, target, why, changed)
            if is_back:
                self._versions.put_back(version)
            else:
                self._versions.put(version)
        self._adopt(before, judging)
        self._configured, self.judging = target, judging
        self.counts[TAKEN] += bool(changed)
        self._later(partial(self._outlive, before))
        sentences = []
        for name in changed:
            new, old = judging.stations[name], before.stations[name]
            sentence = f"{_words(new.tag)} judges, instead of {_words(old.tag)}"
            if new.tag == old.tag:
                sentence = f"{_words(new.tag)} judges by another threshold, {new.judge.threshold:.4g}, or another view"
            self._announce(Event(name, "model", f"{sentence} ({why})", self._clock.wall_ns()))
            sentences.append(f"camera {name!r}: {sentence}")
        return "; ".join(sentences)

    def _outlive(self, before: Judging) -> None:
        """Hold what judged `before` until its last frame is through, so that no thread of the flow takes it down."""
        gone = before.teams.keys() - self.judging.teams.keys()
        end = self._clock.monotonic() + LAST_FRAMES
        while gone & {frame.standard.tag.sha256 for frame in self._in_flight() if frame.standard is not None}:
            if self._clock.monotonic() >= end:
                return
            time.sleep(PUBLISHED)
        time.sleep(PUBLISHED)

    def _check_room(self, needed: int) -> None:
        if self._room is not None and needed > self._room:
            raise ConfigError(
                f"the models need {needed >> 20} MB beside those that judge, and daemon.memory_mb leaves "
                f"{self._room >> 20} MB for that; allow more, or set them in the configuration and restart"
            )

    def _check_stacks(self, judging: Judging, changed: Collection[str]) -> None:
        """Sources are stacked by the channels of the bundle that they were opened for."""
        for camera in judging.settings.camera:
            if camera.name in changed and camera.sources is not None:
                new, old = (
                    one.stations[camera.name].team.bundle.card.input.modalities for one in (judging, self.judging)
                )
                if list(new.items()) != list(old.items()):
                    raise ConfigError(
                        f"camera {camera.name!r}: its sources are stacked as {dict(old)}, and the bundle takes "
                        f"{dict(new)}; set it in the configuration, and restart"
                    )

    @staticmethod
    def _account(versions: Versions, judging: Judging, target: Settings, why: str, changed: Collection[str]) -> Version:
        bundles = {name: station.team.bundle for name, station in judging.stations.items()}
        return account(versions, judging.settings, bundles, target, why, changed)

    def _needed(self) -> Versions:
        if self._versions is None:
            raise ConfigError("models.state is not set, so that nothing could be gone back to; set it and restart")
        return self._versions

    @contextmanager
    def _counted(self) -> Iterator[None]:
        try:
            yield
        except Exception:
            self.counts[REFUSED] += 1
            raise


_WISH = TypeAdapter(Wish)


def _apart(judging: Judging, before: Judging, changed: Collection[str]) -> dict[str, Station]:
    """The changed stations for a shadow: with engines of its own where those of the model are at work already."""
    stations = {name: judging.stations[name] for name in changed}
    teams = {station.tag.sha256: station.team for station in stations.values()}
    own = {sha256: judging.workshop.apart(team) if sha256 in before.teams else team for sha256, team in teams.items()}
    return {name: replace(station, team=own[station.tag.sha256]) for name, station in stations.items()}


def _is_live(key: str, now: Settings) -> bool:
    table, _, rest = key.partition(".")
    name, _, own = rest.partition(".")
    return table == "camera" and own in LIVE and any(camera.name == name for camera in now.camera)


def _with_live(now: Settings, wanted: Settings) -> Settings:
    """`now` with the live keys of `wanted`."""
    found = {camera.name: camera for camera in wanted.camera}
    cameras = [
        camera.model_copy(update={key: getattr(found[camera.name], key) for key in LIVE})
        if camera.name in found
        else camera
        for camera in now.camera
    ]
    return now.model_copy(update={"camera": tuple(cameras)})


def _words(tag: ModelTag) -> str:
    return f"{tag.name} {tag.sha256[:12]}"
