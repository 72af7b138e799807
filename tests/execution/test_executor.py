"""The executor: one call is one batch, the same one when it is repeated."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pennylane as qml
import pytest
from pennylane.tape import QuantumScript

from pennylane_qstore.emulator import Emulator, Fault
from pennylane_qstore.errors import JobFailed, QStoreEfficiencyWarning
from pennylane_qstore.execution.executor import Executor
from pennylane_qstore.execution.options import Options
from pennylane_qstore.measurement.recipes import NotSupported


def tape(angle=0.4, shots=200, measurement=None):
    return qml.tape.QuantumScript(
        [qml.RX(angle, 0)], [measurement or qml.counts(wires=0)], shots=shots
    )


def executor(emulator=None, **options):
    return Executor(Options.of({"emulator": emulator, "seed": 5, **options}), [0])


def test_a_call_is_one_job_and_one_record():
    with Emulator() as emulator:
        made = executor(emulator)
        values = made.run([tape(x, None, qml.expval(qml.Z(0))) for x in (0.1, 0.2)])
        np.testing.assert_allclose(values, np.cos([0.1, 0.2]))
        assert emulator.stats()["posts"] == 1
    record = made.stats.last
    assert (record.batches, record.executions, record.circuits) == (1, 2, 2)
    assert record.operations == 2
    assert record.circuits_by_tape == [1, 1]
    assert made.report()["circuits"] == 2


def test_the_report_says_which_engine_simulated_the_circuits():
    with Emulator(simulator="lightning.qubit") as emulator:
        made, other = executor(emulator), executor(emulator)
        tapes = [tape(x, None, qml.expval(qml.Z(0))) for x in (0.1, 0.2)]
        made.run(tapes)
        other.run(tapes[:1])
        assert made.report()["engines"] == {"lightning.qubit": 2}
        assert other.report()["engines"] == {"lightning.qubit": 1}
        assert emulator.stats()["engines"] == {"lightning.qubit": 3}


def test_a_batch_that_failed_is_the_same_one_when_it_is_repeated():
    calm = executor(noise_model="aria-1")
    expected = calm.run([tape()])
    with Emulator(faults=[Fault("fail", code="InternalError")]) as emulator:
        made = executor(emulator, noise_model="aria-1", retry_failed=False)
        before = made.state_dict()
        with pytest.raises(JobFailed) as failed:
            made.run([tape()])
        assert failed.value.details["failed_tapes"] == [0]
        after = made.state_dict()
        assert {k: after[k] for k in ("rng", "noise", "batch")} == {
            k: before[k] for k in ("rng", "noise", "batch")
        }
        assert made.stats.totals()["batches"] == 0
        assert made.run([tape()]) == expected


def test_a_state_brings_the_same_results_back():
    made = executor()
    made.run([tape()])
    state = made.state_dict()
    first = made.run([tape(), tape(1.0)])
    made.load_state_dict(state)
    assert made.run([tape(), tape(1.0)]) == first


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
def test_a_copy_goes_on_with_counters_of_its_own(way):
    made = executor()
    made.run([tape()])
    other = way(made)
    assert other.run([tape()]) == made.run([tape()])
    assert other.stats.totals()["jobs"] == 1
    assert made.stats.totals()["jobs"] == 2


def test_tapes_without_shots_take_those_of_their_batch_where_the_backend_samples():
    made = executor(noise_model="aria-1")
    with pytest.warns(UserWarning, match="run with 200 shots"):
        with_shots, without = made.run([tape(), tape(shots=None)])
    assert sum(without.values()) == sum(with_shots.values()) == 200
    with pytest.raises(NotSupported, match="it samples"):
        made.run([tape(shots=None, measurement=qml.expval(qml.Z(0)))])


def test_refused_native_gates_are_one_batch_of_two_tries():
    with Emulator(faults=[Fault("fail", "submit", code="UnsupportedGate")]) as emulator:
        made = executor(emulator)
        with pytest.warns(UserWarning, match="native gates"):
            made.run([tape()])
        assert made.target.gateset == "qis"
        assert emulator.stats()["posts"] == 2
    assert made.stats.totals()["batches"] == 1
    assert made.stats.last.jobs == 2, "the refused one exists, and may be billed"
    assert made.stats.last.circuits_by_tape == [1]


def test_a_tracker_is_told_what_the_record_has():
    device = qml.device("qstore.ionq", wires=1, max_circuits_per_job=2)
    with qml.Tracker(device) as tracker:
        device.execute([tape(x) for x in (0.1, 0.2, 0.3)])
    record = device.executor.stats.last
    assert tracker.totals["executions"] == record.circuits == 3
    assert tracker.totals["shots"] == 600
    assert tracker.history["job_id"] == list(record.job_ids)
    assert tracker.latest["job_ids"] == list(record.job_ids)
    assert tracker.totals["requests"] == record.requests


def test_requests_are_those_that_would_be_sent():
    with Emulator() as emulator:
        made = executor(emulator)
        (request,) = made.requests([tape()])
        assert emulator.requests == []
        with made.job_scope(gateset="qis", job_name="shown", session_id="s"):
            (scoped,) = made.requests([tape()])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            made.run([tape()])
    assert (request.gateset, request.name, request.session_id) == ("native", None, None)
    assert (scoped.gateset, scoped.name, scoped.session_id) == ("qis", "shown", "s")
    assert made.requests([tape()], "qpu.forte-1")[0].backend == "qpu.forte-1"


def test_effort_is_time_for_a_thorough_search_which_no_clock_ends_in_a_run(tmp_path):
    gates = [g for on in ([0, 1, 2], [3, 1, 0]) for g in qml.Toffoli(on).decomposition()]
    measured = [qml.probs(wires=range(4))]
    script = QuantumScript([qml.Hadamard(q) for q in range(4)] + gates, measured, shots=10)

    def compiled(**options):
        made = Executor(Options.of({"cache": 9, "absorb": False, **options}), range(4))
        (request,) = made.requests([script])
        stopped = made.cache.get_stats()["searches_stopped"]
        return request.circuits[0].count(b'"zz"'), stopped

    quick, thorough = compiled(), compiled(effort=600)
    assert thorough[0] <= quick[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", QStoreEfficiencyWarning)
        assert compiled(effort=1e-9)[1] == 1
    run = {"run": "training", "ledger": tmp_path / "ledger.sqlite"}
    assert compiled(effort=1e-9, **run) == thorough
    assert (quick[1], thorough[1]) == (0, 0)
