r"""A circuit as Pauli gadgets: rotations :math:`\exp(-i\frac{\alpha}{2} P)`, then a Clifford.

Every circuit has this form: constant Cliffords move through the rotations that follow by
conjugation, and what else is constant on one wire is at most three rotations and a Clifford.
Angles stay affine in the parameters. Rotations about the same string that meet become one,
and those by quarter turns join the Clifford.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pennylane_qstore.native.frontend.program import Affine, ComplexArray
from pennylane_qstore.native.gates import TURN
from pennylane_qstore.native.ir import (
    IRCircuit,
    OneQubitUnitary,
    Operation,
    Rotation,
    TwoQubitUnitary,
    ZZRotation,
    cached_by_value,
)
from pennylane_qstore.native.search.pauli import (
    AXES,
    GENERATORS,
    Codes,
    PauliTable,
    all_cliffords,
    anticommuting,
    is_clifford,
    product,
)
from pennylane_qstore.native.su2 import euler_angles, quaternion, to_su2

_TOL = 1e-10
_ZZ = GENERATORS.index((3, 3))
_BLOCK = 256
"""Strings that are compared with all others at once."""

_Step = OneQubitUnitary | Rotation | ZZRotation
_Angles = tuple[tuple[str, float], ...]
"""Rotations of one wire in time order: axis and radians."""


@dataclass(frozen=True, slots=True)
class Gadgets:
    """Rotations in time order, then a Clifford C.

    Args:
        strings: P of each rotation, with its sign.
        angles: α of exp(-iα/2 P), radians.
        frame: C† P C for what is wanted of C: all X_q, then all Z_q where C is wanted as it
            is; the measured products of Z where only outcomes are.
    """

    strings: PauliTable
    angles: tuple[Affine, ...]
    frame: PauliTable

    def kept(self, rotations: list[int]) -> Gadgets:
        """Return the gadgets with these rotations only."""
        angles = tuple(self.angles[j] for j in rotations)
        return replace(self, strings=self.strings.rows(rotations), angles=angles)


def gadgets_of(circuit: IRCircuit, *, outcomes: bool = False) -> Gadgets:
    """Write a circuit as Pauli gadgets.

    Args:
        circuit: operations without two-qubit unitaries.
        outcomes: keep only the outcomes of ``circuit.outputs`` from |0…0⟩, not the unitary:
            what they do not show is dropped.

    Returns:
        Gadgets without two rotations about one string that could meet.
    """
    n = circuit.wires
    steps = [step for op in circuit.operations for step in _steps(op)]
    frame_rows = len(circuit.outputs) if outcomes else 2 * n
    table = PauliTable.identities(frame_rows + len(steps), n)
    if outcomes:
        for i, bit in enumerate(circuit.outputs):
            table.codes[i, list(bit.wires)] = 3
    else:
        table.codes[range(n), range(n)] = 1
        table.codes[range(n, 2 * n), range(n)] = 3
    used = frame_rows
    angles: list[Affine] = []
    # From the end: what comes before conjugates all that follows.
    for step in reversed(steps):
        if isinstance(step, OneQubitUnitary):
            table.rows(slice(used)).pull_back(step.wire, step.matrix)
        elif isinstance(step, Rotation):
            table.codes[used, step.wire] = AXES.index(step.axis)
            angles.append(step.angle)
            used += 1
        elif (quarters := quarter_turns(step.angle)) is None:
            table.codes[used, [step.a, step.b]] = 3
            angles.append(step.angle.scaled(TURN))
            used += 1
        else:
            for _ in range(-quarters % 4):  # g† R g is three times g R g†, signs included
                table.rows(slice(used)).conjugate_by_entangler(step.a, step.b, _ZZ)
    # Copies: windows are many, and a view would keep its whole table.
    strings = PauliTable(*(part[frame_rows:used][::-1].copy() for part in table))
    frame = PauliTable(*(part[:frame_rows].copy() for part in table))
    gadgets = simplified(Gadgets(strings, tuple(reversed(angles)), frame))
    if not outcomes:
        return gadgets
    seen = simplified(_seen(gadgets))
    return seen if seen.angles else replace(seen, frame=_coins(seen.frame))


def simplified(gadgets: Gadgets) -> Gadgets:
    """Merge rotations about equal strings where they meet, and move quarter turns to C."""
    while True:
        shorter = _without_quarter_turns(_merged(gadgets))
        if len(shorter.angles) == len(gadgets.angles):
            return shorter
        gadgets = shorter


def layers(anti: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Return the depth of each rotation, shape (rotations,).

    It is one more than that of the deepest earlier rotation that does not commute with it.
    """
    depth = np.zeros(len(anti), dtype=int)
    for j in range(1, len(anti)):
        before = depth[:j][anti[j, :j]]
        if before.size:
            depth[j] = before.max() + 1
    return depth


def _seen(gadgets: Gadgets) -> Gadgets:
    """Drop rotations that nothing measured depends on, or that leave |0…0⟩ as it is."""
    codes = gadgets.strings.codes
    measured = np.asarray(anticommuting(codes, gadgets.frame.codes).any(axis=1))
    kept: list[int] = []
    for j, anti in _with_others(codes, range(len(codes) - 1, -1, -1)):
        if measured[j] or anti[kept].any():
            kept.append(j)
    every_z = 3 * np.eye(codes.shape[1], dtype=np.int8)
    diagonal = np.asarray(~anticommuting(codes, every_z).any(axis=1))
    moving: list[int] = []
    for j, anti in _with_others(codes, kept[::-1]):
        if not diagonal[j] or anti[moving].any():
            moving.append(j)
    return gadgets.kept(moving)


