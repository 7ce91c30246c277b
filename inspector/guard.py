"""The door: CURVE on every socket that strangers can reach, and ZeroMQ's authentication (ZAP, RFC 27) by allow-list.

libzmq asks at `inproc://zeromq.zap.01` of a socket's own context, so whatever is guarded lives in the guard's context.
pyzmq's own authenticator cannot answer "not now" (300): whoever is refused by a 400 never tries again, not even once
its key was added or the folder is whole again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import zmq
from zmq.utils import z85
from zmq.utils.monitor import recv_monitor_message

from inspector.allowlist import AllowList
from inspector.clock import Clock
from inspector.keys import ServerKeys, fingerprint, had_since
from inspector.logs import Tally
from inspector.metrics import REFUSALS
from inspector.stage import Stage

log = logging.getLogger(__name__)

HANDSHAKE_MS = 5000
"""Within which a connection has to prove itself; also when one that was refused is cut off, and may try again."""
PATIENCE = 5.0
"""Seconds that a folder which does not answer, on a network drive perhaps, may keep us from closing."""
LOOK_MS = 1000
"""How often the tallies are looked at while nothing happens."""

KEY, HANDSHAKE = REFUSALS

_DOMAIN = b"inspector"
_ZAP = "inproc://zeromq.zap.01"
_CONTROL = "inproc://guard"
_FAILED = zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL


class Guard:
    """Guards the sockets of `context`: make it, arm and bind them, `start`, and close them before it.

    keys: the daemon's;  folder: the subscribers' public keys; who is removed from it is refused from then on
    notes: the file that remembers since when the daemon has had its key, if there is one
    denied: how many connections were refused, by reason
    since: since when the daemon has had its key, in seconds since 1970 UTC
    stage: the thread that answers; nobody gets in any more once it has failed
    Raises ConfigError for a key that is wrong.
    """

    def __init__(
        self, keys: ServerKeys, folder: Path, clock: Clock, on_end: Callable[[], None], notes: Path | None = None
    ) -> None:
        self.denied = dict.fromkeys(REFUSALS, 0)
        self.stage = Stage("guard", self._run, clock, on_end)
        self.since = had_since(keys, notes, clock.wall_ns() / 1e9)
        self._keys = keys
        self._list = AllowList(folder)
        self._tallies = {
            KEY: Tally(
                log,
                logging.WARNING,
                "refused {count} connection(s), no subscriber has that key; last {detail}",
                clock,
            ),
            HANDSHAKE: Tally(
                log, logging.WARNING, "refused {count} connection(s) not in CURVE with our key; last at {detail}", clock
            ),
        }
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._zap = self._bound(zmq.REP, _ZAP)
        self._control = self._bound(zmq.PAIR, _CONTROL)
        self._monitors: list[zmq.Socket[bytes]] = []
        log.info("%d subscriber(s) may connect, by the keys in %s; our key is %s", len(self._list), folder, keys)

    @property
    def subscribers(self) -> int:
        """How many may connect, as of the last connection."""
        return len(self._list)

    @property
    def wrong(self) -> int:
        """How many key files cannot be used."""
        return self._list.wrong

    @property
    def oldest(self) -> float:
        """When the oldest of the subscribers' keys was put in, in seconds since 1970 UTC; 0 for none."""
        return self._list.oldest

    def arm(self, socket: zmq.Socket[bytes]) -> None:
        """Let only subscribers on the list connect to `socket`; before it binds, and before `start`."""
        self._keys.arm(socket)
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        # Both, or libzmq lets everybody in while nobody answers.
        socket.setsockopt(zmq.ZAP_DOMAIN, _DOMAIN)
        socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        address = f"inproc://monitor-{len(self._monitors)}"
        socket.monitor(address, _FAILED)
        monitor = self.context.socket(zmq.PAIR)
        monitor.rcvhwm = 0  # or libzmq's own thread would wait for us
        monitor.connect(address)
        self._monitors.append(monitor)

    def start(self) -> None:
        """Let subscribers in."""
        self.stage.start()

    def close(self) -> None:
        """Let nobody in any more, and end the context once its sockets, closed before, have said their last."""
        with self.context.socket(zmq.PAIR) as stop:
            stop.connect(_CONTROL)
            stop.send(b"")
        if self.stage.join(PATIENCE):
            self.context.destroy(linger=0)
        else:
            log.warning("the guard hangs, as the folder of subscribers may do; its connections end with the process")

    def _bound(self, kind: int, address: str) -> zmq.Socket[bytes]:
        socket = self.context.socket(kind)
        socket.bind(address)
        return socket

    def _run(self, stage: Stage) -> None:
        poller = zmq.Poller()
        for socket in (self._control, self._zap, *self._monitors):
            poller.register(socket, zmq.POLLIN)
        while True:
            ready = dict(poller.poll(LOOK_MS))
            stage.beat()
            if self._control in ready:
                break
            if self._zap in ready:
                self._zap.send_multipart(self._answer(self._zap.recv_multipart()))
            for monitor in self._monitors:
                if monitor in ready:
                    self._note(monitor)
            for tally in self._tallies.values():
                tally.tick()
        for tally in self._tallies.values():
            tally.flush()

    def _answer(self, request: list[bytes]) -> list[bytes]:
        """The reply to one request of libzmq's, which comes once a connection has proved whose key it has."""
        version, number, _, address, _, mechanism, *credentials = request
        for problem in self._list.refresh():
            log.warning("%s", problem)
        name = None
        if mechanism == b"CURVE":
            key = z85.encode(credentials[0])
            name = self._list.name(key)
            where = address.decode("ascii", "replace") or "this machine"
            if name is None:
                self._refuse(KEY, f"key {fingerprint(key)} from {where}")
            else:
                log.info("subscriber %s connected from %s", name, where, extra={"subscriber": name})
        code, text = (b"300", b"no such key") if name is None else (b"200", b"welcome")
        return [version, number, code, text, (name or "").encode(), b""]

    def _note(self, monitor: zmq.Socket[bytes]) -> None:
        """A connection ended before anybody was asked about it."""
        event = recv_monitor_message(monitor)
        if event["event"] & _FAILED:  # and not the end of the monitor
            self._refuse(HANDSHAKE, event["endpoint"].decode("utf-8", "replace"))

    def _refuse(self, reason: str, detail: str) -> None:
        self.denied[reason] += 1
        self._tallies[reason].add(1, detail)
