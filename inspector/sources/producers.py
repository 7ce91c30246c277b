"""GenTL producers, the drivers of GenICam cameras: each is loaded once a process, and lends out its devices.

The standard lets a process open a producer only once, so cameras share it. Harvesters' own way to look for devices
anew ends all streams of that producer; here only its interfaces are asked again while any camera is in use.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from inspector.errors import SourceError

VARIABLE = "GENICAM_GENTL64_PATH"
"""The standard's: folders with producers, a colon between them."""
SEARCH_MS = 100
"""How long a producer may look for its interfaces, and each of these for its devices. The library waits for that with
Python's lock held, so it stops the daemon unless the camera is isolated; on a network cameras answer within it."""


@cache
def harvesters() -> Any:
    """The library, loaded when first a camera needs it. Raises ImportError."""
    import harvesters.core as library

    logging.getLogger("harvesters").setLevel(logging.CRITICAL)  # it logs what it also raises, with a traceback
    return library


def installed() -> tuple[Path, ...]:
    """The producers in the folders that the standard's variable names; empty if there are none."""
    folders = [Path(folder) for folder in os.environ.get(VARIABLE, "").split(os.pathsep) if folder]
    return tuple(sorted(path for folder in folders for path in folder.glob("*.cti")))


class _Producer:
    """One producer, as long as any of its devices is in use."""

    def __init__(self, path: Path) -> None:
        core = harvesters()
        self.users = 0
        self._path = path
        config = {
            core.ParameterKey.LOGGER: logging.getLogger("harvesters"),
            core.ParameterKey.TIMEOUT_PERIOD_ON_MODULE_ENUMERATION: SEARCH_MS,
        }
        self.harvester = core.Harvester(config=core.ParameterSet(config))

    def look(self) -> None:
        """Find out which devices there are. Raises SourceError if the producer cannot be loaded."""
        if self.users == 0:
            self._load()
            return
        infos = self.harvester.device_info_list
        infos.clear()
        for interface in self.harvester._ifaces:  # harvesters has no other way to them
            interface.update_device_info_list(SEARCH_MS)
            infos += [harvesters().DeviceInfo(module=info, parent=interface) for info in interface.device_info_list]

    def _load(self) -> None:
        try:
            self.harvester.add_file(str(self._path), check_existence=True, check_validity=True)
        except OSError as error:
            why = str(error) or "there is no such file"
            raise SourceError(f"GenTL producer {str(self._path)!r} cannot be loaded: {why}") from error
        self.harvester.update()
        if not self.harvester._systems:
            raise SourceError(f"GenTL producer {str(self._path)!r} does not open; is its vendor's software complete?")

    def named(self, name: str) -> list[Any]:
        """Those devices that have this serial number, name or id; all of them for no name."""
        return [info for info in self.harvester.device_info_list if name in ("", *names(info))]


_producers: dict[Path, _Producer] = {}
_locks: dict[Path, threading.Lock] = {}


def _lock(path: Path) -> threading.Lock:
    """A producer's own, so that one that hangs holds up no other."""
    return _locks.setdefault(path, threading.Lock())


@contextmanager
def lent(path: Path, name: str, buffers: int) -> Iterator[Any]:
    """Harvesters' acquirer of the device with this serial number, user-defined name or id; no name: the only one.

    Raises SourceError if there is no such device, or more than one, or the producer does not open it.
    """
    with _lock(path):
        producer = _producers.get(path) or _Producer(path)
        try:
            producer.look()
            acquirer = _create(producer, path, name, buffers)
        except BaseException:
            if producer.users == 0:
                _end(producer.harvester)
            raise
        producer.users += 1
        _producers[path] = producer
    try:
        yield acquirer
    finally:
        with _lock(path):
            producer.users -= 1
            _destroy(acquirer)
            producer.harvester.image_acquirers.remove(acquirer)
            if producer.users == 0:
                del _producers[path]
                _end(producer.harvester)


def is_there(path: Path, identity: str) -> bool:
    """Whether the device with this id, which is lent just now, is still found."""
    with _lock(path):
        producer = _producers[path]
        producer.look()
        return any(info.id_ == identity for info in producer.harvester.device_info_list)


def failures() -> tuple[type[Exception], ...]:
    """What the library raises where a producer, or a camera's description, reports an error."""
    core = harvesters()
    return (core.GenTL_GenericException, core.GenApi_GenericException)


def names(info: Any) -> list[str]:
    """What a device may be called by: serial number, user-defined name, id."""
    known = []
    for key in ("serial_number", "user_defined_name", "id_"):
        with suppress(*failures()):  # none of them must be known
            known.append(getattr(info, key))
    return [name for name in known if name]


def _create(producer: _Producer, path: Path, name: str, buffers: int) -> Any:
    found = producer.named(name)
    if len(found) != 1:
        there = ", ".join(repr(names(info)[0]) for info in producer.named("")) or "no device at all"
        problem = "is more than one device" if found else "is not found"
        raise SourceError(f"device {name!r} {problem} by GenTL producer {path.name}, which finds {there}")
    core = harvesters()
    config = core.ParameterSet(
        {
            core.ParameterKey.NUM_BUFFERS_FOR_FETCH_CALL: buffers,
            core.ParameterKey.ENABLE_AUTO_CHUNK_DATA_UPDATE: False,
            core.ParameterKey.TIMEOUT_PERIOD_ON_CLIENT_FETCH_CALL: 1.0,
            core.ParameterKey.TIMEOUT_PERIOD_ON_UPDATE_EVENT_DATA_CALL: 0,
        }
    )
    with _own_signals():
        return producer.harvester.create(found[0], config=config)


def _destroy(acquirer: Any) -> None:
    """Give back all that it holds, also of a camera that is gone: what that cannot be told ends the first attempt."""
    chunks = acquirer._chunk_adapter
    for _ in range(2):
        with suppress(*failures()):
            acquirer.destroy()
    for holder in (acquirer, chunks):
        holder._finalizer.detach()  # which would hold on to it for ever


def _end(harvester: Any) -> None:
    harvester.reset()
    harvester._finalizer.detach()


@contextmanager
def _own_signals() -> Iterator[None]:
    """Harvesters takes SIGINT for itself, where it can; it is not its to take."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
