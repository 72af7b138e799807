"""Random operations made of others, over numbers or a batch of them, and what is measured of them.

Everything is a function of ``x``, a number or a batch of shape (rows,): a batch is compared to its
rows one by one, which default.qubit runs without broadcasting.
"""

import functools

import numpy as np
import pennylane as qml
from pennylane.ops.op_math import Controlled, ControlledOp
from scipy.linalg import fractional_matrix_power

WIRES = (0, 1, 2, 3)


def unitary(rng, n, x):
    """A unitary, or one for each element of ``x``."""
    m = rng.normal(size=(2, 2**n, 2**n))
    values, vectors = np.linalg.eigh(m[0] + m[0].T + 1j * (m[1] - m[1].T))
    phases = np.exp(1j * np.multiply.outer(x, values))
    return np.einsum("ij,...j,kj->...ik", vectors, phases, vectors.conj())


def weights(rng, shape, x):
    return np.multiply.outer(x, rng.uniform(-1.5, 1.5, shape))


def word(rng, wires):
    return qml.prod(*((qml.X, qml.Y, qml.Z)[rng.integers(3)](w) for w in wires))


def hamiltonian(rng, a, b):
    terms = [qml.X(a) @ qml.X(b), qml.Z(a) @ qml.Y(b), qml.Z(b), qml.Y(a)]
    return qml.dot(rng.uniform(-1, 1, 3), [terms[i] for i in rng.permutation(4)[:3]])


BASES = (
    lambda rng, a, b, x: qml.RX(x, a),
    lambda rng, a, b, x: qml.Rot(x, 0.3, 2 * x, a),
    lambda rng, a, b, x: qml.IsingXY(x, [a, b]),
    lambda rng, a, b, x: qml.CRY(x, [a, b]),
    lambda rng, a, b, x: qml.SingleExcitation(x, [a, b]),
    lambda rng, a, b, x: qml.PauliRot(x, "XY", [a, b]),
    lambda rng, a, b, x: qml.PhaseShift(x, a),
    lambda rng, a, b, x: qml.QubitUnitary(unitary(rng, 1, x), a),
    lambda rng, a, b, x: qml.QubitUnitary(unitary(rng, 2, x), [a, b]),
    lambda rng, a, b, x: qml.DiagonalQubitUnitary(np.exp(1j * weights(rng, 4, x)), [a, b]),
    lambda rng, a, b, x: qml.ControlledQubitUnitary(
        unitary(rng, 1, x), [a, b], control_values=[rng.integers(2)]
    ),
    lambda rng, a, b, x: qml.exp(0.7 * word(rng, [a, b]), 1j * x),
    lambda rng, a, b, x: qml.exp(hamiltonian(rng, a, b), -0.5j * x),
    lambda rng, a, b, x: qml.evolve(0.3 * word(rng, [a]), x),
    lambda rng, a, b, x: qml.evolve(hamiltonian(rng, a, b), x),
    lambda rng, a, b, x: qml.TrotterProduct(hamiltonian(rng, a, b), x, n=2),
    lambda rng, a, b, x: qml.ApproxTimeEvolution(hamiltonian(rng, a, b), x, 1),
    lambda rng, a, b, x: qml.CommutingEvolution(
        qml.dot([0.4, 0.7], [qml.X(a) @ qml.X(b), qml.Z(a) @ qml.Z(b)]), x
    ),
    lambda rng, a, b, x: qml.StronglyEntanglingLayers(weights(rng, (2, 2, 3), x), [a, b]),
    lambda rng, a, b, x: qml.BasicEntanglerLayers(weights(rng, (2, 2), x), [a, b]),
    lambda rng, a, b, x: qml.AngleEmbedding(weights(rng, 2, x), [a, b]),
    lambda rng, a, b, x: qml.IQPEmbedding(weights(rng, 2, x), [a, b]),
    lambda rng, a, b, x: qml.Select([qml.RX(x, a), qml.RY(0.3, a)], control=[b]),
    lambda rng, a, b, x: qml.Reflection(qml.RX(x, a), 0.7),
    lambda rng, a, b, x: qml.ControlledSequence(qml.RY(x, a), control=[b]),
    lambda rng, a, b, x: qml.GlobalPhase(x, a),
    lambda rng, a, b, x: qml.PSWAP(x, [a, b]),
    lambda rng, a, b, x: qml.QFT([a, b]),
    lambda rng, a, b, x: qml.SISWAP([a, b]),
    lambda rng, a, b, x: qml.S(a),
)

