"""One request: time limits, connections that end early, and how much of a response is read."""

from __future__ import annotations

import asyncio
import errno
import resource
import socket

import aiohttp
import pytest
from support.answering import Answering

from pennylane_qstore.emulator import Emulator, Fault
from pennylane_qstore.emulator.fault_injection import hostile_body
from pennylane_qstore.ionq.http import transport
from pennylane_qstore.ionq.http.endpoint import Connection, Endpoint
from pennylane_qstore.ionq.http.event_loop import background_loop
from pennylane_qstore.ionq.http.retry import NotSent, ResponseLost
from pennylane_qstore.ionq.http.transport import Traffic, Transport, post_timeout_s
from pennylane_qstore.secret import Secret


def test_a_post_has_time_by_its_size():
    assert post_timeout_s(0) == 60
    assert post_timeout_s(10_000_000) == 80


def ask(url, method="GET", path="/jobs", timeout_s=30.0, key="key", **options):
    """One request by a transport of its own, on the background loop."""
    transport = Transport(Connection(Endpoint(url), timeout_s=timeout_s), Secret(key))
    traffic = Traffic()

    async def once():
        try:
            return await transport.request(method, path, traffic, **options)
        finally:
            await transport.close()

    return background_loop().submit(once()).result(30)


def test_nobody_listening_is_not_sent():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        with pytest.raises(NotSent) as failure:
            ask(f"http://127.0.0.1:{held.getsockname()[1]}/v0.4")
        assert not failure.value.permanent


@pytest.mark.parametrize("kind", ["close", "reset", "truncate"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_connection_that_ends_early_is_lost(kind, when):
    with (
        Emulator(faults=[Fault(kind, route="submit", when=when, times=None)]) as emulator,
        pytest.raises(ResponseLost),
    ):
        ask(emulator.url, "POST", body=b"{}")


def test_a_slow_answer_is_lost():
    faults = [Fault("delay", route="list", delay_s=5.0, times=None)]
    with Emulator(faults=faults) as emulator, pytest.raises(ResponseLost, match=r"[Tt]imeout"):
        ask(emulator.url, timeout_s=0.05)


def test_an_answer_that_trickles_in_is_lost(monkeypatch):
    # Every byte comes in time, and all of them would take a minute.
    monkeypatch.setattr(transport, "_READ_TOTAL_S", 0.1)
    faults = [Fault("trickle", delay_s=0.1, times=None)]
    with Emulator(faults=faults) as emulator, pytest.raises(ResponseLost, match=r"[Tt]imeout"):
        ask(emulator.url, path="/backends", timeout_s=0.5, max_bytes=10_000)


def test_a_read_has_time_by_the_size_it_may_have():
    assert transport.read_timeout_s(0) == 30
    assert transport.read_timeout_s(10_000_000) == 50
    patient = Transport(
        Connection(Endpoint("http://127.0.0.1:9/v0.4"), timeout_s=100.0), Secret("key")
    )
    assert patient._timeout("GET", None, 0).total == 100  # asked for: not cut short


def test_an_answer_that_shows_the_key_comes_without_it():
    key = Secret("canary-key").reveal()
    page = f"<p>You sent: apiKey {key}</p>"
    with Emulator(faults=[Fault("hostile", body=page)]) as emulator:
        assert ask(emulator.url, key=key).body == b"<p>You sent: apiKey ***</p>"
    with Emulator(faults=[Fault("status", status=429, retry_after=key)]) as emulator:
        assert ask(emulator.url, key=key).retry_after == "***"


def test_a_key_is_hidden_before_a_failure_is_cut():
    for length in range(270, 300):
        key = Secret("canary-key")
        failure = transport._failure(ValueError("x" * length + key.reveal()), key)
        assert "xc" not in str(failure)


def test_what_waits_while_another_thread_closes_is_not_sent(emulator):
    one = Transport(Connection(Endpoint(emulator.url)), Secret("key"))
    traffic = Traffic()

    async def scenario():
        try:
            await one.request("POST", "/jobs", traffic, body=b"{}", before=one.close)
        finally:
            await one.close()

    with pytest.raises(NotSent, match="closed"):
        background_loop().submit(scenario()).result(30)
    assert (emulator.requests, traffic.posts) == ([], 0)


@pytest.mark.parametrize(
    ("text", "kind"), [("Connector is closed.", NotSent), ("Connection closed", ResponseLost)]
)
def test_only_what_was_closed_while_connecting_is_not_sent(text, kind):
    assert type(transport._failure(aiohttp.ClientConnectionError(text), Secret("key"))) is kind


def test_a_gigabyte_in_a_megabyte_is_not_swallowed():
    faults = [Fault("hostile", body="gzip_bomb", times=None)]
    hostile_body("gzip_bomb")  # made before memory is looked at
    with Emulator(faults=faults) as emulator:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(ResponseLost, match="larger than"):
            ask(emulator.url)
        grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown_kb < 64 * 1024


def test_redirects_are_not_followed_and_the_key_goes_nowhere_else():
    with Answering() as foreign:
        place = f"http://127.0.0.1:{foreign.port}/v0.4/jobs"
        with Emulator(faults=[Fault("redirect", location=place, times=None)]) as emulator:
            answer = ask(emulator.url, "POST", body=b"{}")
    assert answer.status == 307
    assert foreign.heard == []


def test_waiting_for_a_connection_is_not_the_services_slowness():
    # Twelve requests of 0.2 s through one connection, with a time limit of 2 s each.
    faults = [Fault("delay", route="list", delay_s=0.2, times=None)]
    with Emulator(faults=faults) as emulator:
        transport = Transport(
            Connection(Endpoint(emulator.url), pool_size=1, timeout_s=2.0), Secret("key")
        )

        async def twelve():
            try:
                return await asyncio.gather(
                    *(transport.request("GET", "/jobs", Traffic()) for _ in range(12))
                )
            finally:
                await transport.close()

        answers = background_loop().submit(twelve()).result(30)
    assert [answer.status for answer in answers] == [200] * 12


def test_traffic_is_counted():
    with Emulator() as emulator:
        transport = Transport(Connection(Endpoint(emulator.url)), Secret("key"))
        traffic = Traffic()

        async def two():
            try:
                await transport.request("GET", "/jobs", traffic)
                return await transport.request("POST", "/jobs", traffic, body=b"{}")
            finally:
                await transport.close()

        answer = background_loop().submit(two()).result(30)
        assert answer.status == 400
        assert answer.request_id
        assert (traffic.requests, traffic.posts, traffic.bytes_sent) == (2, 1, 2)
        assert (traffic.connections_opened, traffic.connections_reused) == (1, 1)
        assert traffic.bytes_received > len(answer.body)


def test_running_out_of_file_descriptors_is_told_as_that():
    failure = transport._failure(OSError(errno.EMFILE, "Too many open files"), Secret("a-long-key"))
    assert isinstance(failure, NotSent)
    assert "file descriptors" in str(failure)
