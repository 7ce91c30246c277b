"""Which cameras the daemon fires, and how."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest

from inspector import sources
from inspector.cameras import source_problems
from inspector.errors import SourceError
from inspector.settings import Camera
from inspector.sources import Source, shutter_of
from inspector.sources.scan import Scan
from inspector.sources.shutter import Shutter, fired
from inspector.sources.stacked import Stacked
from inspector.types import Shot
from tests.sources import HandSource
from tests.waiting import until


def wanted(text: str) -> tuple[tuple[str, str], ...]:
    """Settings as a URL has them."""
    return tuple(tuple(piece.split("=")) for piece in text.split("&"))  # type: ignore[misc]


@pytest.mark.parametrize(
    ("settings", "selector"),
    [
        ("Width=640", None),
        ("TriggerMode=On", None),
        ("TriggerSource=Software", None),
        ("TriggerMode=Off&TriggerSource=Software", None),
        ("TriggerMode=On&TriggerSource=Line1", None),
        ("TriggerMode=On&TriggerSource=Software", ""),
        ("TriggerSource=Software&TriggerMode=On", ""),
        ("TriggerSource=Line1&TriggerSource=Software&TriggerMode=On", ""),
        ("TriggerSelector=FrameStart&TriggerMode=On&TriggerSource=Software", "FrameStart"),
        ("TriggerSource=Software&TriggerSelector=FrameStart&TriggerMode=On", "FrameStart"),
        ("TriggerSelector=FrameStart&TriggerMode=On&TriggerSource=Software&TriggerSelector=LineStart&TriggerMode=Off",
         "FrameStart"),
        ("TriggerSelector=LineStart&TriggerMode=On&TriggerSource=Encoder0&TriggerSelector=FrameStart&TriggerMode=On",
         None),
    ],
)  # fmt: skip
def test_a_camera_is_fired_where_its_settings_say_so(settings: str, selector: str | None) -> None:
    assert fired(wanted(settings)) == selector
    assert (Shutter("it", wanted(settings)).fire is None) == (selector is None)


def test_its_trigger_is_the_one_that_is_selected_last() -> None:
    settings = wanted("TriggerSelector=FrameStart&TriggerMode=On&TriggerSource=Software&TriggerSelector=LineStart")
    assert Shutter("it", settings).settings == (*settings, ("TriggerSelector", "FrameStart"))
    assert Shutter("it", settings[:1]).settings == settings[:1]


class Command:
    """`TriggerSoftware` of a camera."""

    fractional = False

    def __init__(self, refuses: str | None = None) -> None:
        self.executed = 0
        self._refuses = refuses

    def write(self, text: str) -> None:
        del text
        if self._refuses is not None:
            raise SourceError(self._refuses)
        self.executed += 1

    def read(self) -> None:
        return None

    def allowed(self) -> str:
        return "any value"


def a_shutter() -> Shutter:
    return Shutter("camera 'x'", wanted("TriggerMode=On&TriggerSource=Software"))


def test_it_is_fired_while_it_is_open() -> None:
    shutter, command = a_shutter(), Command()
    assert shutter.fire is not None
    for _ in range(2):
        with pytest.raises(SourceError, match=r"^camera 'x' is not open$"):
            shutter.fire()
        with shutter.ready({"TriggerSoftware": command}.__getitem__):
            shutter.fire()
    assert command.executed == 2
    with pytest.raises(SourceError, match="is not open"):
        shutter.fire()


def test_a_command_that_is_not_taken_is_a_sentence() -> None:
    shutter = a_shutter()
    assert shutter.fire is not None
    with (
        shutter.ready(lambda _: Command("Node is not writable")),
        pytest.raises(SourceError, match=r"^camera 'x' does not take TriggerSoftware \(Node is not writable\)$"),
    ):
        shutter.fire()


def test_a_camera_without_the_command_does_not_open() -> None:
    def find(name: str) -> Command:
        raise SourceError(f"camera 'x' has no setting {name!r}")

    with pytest.raises(SourceError, match="has no setting 'TriggerSoftware'"), a_shutter().ready(find):
        raise AssertionError
    with Shutter("camera 'x'", ()).ready(find):
        pass


def test_a_camera_is_not_closed_while_it_is_being_fired() -> None:
    shutter, entered, leave = a_shutter(), threading.Event(), threading.Event()
    command = Command()
    order: list[str] = []

    def write(text: str) -> None:
        del text
        entered.set()
        assert leave.wait(30)
        order.append("fired")

    command.write = write  # type: ignore[method-assign]

    def serve() -> None:
        with shutter.ready(lambda _: command):
            assert entered.wait(30)
        order.append("closed")

    assert shutter.fire is not None
    threads = [threading.Thread(target=serve)]
    threads[0].start()
    until(lambda: shutter._command is not None)
    threads.append(threading.Thread(target=shutter.fire))
    threads[1].start()
    assert entered.wait(30)
    leave.set()
    for thread in threads:
        thread.join(30)
    assert order == ["fired", "closed"]


# ---- sources of sources


class Fired(HandSource):
    """Shows what it is fired for; dark, it cannot be."""

    def __init__(self, dark: bool = False) -> None:
        super().__init__()
        self.fires = 0
        self._dark = dark

    def fire(self) -> None:
        if self._dark:
            raise SourceError("no light")
        self.fires += 1


def test_the_strips_of_a_line_scan_camera_are_fired() -> None:
    source = Fired()
    assert Scan(source, 16, 0).fire == source.fire
    assert Scan(HandSource(), 16, 0).fire is None


def a_stack(**cameras: HandSource) -> tuple[Stacked, Iterator[Shot]]:
    """One that is read, by the caller alone."""
    stack = Stacked({name: partial(lambda one: one, camera) for name, camera in cameras.items()}, {}, 3, None, 60.0)
    return stack, stack.frames()


def test_all_cameras_of_a_stack_are_fired_that_have_to_be() -> None:
    cameras = {"visible": Fired(), "depth": HandSource(), "infrared": Fired()}
    stack, frames = a_stack(**cameras)
    assert stack.fire is not None
    with pytest.raises(SourceError, match="the cameras are not open"):
        stack.fire()
    for camera in cameras.values():
        camera.show(np.zeros((4, 6, 1), np.uint8), "A1")
    next(frames)
    stack.fire()
    assert [camera.fires for camera in cameras.values() if isinstance(camera, Fired)] == [1, 1]
    stack.close()
    assert list(frames) == []
    assert a_stack(visible=HandSource())[0].fire is None


def test_of_a_stack_the_camera_that_cannot_be_fired_is_named() -> None:
    cameras = {"visible": Fired(dark=True), "infrared": Fired()}
    stack, frames = a_stack(**cameras)
    assert stack.fire is not None
    for camera in cameras.values():
        camera.show(np.zeros((4, 6, 1), np.uint8), "A1")
    next(frames)
    with pytest.raises(SourceError, match=r"^visible: no light$"):
        stack.fire()
    assert cameras["infrared"].fires == 0, "a picture of one camera alone would be of no use"
    stack.close()
    assert list(frames) == []


# ---- the configuration


@pytest.mark.parametrize(("source", "window", "is_wrong"), [(Fired, None, True), (Fired, 0.1, False),
                                                              (HandSource, None, False)])  # fmt: skip
def test_a_camera_that_waits_to_be_fired_needs_triggers(
    source: type[Source], window: float | None, is_wrong: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sources.SCHEMES, "hand", lambda _: source())
    assert shutter_of(sources.open_source("hand:")) is None or source is Fired
    camera = Camera(name="top", source="hand:", bundle="b", trigger_window=window)
    problems = list(source_problems([camera]))
    sentence = "camera 'top': its source waits to be fired (TriggerSource=Software), and no trigger is for it; set "
    assert [problem.startswith(sentence) for problem in problems] == [True] * is_wrong
