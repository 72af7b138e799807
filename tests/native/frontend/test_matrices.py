"""Matrices of operators made of others, against products of their parts' matrices."""

import numpy as np
import pennylane as qml
import pytest
from scipy.linalg import expm, sqrtm

from pennylane_qstore.native.frontend.matrices import matrix_on

ORDER = qml.wires.Wires(range(4))
FACTORS = (qml.S(3), qml.RX(-0.3, 2), qml.CNOT([3, 1]))


def on_all(op):
    return qml.matrix(op, wire_order=ORDER)


MET = np.linalg.multi_dot([on_all(factor) for factor in FACTORS])
ONE = np.eye(16)


def controlled(matrix, values):
    projector = on_all(qml.Projector(values, [0]))
    return ONE + projector @ (matrix - ONE)


@pytest.mark.parametrize(
    ("change", "want"),
    [
        (lambda op: op, MET),
        (qml.adjoint, MET.conj().T),
        (lambda op: qml.s_prod(1j, op), 1j * MET),
        (lambda op: qml.sum(op, qml.X(0), op), 2 * MET + on_all(qml.X(0))),
        (lambda op: qml.pow(op, -1), MET.conj().T),
        (lambda op: qml.pow(op, 3), MET @ MET @ MET),
        (lambda op: qml.pow(op, 0.5), sqrtm(MET)),
        (lambda op: qml.ctrl(op, 0), controlled(MET, [1])),
        (lambda op: qml.ctrl(op, 0, control_values=[0]), controlled(MET, [0])),
    ],
    ids=["product", "adjoint", "scaled", "sum", "inverse", "cube", "root", "controlled", "open"],
)
def test_factors_that_meet_are_multiplied_in_the_order_of_their_wires(change, want):
    op = change(qml.prod(*FACTORS))
    np.testing.assert_allclose(matrix_on(op, ORDER), want, atol=1e-9)


@pytest.mark.parametrize("change", [qml.adjoint, lambda op: qml.pow(op, 2), lambda op: op])
@pytest.mark.parametrize("scalars", [2.0, [2.0, 3.0]])
def test_a_batch_of_matrices_is_that_of_its_rows(change, scalars):
    angles = np.array([0.3, -1.1])

    def made(angle, scalar):
        return change(qml.s_prod(scalar, qml.prod(qml.RX(angle, 0), qml.CNOT([0, 1]))))

    rows = zip(angles, np.broadcast_to(scalars, 2), strict=True)
    want = [matrix_on(made(*row), ORDER) for row in rows]
    np.testing.assert_allclose(matrix_on(made(angles, np.array(scalars)), ORDER), want)


@pytest.mark.parametrize("times", [0.7, [0.7, -0.2]], ids=["one", "batch"])
@pytest.mark.parametrize("trained", [False, True])
def test_exponentials_of_sums_are_unitary_also_where_they_are_trained(times, trained):
    generator = qml.sum(qml.X(0), 0.4 * qml.prod(qml.Y(0), qml.Z(2)), 0.3 * qml.Z(2))
    op = qml.evolve(generator, qml.numpy.array(times, requires_grad=trained))
    want = expm(-1j * np.asarray(times)[..., None, None] * on_all(generator))
    np.testing.assert_allclose(matrix_on(op, ORDER), want, atol=1e-12)
