"""The server as an object: it starts, tells its address, stops, and starts again."""

from __future__ import annotations

import socket

import pytest

from pennylane_qstore.emulator import Emulator
from pennylane_qstore.errors import QStoreError


def test_a_host_takes_up_its_port_again() -> None:
    emulator = Emulator()
    assert not emulator.is_running
    with pytest.raises(QStoreError, match="not running"):
        _ = emulator.url
    with emulator:
        assert emulator.is_running
        url = emulator.url
    with emulator:
        assert emulator.url == url


def test_an_address_that_is_taken_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(QStoreError, match=f"cannot listen on 127.0.0.1:{port}"):
            Emulator(port=port).start()
