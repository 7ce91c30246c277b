"""The trigger endpoint over real sockets: what it takes, what it refuses, and that nonsense is counted."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zmq

from inspector.clock import SystemClock
from inspector.errors import ConfigError
from inspector.guard import Guard
from inspector.keys import ClientKeys, ServerKeys, generate
from inspector.matching import MOST_WAITING, Triggers
from inspector.stage import Stage
from inspector.triggers import TriggerEndpoint
from tests.archives import asking_at
from tests.waiting import PATIENCE

STATIONS = {"gate": ("cam1", "cam2", "cam3")}


class House:
    """An endpoint in a stage of its own; cam1 and cam2 are triggered, cam3 is not."""

    def __init__(self, **options: object) -> None:
        self.cameras = {name: Triggers(0.0, 0.1, 0.0) for name in ("cam1", "cam2")}
        self.endpoint = TriggerEndpoint(
            "tcp://127.0.0.1:*", self.cameras, STATIONS, SystemClock(), **options  # type: ignore[arg-type]
        )  # fmt: skip
        self._stage = Stage("triggers", lambda stage: self.endpoint.run(stage.beat), SystemClock(), lambda: None)

    @contextmanager
    def serving(self) -> Iterator[House]:
        self._stage.start()
        try:
            yield self
        finally:
            self.endpoint.stop()
            assert self._stage.join(PATIENCE)
            self.endpoint.close()
        assert self._stage.error is None

    def waiting(self) -> dict[str, list[str]]:
        """By camera, the parts that wait for a frame."""
        return {name: [trigger.part for trigger in one._waiting] for name, one in self.cameras.items()}


@pytest.fixture
def house() -> Iterator[House]:
    with House().serving() as house:
        yield house


def tell(socket: zmq.Socket[bytes], **trigger: object) -> dict[str, object]:
    socket.send(json.dumps(trigger).encode())
    return dict(json.loads(socket.recv()))


@pytest.mark.parametrize("kind", [zmq.REQ, zmq.DEALER])
def test_a_trigger_is_taken_by_all_that_are_triggered_or_those_named(house: House, kind: int) -> None:
    with asking_at(house.endpoint.endpoint, kind) as socket:
        assert tell(socket, part="A1") == {"taken": True, "part": "A1", "cameras": ["cam1", "cam2"]}
        assert tell(socket, part="A2", cameras=["cam2"]) == {"taken": True, "part": "A2", "cameras": ["cam2"]}
        assert tell(socket, part="A3", station="gate", more=1)["cameras"] == ["cam1", "cam2"]
    assert house.waiting() == {"cam1": ["A1", "A3"], "cam2": ["A1", "A2", "A3"]}
    assert (house.endpoint.answers, house.endpoint.hostile) == ({"taken": 3, "refused": 0}, 0)


def test_its_own_time_counts_and_the_same_trigger_is_taken_once(house: House) -> None:
    at_ns = time.time_ns() - 2_000_000_000
    with asking_at(house.endpoint.endpoint) as socket:
        for _ in range(2):
            assert tell(socket, part="A1", at_ns=at_ns)["taken"]
        assert tell(socket, part="A1", at_ns=at_ns + 500_000_000)["taken"]
    assert house.waiting()["cam1"] == ["A1", "A1"]
    trigger = house.cameras["cam1"]._waiting[0]
    assert trigger.at_ns == at_ns
    assert 2.0 <= time.monotonic() - trigger.at < 60.0


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"\xff", "no JSON"),
        (b"[]", "should be an object"),
        (b"{}", "part is None"),
        (b'{"part":""}', "part is ''; give 1 to 256 characters"),
        (b'{"part":"A\\n1"}', "that can be printed"),
        (b'{"part":"' + b"x" * 257 + b'"}', "give 1 to 256 characters"),
        (b'{"part":"\\ud800"}', "part is"),
        (b'{"part":"A","at_ns":1.5}', "at_ns is 1.5"),
        (b'{"part":"A","cameras":["cam3"]}', "'cam3' is no camera that is triggered"),
        (b'{"part":"A","cameras":[]}', "no camera there is triggered"),
        (b'{"part":"A","cameras":[3]}', "list of texts"),
        (b'{"part":"A","station":"exit"}', "'exit' is no station; there are gate"),
    ],
)
def test_what_makes_no_sense_is_counted_and_refused(house: House, sent: bytes, why: str) -> None:
    with asking_at(house.endpoint.endpoint) as socket:
        socket.send(sent)
        answer = json.loads(socket.recv())
        assert (answer["taken"], why in answer["why"]) == (False, True)
        assert tell(socket, part="A1")["taken"], "the connection goes on"
    assert house.endpoint.hostile == 1
    assert house.waiting()["cam1"] == ["A1"]


def test_what_cannot_be_taken_now_is_refused(house: House) -> None:
    with asking_at(house.endpoint.endpoint) as socket:
        answer = tell(socket, part="A1", at_ns=time.time_ns() + 60_000_000_000)
        assert str(answer["why"]).startswith("at_ns is +")
        for number in range(MOST_WAITING):
            assert tell(socket, part=f"A{number}", cameras=["cam1"])["taken"]
        assert "too many triggers wait" in str(tell(socket, part="B")["why"])
        assert house.waiting()["cam2"] == [], "all take it, or none does"
        house.cameras["cam2"].close()
        assert tell(socket, part="B", cameras=["cam2"])["why"] == "the daemon is stopping"
    assert (house.endpoint.answers["refused"], house.endpoint.hostile) == (3, 0)


def test_who_sends_too_much_is_cut_off_and_the_others_are_served(house: House) -> None:
    with asking_at(house.endpoint.endpoint) as hostile, asking_at(house.endpoint.endpoint) as good:
        with hostile.get_monitor_socket(zmq.EVENT_DISCONNECTED) as monitor:
            hostile.send(bytes(5000))
            assert monitor.poll(60_000)
            hostile.disable_monitor()
        assert tell(good, part="A1")["taken"]


def test_other_machines_are_kept_out_unless_told_otherwise() -> None:
    with pytest.raises(ConfigError, match=r"trigger endpoint 'tcp://0\.0\.0\.0:0': other machines could"):
        TriggerEndpoint("tcp://0.0.0.0:0", {}, {}, SystemClock())
    TriggerEndpoint("tcp://0.0.0.0:0", {}, {}, SystemClock(), allow_plaintext=True).close()


def test_behind_a_guard_only_those_listed_can_trigger(tmp_path: Path) -> None:
    for name in ("daemon", "plc", "mallory"):
        generate(name, tmp_path / "keys")
    (tmp_path / "list").mkdir()
    shutil.copy(tmp_path / "keys/plc.pub", tmp_path / "list")
    ended = threading.Event()
    guard = Guard(
        ServerKeys.load(str(tmp_path / "keys/daemon.secret")), tmp_path / "list", SystemClock(), ended.set
    )  # fmt: skip
    try:
        house = House(keys=guard, context=guard.context)
        guard.start()
        with house.serving(), zmq.Context() as context:
            sockets = []
            for name in ("mallory", "plc"):
                socket = context.socket(zmq.DEALER)
                socket.linger, socket.rcvtimeo = 0, 60_000
                ClientKeys.load(tmp_path / f"keys/{name}.secret", tmp_path / "keys/daemon.pub").arm(socket)
                socket.connect(house.endpoint.endpoint)
                socket.send(json.dumps({"part": name}).encode())
                sockets.append(socket)
            assert json.loads(sockets[1].recv())["taken"]
            end = time.monotonic() + 60
            while not guard.denied["key"]:
                assert time.monotonic() < end
                time.sleep(0.01)
            assert not sockets[0].poll(0)
            for socket in sockets:
                socket.close()
        assert house.waiting()["cam1"] == ["plc"]
    finally:
        guard.close()
