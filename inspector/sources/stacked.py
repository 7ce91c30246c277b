"""A camera that is several: the modalities of one part, read side by side and stacked into one picture."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import cv2
import numpy as np

from inspector.clock import Clock, SystemClock
from inspector.errors import ConfigError, RefusedError, SourceError
from inspector.sources import Source, shutter_of, waits
from inspector.sources.pairing import Group, Pairing, Taken
from inspector.types import MAX_CHANNELS, Cause, Image, Shot

FAREWELL = 2.0
"""Seconds that a camera is waited for when its stack ends; one that hangs in its driver is left behind."""


class Stacked:
    """Parts as [H,W,N]: the pictures of `cameras`, in their order, one behind the other.

    cameras: opens each, by the name of its modality; all are live, or none is
    channels: of each modality, as the model takes them: grey and colour are made of each other; else as they come
    depth, within, patience: see `Pairing`
    Raises ConfigError where live cameras are mixed with others.
    """

    def __init__(
        self,
        cameras: Mapping[str, Callable[[], Source]],
        channels: Mapping[str, int],
        depth: int,
        within: float | None,
        patience: float,
        clock: Clock | None = None,
    ) -> None:
        self._cameras, self._channels = cameras, channels
        opened = {name: open_camera() for name, open_camera in cameras.items()}
        lives = {name: camera.live for name, camera in opened.items()}
        self.fire = self._fire if any(map(shutter_of, opened.values())) else None
        self.live = all(lives.values())
        if self.live != any(lives.values()):
            lively, still = (", ".join(name for name in lives if lives[name] is live) for live in (True, False))
            raise ConfigError(f"{lively} cannot wait and {still} can; take sources of one kind, cameras or files")
        self._pairing = partial(Pairing, len(cameras), depth, self.live, within, patience)
        self._clock = clock or SystemClock()
        self._turn = threading.Lock()
        self._closed = False
        self._reading: _Reading | None = None

    @property
    def waiting(self) -> bool:
        """Whether every camera waits for a trigger: one that is not open yet would miss the part."""
        return self._reading is not None and self._reading.waits()

    def frames(self) -> Iterator[Shot]:
        """Open every camera and yield part after part; uint8 [height, width, channels].

        A part that a camera has no picture of is a Shot without one. Raises SourceError, naming the camera, if one
        cannot deliver.
        """
        if self._reading is not None and (names := self._reading.left()):
            raise SourceError(f"{', '.join(names)} still hangs from before; look at its driver and cable")
        reading = _Reading({name: camera() for name, camera in self._cameras.items()}, self._pairing(), self._clock)
        with self._turn:
            if self._closed:
                return
            self._reading = reading
        try:
            for group in reading.groups():
                yield self._stacked(group)
        finally:
            reading.stop()
            reading.left()

    def close(self) -> None:
        """End every camera."""
        with self._turn:
            self._closed = True
        if self._reading is not None:
            self._reading.stop()

    def _fire(self) -> None:
        """Fire those that are to be fired, one after the other."""
        if self._reading is None:
            raise SourceError("the cameras are not open")
        self._reading.fire()

    def _stacked(self, group: Group) -> Shot:
        shots = [shot for shot in group if shot is not None]
        part = next((shot.part for shot in shots if shot.part is not None), None)
        captured = min((shot.captured_ns for shot in shots if shot.captured_ns is not None), default=None)
        named = list(zip(self._cameras, group, strict=True))
        faults = [f"{name} sent no picture of this part" for name, shot in named if shot is None]
        faults += [f"{name}: {shot.fault or 'no picture'}" for name, shot in named if shot and shot.image is None]
        image = None
        if not faults:
            pictures = {name: shot.image for name, shot in named if shot is not None and shot.image is not None}
            faults = list(misfits(pictures, self._channels))
            image = None if faults else stack(pictures, self._channels)
        return Shot(image, part, "; ".join(faults) or None, captured, _cause(group))


def _cause(group: Group) -> Cause:
    """What is wrong with a part's pictures, if anything is.

    It is `missing` only where no camera has its frame: what one has was captured, and is a trigger's like any other.
    """
    came = [shot for shot in group if shot is not None and not shot.is_lost]
    if len(came) < len(group):
        return Cause.INCOMPLETE if came else Cause.MISSING
    return next((shot.cause for shot in came if shot.image is None), Cause.UNREADABLE)


def misfits(pictures: Mapping[str, Image], channels: Mapping[str, int]) -> Iterator[str]:
    """Why pictures cannot be stacked, in sentences; sources of other packages may hand out anything."""
    odd = {name: picture for name, picture in pictures.items() if picture.dtype != np.uint8 or picture.ndim != 3}
    for name, picture in odd.items():
        yield f"{name} gives {picture.dtype} {picture.shape}; a source gives uint8 [height, width, channels]"
    if odd:
        return
    for name, picture in pictures.items():
        have, wanted = picture.shape[2], channels.get(name, picture.shape[2])
        if have != wanted and {have, wanted} != {1, 3}:
            yield f"{name} gives {have} channels, and the model takes {wanted} of it"
    if len({picture.shape[:2] for picture in pictures.values()}) > 1:
        sizes = ", ".join(f"{name} {picture.shape[1]}x{picture.shape[0]}" for name, picture in pictures.items())
        yield f"the pictures of a part have different sizes: {sizes}; set the cameras to one size and view"
    if (total := sum(channels.get(name, picture.shape[2]) for name, picture in pictures.items())) > MAX_CHANNELS:
        yield f"the pictures of a part have {total} channels; a frame has at most {MAX_CHANNELS}"


def stack(pictures: Mapping[str, Image], channels: Mapping[str, int]) -> Image:
    """The pictures [H,W,C] one behind the other, [H,W,N], each with its `channels` if they are given."""
    counts = [channels.get(name, picture.shape[2]) for name, picture in pictures.items()]
    height, width, _ = next(iter(pictures.values())).shape
    stacked = np.empty((height, width, sum(counts)), np.uint8)
    first = 0
    for picture, count in zip(pictures.values(), counts, strict=True):
        place = stacked[:, :, first : first + count]
        if picture.shape[2] == 3 and count == 1:
            place[:, :, 0] = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        else:
            place[:] = picture  # grey is repeated where colour is wanted
        first += count
    return stacked


class _Reading:
    """Cameras being read, a thread each, from their opening to their end."""

    def __init__(self, cameras: Mapping[str, Source], pairing: Pairing, clock: Clock) -> None:
        self._cameras, self._pairing, self._clock = cameras, pairing, clock
        self._changed = threading.Condition()
        self._is_over = False
        self._failure: Exception | None = None
        self._threads = {
            name: threading.Thread(target=self._read, args=(index, name), name=f"read-{name}", daemon=True)
            for index, name in enumerate(cameras)
        }

    def groups(self) -> Iterator[Group]:
        """Part after part until all cameras ended, or one failed and what had come by then is out."""
        if self._is_over:
            return
        for thread in self._threads.values():
            thread.start()
        while (group := self._next()) is not None:
            yield group
        if self._failure is not None and not self._is_over:
            raise self._failure

    def stop(self) -> None:
        """End every camera; from any thread."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
        for camera in self._cameras.values():
            camera.close()

    def waits(self) -> bool:
        """Whether every camera waits for a trigger."""
        return not self._is_over and all(map(waits, self._cameras.values()))

    def fire(self) -> None:
        """Fire the cameras that are to be fired; the first that cannot be is the last. Raises SourceError."""
        for name, camera in self._cameras.items():
            shutter = shutter_of(camera)
            try:
                if shutter is not None:
                    shutter()
            except SourceError as error:
                raise SourceError(f"{name}: {error}") from error

    def left(self) -> list[str]:
        """The cameras that hang even now, after a farewell."""
        end = self._clock.monotonic() + FAREWELL
        started = [(name, thread) for name, thread in self._threads.items() if thread.ident is not None]
        for _, thread in started:
            thread.join(max(end - self._clock.monotonic(), 0.0))
        return [name for name, thread in started if thread.is_alive()]

    def _next(self) -> Group | None:
        with self._changed:
            while not self._is_over:
                group = self._pairing.take(self._clock.monotonic())
                if group is not None:
                    self._changed.notify_all()  # there is room
                    return group
                if self._pairing.is_over:
                    return None
                nap = self._pairing.due - self._clock.monotonic()
                self._changed.wait(None if nap == float("inf") else max(nap, 0.0))
            return None

    def _read(self, index: int, name: str) -> None:
        ends = [index]
        try:
            for shot in self._cameras[name].frames():
                came, wall_ns = self._clock.monotonic(), self._clock.wall_ns()
                captured_ns = wall_ns if shot.captured_ns is None else shot.captured_ns
                with self._changed:
                    self._changed.wait_for(lambda: self._is_over or self._pairing.has_room(index))
                    if self._is_over:
                        return
                    self._pairing.add(index, Taken(shot, captured_ns / 1e9, came))
                    self._changed.notify_all()
        except SourceError as error:
            kind = RefusedError if isinstance(error, RefusedError) else SourceError
            self._failure, ends = kind(f"{name}: {error}"), list(range(len(self._cameras)))
        except Exception as error:  # a bug of a source; it goes on in whoever reads the stack
            self._failure, ends = error, list(range(len(self._cameras)))
        finally:
            with self._changed:
                for ended in ends:
                    self._pairing.end(ended)
                self._changed.notify_all()
