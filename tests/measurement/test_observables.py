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
