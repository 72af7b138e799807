"""The client's base: options, shared connections, blocking calls, counters."""

from __future__ import annotations

import asyncio
import inspect
import os
import random
import threading

import pennylane as qml
import pytest
from support.waiting import wait_until

from pennylane_qstore.errors import ConfigurationError, InvalidResponse
from pennylane_qstore.ionq import base_client
from pennylane_qstore.ionq.base_client import Address, BaseClient, blocking, shared_service
from pennylane_qstore.ionq.client import IonQClient
from pennylane_qstore.ionq.http.endpoint import Connection, Endpoint
from pennylane_qstore.ionq.http.event_loop import background_loop
from pennylane_qstore.ionq.http.retry import Clock, RetryPolicy
from pennylane_qstore.ionq.http.transport import Traffic
from pennylane_qstore.ionq.ledger.ledger import Ledger
from pennylane_qstore.secret import Secret

URL = "http://127.0.0.1:1/v0.4"


@pytest.mark.parametrize(
    "options",
    [
        {"pool_size": 0},
        {"timeout": -1},
        {"timeout": float("nan")},
        {"on_ambiguous": "maybe"},
        {"retry_attempts": 0},
        {"base_url": "http://api.ionq.co/v0.4"},
        {"ca_bundle": "/nowhere.pem", "base_url": "https://127.0.0.1:1/v0.4"},
    ],
)
def test_options_out_of_range_are_refused(options, request_of):
    with pytest.raises(ConfigurationError):
        IonQClient(
            "key", **{"base_url": "http://127.0.0.1:1/v0.4", "ledger": Ledger(), **options}
        ).run([request_of(1)])


def test_two_clients_share_the_connections(emulator, client_for, request_of):
    for _ in range(2):
        client_for(emulator.url).run([request_of(1)])
    assert emulator.stats()["connections"] == 1


def test_blocking_calls_work_inside_a_running_loop(client, request_of):
    async def cell():
        return client.run([request_of(2)])

    (result,) = asyncio.run(cell())
    assert len(result.histograms) == 2


def test_the_service_is_the_one_given_or_of_the_environment_or_ionqs(monkeypatch):
    def base_url(url=None):
        return IonQClient("key", base_url=url, ledger=Ledger()).base_url

    assert base_url(URL) == URL
    assert base_url() == "https://api.ionq.co/v0.4"
    monkeypatch.setenv("IONQ_API_URL", "http://localhost:2/v0.4")
    assert base_url() == "http://localhost:2/v0.4"
    assert base_url(URL) == URL


def test_retry_attempts_is_short_for_a_policy():
    policy = RetryPolicy(attempts=7, base_s=0.5)
    client = IonQClient("key", base_url=URL, retry_policy=policy, retry_attempts=2)
    assert client.retry_policy == RetryPolicy(attempts=2, base_s=0.5)


class Doubling(BaseClient):
    @blocking
    async def double(self, number: int, *, times: int = 1) -> int:
        """Return the number, doubled."""
        assert threading.current_thread() is background_loop()._thread
        if number < 0:
            raise InvalidResponse("no")
        await asyncio.sleep(0)
        return number * 2**times


def test_a_blocking_method_runs_on_the_loop_and_looks_like_itself():
    with Doubling("key", base_url=URL) as client:
        assert client.double(3) == 6
        assert client.double(3, times=2) == 12
        with pytest.raises(InvalidResponse, match="no"):
            client.double(-1)
    assert Doubling.double.__doc__ == "Return the number, doubled."
    assert (
        str(inspect.signature(Doubling.double))
        == "(self, number: 'int', *, times: 'int' = 1) -> 'int'"
    )
    assert not inspect.iscoroutinefunction(Doubling.double)


def test_a_blocking_call_needs_a_key_before_anything_begins(monkeypatch):
    monkeypatch.delenv("IONQ_API_KEY", raising=False)
    monkeypatch.delenv("PENNYLANE_IONQ_API_KEY", raising=False)
    client = Doubling("key", base_url=URL)
    client._key = None  # as in a copy that came from another process
    with pytest.raises(ConfigurationError, match="No IonQ API key"):
        client.double(1)


def test_the_key_is_in_no_representation():
    assert "canary" not in repr(IonQClient("canary-key", base_url=URL))


def test_counters_begin_at_zero_and_have_no_ratios_yet():
    stats = IonQClient("key", base_url=URL).stats
    assert set(stats.values()) == {0}
    assert {"requests", "posts", "jobs", "circuits", "api_calls_saved"} <= stats.keys()


# ------------------------------------------------------------------ shared connections


def address(url="http://127.0.0.1:9/v0.4", key="key", **options):
    policy = options.pop("policy", RetryPolicy())
    return Address(Connection(Endpoint(url), **options), Secret(key), policy, Clock(), None)


def test_equal_addresses_have_one_service():
    service = shared_service(address())
    assert shared_service(address()) is service
    assert service.poller._api is service.api


def test_whatever_differs_is_another_service():
    others = [
        address("http://127.0.0.1:8/v0.4"), address(key="other"), address(pool_size=2),
        address(timeout_s=1.0), address(policy=RetryPolicy(attempts=2)),
        address()._replace(rng=random.Random(1)),
    ]  # fmt: skip
    services = [shared_service(other) for other in (address(), *others)]
    assert len({id(service) for service in services}) == 7


def test_the_last_to_let_go_closes_the_connections(emulator):
    first = shared_service(address(emulator.url))
    second = shared_service(address(emulator.url))
    background_loop().submit(first.api.request("/backends", bytes, Traffic())).result(10)
    transport = first.api.transport
    del first
    assert transport.is_open
    assert address(emulator.url) in base_client._services
    del second
    assert address(emulator.url) not in base_client._services
    wait_until(lambda: not transport.is_open)


def test_live_devices_of_one_service_do_not_use_up_file_descriptors():
    def run():
        device = qml.device("qstore.ionq", wires=1)
        tape = qml.tape.QuantumScript([qml.X(0)], [qml.expval(qml.Z(0))])
        (value,) = qml.execute([tape], device)
        assert float(value) == pytest.approx(-1)
        return device

    devices = [run()]
    before = len(os.listdir("/dev/fd"))
    devices += [run() for _ in range(20)]
    assert len(os.listdir("/dev/fd")) <= before + 2
