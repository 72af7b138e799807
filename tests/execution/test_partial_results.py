"""A batch of which a part fails: the rest is there, and only the part is sent again."""

from __future__ import annotations

import re
from functools import partial

import numpy as np
import pennylane as qml
import pytest
from pennylane.exceptions import DeviceError

import pennylane_qstore as qstore
from pennylane_qstore.deferral import scope as deferred
from pennylane_qstore.emulator import Emulator, Fault
from pennylane_qstore.errors import CompileError, JobFailed, QStoreError

ANGLES = np.linspace(0.1, 2.0, 7)


def tape(x, shots=None):
    return qml.tape.QuantumScript([qml.RX(x, 0)], [qml.expval(qml.Z(0))], shots=shots)


def device(emulator, **options):
    options = {"backend": "simulator", "max_circuits_per_job": 3, "retry_failed": False, **options}
    return qml.device("qstore.ionq", wires=1, base_url=emulator.url, api_key="k", **options)


def failing(times=1, skip=1):
    return [Fault("fail", code="InternalError", message="an ion left", skip=skip, times=times)]


def test_a_failed_job_does_not_lose_the_results_of_the_others():
    tapes = [tape(x) for x in ANGLES]
    with Emulator(seed=1, faults=failing()) as emulator:
        dev = device(emulator)
        with pytest.raises(JobFailed, match="an ion left") as failed:
            dev.execute(tapes)
        details = failed.value.details
        missing = details["failed_tapes"]
        assert len(missing) == 3
        assert details["code"] == "InternalError"
        assert len(failed.value.job_ids) == 3
        there = [i for i in range(7) if i not in missing]
        found = details["tape_results"]
        assert [found[i] for i in missing] == [None] * 3
        np.testing.assert_allclose([found[i] for i in there], np.cos(ANGLES[there]))
        assert dev.stats["jobs"] == 3
        again = dev.execute([tapes[i] for i in missing])
        np.testing.assert_allclose(again, np.cos(ANGLES[missing]))
        assert emulator.stats()["circuits"] == 7 + 3


@pytest.mark.parametrize("options", [{}, {"noise_model": "aria-1", "seed": 3}])
def test_in_a_named_run_the_same_call_again_sends_only_what_failed(options, tmp_path):
    shots = 100 if options else None
    tapes = [tape(x, shots) for x in ANGLES]
    with Emulator(seed=1) as calm:
        expected = device(calm, **options).execute(tapes)
    with Emulator(seed=1, faults=failing()) as emulator:
        dev = device(emulator, run="r", ledger=tmp_path / "ledger", **options)
        with pytest.raises(JobFailed):
            dev.execute(tapes)
        assert dev.execute(tapes) == expected
        assert emulator.stats()["circuits"] == 7 + 3
        dev.execute(tapes)  # the next batch of the run, and new circuits
        assert emulator.stats()["circuits"] == 7 + 3 + 7


def test_one_by_one_what_came_before_is_kept():
    with Emulator(seed=1, faults=failing(skip=2)) as emulator:
        dev = device(emulator, batch=False)
        with pytest.raises(JobFailed) as failed:
            dev.execute([tape(x) for x in ANGLES[:5]])
        found = failed.value.details["tape_results"]
        np.testing.assert_allclose(found[:2], np.cos(ANGLES[:2]))
        assert found[2:] == (None, None, None)
        assert failed.value.details["failed_tapes"] == [2, 3, 4]
        assert emulator.stats()["posts"] == 3


def test_one_by_one_in_a_named_run_the_same_call_again_sends_only_what_is_missing(tmp_path):
    tapes = [tape(x) for x in ANGLES[:5]]
    with Emulator(seed=1, faults=failing(skip=2)) as emulator:
        dev = device(emulator, batch=False, run="r", ledger=tmp_path / "ledger")
        with pytest.raises(JobFailed):
            dev.execute(tapes)
        np.testing.assert_allclose(dev.execute(tapes), np.cos(ANGLES[:5]))
        assert emulator.stats()["circuits"] == 5 + 1


def test_where_jobs_take_one_circuit_what_came_is_kept_too():
    with Emulator(seed=1) as emulator:
        dev = device(emulator, max_circuits_per_job=None)
        dev.executor.fallback.single = True
        emulator.faults.add(*failing())
        with pytest.raises(QStoreError) as failed:
            dev.execute([tape(x) for x in ANGLES[:4]])
        found = failed.value.details["tape_results"]
        assert [result is None for result in found].count(True) == 1
        assert len(failed.value.details["failed_tapes"]) == 1


def test_a_broadcast_tape_is_whole_or_missing():
    with Emulator(seed=1, faults=failing(skip=0)) as emulator:
        dev = device(emulator)
        whole = qml.tape.QuantumScript([qml.RX(ANGLES[:3], 0)], [qml.expval(qml.Z(0))])
        cut = qml.tape.QuantumScript([qml.RX(ANGLES, 0)], [qml.expval(qml.Z(0))])
        with pytest.raises(JobFailed) as failed:
            dev.execute([cut, whole])
        found = failed.value.details["tape_results"]
        for whole_tape, result in zip((ANGLES, ANGLES[:3]), found, strict=True):
            if result is not None:
                np.testing.assert_allclose(result, np.cos(whole_tape))
        assert failed.value.details["failed_tapes"] == [i for i in (0, 1) if found[i] is None] != []


