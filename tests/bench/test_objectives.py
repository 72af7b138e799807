"""The objectives, with plain functions in the place of QNodes."""

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore.bench.objectives import (
    BRANCHING,
    OBJECTIVES,
    SAMPLES,
    Circuits,
    energy,
    expectation,
    several_outputs,
)

X = np.linspace(0.1, 0.8, 2 * SAMPLES).reshape(SAMPLES, 2)
Y = np.array([1.0, -1.0] * (SAMPLES // 2))


def circuits(one, calls):
    def counted(x, w):
        calls.append(x)
        return one(x, w)

    return Circuits(
        each=map,
        one=counted,
        energy=counted,
        several=lambda x, w: (counted(x, w), 2.0, np.array([0.25, 0.75])),
        x=X,
        y=Y,
        mean=np.mean,
    )


@pytest.mark.parametrize(
    ("objective", "value", "number"),
    [
        ("loop with list", 1.25, 4),
        ("loop with accumulator", 1.25, 4),
        ("Hamiltonian in 2 bases", 2.0, 4),
        ("several measurements", 5.0, 4),
        ("broadcast", 1.25, 1),
        ("QNode direct", 0.5, 1),
        ("early exit", 4.5, 3),
        ("value-dependent branch", 2.0, 4),
        ("nested QNodes", 2.0, 8),
    ],
)
def test_value_and_circuit_calls_where_every_circuit_gives_a_half(objective, value, number):
    calls = []
    assert OBJECTIVES[objective](circuits(lambda x, w: 0.5, calls), None) == value
    assert len(calls) == number


def test_log_loss_and_minibatch():
    log_loss = OBJECTIVES["log-loss"](circuits(lambda x, w: 0.5, []), None)
    assert log_loss == pytest.approx(-np.mean(np.log([0.745, 0.255])))
    calls = []
    assert OBJECTIVES["minibatch drawn inside"](circuits(lambda x, w: 0.0, calls), None) == 2.0
    assert len(calls) == 2


def test_a_negative_value_takes_the_other_branch():
    calls = []
    OBJECTIVES["value-dependent branch"](circuits(lambda x, w: -1.0, calls), None)
    assert len(calls) == 2 * SAMPLES
    assert set(BRANCHING) <= OBJECTIVES.keys()


def test_circuits_measure_what_they_say():
    device = qml.device("default.qubit", wires=2)
    x, w = np.zeros(2), np.zeros((1, 2, 3))
    assert qml.QNode(expectation, device)(x, w) == pytest.approx(1)
    assert qml.QNode(energy, device)(x, w) == pytest.approx(0.5)
    z, flip, probabilities = qml.QNode(several_outputs, device)(x, w)
    assert (z, flip) == pytest.approx((1, 0))
    assert probabilities == pytest.approx([1, 0])
