"""The server answers to its own address and its own key, and counts."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
from support.emulator_wire import Wire, single

from pennylane_qstore.server import access


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:1", "127.0.0.1", "localhost:1", ""])
def test_a_foreign_host_is_refused(wire: Wire, host: str) -> None:
    answer = wire("GET", "/backends", headers={"Host": host})
    assert answer.status in (400, 403)
    assert wire.emulator.requests == []


def test_localhost_is_as_good_as_the_address(wire: Wire) -> None:
    port = wire.emulator.address.rsplit(":", 1)[1]
    assert wire("GET", "/backends", headers={"Host": f"localhost:{port}"}).status == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
def test_a_foreign_origin_is_refused(wire: Wire, origin: str) -> None:
    for path in ("/jobs", "/admin/faults"):
        assert wire("POST", path, single(), {"Origin": origin}).status == 403
    assert wire.emulator.jobs == []
    own = {"Origin": wire.emulator.address}
    assert wire("GET", "/jobs", headers=own).status == 200


def test_a_token_is_the_only_key(serve: Callable[..., Wire]) -> None:
    wire = serve(token="right")
    assert wire("GET", "/jobs").status == 401
    assert wire("GET", "/admin/stats").status == 401
    assert wire("GET", "/").status == 401
    wire.key = "apiKey \xe9"  # a byte that is no UTF-8
    assert wire("GET", "/jobs").status == 401
    wire.key = "apiKey right"
    assert wire("GET", "/jobs").status == 200
    assert wire("GET", "/admin/stats").status == 200
    wire.key = None
    assert wire("GET", "/admin/stats?token=right").status == 200
    assert wire("GET", "/jobs?token=right").status == 401


def test_an_open_address_with_a_token_answers_under_any_name(serve: Callable[..., Wire]) -> None:
    wire = serve(host="0.0.0.0", token="right")
    wire.key = "apiKey right"
    assert wire.emulator.address.startswith("http://127.0.0.1:")
    assert wire("GET", "/jobs", headers={"Host": "lab.example"}).status == 200
    assert wire("GET", "/jobs", headers={"Origin": "https://evil.example"}).status == 403


def test_the_key_is_nowhere_in_what_is_kept(serve: Callable[..., Wire]) -> None:
    wire = serve(token="CANARY-1")
    wire.key = "apiKey CANARY-1"
    wire.submit()
    emulator = wire.emulator
    assert "CANARY" not in f"{emulator!r}{emulator.jobs}{emulator.requests}{emulator.stats()}"


@pytest.mark.parametrize("path", ["/jobs", "/whoami", "/sessions", "/schemas/formats/x", "/jobs/x"])
def test_everything_but_backends_and_health_needs_a_key(wire: Wire, path: str) -> None:
    wire.key = None
    answer = wire("GET", path)
    assert answer.status == 401
    assert set(answer.json) == {"statusCode", "error", "message"}
    for bad in ("Bearer x", "apiKey", "apiKey  "):
        assert wire("GET", path, headers={"Authorization": bad}).status == 401


def test_connections_are_counted(wire: Wire) -> None:
    for _ in range(3):
        wire("GET", "/health")
    other = Wire(wire.emulator)
    other("GET", "/health")
    other.connection.close()
    stats = wire.emulator.stats()
    assert (stats["requests"], stats["connections"]) == (4, 2)


def test_old_requests_are_forgotten_but_counted(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "_KEPT_REQUESTS", 5)
    for k in range(13):
        wire("GET", f"/jobs?limit={k + 1}")
    assert [r.path for r in wire.emulator.requests][-5:] == [
        f"/v0.4/jobs?limit={k + 1}" for k in range(8, 13)
    ]
    assert len(wire.emulator.requests) <= 10
    assert wire.emulator.stats()["requests"] == 13


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ("", 401),
        ("Authorization: apiKey wrong\r\n", 401),
        ("Authorization: apiKey right\r\nOrigin: http://evil.example\r\n", 403),
        ("Authorization: apiKey right\r\nHost: evil.example\r\n", 403),
    ],
)
def test_a_refusal_comes_before_the_body(
    serve: Callable[..., Wire], headers: str, status: int
) -> None:
    wire = serve(token="right")
    host, port = wire.emulator.address.removeprefix("http://").split(":")
    own = "" if "Host" in headers else f"Host: {host}:{port}\r\n"
    with socket.create_connection((host, int(port)), timeout=10) as client:
        client.sendall(
            f"POST /v0.4/jobs HTTP/1.1\r\n{own}{headers}Content-Length: 9000000\r\n\r\n{{".encode()
        )
        assert client.recv(1000).startswith(f"HTTP/1.1 {status} ".encode())
    assert wire.emulator.jobs == []
    bodies = [request.bytes for request in wire.emulator.requests]
    assert bodies == ([0] if status == 401 else [])
