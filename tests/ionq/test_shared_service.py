"""Connections that clients share, and when they are closed."""

from __future__ import annotations

import os
import random

import pennylane as qml
import pytest
from support.waiting import wait_until

from pennylane_qstore.ionq import shared_service as module
from pennylane_qstore.ionq.http.endpoint import Connection, Endpoint
from pennylane_qstore.ionq.http.event_loop import background_loop
from pennylane_qstore.ionq.http.retry import Clock, RetryPolicy
from pennylane_qstore.ionq.http.transport import Traffic
from pennylane_qstore.ionq.shared_service import Address, shared_service
from pennylane_qstore.secret import Secret


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
    assert address(emulator.url) in module._services
    del second
    assert address(emulator.url) not in module._services
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
