"""What the service would compile a circuit to: native gates, plainly and correctly.

The emulator simulates circuits as they are written; this serves the compiled-circuit
artifact only, so it aims at a right answer, not at a short one (the short one is the work of
:mod:`pennylane_qstore.native`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pennylane as qml
from numpy.typing import NDArray
from pennylane.ops import one_qubit_decomposition

from pennylane_qstore.emulator.simulation.statevector import gates_of
from pennylane_qstore.gateset import FULL_ANGLE, NATIVE
from pennylane_qstore.native.gates import GPI2, TURN
from pennylane_qstore.server.inputs.program import Program

_H = np.array([[1, 1], [1, -1]]) / np.sqrt(2)
_S_DAGGER = np.diag([1, -1j])


def native_circuit(program: Program, row: int, two_qubit: str) -> list[dict[str, Any]]:
    """One circuit in IonQ's native gates, equal up to a global phase.

    Args:
        program: the program.
        row: which of its circuits.
        two_qubit: ``"zz"`` or ``"ms"``.
    """
    out: list[dict[str, Any]] = []
    pending = {q: np.eye(2, dtype=np.complex128) for q in range(program.qubits)}
    for op in _elementary(program, row):
        if isinstance(op, qml.GlobalPhase):
            continue
        if not isinstance(op, qml.CNOT):
            (qubit,) = op.wires
            pending[qubit] = op.matrix() @ pending[qubit]
            continue
        control, target = map(int, op.wires)
        if two_qubit == "zz":
            pending[target] = _H @ pending[target]
            after_control, after_target = _S_DAGGER, _H @ _S_DAGGER
            values = [FULL_ANGLE]
        else:
            pending[control] = GPI2.compute_matrix(0.25) @ pending[control]
            after_control = GPI2.compute_matrix(-0.25) @ GPI2.compute_matrix(0.5)
            after_target = GPI2.compute_matrix(0.5)
            values = [0.0, 0.0, FULL_ANGLE]
        for qubit in (control, target):
            out.extend(_pulses(pending[qubit], qubit))
        out.append(NATIVE[two_qubit].to_json([control, target], values))
        pending[control], pending[target] = after_control, after_target
    for qubit, matrix in pending.items():
        out.extend(_pulses(matrix, qubit))
    return out


def _elementary(program: Program, row: int) -> list[Any]:
    tape = qml.tape.QuantumScript(list(gates_of(program, row)))
    (tape,), _ = qml.transforms.decompose(
        tape, gate_set={qml.RZ, qml.RY, qml.RX, qml.CNOT, qml.GlobalPhase}
    )
    return list(tape.operations)


def _pulses(matrix: NDArray[np.complex128], qubit: int) -> list[dict[str, Any]]:
    """GPi2, GPi, GPi2 with the effect of a 2x2 matrix, or nothing for the identity."""
    if abs(abs(np.trace(matrix)) - 2) < 1e-12:
        return []
    first, middle, last = one_qubit_decomposition(matrix, wire=0, rotations="ZYZ")[:3]
    lam, theta, phi = (float(op.data[0]) for op in (first, middle, last))
    phases = (0.5 - lam / TURN, (theta + phi - lam) / (2 * TURN), 0.5 + phi / TURN)
    return [
        NATIVE[name].to_json([qubit], [(phase + 0.5) % 1 - 0.5])
        for name, phase in zip(("gpi2", "gpi", "gpi2"), phases, strict=True)
    ]
