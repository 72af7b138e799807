"""Random tapes and exact simulation of native circuits, for the properties of the compiler."""

import numpy as np
import pennylane as qml
from hypothesis import strategies as st

from pennylane_qstore.native.gates import NATIVE_GATES

ONE_CONSTANT = (qml.Hadamard, qml.X, qml.Y, qml.Z, qml.S, qml.T, qml.SX)
ONE_ANGLE = (qml.RX, qml.RY, qml.RZ, qml.PhaseShift)
TWO_CONSTANT = (qml.CNOT, qml.CZ, qml.CY, qml.SWAP, qml.ISWAP)
TWO_ANGLE = (
    *(qml.IsingXX, qml.IsingYY, qml.IsingZZ, qml.CRX, qml.CRY, qml.CRZ),
    *(qml.ControlledPhaseShift, qml.IsingXY, qml.SingleExcitation),
)
SPECIAL = (0.0, np.pi / 2, np.pi, -np.pi / 2, 2 * np.pi, np.pi / 4, 4 * np.pi / 3)

NEARLY = (0.0, 3e-9, 6e-8, -1e-6, 1e-5)
"""Beside special angles: neither dropped nor, by a cosine, taken for nothing."""

angles = st.one_of(
    st.sampled_from(SPECIAL),
    st.builds(lambda a, b: a + b, st.sampled_from(SPECIAL), st.sampled_from(NEARLY)),
    st.floats(-7, 7),
)


@st.composite
def operations(draw, wires):
    """One operation on some of the wires."""
    a, b, *_ = draw(st.permutations(range(wires)))
    kind = draw(st.integers(0, 6))
    with qml.QueuingManager.stop_recording():
        if kind == 0:
            return draw(st.sampled_from(ONE_CONSTANT))(a)
        if kind == 1:
            return draw(st.sampled_from(ONE_ANGLE))(draw(angles), a)
        if kind == 2:
            return qml.Rot(draw(angles), draw(angles), draw(angles), a)
        if kind in (3, 4):
            return draw(st.sampled_from(TWO_CONSTANT))(wires=[a, b])
        if kind == 5:
            return draw(st.sampled_from(TWO_ANGLE))(draw(angles), wires=[a, b])
        return qml.adjoint(draw(st.sampled_from((qml.S, qml.T, qml.SX)))(a))


def _unitary(wires, seed):
    rng = np.random.default_rng(seed)
    shape = (2**wires, 2**wires)
    return np.linalg.qr(rng.normal(size=shape) + 1j * rng.normal(size=shape))[0]


def _control(base, controls, values):
    return qml.ctrl(base, control=controls, control_values=values)


def _hamiltonian(coefficients, wires):
    a, b, c = wires
    words = (qml.X(a) @ qml.Y(b), qml.Z(c), qml.Z(a) @ qml.Z(c))
    return qml.dot(coefficients[:3], words)


class Polynomial(qml.operation.Operation):
    """A user's operation: angles are polynomials, and one option is an attribute."""

    num_params, ndim_params = 2, (0, 0)

    def __init__(self, a, b, reverse, wires):
        self._reverse = bool(reverse)
        super().__init__(a, b, wires=wires)

    def _angle(self):
        a, b = self.data
        return 0.5 * a * b + a**2 - b + 1.5

    def decomposition(self):
        on = self.wires[::-1] if self._reverse else self.wires
        return [qml.CRX(self._angle(), on), qml.RY(self.data[0] - 0.25, on[0])]

    def matrix(self, wire_order=None):
        ops = self.decomposition()
        return qml.matrix(qml.tape.QuantumScript(ops), wire_order=wire_order or self.wires)


class Cosine(Polynomial):
    """A user's operation of which no template fits."""

    def _angle(self):
        return np.cos(self.data[0]) * self.data[1]


