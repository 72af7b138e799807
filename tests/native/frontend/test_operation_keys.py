"""Keys of operations: equal for other values, different for whatever else fixes a circuit."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore.native.frontend.operation_keys import (
    operation_key,
    row_ndims,
    row_shapes,
    wire_indices,
)

WIRES = {0: 0, 1: 1, 2: 2, "spare": 3}


def key(op):
    return operation_key(op, WIRES)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (qml.RX(0.1, 0), qml.RX(0.7, 0)),
        (qml.Rot(1, 2, 3, 1), qml.Rot(4, 5, 6, 1)),
        (qml.adjoint(qml.RX(0.1, 0)), qml.adjoint(qml.RX(0.2, 0))),
        (qml.ctrl(qml.MultiRZ(0.1, [0, 1]), 2), qml.ctrl(qml.MultiRZ(0.2, [0, 1]), 2)),
        (qml.PauliRot(0.1, "XY", [0, 1]), qml.PauliRot(0.2, "XY", [0, 1])),
        (qml.RX(np.ones(3), 0), qml.RX(0.1, 0)),
    ],
)
def test_values_and_batches_are_no_part_of_a_key(one, other):
    assert key(one) == key(other)
    assert hash(key(one)) == hash(key(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (qml.RX(0.1, 0), qml.RY(0.1, 0)),
        (qml.RX(0.1, 0), qml.RX(0.1, 1)),
        (qml.CNOT([0, 1]), qml.CNOT([1, 0])),
        (qml.PauliRot(0.1, "XY", [0, 1]), qml.PauliRot(0.1, "XX", [0, 1])),
        (qml.QubitUnitary(np.eye(2), 0), qml.QubitUnitary(np.diag([1, -1]), 0)),
        (qml.RX(0.1, 0), qml.adjoint(qml.RX(0.1, 0))),
        (
            qml.MultiControlledX([0, 1, 2], control_values=[0, 1]),
            qml.MultiControlledX([0, 1, 2], control_values=[1, 1]),
        ),
        (
            qml.MultiControlledX([0, 1, 2]),
            qml.MultiControlledX([0, 1, 2], work_wires=["spare"]),
        ),
        (
            qml.ctrl(qml.MultiRZ(0.1, [0, 1]), 2, control_values=[0]),
            qml.ctrl(qml.MultiRZ(0.1, [0, 1]), 2),
        ),
    ],
)
def test_whatever_fixes_the_circuit_is(one, other):
    assert key(one) != key(other)


@pytest.mark.parametrize(
    "op",
    [
        qml.QubitUnitary(np.eye(8), [0, 1, 2]),
        qml.adjoint(qml.QubitUnitary(np.eye(2), 0)),
        qml.exp(qml.X(0), 0.3j),
        qml.QDrift(qml.dot([0.1, 0.2], [qml.X(0), qml.Z(1)]), 0.3),
        qml.BasisState([1, 0], [0, 1]),
        qml.MPS(range(3), 2, lambda w, wires: qml.RX(w[0], wires[0]), 1, np.ones((2, 1))),
    ],
)
def test_what_cannot_be_keyed_has_none(op):
    assert key(op) is None


def test_shapes_of_one_row():
    weights = qml.StronglyEntanglingLayers(np.ones((5, 2, 3, 3)), range(3))
    assert row_ndims(weights) == (3,)
    assert row_shapes(weights) == ((2, 3, 3),)
    assert row_shapes(qml.RX(np.ones(4), 0)) == ((),)


def test_controls_come_first():
    assert wire_indices(qml.CNOT([2, 0]), WIRES) == (2, 0)
    assert wire_indices(qml.Toffoli([1, "spare", 0]), WIRES) == (1, 3, 0)