# --------------------------------------------------------------------------- several calls


def call(dev, xs):
    """One call of several tapes, which a task waits for."""
    try:
        return dev.execute([tape(x) for x in xs])
    except JobFailed as error:
        return error.details


def test_calls_that_share_a_batch_lose_only_what_is_missing_of_their_own():
    calls = [ANGLES[:2], ANGLES[2:5], ANGLES[5:]]
    with Emulator(seed=1, faults=failing()) as emulator:
        dev = device(emulator)
        found = deferred.run_tasks(*(lambda xs=xs: call(dev, xs) for xs in calls))
        assert emulator.stats()["circuits"] == 7
        assert dict in map(type, found)
        for xs, own in zip(calls, found, strict=True):
            if not isinstance(own, dict):
                np.testing.assert_allclose(own, np.cos(xs))
                continue
            results, missing = own["tape_results"], own["failed_tapes"]
            assert len(results) == len(xs)
            assert missing == [i for i, r in enumerate(results) if r is None] != []
            there = [i for i in range(len(xs)) if i not in missing]
            np.testing.assert_allclose([results[i] for i in there], np.cos(xs[there]))


def test_deferred_results_that_arrived_are_there_though_others_did_not():
    with Emulator(seed=1, faults=failing()) as emulator:
        circuit = qml.QNode(lambda x: (qml.RX(x, 0), qml.expval(qml.Z(0)))[1], device(emulator))
        failed = []
        with deferred.deferred():
            values = [circuit(x) for x in ANGLES]
            for value, x in zip(values, ANGLES, strict=True):
                try:
                    assert float(value) == pytest.approx(np.cos(x))
                except JobFailed as error:
                    failed.append(error.details["failed_tapes"])
        assert failed == [[0]] * 3


@pytest.mark.parametrize("look", [0, 1])
def test_call_that_a_batch_is_refused_for_is_named_wherever_it_is_looked_at(look):
    dev = qml.device("qstore.ionq", wires=1)
    good = qml.QNode(lambda x: (qml.RX(x, 0), qml.expval(qml.Z(0)))[1], dev)

    @qml.qnode(dev)
    def culprit(x):
        qml.RX(x, 0)
        return qml.expval(qml.Z(0))

    with deferred.deferred():
        values = good(0.1), culprit(np.nan), good(0.2)
        with pytest.raises(CompileError, match="not finite") as refused:
            float(values[look])
    with pytest.raises(CompileError, match="not finite") as in_task:
        deferred.run_tasks(lambda: good(0.1), lambda: culprit(np.nan))
    for error in (refused, in_task):
        (note,) = error.value.__notes__
        assert "'culprit'" in note
    assert dev.stats["jobs"] == 0


VALUES = [0.1, 0.2, float("nan"), 0.4]


def refused_by(call):
    """Return the text and the notes of a call's refusal."""
    with pytest.raises(CompileError, match=r"not finite.*Nothing was sent") as error:
        call()
    return str(error.value), getattr(error.value, "__notes__", [])


def test_a_refused_circuit_of_a_batch_is_named_and_nothing_is_sent():
    dev = qml.device("qstore.ionq", wires=1, seed=1)

    @qml.qnode(dev, shots=10)
    def circuit(x):
        qml.RX(x, 0)
        return qml.expval(qml.Z(0))

    def deferred_loop():
        with qstore.deferred():
            return [circuit(x) for x in VALUES]

    calls = [partial(circuit, x) for x in VALUES]
    tapes = [
        qml.tape.QuantumScript([qml.RX(x, 0)], [qml.expval(qml.Z(0))], shots=10) for x in VALUES
    ]
    _, (note,) = refused_by(deferred_loop)
    assert re.fullmatch(
        r"In QNode 'circuit', called at test_partial_results\.py:\d+, call 3 of 4\.", note
    )
    assert refused_by(lambda: qstore.gather(dev, *calls))[1] == ["In QNode 'circuit', call 3 of 4."]
    assert refused_by(lambda: qstore.map(dev, circuit, VALUES))[1] == [
        "In QNode 'circuit', call 3 of 4."
    ]
    assert refused_by(lambda: dev.submit(tapes))[1] == ["In circuit 3 of 4."]
    assert refused_by(lambda: qml.execute(tapes, dev))[1] == ["In circuit 3 of 4."]
    text, notes = refused_by(lambda: circuit(np.array(VALUES)))
    assert "first in row 2" in text
    assert notes == []
    assert not dev.client.ledger.submissions()


def test_an_operation_that_is_not_supported_keeps_the_number_of_its_circuit():
    dev = qml.device("qstore.ionq", wires=[0], seed=1)
    good, bad = (
        qml.tape.QuantumScript([op], [qml.expval(qml.Z(0))], shots=10)
        for op in (qml.RX(0.1, 0), qml.Displacement(0.1, 0.2, 0))
    )
    with pytest.raises(DeviceError, match="Displacement") as error:
        dev.execute([good, bad])
    assert error.value.__notes__ == ["In circuit 2 of 2."]
