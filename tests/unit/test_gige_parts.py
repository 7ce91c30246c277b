"""What of a GigE Vision camera needs neither the library nor a camera."""

from __future__ import annotations

import socket
import sys

import pytest

from inspector.sources import aravis, gige


class Network:
    """Aravis' list of cameras, which any call may find in another order unless nobody else asks meanwhile."""

    def __init__(self, serials: list[str]) -> None:
        self._serials = serials

    def update_device_list(self) -> None:
        self._is_held()

    def get_n_devices(self) -> int:
        return len(self._serials)

    def get_device_protocol(self, index: int) -> str:
        return "GigEVision"

    def get_device_serial_nbr(self, index: int) -> str:
        self._is_held()
        return self._serials[index]

    def get_device_address(self, index: int) -> str:
        self._is_held()
        return f"192.0.2.{index + 1}"

    def _is_held(self) -> None:
        assert aravis._listing.locked()


def test_a_camera_is_looked_up_by_its_serial_number_while_no_other_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aravis, "library", lambda: Network(["A7", "B9"]))
    assert aravis.address("B9") == "192.0.2.2"
    assert not aravis._listing.locked()


@pytest.mark.skipif(sys.platform != "linux", reason="it finds its socket in /proc")
@pytest.mark.parametrize("size", [1 << 20, 1 << 40])
def test_a_socket_gets_as_much_room_as_the_kernel_gives(size: int) -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as two,
    ):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        two.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        least = two.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        gige._make_room(one.getsockname()[1], size)
        assert one.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) > least
        assert two.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == least
