"""The addresses that a line binds: which of them are taken, by whom, and whether that is this line's own daemon."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import zmq

from inspector import address
from inspector import settings as configuration
from inspector.binding import bind
from inspector.doctor.machine import Machine
from inspector.errors import ConfigError, InspectorError, InUseError
from inspector.health import Health, Views
from inspector.settings import Settings

HTTP = "http"
IPC = "ipc://"
ANY = "tcp://127.0.0.1:*"


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has an address. config: what it runs, if it is a daemon of ours;  is_own: of this line"""

    name: str
    config: Path | None
    is_own: bool

    def __str__(self) -> str:
        return self.name if self.config is None else f"the inspector that runs {self.config} ({self.name})"


@dataclass(frozen=True, slots=True)
class Taken:
    """An address that is in use. holder: None where this user may not see it"""

    what: str
    url: str
    error: InUseError
    holder: Holder | None

    @property
    def is_own(self) -> bool:
        """Whether it is this line's own daemon that has it."""
        return self.holder is not None and self.holder.is_own

    def __str__(self) -> str:
        """What is wrong, by whom, and the remedy."""
        text, _, remedy = str(self.error).partition("; ")
        if self.holder is None:
            return f"{text} by whom this user may not see; {remedy}; root may see who has it"
        return f"{text} by {self.holder}; {remedy}"


def endpoints(line: Settings) -> dict[str, str]:
    """ZeroMQ's addresses, by what they are for."""
    found = {"publisher": line.publish.endpoint, "catch-up": line.publish.catchup, "triggers": line.trigger.endpoint}
    return {what: url for what, url in found.items() if url is not None and not url.startswith("memory:")}


def addresses(line: Settings) -> dict[str, str]:
    """All of them, by what they are for."""
    return endpoints(line) | {HTTP: f"{line.http.host}:{line.http.port}"}


def _try_to_bind(line: Settings, what: str) -> None:
    """Bind an address of the line for a moment, as the daemon does. Raises OutputError; InUseError if it is taken."""
    if what == HTTP:
        Health(line.http.host, line.http.port, Views(bytes, bool, list)).close()
        return
    url = endpoints(line)[what]
    context = zmq.Context()
    place = context.socket(zmq.ROUTER)
    try:
        place.setsockopt(zmq.IPV6, "[" in url)
        bind(place, url, what)
    finally:
        place.close(linger=0)
        context.term()


def taken(line: Settings, config: Path, machine: Machine, lost: dict[str, InspectorError]) -> Iterator[Taken]:
    """Those that are in use. config: the line's file;  lost: told of those that cannot be had at all, and why"""
    for what in addresses(line):
        try:
            found = in_use(line, what, config, machine)
        except InspectorError as error:
            lost[what] = error
        else:
            if found is not None:
                yield found


def in_use(line: Settings, what: str, config: Path, machine: Machine) -> Taken | None:
    """Whether an address of the line is. Raises OutputError for one that cannot be had at all."""
    try:
        _try_to_bind(line, what)
    except InUseError as error:
        url = addresses(line)[what]
        return Taken(what, url, error, _holder(line, config, url, machine))
    return None


def _holder(line: Settings, config: Path, url: str, machine: Machine) -> Holder | None:
    """Who has an address of the line, as far as this user may see."""
    pid = machine.binder(url.removeprefix(IPC)) if url.startswith(IPC) else machine.listener(_port(url))
    if pid is None:
        return None
    named = _runs(machine.arguments(pid))
    runs = None if named is None else machine.folder(pid) / named
    return Holder(machine.name(pid), runs, runs is not None and _is_line(runs, line, config))


def without(line: Settings, whats: Collection[str], lost: Collection[str] = ()) -> Settings:
    """The line with any free address, as open to others, in the place of some.

    lost: those that cannot be had whatever their port: there is one of this machine alone, or none, in their place
    """
    publish, trigger, http = line.publish, line.trigger, line.http
    if "publisher" in whats:
        publish = publish.model_copy(update={"endpoint": _free(publish.endpoint)})
    if "catch-up" in whats and publish.catchup is not None:
        publish = publish.model_copy(update={"catchup": _free(publish.catchup)})
    if "triggers" in whats:
        trigger = trigger.model_copy(update={"endpoint": ANY})
    if HTTP in whats:
        http = http.model_copy(update={"port": 0})
    if "publisher" in lost:
        publish = publish.model_copy(update={"endpoint": ANY})
    if "catch-up" in lost:
        publish = publish.model_copy(update={"catchup": None})  # else it would pass for one that others cannot reach
    if "triggers" in lost:
        trigger = trigger.model_copy(update={"endpoint": ANY})
    if HTTP in lost:
        http = http.model_copy(update={"host": "127.0.0.1", "port": 0})
    return line.model_copy(update={"publish": publish, "trigger": trigger, "http": http})


def _free(url: str) -> str:
    return ANY if address.exposure(url) is None else f"{url.rpartition(':')[0]}:*"


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])  # one that is in use is no wildcard


def _runs(arguments: list[str]) -> str | None:
    """The file that a command line runs a daemon of ours with."""
    for name, verb, config in zip(arguments, arguments[1:], arguments[2:], strict=False):
        if Path(name).name == "inspector" and verb == "run":
            return config
    return None


def _is_line(runs: Path, line: Settings, config: Path) -> bool:
    """Whether a daemon of the file `runs` is of this line: by this very file, or by one whose place it shall take."""
    try:
        return runs.samefile(config) or configuration.load(runs, {}).line == line.line
    except (OSError, ConfigError):
        return False  # changed or gone since it was started
