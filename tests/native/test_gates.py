"""The four native gates: matrices, decompositions, adjoints, gradients."""

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import expm

from pennylane_qstore.native.gates import GPI, GPI2, MS, ZZ

turns = st.floats(-1, 1)
X, Y, Z = (qml.matrix(P(0)) for P in (qml.X, qml.Y, qml.Z))


def g(phase):
    return np.cos(2 * np.pi * phase) * X + np.sin(2 * np.pi * phase) * Y


@given(turns, turns, turns)
def test_matrices_are_those_of_ionq(a, b, c):
    assert np.allclose(GPI.compute_matrix(a), g(a))
    assert np.allclose(GPI2.compute_matrix(a), expm(-1j * np.pi / 4 * g(a)))
    assert np.allclose(MS.compute_matrix(a, b, c), expm(-1j * np.pi * c * np.kron(g(a), g(b))))
    assert np.allclose(ZZ.compute_matrix(c), expm(-1j * np.pi * c * np.kron(Z, Z)))


@given(turns, turns, turns)
def test_decomposition_and_adjoint_equal_the_matrix(a, b, c):
    for op in (GPI(a, 0), GPI2(a, 0), MS(a, b, c, wires=[0, 1]), ZZ(c, wires=[0, 1])):
        wires = list(op.wires)
        decomposed = qml.matrix(qml.tape.QuantumScript(op.decomposition()), wire_order=wires)
        assert np.allclose(decomposed, op.matrix(), atol=1e-9)
        assert np.allclose(op.adjoint().matrix() @ op.matrix(), np.eye(2 ** len(wires)), atol=1e-9)


def test_matrices_batch_over_their_parameters():
    a, b = np.linspace(-1, 1, 5), np.linspace(0, 0.25, 5)
    batch = MS.compute_matrix(a, 0.1, b)
    assert batch.shape == (5, 4, 4)
    assert np.allclose(batch[3], MS.compute_matrix(a[3], 0.1, b[3]))
    assert GPI(a, 0).batch_size == 5


@pytest.mark.parametrize(
    "op", [GPI(0.1, 0), GPI2(0.1, 0), MS(0.1, 0.2, 0.1, wires=[0, 1]), ZZ(0.1, wires=[0, 1])]
)
def test_pennylane_finds_nothing_wrong_with_them(op):
    qml.ops.functions.assert_valid(op, skip_capture=not captures())


def captures():
    """Return True where PennyLane can capture programs: it wants one release of JAX."""
    try:
        qml.capture.enable()
    except ImportError:
        return False
    qml.capture.disable()
    return True


@pytest.mark.parametrize(
    ("device", "method"),
    [
        ("default.qubit", "parameter-shift"),
        ("default.qubit", "adjoint"),
        ("lightning.qubit", "adjoint"),
        ("lightning.qubit", "parameter-shift"),
        ("default.mixed", "backprop"),
        ("qstore.ionq", "parameter-shift"),
    ],
)
def test_gradients_agree_on_every_device(device, method):
    x = qml.numpy.array([0.13, -0.4, 0.27, 0.71, 0.19, 0.6], requires_grad=True)

    def circuit(x):
        qml.RX(0.4, 0)
        qml.RY(0.7, 1)
        GPI2(x[0], 0)
        GPI(x[1], 1)
        qml.RX(0.3, 1)
        MS(x[2], x[3], x[4], wires=[0, 1])
        GPI2(0.1, 0)
        qml.RY(1.1, 1)
        ZZ(x[5], wires=[0, 1])
        GPI2(0.3, 1)
        return qml.expval(qml.X(0) @ qml.Y(1))

    exact = qml.QNode(circuit, qml.device("default.qubit", wires=2), diff_method="backprop")
    other = qml.QNode(circuit, qml.device(device, wires=2), diff_method=method)
    assert np.allclose(other(x), exact(x), atol=1e-9)
    assert np.allclose(qml.grad(other)(x), qml.grad(exact)(x), atol=1e-7)
