r"""A circuit as Pauli gadgets: rotations :math:`\exp(-i\frac{\alpha}{2} P)`, then a Clifford.

Every circuit has this form: constant Cliffords move through the rotations that follow by
conjugation, and what else is constant on one wire is at most three rotations and a Clifford.
Angles stay affine in the parameters. Rotations about the same string that meet become one,
and those by quarter turns join the Clifford.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pennylane_qstore.native.frontend.program import Affine, ComplexArray
from pennylane_qstore.native.gates import TURN
from pennylane_qstore.native.ir import (
    IRCircuit,
    OneQubitUnitary,
    Rotation,
    TwoQubitUnitary,
    ZZRotation,
)
from pennylane_qstore.native.search.pauli import (
    AXES,
    Rows,
    Signs,
    all_cliffords,
    anticommuting,
    is_clifford,
    turn_all,
    turn_pair,
    turn_wire,
)
from pennylane_qstore.native.su2 import euler_angles, quaternion, to_su2, wrapped

_TOL = 1e-10
_ZZ = 8
"""Index of Z⊗Z among the generators."""


@dataclass(frozen=True, slots=True)
class Gadgets:
    """Rotations in time order, then a Clifford C.

    Args:
        paulis: strings of the rotations, (rotations, wires).
        signs: their signs.
        angles: α of exp(-iα/2 P), radians.
        rows: C† P C for what is wanted of C, (rows, wires): all X_q, then all Z_q where C is
            wanted as it is; the measured products of Z where only outcomes are.
        row_signs: their signs.
    """

    paulis: Rows
    signs: Signs
    angles: tuple[Affine, ...]
    rows: Rows
    row_signs: Signs


def gadgets_of(circuit: IRCircuit, *, outcomes: bool = False) -> Gadgets:
    """Write a circuit without blocks as Pauli gadgets.

    Args:
        circuit: operations without two-qubit blocks.
        outcomes: whether only the outcomes of ``circuit.outputs`` from |0…0⟩ are wanted, not
            the unitary: what they do not show is dropped.
    """
    n = circuit.wires
    steps = [step for op in circuit.operations for step in _steps(op)]
    count = sum(isinstance(step, Rotation | ZZRotation) for step in steps)
    wanted = len(circuit.outputs) if outcomes else 2 * n
    rows = np.zeros((wanted + count, n), dtype=np.int8)
    signs = np.ones(wanted + count, dtype=np.int8)
    if outcomes:
        for i, bit in enumerate(circuit.outputs):
            rows[i, list(bit.wires)] = 3
    else:
        rows[range(n), range(n)], rows[range(n, 2 * n), range(n)] = 1, 3
    used = wanted
    angles: list[Affine] = []
    # From the end: what comes before conjugates all that follows.
    for step in reversed(steps):
        if isinstance(step, OneQubitUnitary):
            turn_wire(rows[:used], signs[:used], step.wire, step.matrix)
        elif isinstance(step, Rotation):
            rows[used, step.wire] = AXES.index(step.axis)
            angles.append(step.angle)
            used += 1
        elif (quarters := _quarters(step.angle)) is None:
            rows[used, step.a] = rows[used, step.b] = 3
            angles.append(step.angle.scaled(TURN))
            used += 1
        else:
            for _ in range(-quarters % 4):  # g† R g is three times g R g†, signs included
                turn_pair(rows[:used], signs[:used], step.a, step.b, _ZZ)
    paulis, its_signs = rows[wanted:used][::-1].copy(), signs[wanted:used][::-1].copy()
    gadgets = Gadgets(
        paulis, its_signs, tuple(reversed(angles)), rows[:wanted].copy(), signs[:wanted].copy()
    )
    gadgets = simplified(gadgets)
    return simplified(_seen(gadgets)) if outcomes else gadgets


def simplified(gadgets: Gadgets) -> Gadgets:
    """Rotations about equal strings merged where they meet, quarter turns moved to C."""
    while True:
        shorter = _absorbed(_merged(gadgets))
        if len(shorter.angles) == len(gadgets.angles):
            return shorter
        gadgets = shorter


def layers(anti: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Depth of each rotation: one more than the deepest earlier one it does not commute with."""
    depth = np.zeros(len(anti), dtype=int)
    for j in range(1, len(anti)):
        before = depth[:j][anti[j, :j]]
        if before.size:
            depth[j] = before.max() + 1
    return depth


def _seen(gadgets: Gadgets) -> Gadgets:
    """Without rotations that nothing measured can tell, or that leave |0…0⟩ as it is."""
    anti = anticommuting(gadgets.paulis, gadgets.paulis)
    shown = np.asarray(anticommuting(gadgets.paulis, gadgets.rows).any(axis=1))
    kept: list[int] = []
    for j in range(len(anti) - 1, -1, -1):
        if shown[j] or anti[j, kept].any():
            kept.append(j)
    every_z = 3 * np.eye(gadgets.paulis.shape[1], dtype=np.int8)
    diagonal = np.asarray(~anticommuting(gadgets.paulis, every_z).any(axis=1))
    moving: list[int] = []
    for j in reversed(kept):
        if not diagonal[j] or anti[j, moving].any():
            moving.append(j)
    return replace(
        gadgets,
        paulis=gadgets.paulis[moving],
        signs=gadgets.signs[moving],
        angles=tuple(gadgets.angles[j] for j in moving),
    )


