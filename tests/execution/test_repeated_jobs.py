"""The hint for loops that send a job for each circuit: when, about which line, and once."""

from __future__ import annotations

import warnings

import numpy as np
import pennylane as qml
import pytest

import pennylane_qstore as qstore
from pennylane_qstore.emulator import Emulator
from pennylane_qstore.errors import QStoreEfficiencyWarning
from pennylane_qstore.execution import repeated_jobs

X = np.linspace(0, 1, repeated_jobs.REPEATED)


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch):
    monkeypatch.setattr(repeated_jobs, "_told", False)


@pytest.fixture
def device():
    """A device on which jobs wait, though for no time of ours."""
    dev = qml.device("qstore.ionq", wires=1)
    dev.executor.sender.waits = True
    return dev


def circuit_on(dev):
    @qml.qnode(dev)
    def circuit(x):
        qml.RY(x, 0)
        return qml.expval(qml.Z(0))

    return circuit


def hints(call):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        call()
    return [w for w in seen if w.category is QStoreEfficiencyWarning]


def test_a_loop_is_named_with_the_change_that_makes_it_one_job_once(device):
    circuit = circuit_on(device)

    def loop():
        return [circuit(x) for x in X]

    (hint,) = hints(loop)
    line = loop.__code__.co_firstlineno + 1
    assert hint.filename == __file__
    assert hint.lineno == line
    assert f"test_repeated_jobs.py:{line}" in str(hint.message)
    assert "`with qstore.deferred():` around the loop" in str(hint.message)
    assert hints(loop) == []


def test_the_change_makes_one_job_and_no_hint(device):
    def loop():
        with qstore.deferred():
            return [circuit_on(device)(x) for x in X]

    assert hints(loop) == []
    assert device.stats["jobs"] == 1


def test_looking_at_each_result_in_a_scope_is_told_what_else_to_do(device):
    circuit = circuit_on(device)

    def loop():
        with qstore.deferred():
            return [float(circuit(x)) for x in X]

    (hint,) = hints(loop)
    assert "look at them after the loop" in str(hint.message)


def test_lines_and_circuits_that_take_turns_are_a_loop_too(device, monkeypatch):
    circuit = circuit_on(device)

    @qml.qnode(device)
    def other(x):
        qml.RX(x, 0)
        return qml.expval(qml.Z(0))

    def lines():
        total = 0
        for x in X:
            total += circuit(x)
            total += circuit(-x)
        return total

    (hint,) = hints(lines)
    assert hint.lineno == lines.__code__.co_firstlineno + 3
    monkeypatch.setattr(repeated_jobs, "_told", False)
    assert len(hints(lambda: [circuit(x) * other(x) for x in X])) == 1


def test_many_lines_templates_and_batches_of_several_circuits_are_no_loop(device):
    circuit = circuit_on(device)
    lines = range(repeated_jobs.LINES + 1)
    several = [eval("\n" * i + "lambda x: circuit(x)", {"circuit": circuit}) for i in lines]

    def calls():
        for x in X[1:]:
            several[0](x)
        circuit(X)
        for x in X:
            for call in several:
                call(x)
        for _ in X:
            circuit(X)

    assert hints(calls) == []


def test_nine_are_not_ten(device):
    circuit = circuit_on(device)
    assert hints(lambda: [circuit(x) for x in X[1:]]) == []


def test_nobody_is_told_where_jobs_do_not_wait():
    circuit = circuit_on(qml.device("qstore.ionq", wires=1))
    assert hints(lambda: [circuit(x) for x in X]) == []


def test_jobs_wait_on_computers_and_on_emulators_with_their_times():
    with Emulator(profile="q-store") as emulator:
        assert qml.device("qstore.ionq", wires=1, emulator=emulator).executor.sender.waits
    paid = qml.device("qstore.ionq", wires=1, backend="qpu.forte-1", api_key="k")
    free = qml.device("qstore.ionq", wires=1, backend="simulator", api_key="k")
    assert paid.executor.sender.waits
    assert not free.executor.sender.waits


def test_a_step_of_a_training_run_is_not_a_loop_of_the_user(device):
    circuit = circuit_on(device)
    start = qml.numpy.array(0.3, requires_grad=True)
    run = qstore.TrainingRun(circuit, start, qml.AdamOptimizer(0.1), progress=False)
    assert hints(lambda: run.train(12)) == []


def test_a_filter_turns_it_off_and_one_that_raises_loses_nothing(device):
    circuit = circuit_on(device)
    with warnings.catch_warnings():
        warnings.simplefilter("error", QStoreEfficiencyWarning)
        with pytest.raises(QStoreEfficiencyWarning):
            [circuit(x) for x in X]
        assert device.stats["jobs"] == len(X) - 1
        circuit(0.1)
    with warnings.catch_warnings(record=True) as seen:
        repeated_jobs._told = False
        warnings.simplefilter("ignore", QStoreEfficiencyWarning)
        [circuit(x) for x in X]
    assert seen == []


@pytest.mark.ml
def test_a_loop_of_jax_is_told_of_what_batches_it(device):
    jax = pytest.importorskip("jax")
    circuit = circuit_on(device)
    (hint,) = hints(lambda: [circuit(x) for x in jax.numpy.asarray(X)])
    assert "value_and_grad" in str(hint.message)
    assert "test_repeated_jobs.py" in hint.filename
