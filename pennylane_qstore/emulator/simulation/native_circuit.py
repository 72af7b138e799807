"""The compiled circuit that a job's artifact shows: native gates, plain and correct.

The emulator simulates circuits as they are written; this serves the compiled-circuit
artifact only, so it aims at a right answer, not at a short one (the short one is the work of
:mod:`pennylane_qstore.native`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pennylane as qml
from numpy.typing import NDArray
from pennylane.ops import one_qubit_decomposition

from pennylane_qstore.emulator.simulation.devices import gates_of
from pennylane_qstore.gateset import FULL_ANGLE, NATIVE
from pennylane_qstore.native.gates import GPI2, TURN
from pennylane_qstore.server.inputs.program import Program

_Matrix = NDArray[np.complex128]
_I = np.eye(2, dtype=np.complex128)
_H = qml.Hadamard.compute_matrix()
_S_DAGGER = np.diag([1, -1j])


class _Cnot(NamedTuple):
    """A CNOT as one entangler between one-qubit unitaries of control and target."""

    values: tuple[float, ...]
    before: tuple[_Matrix, _Matrix]
    after: tuple[_Matrix, _Matrix]


_CNOT = {
    "zz": _Cnot((FULL_ANGLE,), (_I, _H), (_S_DAGGER, _H @ _S_DAGGER)),
    "ms": _Cnot(
        (0.0, 0.0, FULL_ANGLE),
        (GPI2.compute_matrix(0.25), _I),
        (GPI2.compute_matrix(-0.25) @ GPI2.compute_matrix(0.5), GPI2.compute_matrix(0.5)),
    ),
}
"""By native entangler; for MS as in IonQ's guide "Getting started with native gates"."""


def native_circuit(program: Program, row: int, two_qubit: str) -> list[dict[str, Any]]:
    """Return one circuit in IonQ's native gates, equal up to a global phase.

    Args:
        program: the program.
        row: which of its circuits.
        two_qubit: ``"zz"`` or ``"ms"``.

    Returns:
        Gates in IonQ's JSON, phases and angles in turns.
    """
    cnot, gates = _CNOT[two_qubit], list[dict[str, Any]]()
    pending = dict.fromkeys(range(program.qubits), _I)
    for op in _elementary(program, row):
        if isinstance(op, qml.CNOT):
            wires = [int(wire) for wire in op.wires]
            for qubit, before, after in zip(wires, cnot.before, cnot.after, strict=True):
                gates.extend(_pulses(before @ pending[qubit], qubit))
                pending[qubit] = after
            gates.append(NATIVE[two_qubit].to_json(wires, cnot.values))
        elif not isinstance(op, qml.GlobalPhase):
            (qubit,) = op.wires
            pending[qubit] = op.matrix() @ pending[qubit]
    for qubit, matrix in pending.items():
        gates.extend(_pulses(matrix, qubit))
    return gates


def _elementary(program: Program, row: int) -> list[Any]:
    tape = qml.tape.QuantumScript(list(gates_of(program, row)))
    (tape,), _ = qml.transforms.decompose(
        tape, gate_set={qml.RZ, qml.RY, qml.RX, qml.CNOT, qml.GlobalPhase}
    )
    return list(tape.operations)


def _pulses(matrix: _Matrix, qubit: int) -> list[dict[str, Any]]:
    """Return GPi2, GPi, GPi2 with the effect of a 2x2 matrix; nothing for the identity.

    GPi2(½ + φ) GPi((θ + φ - λ)/2) GPi2(½ - λ), angles of RZ(φ) RY(θ) RZ(λ) in turns.
    """
    if abs(abs(np.trace(matrix)) - 2) < 1e-12:
        return []
    first, middle, last = one_qubit_decomposition(matrix, wire=0, rotations="ZYZ")[:3]
    lam, theta, phi = (float(op.data[0]) for op in (first, middle, last))
    phases = (0.5 - lam / TURN, (theta + phi - lam) / (2 * TURN), 0.5 + phi / TURN)
    return [
        NATIVE[name].to_json([qubit], [(phase + 0.5) % 1 - 0.5])
        for name, phase in zip(("gpi2", "gpi", "gpi2"), phases, strict=True)
    ]
