"""The emulator answers to its own address, to its own key, and within limits."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
from support.emulator_wire import Wire, single

from pennylane_qstore.emulator import Emulator, RateCard
from pennylane_qstore.errors import ConfigurationError


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


def test_other_machines_need_a_token() -> None:
    for host in ("0.0.0.0", "192.168.1.1", "example.org"):
        with pytest.raises(ConfigurationError, match="token"):
            Emulator(host=host)
    with pytest.raises(ConfigurationError, match="profile"):
        Emulator(profile="fast")
    with pytest.raises(ConfigurationError, match="noise model"):
        Emulator(noise_model="loud")
    with pytest.raises(ConfigurationError, match=r"Did you mean 'qpu\.forte-1'"):
        Emulator(rate_cards={"qpu.forte1": RateCard()})


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


def test_the_key_is_nowhere_in_what_is_kept(serve: Callable[..., Wire]) -> None:
    wire = serve(token="CANARY-1")
    wire.key = "apiKey CANARY-1"
    wire.submit()
    emulator = wire.emulator
    assert "CANARY" not in f"{emulator!r}{emulator.jobs}{emulator.requests}{emulator.stats()}"
