"""The software trigger of a GenICam camera: the command `TriggerSoftware`, for one that its settings have wait for it.

The URL has to say so: `TriggerMode=On&TriggerSource=Software`, after a `TriggerSelector` where the camera has one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from inspector.errors import SourceError
from inspector.sources.features import Feature, Wanted

COMMAND = "TriggerSoftware"


class Shutter:
    """Fires a camera while it is open. camera: what messages call it;  wanted: its settings

    fire: has the camera take a picture; from any thread, raises SourceError where it does not take the command. None
        where something else fires the camera
    settings: `wanted`, and then the selector of the trigger that is fired, which the command goes to
    """

    def __init__(self, camera: str, wanted: Wanted) -> None:
        selector = fired(wanted)
        self.fire: Callable[[], None] | None = None if selector is None else self._fire
        self.settings = (*wanted, ("TriggerSelector", selector)) if selector else wanted
        self._camera = camera
        self._lock = threading.Lock()
        self._command: Feature | None = None

    @contextmanager
    def ready(self, find: Callable[[str], Feature]) -> Iterator[None]:
        """Meanwhile the camera can be fired. find: as `features.apply` has it. Raises SourceError without the command.

        One that is being fired is waited for at the end: nobody calls a camera that is closed.
        """
        if self.fire is None:
            yield
            return
        self._hold(find(COMMAND))
        try:
            yield
        finally:
            self._hold(None)

    def _hold(self, command: Feature | None) -> None:
        with self._lock:
            self._command = command

    def _fire(self) -> None:
        with self._lock:
            if self._command is None:
                raise SourceError(f"{self._camera} is not open")
            try:
                self._command.write("1")
            except SourceError as error:
                raise SourceError(f"{self._camera} does not take {COMMAND} ({error})") from error


def fired(wanted: Wanted) -> str | None:
    """The `TriggerSelector` under which software fires the camera, "" for none; None if nothing does by these settings.

    What is set before a selector counts for all: cameras select by it what they like.
    """
    selector, found = "", dict[tuple[str, str], str]()
    for name, value in wanted:
        if name == "TriggerSelector":
            selector = value
        found[selector, name] = value
    for chosen in dict.fromkeys(selector for selector, _ in reversed(found)):
        mode, source = (found.get((chosen, name), found.get(("", name))) for name in ("TriggerMode", "TriggerSource"))
        if (mode, source) == ("On", "Software"):
            return chosen
    return None
