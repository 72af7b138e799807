"""Single shots of a batch, for the circuits that need their order."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from pennylane_qstore.errors import ServiceError
from pennylane_qstore.execution.shot_reader import read_ordered
from pennylane_qstore.execution.stats import BatchMeter
from pennylane_qstore.ionq import shots as shots_module
from pennylane_qstore.ionq.messages.histograms import Histogram

TAKEN = np.array([1, 0, 1], dtype=np.uint64)
SEEN = Histogram(np.array([0, 1], dtype=np.uint64), np.array([1 / 3, 2 / 3]))
OTHER = Histogram(np.array([0], dtype=np.uint64), np.array([1.0]))


def batch(positions):
    requests = [SimpleNamespace(circuits=(b"",) * 2, qubits=1, shots=3)] * 2
    return SimpleNamespace(
        ordered_positions=set(positions), chunks=[[0, 1], [2, 3]], requests=requests
    )


def job(*ids):
    return SimpleNamespace(job_id=ids[0], job_ids=ids, place=None)


class Client:
    requests = 0

    def get_stats(self):
        return {"requests": self.requests}


@pytest.fixture
def reads(monkeypatch):
    calls = []

    def read(client, job_id, which, *, circuits, qubits):
        calls.append((job_id, list(which)))
        client.requests += len(which)
        if job_id == "broken":
            raise ServiceError("gone", status=404)
        return [TAKEN] * len(which)

    monkeypatch.setattr(shots_module, "read_shots", read)
    return calls


def test_only_circuits_that_need_it_are_read(reads):
    meter = BatchMeter()
    found = read_ordered(batch({1, 2}), [job("a"), job("b")], [SEEN] * 4, Client(), meter)
    assert reads == [("a", [1]), ("b", [0])]
    assert found.keys() == {1, 2}
    np.testing.assert_array_equal(found[1], TAKEN)
    assert meter.requests == 2


def test_nothing_is_asked_where_nothing_needs_it(reads):
    assert read_ordered(batch(()), [job("a"), job("b")], [SEEN] * 4, Client(), BatchMeter()) == {}
    assert reads == []


def test_shots_of_another_histogram_are_left_out(reads):
    histograms = [SEEN, OTHER, SEEN, SEEN]
    found = read_ordered(batch({0, 1}), [job("a"), job("b")], histograms, Client(), BatchMeter())
    assert found.keys() == {0}


def test_results_are_not_lost_if_shots_cannot_be_read(reads, caplog):
    jobs, meter = [job("broken"), job("b", "c")], BatchMeter()
    assert read_ordered(batch({0, 2}), jobs, [SEEN] * 4, Client(), meter) == {}
    assert "samples come in random order" in caplog.text
    assert reads == [("broken", [0])], "which circuit is in which of several jobs is not known"
    assert meter.requests == 1
