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

angles = st.one_of(st.sampled_from(SPECIAL), st.floats(-7, 7))


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


@st.composite
def tapes(draw, max_wires=4, max_operations=20):
    """A random tape without measurements, and its number of wires."""
    wires = draw(st.integers(2, max_wires))
    ops = draw(st.lists(operations(wires), max_size=max_operations))
    return qml.tape.QuantumScript(ops), wires


def unitary_of(tape, wires):
    return qml.matrix(tape, wire_order=range(wires)) if tape.operations else np.eye(2**wires)


def run(qubits, gates, params, state):
    """Apply a native circuit to a state of shape (2,)*qubits + (...)."""
    slot = 0
    for name, on in gates:
        n = 3 if name == "ms" else 1
        m = np.asarray(NATIVE_GATES[name].compute_matrix(*params[slot : slot + n]))
        slot += n
        k = len(on)
        m = m.reshape((2,) * (2 * k))
        state = np.moveaxis(np.tensordot(m, state, (range(k, 2 * k), on)), range(k), on)
    assert slot == len(params)
    return state


def zero(qubits):
    state = np.zeros((2,) * qubits, complex)
    state[(0,) * qubits] = 1
    return state


def distribution(batch, gates, params):
    """Probabilities of the tape's outcomes, through the readout map."""
    weight = np.abs(run(batch.qubits, gates, params, zero(batch.qubits))) ** 2
    states = np.array(list(np.ndindex(*weight.shape)), dtype=np.uint8)
    bits = batch.readout.apply(states[:, list(batch.measured)].reshape(len(states), -1))
    index = bits.astype(int) @ (1 << np.arange(bits.shape[1])[::-1])
    return np.bincount(index, weight.reshape(-1), 2 ** bits.shape[1])


def marginal(probabilities, wires):
    """Probabilities of some wires, in their given order."""
    n = int(np.log2(probabilities.size))
    table = probabilities.reshape((2,) * n)
    table = table.sum(axis=tuple(q for q in range(n) if q not in wires))
    order = [sorted(wires).index(w) for w in wires]
    return table.transpose(order).reshape(-1)
