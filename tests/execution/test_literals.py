"""Written numbers are compiled as constants, and nothing else depends on it."""

from __future__ import annotations

import json

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pennylane.tape import QuantumScript

from pennylane_qstore.execution.executor import Executor
from pennylane_qstore.execution.options import Options
from pennylane_qstore.native.cache import SmartCircuitCache

QUARTER = np.pi / 2
GENERAL, CONSTANT = 2, 1
"""Entanglers of :func:`tape` where the middle angle is a parameter, and where it is π/2."""


def tape(data, middle, trainable=(), weight=0.4):
    """An angle stands between two CNOTs and decides what they are together."""
    operations = [
        *(qml.RY(data, 0), qml.RX(weight, 1), qml.CNOT([0, 1])),
        *(qml.RX(middle, 0), qml.RY(middle, 1), qml.CNOT([0, 1]), qml.RX(data, 0)),
    ]
    return QuantumScript(
        operations, [qml.probs(wires=[0, 1])], shots=100, trainable_params=list(trainable)
    )


def executor(**options):
    return Executor(Options.of({"cache": 100, "absorb": False, **options}), [0, 1])


def circuits(made, *tapes):
    return [c for request in made.requests(tapes) for c in request.circuits]


def entanglers(made, *tapes):
    """Number in each circuit."""
    gates = [json.loads(circuit) for circuit in circuits(made, *tapes)]
    return [sum(gate["gate"] == "zz" for gate in some) for some in gates]


def data(n=1, seed=0):
    return list(np.random.default_rng(seed).uniform(1, 2, n))


def test_written_numbers_are_constants_from_the_first_batch_on():
    made = executor()
    for seed in range(3):
        tapes = [tape(x, QUARTER) for x in data(2, seed)]
        assert entanglers(made, *tapes) == [CONSTANT] * 2
    assert made.cache.get_stats()["template_misses"] == 3  # measurements, program, template


def test_other_numbers_take_the_general_template_and_the_first_come_back():
    made = executor()
    (x,) = data()
    for middle, count in [(QUARTER, CONSTANT), (0.3, GENERAL), (0.9, GENERAL), (QUARTER, CONSTANT)]:
        assert entanglers(made, tape(x, middle)) == [count]
    assert entanglers(made, tape(x, QUARTER), tape(x, 0.3)) == [GENERAL] * 2
    assert made.cache.get_stats()["template_misses"] == 4


@pytest.mark.parametrize(
    "first",
    [
        tape(1.1, np.float64(QUARTER)),
        tape(1.1, np.array([QUARTER, QUARTER])),
        tape(1.1, QUARTER, trainable=[2, 3]),
        tape(1.1, QUARTER, trainable=range(5)),
    ],
    ids=["of NumPy", "of an array", "trained", "unknown"],
)
@pytest.mark.parametrize("run", [None, "training"])
def test_numbers_that_may_be_trained_are_no_constants(first, run, tmp_path):
    ledger = tmp_path / "ledger.sqlite" if run else None
    made = executor(run=run, ledger=ledger)
    assert set(entanglers(made, first)) == {GENERAL}


def test_zero_is_no_constant_since_training_may_begin_there():
    made = executor()
    for x, middle in enumerate((0.0, 0.3, QUARTER)):
        circuits(made, tape(np.array(1.1 + x), middle, weight=np.array(x)))
    assert made.cache.get_stats()["template_misses"] == 3  # one template serves all


def test_what_stays_the_same_in_three_batches_is_constant():
    made = executor()
    weights = np.array([QUARTER, 0.4])
    counts = [
        entanglers(made, *[tape(np.array(x), weights[0], weight=weights[1]) for x in data(2, seed)])
        for seed in range(4)
    ]
    assert counts == [[GENERAL] * 2] * 2 + [[CONSTANT] * 2] * 2
    assert made.cache.get_stats()["template_misses"] == 4


def test_what_changes_early_is_never_a_constant_again():
    made = executor()
    for i in range(6):
        x, weight = np.array(1.1 + i), np.array(0.4 + i)
        middle = np.array(0.3 if i == 1 else QUARTER)
        assert entanglers(made, tape(x, middle, weight=weight)) == [GENERAL]


def test_a_run_that_starts_again_sends_the_same_circuits(tmp_path):
    batches = [
        [tape(x, middle, weight=weight) for x in data(2, seed)]
        for seed, (middle, weight) in enumerate(
            [(QUARTER, np.pi), (0.3, np.pi), (QUARTER, 0.7), (QUARTER, np.pi), (np.pi, 0.1)]
        )
    ]
    options = {"run": "training", "ledger": tmp_path / "ledger.sqlite"}
    uninterrupted = executor(**options)
    sent = [circuits(uninterrupted, *batch) for batch in batches]
    assert entanglers(uninterrupted, *batches[0]) == [CONSTANT] * 2
    for start in range(len(batches)):
        again = executor(**options)
        assert [circuits(again, *batch) for batch in batches[start:]] == sent[start:]


def test_gates_of_boxes_and_of_other_gatesets_stay_as_they_are():
    for options in ({"compile": "verbatim"}, {"gateset": "qis"}):
        written, array = (tape(1.1, kind(QUARTER), weight=kind(0.4)) for kind in (float, np.array))
        assert circuits(executor(**options), written) == circuits(executor(**options), array)


VALUES = (0.0, QUARTER, np.pi, 0.3, -1.1)


@st.composite
def histories(draw):
    """Batches of tapes of one structure, as functions of their values."""
    gates = st.sampled_from([qml.RX, qml.RZ, qml.RY, qml.IsingZZ, qml.CRX, qml.CNOT])
    kinds = draw(st.lists(gates, min_size=3, max_size=9))
    on = [draw(st.permutations(range(3))) for _ in kinds]
    count = sum(bool(kind.num_params) for kind in kinds)
    usual = draw(st.lists(st.sampled_from(VALUES), min_size=count, max_size=count))
    written = draw(st.lists(st.booleans(), min_size=count, max_size=count))

    def made():
        values = [draw(st.sampled_from((v, v, v, *VALUES))) for v in usual]
        numbers = iter(
            [float(v) if w else np.float64(v) for v, w in zip(values, written, strict=True)]
        )
        operations = [
            kind(*([next(numbers)] if kind.num_params else []), wires=wires[: kind.num_wires])
            for kind, wires in zip(kinds, on, strict=True)
        ]
        return QuantumScript(operations, [qml.probs(wires=range(3))], trainable_params=[])

    return [
        [made() for _ in range(draw(st.integers(1, 2)))] for _ in range(draw(st.integers(1, 6)))
    ]


@given(histories())
@settings(max_examples=30, deadline=None)
def test_results_are_right_whatever_came_before(batches):
    cache = SmartCircuitCache()
    options = {"cache": cache, "seed": 1}
    made, reference = Executor(Options.of(options), range(3)), qml.device("default.qubit", wires=3)
    for batch in batches:
        results = made.run(batch)
        np.testing.assert_allclose(results, [reference.execute(t) for t in batch], atol=1e-9)
    assert cache.get_stats()["template_misses"] <= 4  # measurements, program, two templates
