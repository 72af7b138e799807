"""A circuit as runs of one-qubit operations between entanglers.

A wire with k entanglers has k+1 runs. Each run is a product of constants and rotations; as a
unitary of determinant 1, [[α, -β*], [β, α*]], it is known by its first column (α, β).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pennylane_qstore.native.frontend.program import Affine
from pennylane_qstore.native.ir import (
    H,
    IRCircuit,
    OneQubitUnitary,
    Rotation,
    TwoQubitUnitary,
    Z,
    ZZRotation,
    is_constant,
    matrix,
    wires_of,
)

_TOL = 1e-10


class Entangler(NamedTuple):
    """An interaction between two native wires, after run ``run_a`` of a and ``run_b`` of b.

    The angle is in turns; a constant one lies within (-1/4, 1/4].
    """

    a: int
    run_a: int
    b: int
    run_b: int
    angle: Affine


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs per native wire, and the entanglers between them in time order.

    Args:
        wires: circuit wire of each native wire.
        runs: ``runs[q][i]`` is run i of native wire q: constants and rotations in time order.
        entanglers: in time order.
    """

    wires: tuple[int, ...]
    runs: tuple[tuple[tuple[OneQubitUnitary | Rotation, ...], ...], ...]
    entanglers: tuple[Entangler, ...]


def runs_of(circuit: IRCircuit, family: str, *, compact: bool = True) -> Runs:
    """Split a circuit without two-qubit unitaries into runs.

    Args:
        circuit: the circuit.
        family: ``"zz"`` keeps interactions about Z; ``"ms"`` has them about X, with the
            changes of basis in the runs.
        compact: whether wires without operations are left out.

    Returns:
        Runs and entanglers.
    """
    used = {q for op in circuit.operations for q in wires_of(op)}
    wires = sorted(used) if compact else list(range(circuit.wires))
    at = {q: i for i, q in enumerate(wires)}
    runs: list[list[list[OneQubitUnitary | Rotation]]] = [[[]] for _ in wires]
    entanglers: list[Entangler] = []
    for op in circuit.operations:
        if isinstance(op, ZZRotation):
            a, b = at[op.a], at[op.b]
            angle, half = _within_quarter(op.angle)
            if not angle.terms and abs(angle.const) < _TOL:
                if half:
                    for q in (a, b):
                        _append(runs[q][-1], OneQubitUnitary(q, Z))
                continue
            for q in (a, b):
                if half:
                    _append(runs[q][-1], OneQubitUnitary(q, Z))
                if family == "ms":
                    _append(runs[q][-1], OneQubitUnitary(q, H))
            entanglers.append(Entangler(a, len(runs[a]) - 1, b, len(runs[b]) - 1, angle))
            for q in (a, b):
                runs[q].append([OneQubitUnitary(q, H)] if family == "ms" else [])
        else:
            assert not isinstance(op, TwoQubitUnitary)  # noqa: S101 - synthesised before
            _append(runs[at[op.wire]][-1], op)
    frozen = tuple(tuple(tuple(run) for run in wire) for wire in runs)
    return Runs(tuple(wires), frozen, tuple(entanglers))


def _within_quarter(angle: Affine) -> tuple[Affine, bool]:
    """A constant angle within (-1/4, 1/4], and whether half a turn (Z⊗Z) was taken off."""
    if angle.terms:
        return angle, False
    halves = int(np.ceil(2 * angle.const - 0.5 - _TOL))
    return Affine((), angle.const - halves / 2), bool(halves % 2)


def _append(run: list[OneQubitUnitary | Rotation], op: OneQubitUnitary | Rotation) -> None:
    """Append, merging neighbours about the same axis and neighbouring constants."""
    if run:
        last = run[-1]
        if isinstance(last, OneQubitUnitary) and isinstance(op, OneQubitUnitary):
            run[-1] = OneQubitUnitary(op.wire, op.matrix @ last.matrix)
            return
        if isinstance(last, Rotation) and isinstance(op, Rotation) and last.axis == op.axis:
            run[-1] = last._replace(angle=last.angle.plus(op.angle))
            return
    if isinstance(op, Rotation) and is_constant(op):
        _append(run, OneQubitUnitary(op.wire, matrix(op)))
        return
    run.append(op)
