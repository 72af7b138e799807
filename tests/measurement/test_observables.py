"""Coefficients and matrices of observables, or a refusal that names them."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore.measurement.observables import matrix_of, real_coefficient
from pennylane_qstore.measurement.recipes import NotSupported


@pytest.mark.parametrize("coefficient", [2, np.float32(2), 2 + 1e-12j, np.array(2.0)])
def test_a_real_coefficient_is_a_float(coefficient):
    value = real_coefficient(coefficient, qml.Z(0))
    assert type(value) is float
    assert value == 2.0


@pytest.mark.parametrize(
    ("coefficient", "message"),
    [(np.ones(3), "broadcast"), (np.nan, "not finite"), (1j, "not Hermitian")],
)
def test_other_coefficients_are_refused(coefficient, message):
    with pytest.raises(NotSupported, match=message):
        real_coefficient(coefficient, qml.Z(0))


def test_the_matrix_is_in_the_order_of_the_observables_wires():
    op = qml.Z(1) @ qml.X(0)
    np.testing.assert_allclose(matrix_of(op), np.kron(np.diag([1, -1]), [[0, 1], [1, 0]]))


def test_an_observable_of_other_modes_is_refused():
    with pytest.raises(NotSupported):
        matrix_of(qml.NumberOperator(0))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda o: o, lambda m, x: m),
        (qml.adjoint, lambda m, x: m),
        (lambda o: 2 * o, lambda m, x: 2 * m),
        (lambda o: qml.sum(o, qml.X(3), o), lambda m, x: 2 * m + x),
    ],
)
def test_factors_that_meet_on_some_wires_keep_the_order_of_the_others(change, expected):
    """PennyLane's matrix of such a product is of another order of wires than it says."""
    coupled = np.array([[1, 0.5, 0, 0.2], [0.5, -1, 0.3, 0], [0, 0.3, 2, 0.1], [0.2, 0, 0.1, 0.5]])
    factors = [qml.H(2), qml.Hermitian(coupled, [1, 0]), qml.CZ([2, 3]), qml.H(2)]
    order = change(qml.prod(*factors)).wires
    product = np.linalg.multi_dot([qml.matrix(factor, wire_order=order) for factor in factors])
    want = expected(product, qml.matrix(qml.X(3), wire_order=order))
    assert np.allclose(matrix_of(change(qml.prod(*factors))), want)

    def circuit():
        for wire in range(4):
            qml.RY(0.4 + wire, wire)
        qml.CNOT([0, 2])
        return qml.expval(qml.prod(*factors))

    one, other = (
        qml.QNode(circuit, qml.device(name, wires=4))() for name in ("qstore.ionq", "default.qubit")
    )
    assert np.isclose(one, other)