# Wires and angles each takes, and how it is made of them: v angles, w wires, and k, an integer
# that chooses among variants.
EVERY = {
    "U1": (1, 1, lambda v, w, k: qml.U1(*v, w)),
    "U2": (1, 2, lambda v, w, k: qml.U2(*v, w)),
    "U3": (1, 3, lambda v, w, k: qml.U3(*v, w)),
    "Identity": (1, 0, lambda v, w, k: qml.Identity(w)),
    "GlobalPhase": (1, 1, lambda v, w, k: qml.GlobalPhase(*v, w)),
    "GPI": (1, 1, lambda v, w, k: NATIVE_GATES["gpi"](*v, w)),
    "GPI2": (1, 1, lambda v, w, k: NATIVE_GATES["gpi2"](*v, w)),
    "MS": (2, 3, lambda v, w, k: NATIVE_GATES["ms"](*v, w)),
    "ZZ": (2, 1, lambda v, w, k: NATIVE_GATES["zz"](*v, w)),
    "QubitUnitary": (
        3,
        0,
        lambda v, w, k: qml.QubitUnitary(_unitary(k % 3 + 1, k), w[: k % 3 + 1]),
    ),
    "power": (1, 0, lambda v, w, k: qml.pow((qml.X, qml.T, qml.S, qml.H)[k % 4](w), k / 7 - 3)),
    "adjoint": (
        2,
        3,
        lambda v, w, k: qml.adjoint((qml.CRot, qml.CRX)[k % 2](*v[: 3 - k % 2 * 2], w)),
    ),
    "prod": (2, 1, lambda v, w, k: qml.prod(qml.X(w[0]), qml.RY(*v, w[1]))),
    "exp": (2, 1, lambda v, w, k: qml.exp(qml.X(w[0]) @ qml.Z(w[1]), 1j * v[0])),
    "CRot": (2, 3, lambda v, w, k: qml.CRot(*v, w)),
    "CH, ECR": (2, 0, lambda v, w, k: (qml.CH, qml.ECR)[k % 2](w)),
    "SISWAP, SQISW": (2, 0, lambda v, w, k: (qml.SISWAP, qml.SQISW)[k % 2](w)),
    "PSWAP": (2, 1, lambda v, w, k: qml.PSWAP(*v, w)),
    "FermionicSWAP": (2, 1, lambda v, w, k: qml.FermionicSWAP(*v, w)),
    "SingleExcitations": (
        2,
        1,
        lambda v, w, k: (qml.SingleExcitationPlus, qml.SingleExcitationMinus)[k % 2](*v, w),
    ),
    "Toffoli, CCZ, CSWAP": (3, 0, lambda v, w, k: (qml.Toffoli, qml.CCZ, qml.CSWAP)[k % 3](w)),
    "MultiControlledX": (
        4,
        0,
        lambda v, w, k: qml.MultiControlledX(w, control_values=[k & 1, k & 2, k & 4]),
    ),
    "MultiRZ": (4, 1, lambda v, w, k: qml.MultiRZ(*v, w[: k % 4 + 1])),
    "PauliRot": (
        3,
        1,
        lambda v, w, k: qml.PauliRot(*v, "".join("IXYZ"[k >> i & 3] for i in (0, 2, 4)), w),
    ),
    "DoubleExcitations": (
        4,
        1,
        lambda v, w, k: (qml.DoubleExcitation, qml.DoubleExcitationMinus)[k % 2](*v, w),
    ),
    "OrbitalRotation": (4, 1, lambda v, w, k: qml.OrbitalRotation(*v, w)),
    "controlled RX": (2, 1, lambda v, w, k: _control(qml.RX(*v, w[0]), w[1:], [k % 2])),
    "twice controlled": (
        3,
        1,
        lambda v, w, k: _control(
            (qml.RX, qml.RY, qml.RZ, qml.PhaseShift)[k % 4](*v, w[0]), w[1:], [k & 4, k & 8]
        ),
    ),
    "controlled Rot": (3, 3, lambda v, w, k: _control(qml.Rot(*v, w[0]), w[1:], [k & 1, k & 2])),
    "controlled pair": (3, 1, lambda v, w, k: _control(qml.IsingXX(*v, w[:2]), w[2:], [k % 2])),
    "controlled unitary": (
        2,
        0,
        lambda v, w, k: _control(qml.QubitUnitary(_unitary(1, k), w[0]), w[1:], [1]),
    ),
    "controlled SWAP": (3, 0, lambda v, w, k: _control(qml.SWAP(w[:2]), w[2:], [k % 2])),
    "QFT": (3, 0, lambda v, w, k: qml.QFT(w)),
    "GroverOperator": (3, 0, lambda v, w, k: qml.GroverOperator(w)),
    "AngleEmbedding": (3, 3, lambda v, w, k: qml.AngleEmbedding(v, w, rotation="XYZ"[k % 3])),
    "IQPEmbedding": (3, 3, lambda v, w, k: qml.IQPEmbedding(v, w)),
    "QAOAEmbedding": (2, 5, lambda v, w, k: qml.QAOAEmbedding(v[:2], np.reshape(v[2:], (1, 3)), w)),
    "BasicEntanglerLayers": (
        3,
        3,
        lambda v, w, k: qml.BasicEntanglerLayers([v], w, rotation=(qml.RX, qml.RZ)[k % 2]),
    ),
    "StronglyEntanglingLayers": (
        2,
        6,
        lambda v, w, k: qml.StronglyEntanglingLayers(np.reshape(v, (1, 2, 3)), w),
    ),
    "SimplifiedTwoDesign": (
        2,
        4,
        lambda v, w, k: qml.SimplifiedTwoDesign(v[:2], np.reshape(v[2:], (1, 1, 2)), w),
    ),
    "UCCSD": (
        4,
        3,
        lambda v, w, k: qml.UCCSD(
            v[: 2 + k % 2],
            w,
            [w[:3], w[1:]],
            [[w[:2], w[2:]]] * (k % 2),
            init_state=np.array([k >> i & 1 for i in (1, 2, 3, 4)]),
        ),
    ),
    "kUpCCGSD": (4, 6, lambda v, w, k: qml.kUpCCGSD([v], w, 1, 0, np.array([1, 1, 0, k % 2]))),
    "GateFabric": (
        4,
        2,
        lambda v, w, k: qml.GateFabric([[v]], w, np.array([1, 1, 0, 0]), bool(k % 2)),
    ),
    "ParticleConservingU1": (
        3,
        4,
        lambda v, w, k: qml.ParticleConservingU1(
            np.reshape(v, (1, 2, 2)), w, np.array([1, k % 2, 0])
        ),
    ),
    "ParticleConservingU2": (
        3,
        5,
        lambda v, w, k: qml.ParticleConservingU2([v], w, np.array([1, k % 2, 0])),
    ),
    "AllSinglesDoubles": (
        4,
        3,
        lambda v, w, k: qml.AllSinglesDoubles(
            v, w, np.array([1, 1, 0, 0]), [[w[0], w[2]], [w[1], w[3]]], [w]
        ),
    ),
    "FermionicSingleExcitation": (3, 1, lambda v, w, k: qml.FermionicSingleExcitation(*v, w)),
    "FermionicDoubleExcitation": (
        4,
        1,
        lambda v, w, k: qml.FermionicDoubleExcitation(*v, w[:2], w[2:]),
    ),
    "TrotterProduct": (
        3,
        4,
        lambda v, w, k: qml.TrotterProduct(_hamiltonian(v, w), v[3], 1 + k % 2, 1 + k // 2 % 2),
    ),
    "ApproxTimeEvolution": (
        3,
        4,
        lambda v, w, k: qml.ApproxTimeEvolution(_hamiltonian(v, w), v[3], 1 + k % 2),
    ),
    "CommutingEvolution": (
        3,
        3,
        lambda v, w, k: qml.CommutingEvolution(
            qml.dot(v[:2], [qml.X(w[0]) @ qml.X(w[1]), (qml.X, qml.Z)[k % 2](w[2])]), v[2]
        ),
    ),
    "RandomLayers": (
        3,
        4,
        lambda v, w, k: qml.RandomLayers([v], w, ratio_imprim=0.2 + k % 2 / 2, seed=k),
    ),
    "ArbitraryStatePreparation": (2, 6, lambda v, w, k: qml.ArbitraryStatePreparation(v, w)),
    "SelectPauliRot": (
        3,
        4,
        lambda v, w, k: qml.SelectPauliRot(v, w[:2], w[2], rot_axis="XYZ"[k % 3]),
    ),
    "ControlledSequence": (
        3,
        1,
        lambda v, w, k: qml.ControlledSequence((qml.RX, qml.RZ)[k % 2](*v, w[2]), w[:2]),
    ),
    "Permute": (3, 0, lambda v, w, k: qml.Permute([w[(i + k) % 3] for i in range(3)], w)),
    "Reflection": (2, 1, lambda v, w, k: qml.Reflection(qml.H(w[0]) @ qml.H(w[1]), *v)),
    "powers of rotations": (2, 1, lambda v, w, k: qml.pow(qml.IsingXY(*v, w), k % 3 + 1)),
    "adjoint of a template": (
        2,
        2,
        lambda v, w, k: qml.adjoint(qml.BasicEntanglerLayers([v], w, rotation=qml.RY)),
    ),
    "cosine": (2, 2, lambda v, w, k: Cosine(*v, k % 2, w)),
    "polynomial": (2, 2, lambda v, w, k: Polynomial(*v, k % 2, w)),
}
"""Operations beside the gates above that the compiler takes."""


@st.composite
def every_operation(draw, wires):
    """One of all operations there are, on some of the wires."""
    names = [name for name, (needed, _, _) in EVERY.items() if needed <= wires]
    needed, count, made = EVERY[draw(st.sampled_from(names))]
    on = draw(st.permutations(range(wires)))[:needed]
    values = draw(st.lists(angles, min_size=count, max_size=count))
    with qml.QueuingManager.stop_recording():
        return made(values, list(on), draw(st.integers(0, 63)))


@st.composite
def wide_tapes(draw, max_wires=5, max_operations=7):
    """A random tape of all operations there are, and its number of wires."""
    wires = draw(st.integers(2, max_wires))
    operation = st.one_of(every_operation(wires), operations(wires))
    return qml.tape.QuantumScript(draw(st.lists(operation, max_size=max_operations))), wires


@st.composite
def tapes(draw, max_wires=4, max_operations=20):
    """A random tape without measurements, and its number of wires."""
    wires = draw(st.integers(2, max_wires))
    ops = draw(st.lists(operations(wires), max_size=max_operations))
    return qml.tape.QuantumScript(ops), wires


def tape_at(operations, row):
    """The operations with all parameters that are not matrices taken from a row, in order."""
    used, made = 0, []
    for op in operations:
        if isinstance(op, qml.QubitUnitary) or not op.data:
            made.append(op)
            continue
        data = []
        for value in op.data:
            size = int(np.size(value))
            part = row[used : used + size]
            data.append(np.reshape(part, np.shape(value)) if np.ndim(value) else part[0])
            used += size
        made.append(qml.ops.functions.bind_new_parameters(op, data))
    assert used == len(row)
    return qml.tape.QuantumScript(made)


def unitary_of(tape, wires):
    return qml.matrix(tape, wire_order=range(wires)) if tape.operations else np.eye(2**wires)


def run(qubits, gates, params, state):
    """Apply a native circuit to a state of shape (2,)*qubits + (...)."""
    slots = {"ms": 3}
    starts = np.cumsum([0, *(slots.get(name, 1) for name, _ in gates)])
    assert starts[-1] == len(params)
    matrices = {}
    for kind in {name for name, _ in gates}:  # those of a kind together: much the faster
        where = [i for i, (name, _) in enumerate(gates) if name == kind]
        values = [np.take(params, starts[where] + k) for k in range(slots.get(kind, 1))]
        matrices.update(zip(where, NATIVE_GATES[kind].compute_matrix(*values), strict=True))
    for i, (_, on) in enumerate(gates):
        k = len(on)
        m = matrices[i].reshape((2,) * (2 * k))
        state = np.moveaxis(np.tensordot(m, state, (range(k, 2 * k), on)), range(k), on)
    return state


def zero(qubits):
    state = np.zeros((2,) * qubits, complex)
    state[(0,) * qubits] = 1
    return state


def outcome_probabilities(gates, params, qubits):
    """Probabilities [2**qubits] of a native circuit; qubit 0 is the first bit, not the lowest."""
    return np.abs(run(qubits, gates, params, zero(qubits)).ravel()) ** 2


def distribution(batch, gates, params):
    """Probabilities of the tape's outcomes, through the readout map."""
    weight = outcome_probabilities(gates, params, batch.qubits)
    states = np.array(list(np.ndindex((2,) * batch.qubits)), dtype=np.uint8)
    bits = batch.readout.apply(states[:, list(batch.measured)].reshape(len(states), -1))
    index = bits.astype(int) @ (1 << np.arange(bits.shape[1])[::-1])
    return np.bincount(index, weight, 2 ** bits.shape[1])


def marginal(probabilities, wires):
    """Probabilities of some wires, in their given order."""
    n = int(np.log2(probabilities.size))
    table = probabilities.reshape((2,) * n)
    table = table.sum(axis=tuple(q for q in range(n) if q not in wires))
    order = [sorted(wires).index(w) for w in wires]
    return table.transpose(order).reshape(-1)
