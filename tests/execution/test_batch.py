"""Tapes become few jobs within the service's limits, and results are read from these."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pennylane_qstore.execution.batch import JobSettings, make_batch
from pennylane_qstore.execution.job_size import AdaptiveQueueManager
from pennylane_qstore.execution.options import Options
from pennylane_qstore.ionq.messages import job_limits
from pennylane_qstore.ionq.messages.histograms import Histogram
from pennylane_qstore.measurement.recipes import NotSupported
from pennylane_qstore.native.cache import SmartCircuitCache
from pennylane_qstore.native.marks import FOLD, Mark
from pennylane_qstore.native.verbatim import verbatim

CACHE = SmartCircuitCache()


def tape(angle, shots=None, measurement=None):
    measurement = measurement or qml.expval(qml.Z(0))
    return qml.tape.QuantumScript([qml.RX(angle, 0)], [measurement], shots=shots)


def batch_of(tapes, settings=None, noise_rng=None, **options):
    return make_batch(
        tapes,
        order=[0, 1],
        target=Options.of({"absorb": False, **options}).target,
        settings=settings or JobSettings(),
        cache=CACHE,
        noise_rng=noise_rng,
    )


def jobs_of(batch):
    """Each circuit measures 0 always, in one job per request."""
    zero = Histogram(np.array([0], dtype=np.uint64), np.array([1.0]))
    return [
        SimpleNamespace(job_id=f"job{i}", run_s=0.5, histograms=[zero] * len(request.circuits))
        for i, request in enumerate(batch.requests)
    ]


@given(st.integers(1, 30), st.integers(1, 12))
def test_every_circuit_is_in_one_job_of_at_most_the_size(circuits, most):
    batch = batch_of([tape(np.linspace(0, 1, circuits))], JobSettings(max_circuits=most))
    assert sorted(i for chunk in batch.chunks for i in chunk) == list(range(circuits))
    assert max(map(len, batch.chunks)) <= most
    assert len(batch.requests) == -(-circuits // most)


def test_a_manager_may_choose_the_size():
    queue = AdaptiveQueueManager(max_batch_size=4)
    batch = batch_of([tape(np.linspace(0, 1, 9))], JobSettings(max_circuits=queue))
    assert [len(r.circuits) for r in batch.requests] == [4, 4, 1]


@pytest.mark.parametrize(("name", "limit"), [("MAX_GATES", 7), ("MAX_BODY_BYTES", 20_400)])
def test_gates_and_bytes_of_a_job_are_limited(name, limit, monkeypatch):
    monkeypatch.setattr(job_limits, name, limit)
    batch = batch_of([tape(np.linspace(0.1, 1, 12))])
    assert len(batch.requests) > 1
    assert sum(len(r.circuits) for r in batch.requests) == 12


def test_where_shots_are_ignored_all_circuits_share_a_job():
    tapes = [tape(0.1, 10), tape(0.2, 300), tape(0.3)]
    (request,) = batch_of(tapes).requests
    assert request.shots == 300
    sampled = batch_of(tapes[:2], noise_model="aria-1").requests
    assert [r.shots for r in sampled] == [10, 300]


def test_each_job_has_a_noise_seed_of_its_own():
    tapes = [tape(0.1, 10), tape(0.2, 20)]
    first = batch_of(tapes, noise_rng=np.random.default_rng(3), noise_model="aria-1").requests
    again = batch_of(tapes, noise_rng=np.random.default_rng(3), noise_model="aria-1").requests
    seeds = [r.noise["seed"] for r in first]
    assert len(set(seeds)) == 2
    assert seeds == [r.noise["seed"] for r in again]
    assert batch_of(tapes, noise_model="aria-1").requests[0].noise["seed"] is None


def test_settings_go_with_every_job():
    settings = JobSettings(
        1, {"name": "mine", "metadata": {"a": "b"}, "session_id": "s", "aggregation": "voting"}
    )
    for request in batch_of([tape(0.1), tape(0.2)], settings).requests:
        assert (request.name, request.metadata) == ("mine", {"a": "b"})
        assert (request.session_id, request.aggregation) == ("s", "voting")


def test_results_have_an_entry_for_each_tape():
    batch = batch_of([tape(0.1), tape(np.array([0.2, 0.3])), tape(0.4)], JobSettings(2))
    rng = np.random.default_rng(1)
    jobs = jobs_of(batch)
    one, rows, other = batch.results(batch.histograms(jobs), rng)
    assert (one, rows.tolist(), other) == (1.0, [1.0, 1.0], 1.0)
    assert batch.circuits_by_tape == [1, 2, 1]
    assert batch.tape_jobs(jobs) == [("job0", 0.5), ("job0", 0.5), ("job1", 0.5)]


def test_a_tape_with_a_missing_circuit_has_no_result():
    batch = batch_of([tape(0.1), tape(np.array([0.2, 0.3])), tape(0.4)], JobSettings(2))
    first, _ = jobs_of(batch)
    results = batch.results(batch.histograms([first, None]), np.random.default_rng(1))
    assert results == (1.0, None, None)


def test_only_samples_need_the_order_of_shots():
    tapes = [tape(0.1, 5), tape(0.2, 5, qml.sample(wires=0)), tape(0.3, 5, qml.counts(wires=0))]
    assert batch_of(tapes, noise_model="aria-1").ordered_positions == {1}
    assert batch_of(tapes).ordered_positions == set()  # exact probabilities have no shots


def test_a_circuit_that_is_too_wide_is_refused_with_its_number():
    wide = qml.tape.QuantumScript([qml.Hadamard(i) for i in range(30)], [qml.expval(qml.Z(0))])
    with pytest.raises(NotSupported, match="30 wires") as refused:
        make_batch(
            [tape(0.1), wide], order=None, target=Options.of({}).target, settings=JobSettings(),
            cache=CACHE,
        )  # fmt: skip
    assert refused.value.details["refused_tape"] == 1


def test_what_the_gates_do_not_allow_is_refused_with_the_number_of_its_tape():
    folded = qml.tape.QuantumScript([qml.RX(0.1, 0), Mark(FOLD, 3.0)], [qml.expval(qml.Z(0))])
    boxed = qml.tape.QuantumScript(verbatim([qml.RX(0.1, 0)]), [qml.expval(qml.Z(0))], shots=5)
    noisy = {"noise_model": "forte-1", "symmetrize": True}
    with pytest.raises(NotSupported, match=r"folded to 3 times.*gateset='qis'") as refused:
        batch_of([tape(0.1), folded], gateset="qis")
    assert refused.value.details["refused_tape"] == 1
    with pytest.raises(NotSupported, match=r"symmetrize=True.*verbatim\(\)") as refused:
        batch_of([tape(0.1, 5), boxed], **noisy)
    assert refused.value.details["refused_tape"] == 1
