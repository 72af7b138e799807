"""Programs in IonQ's abstract gateset (QIS), for services that compile themselves.

Angles are in radians. Bound like a template, without any optimisation: what the user wrote
is what is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from pennylane_qstore.gateset import QIS
from pennylane_qstore.native.frontend.program import Affine, ComplexArray, FloatArray, Gate, Program
from pennylane_qstore.native.gates import QIS_GATES, TURN
from pennylane_qstore.native.ir import (
    OneQubitUnitary,
    Operation,
    Rotation,
    TwoQubitUnitary,
    ZZRotation,
)
from pennylane_qstore.native.passes.kak import canonical
from pennylane_qstore.native.passes.lower import LOWERINGS
from pennylane_qstore.native.su2 import euler_angles, to_su2
from pennylane_qstore.native.template.batch import NativeBatch, NativeBlock, Readout
from pennylane_qstore.native.template.run_evaluator import AffineMap

_IONQ_NAMES: Mapping[str, str] = {
    **{
        make(*[0.0] * QIS[name].slots, wires=range(QIS[name].targets)).name: name
        for name, make in QIS_GATES.items()
        if name != "not"
    },
    "PhaseShift": "rz",  # both up to a global phase
    "U1": "rz",
}
"""IonQ's names by PennyLane's, of gates that both have."""

QisGate = tuple[str, tuple[int, ...], tuple[int, ...]]
_Sink = Callable[[str, tuple[int, ...], tuple[int, ...], Affine | None], None]


class QisTemplate:
    """A program written in QIS gates.

    Args:
        program: elementary gates.
        basis: gates that turn what is measured to the Z basis.
        measured: wires measured, in the order of the outcome's bits.
    """

    def __init__(self, program: Program, basis: Sequence[Gate], measured: Sequence[int]) -> None:
        gates: list[QisGate] = []
        angles: list[Affine] = []

        def add(
            name: str, targets: tuple[int, ...], controls: tuple[int, ...], angle: Affine | None
        ) -> None:
            gates.append((name, targets, controls))
            if angle is not None:
                angles.append(angle)

        for gate in (*program.gates, *basis):
            _write(gate, add)
        if not gates:  # a job wants a gate
            gates = [("x", (0,), ()), ("x", (0,), ())]
        self._gates = tuple(gates)
        self._angles = AffineMap(angles)
        self.qubits = program.wires
        self.measured = tuple(measured)
        self.readout = Readout.identity(len(self.measured))
        self.nbytes = 8 * len(angles) * (program.parameters + 1)

    def bind(self, parameters: FloatArray) -> NativeBatch:
        """Return the circuits for parameters ``[rows, P]``; rotations in radians."""
        rows = len(parameters)
        params = np.ascontiguousarray(self._angles(parameters).T)
        block = NativeBlock(np.arange(rows), self._gates, params.reshape(rows, -1))  # type: ignore[arg-type]
        return NativeBatch(rows, self.qubits, (block,), self.measured, self.readout)


def _write(gate: Gate, add: _Sink) -> None:
    if gate.name in _IONQ_NAMES:
        add(_IONQ_NAMES[gate.name], gate.wires, (), gate.angles[0] if gate.angles else None)
    elif gate.name == "CNOT":
        add("cnot", gate.wires[1:], gate.wires[:1], None)
    elif gate.name == "QubitUnitary":
        assert gate.matrix is not None  # noqa: S101 - the structure always gives it one
        for op in _unitary(gate.matrix, gate.wires):
            _lowered(op, add)
    else:
        for op in LOWERINGS[gate.name](gate.wires, gate.angles):
            _lowered(op, add)


def _unitary(matrix: ComplexArray, wires: tuple[int, ...]) -> list[Operation]:
    if len(wires) == 1:
        return [OneQubitUnitary(wires[0], matrix)]
    return canonical(matrix).operations(*wires)


def _lowered(op: Operation, add: _Sink) -> None:
    match op:
        case Rotation(q, axis, angle):
            add("r" + axis, (q,), (), angle)
        case ZZRotation(a, b, angle):
            add("zz", (a, b), (), angle.scaled(TURN))
        case OneQubitUnitary(q, m):
            for axis, value in euler_angles(to_su2(m), "z", "y"):
                if abs(value) > 1e-12:
                    add("r" + axis, (q,), (), Affine((), value))
        case TwoQubitUnitary():
            raise AssertionError("blocks are written as canonical operations")
