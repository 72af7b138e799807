"""Diagonal parts of two-qubit unitaries, moved to the next unitary on the same wires.

An arbitrary two-qubit unitary takes three entanglers, and two up to a diagonal (Shende, Bullock and
Markov, quant-ph/0308045). Where nothing between stands in its way, the diagonal becomes part of the
next unitary, which is as arbitrary with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pennylane_qstore.native.ir import (
    IRCircuit,
    Operation,
    Rotation,
    TwoQubitUnitary,
    Z,
    ZZRotation,
    matrix,
    wires_of,
)
from pennylane_qstore.native.passes.kak import diagonal_before
from pennylane_qstore.native.passes.pairs import entangling_cost

_TOL = 1e-12


def move_diagonals(circuit: IRCircuit) -> IRCircuit:
    """Return a circuit whose unitaries leave diagonals to the next where that saves entanglers."""
    operations = list(circuit.operations)
    for i, op in enumerate(operations):
        if not isinstance(op, TwoQubitUnitary):
            continue
        j, following = _next_on(operations, i, op)
        if following is None:
            continue
        diagonal = diagonal_before(op.matrix)
        pair = (
            op._replace(matrix=diagonal[:, None] * op.matrix),
            following._replace(matrix=following.matrix * diagonal.conj()),
        )
        if entangling_cost(pair).entanglers < entangling_cost((op, following)).entanglers:
            operations[i], operations[j] = pair
    return replace(circuit, operations=tuple(operations))


def _next_on(
    operations: Sequence[Operation], i: int, op: TwoQubitUnitary
) -> tuple[int, TwoQubitUnitary | None]:
    """Find the next unitary on the same pair that a diagonal can move to; its index and itself."""
    pair = {op.a, op.b}
    for j in range(i + 1, len(operations)):
        other = operations[j]
        shared = pair.intersection(wires_of(other))
        if isinstance(other, TwoQubitUnitary) and len(shared) == 2:
            return j, other
        if not all(_keeps_z(other, q) for q in shared):
            break
    return i, None


def _keeps_z(op: Operation, wire: int) -> bool:
    """Return True if an operation commutes with Z on one of its wires."""
    if isinstance(op, ZZRotation):
        return True
    if isinstance(op, Rotation):
        return op.axis == "z"
    m = matrix(op)
    if len(m) == 2:
        return bool(abs(m[0, 1]) < _TOL and abs(m[1, 0]) < _TOL)
    z = np.kron(Z, np.eye(2)) if wire == wires_of(op)[0] else np.kron(np.eye(2), Z)
    return bool(np.abs(m @ z - z @ m).max() < _TOL)
