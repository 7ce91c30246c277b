"""Where frames come from: one file a kind, found by the scheme of its URL.

sim://line?seed=1&rate=25     the simulated line (sim.py)
file:clip.mp4?loop=1          a video file (file.py)
folder:pictures?rate=5        a folder of pictures (folder.py)
camera:0?width=1280           a camera at this machine (camera.py)
rtsp://host/path              a camera on the network (rtsp.py); rtsps:// too
genicam://SERIAL?producer=... a machine vision camera through its vendor's GenTL producer (genicam.py)
gige://ADDRESS                a GigE Vision camera by Aravis (gige.py)

Other packages add kinds by entry points (plugins.py, docs/sources.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from inspector.errors import ConfigError
from inspector.redact import redact
from inspector.sources import camera, file, folder, genicam, gige, plugins, rtsp, sim
from inspector.sources.url import Url
from inspector.types import Shot

__all__ = ["SCHEMES", "Source", "may_know_parts", "open_source", "redact", "shutter_of", "waits"]


class Source(Protocol):
    """A stream of pictures. Its device is opened by `frames` alone."""

    @property
    def live(self) -> bool:
        """Whether it goes on without us: a live source cannot wait, and is opened again after a failure."""
        ...

    def frames(self) -> Iterator[Shot]:
        """Open the device and yield its pictures in order; each owns its memory. Returns at the stream's end.

        May be called again, after a failure as after the end; it then opens the device anew.
        Raises SourceError, in one sentence without a password, if the device cannot deliver.
        """
        ...

    def close(self) -> None:
        """End `frames`, also one that waits; it yields nothing more from now on. Callable from any thread."""
        ...


def waits(source: Source) -> bool:
    """Whether it is open and waits for a trigger: what is never triggered need not have this `waiting`."""
    return bool(getattr(source, "waiting", False))


def shutter_of(source: Source) -> Callable[[], None] | None:
    """What has it take a picture, where the daemon has to; what is fired by others need not have this `fire`.

    Called from any thread, while `frames` runs or not; raises SourceError if the camera could not be fired.
    """
    shutter: Callable[[], None] | None = getattr(source, "fire", None)
    return shutter


SCHEMES: dict[str, Callable[[Url], Source]] = {
    "camera": camera.from_url,
    "file": file.from_url,
    "folder": folder.from_url,
    "genicam": genicam.from_url,
    "gige": gige.from_url,
    "rtsp": rtsp.from_url,
    "rtsps": rtsp.from_url,
    "sim": sim.from_url,
}
"""Who makes a source from a URL of that scheme; raises ConfigError for a URL that it cannot serve.

A package that offers one of these schemes is never asked.
"""

_KNOWING_PARTS = ("folder", "sim")


def may_know_parts(url: str) -> bool:
    """Whether the frames of the source that `url` names may have part ids without triggers; other packages' may."""
    scheme = Url(url).scheme
    return scheme in _KNOWING_PARTS or scheme not in SCHEMES


def open_source(url: str) -> Source:
    """The source that `url` names, checked as far as that goes without opening a device.

    Raises ConfigError with a sentence for each mistake in the URL.
    """
    address = Url(url)
    make = SCHEMES.get(address.scheme) or plugins.factory(address)
    if make is None:
        known = ", ".join(f"{scheme}:" for scheme in SCHEMES)
        raise ConfigError(f"{address}: {address.scheme!r} is not a kind of source; a URL starts with one of {known}")
    return make(address)