CHANGES = (
    lambda rng, op, c, d, x: qml.adjoint(op),
    lambda rng, op, c, d, x: qml.adjoint(op, lazy=False),
    lambda rng, op, c, d, x: qml.pow(op, int(rng.integers(-1, 4))),
    lambda rng, op, c, d, x: qml.ctrl(op, c),
    lambda rng, op, c, d, x: qml.ctrl(op, c, control_values=[0]),
    lambda rng, op, c, d, x: qml.ctrl(op, [c, d], control_values=[0, 1]),
    lambda rng, op, c, d, x: qml.ctrl(op, c, work_wires=["spare"]),
    lambda rng, op, c, d, x: qml.prod(op, qml.RY(x, c)),
    lambda rng, op, c, d, x: qml.prod(qml.CRX(x, [c, d]), op, qml.S(c)),
    lambda rng, op, c, d, x: qml.change_op_basis(op, qml.RZ(x, op.wires[0])),
    lambda rng, op, c, d, x: qml.change_op_basis(qml.RY(x, op.wires[0]), op, qml.RX(x, c)),
    lambda rng, op, c, d, x: qml.s_prod(1j, op),
)


def composed(rng, x):
    """One operation, changed up to three times by others."""
    a, b, c, d = (WIRES[i] for i in rng.permutation(4))
    part = x if rng.random() < 0.8 else 0.4  # another operand may have no batch
    op = BASES[rng.integers(len(BASES))](rng, a, b, part)
    for control in [(c, d), (d, c), (c, d)][: rng.integers(4)]:
        change = CHANGES[rng.integers(len(CHANGES))]
        if set(op.wires) & set(control):
            control = [w for w in WIRES if w not in op.wires]
            if len(control) < 2:
                change, control = CHANGES[rng.integers(3)], (c, d)
        op = change(rng, op, *control[:2], x if rng.random() < 0.6 else 0.9)
    return op


def measured(rng):
    """One to three measurements of arrays."""
    a, b, c, _ = (WIRES[i] for i in rng.permutation(4))
    with qml.QueuingManager.stop_recording():
        observables = [
            word(rng, [a, b]),
            hamiltonian(rng, a, b),
            qml.prod(qml.X(a) + 0.5 * qml.Z(a), qml.Y(b)),
            qml.prod(qml.Z(a), qml.Z(b), qml.Z(a) @ qml.X(c)),
            2.5 * qml.prod(qml.Y(a), qml.Y(b)),
            qml.sum(qml.X(a), qml.Hermitian([[1, 0.5], [0.5, -2]], b)),
            qml.Projector([0, 1], [b, a]),
            qml.Hadamard(c),
        ]
    out = []
    for _ in range(rng.integers(1, 4)):
        kind, obs = rng.integers(5), observables[rng.integers(len(observables))]
        out.append(
            (
                lambda obs=obs: qml.expval(obs),
                lambda obs=obs: qml.var(obs),
                lambda obs=obs: qml.probs(op=obs),
                lambda: qml.probs(wires=[c, a]),
                lambda: qml.probs(wires=WIRES),
            )[kind]
        )
    return lambda: [make() for make in out]


def circuit(seed):
    """Return a quantum function of ``x``; every call draws the same."""

    def function(x):
        rng = np.random.default_rng(seed)
        for w in WIRES:
            qml.RY(0.4 + 0.3 * w, w)
        for _ in range(rng.integers(1, 4)):
            with qml.QueuingManager.stop_recording():
                op = composed(rng, x)
            qml.apply(op)
        for w in WIRES:
            qml.RX(0.9 - 0.2 * w, w)
        qml.RY(x, 1)
        return measured(rng)()

    return function


def matrix(op):
    """Multiplied from the parts: PennyLane 0.45 has the wires of some products in another order."""
    if isinstance(op, qml.ops.Prod | qml.ops.op_math.ChangeOpBasis):
        return functools.reduce(np.matmul, map(matrix, op.operands))
    if isinstance(op, qml.ops.op_math.SProd):
        return op.scalar * matrix(op.base)
    if isinstance(op, qml.ops.op_math.Adjoint):
        return matrix(op.base).conj().T
    if isinstance(op, qml.ops.op_math.Pow):
        return fractional_matrix_power(matrix(op.base), op.z)
    if type(op) in (Controlled, ControlledOp):
        on = qml.Projector([int(v) for v in op.control_values], op.control_wires)
        one = np.eye(2 ** len(WIRES))
        return one + qml.matrix(on, wire_order=WIRES) @ (matrix(op.base) - one)
    return qml.matrix(op, wire_order=WIRES)


def right_values(function, x):
    """Results of a quantum function at a number, by dense matrices."""
    tape = qml.tape.make_qscript(function)(x)
    state = np.eye(2 ** len(WIRES))[0]
    for op in tape.operations:
        state = matrix(op) @ state
    prepared = qml.StatePrep(state, WIRES, validate_norm=False)
    tape = qml.tape.QuantumScript([prepared], tape.measurements)
    (results,) = qml.execute([tape], qml.device("default.qubit", wires=WIRES), diff_method=None)
    return results if isinstance(results, tuple) else (results,)
