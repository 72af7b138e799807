"""Connections on which no request arrives are closed."""

from __future__ import annotations

import asyncio
import http.client
import socket
from collections.abc import Callable
from itertools import count
from types import SimpleNamespace

import pytest
from support.emulator_wire import Wire

from pennylane_qstore.server import header_timeout
from pennylane_qstore.server.header_timeout import HeaderTimeout


class Connection:
    def __init__(self) -> None:
        self.closed = False

    def force_close(self) -> None:
        self.closed = True


def test_only_what_is_silent_for_too_long_is_closed() -> None:
    timeout = HeaderTimeout(10)
    first, second, spoken = Connection(), Connection(), Connection()
    timeout._spoken.add(spoken)
    timeout.sweep([first, spoken], now=100.0)
    timeout.sweep([first, second, spoken], now=105.0)
    assert not first.closed
    timeout.sweep([first, second, spoken], now=110.0)
    assert (first.closed, second.closed, spoken.closed) == (True, False, False)
    timeout.sweep([second], now=115.0)
    assert second.closed
    timeout.sweep([], now=116.0)
    assert not timeout._since
    assert not timeout._spoken


def test_a_client_that_asks_without_a_pause_is_not_silent() -> None:
    timeout, connection = HeaderTimeout(10), Connection()

    async def handler(request: object) -> None:
        """Answer."""

    request = SimpleNamespace(protocol=connection, transport=None)
    for now in range(30):
        asyncio.run(timeout.middleware()(request, handler))
        timeout._hear(connection)  # the next request has begun when the sweep comes
        timeout.sweep([connection], float(now))
    assert not connection.closed
    timeout.sweep([connection], 39.0)
    assert connection.closed


@pytest.mark.parametrize(("sweeps", "closed"), [(8, False), (12, True)])
def test_a_loop_that_stood_still_closes_nobody(
    monkeypatch: pytest.MonkeyPatch, sweeps: int, closed: bool
) -> None:
    connection, made, seconds = Connection(), count(1), count(0, 1000)

    async def sleep(delay: float) -> None:
        if next(made) > sweeps:
            raise asyncio.CancelledError

    async def run() -> None:
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: next(seconds))
        with pytest.raises(asyncio.CancelledError):
            await HeaderTimeout(10).run(SimpleNamespace(connections=[connection]))

    monkeypatch.setattr(header_timeout.asyncio, "sleep", sleep)
    asyncio.run(run())
    assert connection.closed is closed


@pytest.mark.parametrize("sent", [b"", b"GET /v0.4/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half"])
def test_a_connection_with_half_of_the_headers_is_closed(
    serve: Callable[..., Wire], monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(header_timeout, "_SWEEP_S", 0.01)
    monkeypatch.setattr(HeaderTimeout.__init__, "__defaults__", (0.05,))
    wire = serve()
    host, port = wire.emulator.address.removeprefix("http://").split(":")
    talking = http.client.HTTPConnection(host, int(port), timeout=10)
    talking.request("GET", "/v0.4/backends")
    assert talking.getresponse().read()
    kept = talking.sock
    with socket.create_connection((host, int(port)), timeout=10) as client:
        client.sendall(sent)
        assert client.recv(1000) == b""
    talking.request("GET", "/v0.4/backends")  # one that has spoken is kept
    assert talking.getresponse().read()
    assert talking.sock is kept
    talking.close()


def test_a_kept_connection_with_half_of_a_second_request_is_closed(
    serve: Callable[..., Wire], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(header_timeout, "_SWEEP_S", 0.01)
    monkeypatch.setattr(HeaderTimeout.__init__, "__defaults__", (0.1,))
    host, port = serve().emulator.address.removeprefix("http://").split(":")
    talking = http.client.HTTPConnection(host, int(port), timeout=10)
    for _ in range(2):
        talking.request("GET", "/v0.4/backends")
        assert talking.getresponse().read()
    kept = talking.sock
    assert kept is not None
    kept.sendall(b"GET /v0.4/backends HTTP/1.1\r\nHost")
    assert kept.recv(1000) == b""
    talking.close()
