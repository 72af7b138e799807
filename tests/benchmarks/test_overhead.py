"""Cost of the client itself: processor time per batch, the service in another process.

    pytest -m benchmark tests/benchmarks/test_overhead.py -s

Medians are printed beside their targets; what is asserted leaves room for slow and busy machines.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time

import numpy as np
import pytest

from pennylane_qstore.emulator import Emulator
from pennylane_qstore.ionq.client import IonQClient
from pennylane_qstore.ionq.messages.job_request import JobRequest, encode_circuits

pytestmark = pytest.mark.benchmark

GATES = [("ms", (k % 4, (k + 1) % 4)) if k % 5 == 4 else ("gpi2", (k % 4,)) for k in range(40)]
ROOM = 3
SLOTS = sum(3 if gate[0] == "ms" else 1 for gate in GATES)


def serve(pipe):
    with Emulator() as emulator:
        pipe.send(emulator.url)
        pipe.recv()


@pytest.fixture(scope="module")
def url():
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(there,))
    process.start()
    yield here.recv()
    here.send("end")
    process.join(30)


@pytest.mark.parametrize(("ledger", "target_ms"), [("memory", 5.0), ("file", 15.0)])
def test_processor_time_per_batch_of_20_circuits(url, tmp_path, ledger, target_ms):
    path = None if ledger == "memory" else tmp_path / "ledger"
    rng = np.random.default_rng(0)
    with IonQClient("key", base_url=url, ledger=path) as client:
        spent = []
        for _ in range(60):
            params = rng.uniform(0, 0.25, (20, SLOTS))
            started = time.process_time()
            circuits = tuple(encode_circuits(GATES, params))
            client.run([JobRequest("simulator", "native", 4, circuits, 800, 500)])
            spent.append(1e3 * (time.process_time() - started))
        assert client.stats["connections_opened"] == 1
    median_ms = statistics.median(spent[10:])
    print(f"\nledger in {ledger}: {median_ms:.1f} ms a batch of 20 (target {target_ms:.0f})")
    assert median_ms <= ROOM * target_ms, sorted(spent)


def test_encoding_takes_ten_microseconds_per_circuit():
    params = np.random.default_rng(0).uniform(0, 0.25, (200, SLOTS))
    taken = [timed(lambda: encode_circuits(GATES, params)) for _ in range(50)]
    median_us = 1e6 * statistics.median(taken) / 200
    print(f"\nencoding: {median_us:.1f} us a circuit of {len(GATES)} gates (target 10)")
    assert median_us <= ROOM * 10


def timed(call):
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
