"""Programs in IonQ's abstract gateset (QIS), for services that compile themselves.

Angles are in radians. Bound like a template, without any optimisation: what the user wrote
is what is sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from pennylane_qstore.errors import CompileError
from pennylane_qstore.gateset import QIS
from pennylane_qstore.native.frontend.program import Affine, FloatArray, Gate, Program
from pennylane_qstore.native.gates import QIS_GATES, TURN
from pennylane_qstore.native.ir import (
    OneQubitUnitary,
    Operation,
    Rotation,
    TwoQubitUnitary,
    ZZRotation,
)
from pennylane_qstore.native.passes.lower import alone
from pennylane_qstore.native.passes.sections import BEGIN, MARKS
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

_Written = tuple[str, tuple[int, ...], tuple[int, ...], Affine | None]
"""Name, targets, controls, and the angle of a rotation."""


class QisTemplate:
    """A program written in QIS gates.

    Args:
        program: elementary gates.
        basis: gates that turn the measured wires to the Z basis.
        measured: wires measured, in the order of the outcome's bits.
    """

    def __init__(self, program: Program, basis: Sequence[Gate], measured: Sequence[int]) -> None:
        written = [w for gate in (*program.gates, *basis) for w in _written(gate)]
        if not written:  # a job wants a gate
            written = [("x", (0,), (), None), ("x", (0,), (), None)]
        self._gates = tuple((name, targets, controls) for name, targets, controls, _ in written)
        self._angles = AffineMap([angle for *_, angle in written if angle is not None])
        self.qubits = program.wires
        self.measured = tuple(measured)
        self.readout = Readout.identity(len(self.measured))
        self.nbytes = self._angles.nbytes

    def bind(self, parameters: FloatArray) -> NativeBatch:
        """Return the circuits for parameters ``[rows, P]``; rotations in radians."""
        rows = len(parameters)
        params = np.ascontiguousarray(self._angles(parameters).T)
        block = NativeBlock(np.arange(rows), self._gates, params.reshape(rows, -1))  # type: ignore[arg-type]
        return NativeBatch(rows, self.qubits, (block,), self.measured, self.readout)


def _written(gate: Gate) -> Iterator[_Written]:
    if gate.name == BEGIN:
        raise CompileError(
            "A verbatim box, or compile='verbatim', needs gateset='native': QIS gates are compiled "
            "by IonQ. Nothing was sent."
        )
    if gate.name in MARKS:
        return
    if gate.name in _IONQ_NAMES:
        yield _IONQ_NAMES[gate.name], gate.wires, (), next(iter(gate.angles), None)
    elif gate.name == "CNOT":
        yield "cnot", gate.wires[1:], gate.wires[:1], None
    else:
        for op in alone(gate):
            yield from _lowered(op)


def _lowered(op: Operation) -> Iterator[_Written]:
    match op:
        case Rotation(q, axis, angle):
            yield f"r{axis}", (q,), (), angle
        case ZZRotation(a, b, angle):
            yield "zz", (a, b), (), angle.scaled(TURN)
        case OneQubitUnitary(q, m):
            for axis, value in euler_angles(to_su2(m), "z", "y"):
                if abs(value) > 1e-12:
                    yield f"r{axis}", (q,), (), Affine((), value)
        case TwoQubitUnitary():
            raise AssertionError("two-qubit unitaries are written as canonical operations")