def _merged(gadgets: Gadgets) -> Gadgets:
    paulis, signs, angles = gadgets.paulis, gadgets.signs, list(gadgets.angles)
    anti = anticommuting(paulis, paulis)
    equal = (paulis[:, None] == paulis[None]).all(axis=2)
    kept: list[int] = []
    for j in range(len(angles)):
        for i in reversed(kept):
            if equal[i, j]:
                angles[i] = angles[i].plus(angles[j].scaled(float(signs[i] * signs[j])))
                break
            if anti[i, j]:
                kept.append(j)
                break
        else:
            kept.append(j)
    return replace(
        gadgets, paulis=paulis[kept], signs=signs[kept], angles=tuple(angles[i] for i in kept)
    )


def _absorbed(gadgets: Gadgets) -> Gadgets:
    """Constant quarter turns conjugate what follows and join the Clifford."""
    r = len(gadgets.angles)
    rows = np.concatenate([gadgets.paulis, gadgets.rows])
    signs = np.concatenate([gadgets.signs, gadgets.row_signs])
    angles = list(gadgets.angles)
    kept: list[int] = []
    for j, angle in enumerate(angles):
        if not angle.terms:
            quarters = round(angle.const / (np.pi / 2))
            rest = angle.const - quarters * np.pi / 2
            if abs(rest) > _TOL:  # half turns are Paulis: only signs change
                quarters = 2 * round(angle.const / np.pi)
                rest = angle.const - quarters * np.pi / 2
            for _ in range(quarters % 4):  # R → g† R g
                turn_all(rows[j + 1 :], signs[j + 1 :], rows[j], -int(signs[j]))
            if abs(rest) < _TOL:
                continue
            angles[j] = Affine((), rest)
        kept.append(j)
    return Gadgets(
        rows[:r][kept], signs[:r][kept], tuple(angles[i] for i in kept), rows[r:], signs[r:]
    )


def _quarters(angle: Affine) -> int | None:
    """Quarter turns in an interaction's angle, if it is a whole number of them."""
    if angle.terms:
        return None
    quarters = round(4 * angle.const)
    return quarters if abs(4 * angle.const - quarters) < _TOL else None


def _steps(op: object) -> list[OneQubitUnitary | Rotation | ZZRotation]:
    """An operation as Cliffords (locals), rotations and interactions in time order."""
    assert not isinstance(op, TwoQubitUnitary)  # noqa: S101 - synthesised before
    if isinstance(op, OneQubitUnitary):
        last, turns = _turns(np.ascontiguousarray(op.matrix, dtype=complex).tobytes())
        rotations = [Rotation(op.wire, axis, Affine((), angle)) for axis, angle in turns]
        return [*rotations, OneQubitUnitary(op.wire, last)]
    assert isinstance(op, Rotation | ZZRotation)  # noqa: S101 - nothing else is left
    return [op]


@functools.lru_cache(maxsize=4096)  # windows have the same ones again and again
def _turns(buffer: bytes) -> tuple[ComplexArray, tuple[tuple[str, float], ...]]:
    """A one-qubit unitary as the fewest rotations by other than quarter turns, then a Clifford."""
    u = np.frombuffer(buffer, dtype=complex).reshape(2, 2)
    u = to_su2(u)
    if is_clifford(u):
        return u, ()
    fits = (_one_turn, _two_turns)
    for fit in fits:
        for g in all_cliffords():
            if (turns := fit(g.conj().T @ u)) is not None:  # u = g · turns
                return g, turns
    return all_cliffords()[0], tuple(euler_angles(u, "z", "x"))


def _one_turn(u: ComplexArray) -> tuple[tuple[str, float], ...] | None:
    w, *axis = quaternion(u)
    for i, name in enumerate("xyz"):
        if abs(axis[i - 1]) < _TOL and abs(axis[i - 2]) < _TOL:
            return ((name, wrapped(2 * float(np.arctan2(axis[i], w)))),)
    return None


def _two_turns(u: ComplexArray) -> tuple[tuple[str, float], ...] | None:
    w, *axis = quaternion(u)
    for one, other in itertools.permutations(range(3), 2):
        third = 3 - one - other
        parity = 1 if (one, other, third) in ((0, 1, 2), (1, 2, 0), (2, 0, 1)) else -1
        if abs(w * axis[third] * parity + axis[one] * axis[other]) < _TOL:
            turns = euler_angles(u, "xyz"[one], "xyz"[other])
            kept = tuple((name, angle) for name, angle in turns if abs(angle) > _TOL)
            if len(kept) <= 2:
                return kept
    return None