def _coins(frame: PauliTable) -> PauliTable:
    """Return strings with the outcomes on |0…0⟩ of these, which commute: products of some X_k.

    A string that moves |0…0⟩ is a fair coin. A product of others and of such as leave it is
    their product, with a sign.
    """
    coins = PauliTable.identities(*frame.codes.shape)
    tossed: list[tuple[Codes, int]] = []
    for i, (string, sign) in enumerate(zip(*frame, strict=True)):
        for k, (other, other_sign) in enumerate(tossed):
            if _moving(string)[_moving(other).argmax()]:
                string, factor = product(string, other)
                sign *= factor * other_sign
                coins.codes[i, k] = 1
        if _moving(string).any():
            coins.codes[i, len(tossed)] = 1
            tossed.append((string, sign))
        else:
            coins.signs[i] = sign
    return coins


def _moving(string: Codes) -> npt.NDArray[np.bool_]:
    return np.asarray((string == 1) | (string == 2))


def _with_others(codes: Codes, order: Sequence[int]) -> Iterator[tuple[int, npt.NDArray[np.bool_]]]:
    """Yield strings in an order, each with a mask of those that anticommute with it.

    Some at a time: masks of all at once would take memory that grows with their square.
    """
    for start in range(0, len(order), _BLOCK):
        some = order[start : start + _BLOCK]
        yield from zip(some, anticommuting(codes[some], codes), strict=True)


def _merged(gadgets: Gadgets) -> Gadgets:
    """Add angles of equal strings that only commuting rotations stand between."""
    codes, signs = gadgets.strings
    angles = list(gadgets.angles)
    strings = [row.tobytes() for row in codes]
    kept: list[int] = []
    for j, anti in _with_others(codes, range(len(angles))):
        for i in reversed(kept):
            if strings[i] == strings[j]:
                angles[i] = angles[i].plus(angles[j].scaled(float(signs[i] * signs[j])))
                break
            if anti[i]:
                kept.append(j)
                break
        else:
            kept.append(j)
    return replace(gadgets, angles=tuple(angles)).kept(kept)


def _without_quarter_turns(gadgets: Gadgets) -> Gadgets:
    """Let constant quarter turns conjugate what follows and join the Clifford."""
    count = len(gadgets.angles)
    table = gadgets.strings.joined(gadgets.frame)
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
                following = table.rows(slice(j + 1, None))
                following.conjugate_by_quarter_turn(table.codes[j], -int(table.signs[j]))
            if abs(rest) < _TOL:
                continue
            angles[j] = Affine((), rest)
        kept.append(j)
    gadgets = Gadgets(table.rows(slice(count)), tuple(angles), table.rows(slice(count, None)))
    return gadgets.kept(kept)


def quarter_turns(angle: Affine) -> int | None:
    """Return the quarter turns in a ZZ rotation's angle, if it is a whole number of them."""
    quarters = round(4 * angle.const)
    return None if angle.terms or abs(4 * angle.const - quarters) > _TOL else quarters


def _steps(op: Operation) -> list[_Step]:
    """Split an operation into rotations, ZZ rotations and one-qubit Cliffords, in time order."""
    assert not isinstance(op, TwoQubitUnitary)  # noqa: S101 - synthesised before
    if not isinstance(op, OneQubitUnitary):
        return [op]
    rotations, last = _rotations(op.matrix)
    return [
        *(Rotation(op.wire, axis, Affine((), angle)) for axis, angle in rotations),
        OneQubitUnitary(op.wire, last),
    ]


@cached_by_value
def _rotations(unitary: ComplexArray) -> tuple[_Angles, ComplexArray]:
    """Split a one-qubit unitary into the fewest non-Clifford rotations and a last Clifford."""
    u = to_su2(unitary)
    if is_clifford(u):
        return (), u
    splits = [
        (rotations, g)
        for g in all_cliffords()
        if (rotations := _two_rotations(g.conj().T @ u)) is not None
    ]
    if not splits:
        return tuple(euler_angles(u, "z", "x")), all_cliffords()[0]
    return min(splits, key=lambda split: len(split[0]))


def _two_rotations(u: ComplexArray) -> _Angles | None:
    """Return the Euler angles about two axes where the last of the three vanishes.

    Of R_outer(c) R_inner(b) R_outer(a), the quaternion's parts are products of functions of half
    angles: 2 (w z ± x y) = sin b sin c, x about the outer axis, y the inner and z the third.
    """
    w, *axis = quaternion(u)
    for outer, inner in itertools.permutations(range(3), 2):
        third = 3 - outer - inner
        parity = 1 if (inner - outer) % 3 == 1 else -1
        if abs(w * axis[third] * parity + axis[outer] * axis[inner]) < _TOL:
            angles = euler_angles(u, "xyz"[outer], "xyz"[inner])
            rotations = tuple((name, angle) for name, angle in angles if abs(angle) > _TOL)
            if len(rotations) <= 2:
                return rotations
    return None
