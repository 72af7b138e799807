"""Requests that do not reach a handler, and handlers that are not there."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
from support.emulator_wire import Wire


def test_unknown_routes_and_methods_have_ionqs_bodies(wire: Wire) -> None:
    assert wire("GET", "/nothing").json["statusCode"] == 404
    assert wire("PATCH", "/jobs").json["statusCode"] == 405
    assert "x-request-id" in {k.lower() for k in wire("GET", "/jobs").headers}


def test_a_body_that_does_not_come_is_not_waited_for(
    serve: Callable[..., Wire], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pennylane_qstore.server import server

    monkeypatch.setattr(server, "_READ_S", 0.05)
    wire = serve()
    host, port = wire.emulator.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as client:
        client.sendall(
            f"POST /v0.4/jobs HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: apiKey x\r\n"
            "Content-Length: 100\r\n\r\n{".encode()
        )
        assert b" 408 " in client.recv(1000)


def test_a_body_that_cannot_be_decoded_is_400(wire: Wire) -> None:
    answer = wire("POST", "/jobs", b"not gzip", {"Content-Encoding": "gzip"})
    assert (answer.status, answer.json["statusCode"]) == (400, 400)


def test_a_client_that_leaves_in_the_middle_of_a_body_is_no_error(
    wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    wire.connection.putrequest("POST", "/v0.4/jobs")
    wire.connection.putheader("Content-Length", "1000")
    wire.connection.endheaders(b"{")
    wire.connection.close()
    assert wire("GET", "/jobs").json["jobs"] == []
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize("path", ["/jobs/../../etc/passwd", "/jobs/%2e%2e%2f", "/../page.html"])
def test_paths_lead_nowhere(wire: Wire, path: str) -> None:
    assert wire("GET", path).status == 404
