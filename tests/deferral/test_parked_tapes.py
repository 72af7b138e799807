"""Tapes that wait are those that were recorded, whatever their operations are made of."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest
from scipy.sparse import csr_matrix
from support.batches import UNTOLD

import pennylane_qstore as qstore
from pennylane_qstore.deferral.parked_tapes import own_copies

RNG = np.random.default_rng(5)
ONE, TWO = (np.linalg.qr(RNG.normal(size=(n, n)) + 1j * RNG.normal(size=(n, n)))[0] for n in (2, 4))
HAMILTONIAN = qml.dot([0.3, 0.4], [qml.X(0) @ qml.X(1), qml.Z(1)])
ANGLE = np.array(0.3)

OPERATIONS = {
    "rotation": lambda: qml.RX(ANGLE, 0),
    "controlled unitary": lambda: qml.ControlledQubitUnitary(ONE, [0, 1], control_values=[0]),
    "unitary": lambda: qml.QubitUnitary(TWO, [0, 1]),
    "diagonal": lambda: qml.DiagonalQubitUnitary(np.exp(1j * np.arange(4.0)), [0, 1]),
    "evolution": lambda: qml.evolve(HAMILTONIAN, ANGLE),
    "evolution of a scaled word": lambda: qml.evolve(0.3 * (qml.X(0) @ qml.Y(1)), ANGLE),
    "exponential": lambda: qml.exp(qml.X(0) @ qml.Z(1), 0.4j * ANGLE),
    "trotter": lambda: qml.TrotterProduct(HAMILTONIAN, ANGLE, n=2),
    "time evolution": lambda: qml.ApproxTimeEvolution(HAMILTONIAN, ANGLE, 2),
    "change of basis": lambda: qml.change_op_basis(qml.RY(ANGLE, 0), qml.RZ(2 * ANGLE, 0)),
    "selection": lambda: qml.Select([qml.RX(ANGLE, 1), qml.RY(2 * ANGLE, 1)], control=[0]),
    "layers": lambda: qml.StronglyEntanglingLayers(RNG.normal(size=(1, 2, 3)), [0, 1]),
    "pauli rotation": lambda: qml.PauliRot(ANGLE, "XY", [0, 1]),
    "sparse": lambda: qml.QubitUnitary(csr_matrix(TWO), [0, 1]),
}
CHANGES = {
    "as it is": lambda op: op,
    "adjoint": qml.adjoint,
    "power": lambda op: qml.pow(op, 2),
    "controlled on 1": lambda op: qml.ctrl(op, 2),
    "controlled on 0": lambda op: qml.ctrl(op, [2, 3], control_values=[0, 1]),
    "product": lambda op: qml.prod(qml.RY(0.3, 1), op, qml.RX(0.2, 0)),
}


def made(operation, change):
    with qml.QueuingManager.stop_recording():
        return CHANGES[change](OPERATIONS[operation]())


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_copy_is_the_operation_that_was_recorded(operation, change):
    op = made(operation, change)
    tape = qml.tape.QuantumScript([op], [qml.expval(qml.Z(0))])
    (copied,) = own_copies([tape]).circuits[0].operations
    assert type(copied) is type(op)
    assert copied.hyperparameters.keys() == op.hyperparameters.keys()
    for one, other in zip(copied.data, op.data, strict=True):
        assert one is not other or not isinstance(other, np.ndarray)
    if op.has_matrix:
        np.testing.assert_array_equal(
            qml.matrix(copied, wire_order=range(4)), qml.matrix(op, wire_order=range(4))
        )


@pytest.mark.usefixtures("unsearched")
@pytest.mark.parametrize("operation", [name for name in OPERATIONS if name != "sparse"])
def test_a_deferred_circuit_is_the_plain_one(operation):
    ops = [made(operation, change) for change in CHANGES]

    def circuit(op):
        for wire in range(4):
            qml.RY(0.6 + wire, wire)
        qml.apply(op)
        for wire in range(4):
            qml.RX(0.4 + wire, wire)
        return qml.expval(qml.Z(0) @ qml.X(1) + 0.7 * qml.Y(1)), qml.probs([2, 3])

    dev = qml.device("qstore.ionq", wires=4)
    node = qml.QNode(circuit, dev)
    plain = []
    for op in list(ops):
        try:
            plain.append(node(op))
        except qstore.errors.CompileError:  # PennyLane has no decomposition
            ops.remove(op)
    assert len(ops) >= 3
    sent = dev.stats["jobs"]
    with qstore.deferred():
        late = [node(op) for op in ops]
    assert dev.stats["jobs"] == sent + 1
    for one, other in zip(late, plain, strict=True):
        assert all(map(np.allclose, one, other))


@pytest.mark.parametrize(
    "operation",
    [
        lambda w: qml.ControlledQubitUnitary(ONE, [0, 1], control_values=[0]),
        lambda w: qml.evolve(HAMILTONIAN, ANGLE),
        lambda w: qml.ctrl(qml.evolve(0.5 * qml.X(0), w[1]), 2),
    ],
    ids=["unitary on 0", "time that is an array", "element of the weights"],
)
def test_whatever_way_it_waits_the_value_is_that_of_default_qubit(operation):
    def circuit(w):
        for wire in range(3):
            qml.RY(0.6 + wire, wire)
        operation(w)
        for wire in range(3):
            qml.RX(0.4 + wire, wire)
        return qml.expval(qml.Z(0) @ qml.X(1) + 0.7 * qml.Y(1) + 0.2 * qml.Z(2))

    w = qml.numpy.array([0.3, 0.7], requires_grad=True)
    exact = float(qml.QNode(circuit, qml.device("default.qubit", wires=3))(w))
    dev = qml.device("qstore.ionq", wires=3)
    node = qml.QNode(circuit, dev)
    with qstore.deferred():
        late = node(w)
    _, loss = qstore.SPSAOptimizer(maxiter=3, seed=1).step_and_cost(node, w)
    for found in (node(w), late, *qstore.gather(dev, lambda: node(w)), loss):
        assert np.isclose(found, exact)


def test_an_array_within_an_operation_counts_as_it_was():
    coefficients, time = np.array([0.3, 0.4]), np.array(0.5)
    terms = [qml.X(0) @ qml.X(1), qml.Z(1)]

    def circuit():
        qml.RY(0.6, 1)
        qml.ctrl(qml.TrotterProduct(qml.dot(coefficients, terms), time), 2, control_values=[0])
        return qml.expval(qml.Hermitian(matrix, 0))

    matrix = np.array([[1.0, 0.2], [0.2, -0.5]])
    node = qml.QNode(circuit, qml.device("qstore.ionq", wires=3))
    expected = node()
    with qstore.deferred():
        late = node()
        coefficients *= 2
        time += 1
        matrix[0, 0] = 7
    assert np.isclose(late, expected)


@pytest.mark.parametrize(
    "operation",
    [
        lambda x: qml.RX(x, 0),
        lambda x: qml.ctrl(qml.RX(x, 0), 1, control_values=[0]),
        lambda x: qml.evolve(qml.X(0) @ qml.Y(1), x),
        lambda x: qml.change_op_basis(qml.RY(x, 0), qml.RZ(2 * x, 0)),
        lambda x: qml.prod(qml.RX(x, 0), qml.adjoint(qml.CRY(x, [0, 1]))),
    ],
)
def test_results_go_into_operations_of_any_kind(operation):
    def circuit(x):
        qml.RY(0.6, 0)
        operation(x)
        qml.RX(0.4, 0)
        return qml.expval(qml.Z(0))

    node = qml.QNode(circuit, qml.device("qstore.ionq", wires=2))
    expected = node(node(0.3) + 0.1)
    with qstore.deferred():
        late = node(node(0.3) + 0.1)
    assert np.isclose(late, expected)


def test_a_result_counts_as_it_was_when_the_circuit_was_called():
    def probabilities(x):
        qml.RX(x, 0)
        return qml.probs(wires=[0, 1])

    def circuit(x):
        qml.AngleEmbedding(x, range(4))
        return qml.expval(qml.Z(0))

    dev = qml.device("qstore.ionq", wires=4)
    first, second = qml.QNode(probabilities, dev), qml.QNode(circuit, dev)
    expected = second(first(0.7))
    with qstore.deferred():
        angles = first(0.7)
        late = second(angles)
        angles[0] = 3.0
    assert np.isclose(late, expected)


@pytest.mark.parametrize("operation", UNTOLD)
def test_a_batch_that_nobody_tells_is_deferred_in_one_post(operation):
    weights = np.array([0.3, -1.2, 0.8])

    def circuit(weights):
        for wire in range(3):
            qml.RY(0.6 + wire, wire)
        UNTOLD[operation](weights)
        qml.RX(0.4, 0)
        return qml.expval(qml.Z(0)), qml.probs(wires=[0, 1])

    dev = qml.device("qstore.ionq", wires=3)
    node = qml.QNode(circuit, dev)
    plain = node(weights), node(2 * weights)
    sent = dev.stats["jobs"]
    with qstore.deferred():
        late = node(weights), node(2 * weights)
        assert late[0][1].shape == (3, 4)
    assert dev.stats["jobs"] == sent + 1
    for one, other in zip(late, plain, strict=True):
        assert all(map(np.allclose, one, other))
    (mapped,) = qstore.map(dev, node, [weights])
    (gathered,) = qstore.gather(dev, lambda: node(weights))
    for found in (mapped, gathered):
        assert all(map(np.allclose, found, plain[0]))
    sent = dev.stats["jobs"]
    optimizer = qstore.SPSAOptimizer(maxiter=3, seed=1)
    _, loss = optimizer.step_and_cost(lambda w: np.mean(node(w)[0]), weights)
    assert np.isclose(loss, np.mean(plain[0][0]))
    assert dev.stats["jobs"] == sent + 1
