"""Fixtures of this room's tests: requests, a service, a clock that does not wait."""

from __future__ import annotations

import asyncio
import random
import time

import numpy as np
import pytest

from pennylane_qstore.emulator import Emulator, VirtualClock
from pennylane_qstore.errors import QStoreError
from pennylane_qstore.ionq.client import IonQClient
from pennylane_qstore.ionq.http.retry import Clock, RetryPolicy
from pennylane_qstore.ionq.messages.job_request import JobRequest, encode_circuits

GATES = [("gpi2", (0,)), ("ms", (0, 1))]


def make_request(circuits=1, backend="simulator", seed=0, **more):
    """A request of two-qubit circuits whose results differ from each other."""
    params = np.random.default_rng(seed).uniform(0, 1, (circuits, 4))
    params[:, 3] *= 0.25
    if backend.startswith("qpu.forte"):
        bodies = encode_circuits([("gpi2", (0,)), ("zz", (0, 1))], params[:, 2:])
    else:
        bodies = encode_circuits(GATES, params)
    more = {"shots": 100, **more}
    return JobRequest(backend, "native", 2, tuple(bodies), 2 * circuits, **more)


def make_marked(circuits):
    """Circuit k leaves the register in state k: results tell which circuit they are of."""
    qubits = 6
    bodies = []
    for k in range(circuits):
        flips = [("gpi", (q,)) for q in range(qubits) if k >> q & 1] or [("gpi2", (0,))] * 4
        bodies += encode_circuits(flips, np.zeros((1, len(flips))))
    return JobRequest("simulator", "native", qubits, tuple(bodies), 6 * circuits, 100)


class FakeClock:
    """Sleeps end at once and are written down. Time goes by in sleeps only.

    A machine that stands still for a moment changes nothing of what a test sees. An emulator on
    the clock ``services`` lives in the same time.
    """

    def __init__(self, start=None):
        self.services = VirtualClock(start=time.time() if start is None else start)
        self.began = self.services.now()
        self.ahead = 0.0
        self.sleeps = []

    def now(self):
        return self.began + self.ahead

    async def sleep(self, seconds):
        self.sleeps.append(seconds)
        self.ahead += seconds
        self.services.advance(seconds)
        await asyncio.sleep(0)

    def clock(self):
        return Clock(now=self.now, monotonic=lambda: self.ahead, sleep=self.sleep)


@pytest.fixture
def request_of():
    return make_request


@pytest.fixture
def marked_request():
    return make_marked


@pytest.fixture
def fake_clock():
    return FakeClock()


@pytest.fixture
def emulator():
    with Emulator(seed=1) as running:
        yield running


@pytest.fixture
def slow():
    """An emulator whose jobs run until its clock is told to advance."""
    with Emulator(seed=1, profile=60.0, clock=VirtualClock()) as running:
        yield running


def settle(client, request, **options):
    """Return the result of a job, or the error that it ended with."""
    try:
        return client.run([request], **options)[0]
    except QStoreError as error:
        return error


@pytest.fixture
def client_for():
    """Makes clients with short settle times, and closes them."""
    clients = []
    rng = random.Random(7)  # one for all: clients that differ do not share connections

    def make(url, **options):
        options.setdefault(
            "retry_policy", RetryPolicy(settle_s=0.3, base_s=0.01, throttle_base_s=0.05)
        )
        options.setdefault("rng", rng)
        client = IonQClient(options.pop("api_key", "test-key"), base_url=url, **options)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(emulator, client_for):
    return client_for(emulator.url)
