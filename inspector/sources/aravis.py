"""Aravis, a library for GigE Vision cameras, and the settings of a camera that it has open."""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import cache
from ipaddress import ip_address
from typing import Any

from inspector.errors import SourceError

_listing = threading.Lock()
"""Aravis has one list of cameras; its entries are asked for one by one, and move when another thread renews it."""


@cache
def library() -> Any:
    """Loaded when first a camera needs it. Raises ImportError or ValueError."""
    import gi

    gi.require_version("Aravis", "0.8")
    from gi.repository import Aravis

    return Aravis


@cache
def failure() -> type[Exception]:
    """What it raises."""
    from gi.repository import GLib

    error: type[Exception] = GLib.Error
    return error


def address(name: str) -> str:
    """Where the camera with this name is; asks the network for it unless it is an address."""
    with suppress(ValueError):
        return str(ip_address(name))
    found = {}
    with _listing:
        here = library()
        here.update_device_list()
        for index in range(here.get_n_devices()):
            if here.get_device_protocol(index) == "GigEVision":
                serial, address = here.get_device_serial_nbr(index), here.get_device_address(index)
                found[address] = serial
                if name == serial:
                    return str(address)
    there = ", ".join(f"{serial!r} at {address}" for address, serial in found.items()) or "none"
    raise SourceError(f"no camera {name!r} answers on this machine's networks; those that do: {there}")


def sentence(error: Any) -> str:
    """The library's words, on one line."""
    return " ".join(str(error.message).split())


class Setting:
    """One of a camera's own; see `features.Feature`. device: Aravis', open."""

    def __init__(self, camera: str, device: Any, name: str) -> None:
        self._device, self._name = device, name
        self._node = device.get_feature(name)
        if self._node is None:
            raise SourceError(f"{camera} has no setting {name!r}; `arv-tool-0.8 features` lists those that it has")
        self._kind = next(kind for kind in KINDS if isinstance(self._node, getattr(library(), kind)))
        self.fractional = self._kind == "GcFloat"

    def write(self, text: str) -> None:  # noqa: D102 - as the protocol says
        try:
            if self._kind == "GcCommand":
                self._node.execute()
            elif not hasattr(self._node, "set_value_from_string"):
                raise SourceError("it is no setting")
            elif self._kind == "GcEnumeration" and text not in self._choices():
                raise SourceError("it is none of these")
            else:
                self._node.set_value_from_string(text)
        except failure() as error:
            raise SourceError(sentence(error)) from error

    def read(self) -> str | None:  # noqa: D102
        if self._kind == "GcCommand":
            return None
        try:
            return str(self._node.get_value_as_string())
        except failure() as error:
            raise SourceError(sentence(error)) from error

    def allowed(self) -> str:  # noqa: D102
        try:
            if self._kind == "GcEnumeration":
                return " or ".join(self._choices())
            if self._kind == "GcInteger":
                low, high = self._device.get_integer_feature_bounds(self._name)
                step = self._device.get_integer_feature_increment(self._name)
                return f"{low} to {high} in steps of {step}"
            if self._kind == "GcFloat":
                return "{:g} to {:g}".format(*self._device.get_float_feature_bounds(self._name))
        except failure():
            return "nothing now"
        return {"GcBoolean": "0 or 1", "GcCommand": "any value"}.get(self._kind, "text")

    def _choices(self) -> list[str]:
        return list(self._device.dup_available_enumeration_feature_values_as_strings(self._name))


KINDS = ("GcEnumeration", "GcBoolean", "GcCommand", "GcFloat", "GcInteger", "GcFeatureNode", "GcNode")
"""Aravis' classes of settings; an enumeration is an integer too, so it comes first."""
