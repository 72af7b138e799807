"""Two-qubit passes: merge what stands on one pair of wires, and write it with few entanglers.

Each takes a circuit and returns one with the same unitary, up to a global phase.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pennylane_qstore.native.frontend.program import Affine, ComplexArray, FloatArray
from pennylane_qstore.native.gates import TURN
from pennylane_qstore.native.ir import (
    I2,
    PAULI,
    SWAP,
    IRCircuit,
    OneQubitOperation,
    OneQubitUnitary,
    Operation,
    Rotation,
    TwoQubitOperation,
    TwoQubitUnitary,
    X,
    Z,
    ZZRotation,
    is_constant,
    matrix,
    moved,
    wires_of,
)
from pennylane_qstore.native.passes.kak import EntanglingCost, cheapest

_TOL = 1e-10
_PARAMETRISED_ANGLE = 0.125
"""Turns that an unknown angle counts as: the mean of angles within ±1/4."""
_ZZ: ComplexArray = np.kron(Z, Z)
_PAULIS: ComplexArray = np.array(list(PAULI.values()))
_PAULI_PAIRS: ComplexArray = np.array(
    [np.kron(p, r).reshape(16) for p in (I2, *_PAULIS) for r in (I2, *_PAULIS)]
)
"""P⊗R row by row, for P and R in I, X, Y, Z."""


def merge_diagonal(circuit: IRCircuit) -> IRCircuit:
    """Return a circuit without two ZZ rotations on a pair that only diagonal gates separate."""
    operations: list[Operation] = []
    for op in circuit.operations:
        at = _partner(operations, op) if isinstance(op, ZZRotation) else None
        if at is None:
            operations.append(op)
        else:
            earlier = operations[at]
            assert isinstance(earlier, ZZRotation) and isinstance(op, ZZRotation)  # noqa: S101, PT018
            operations[at] = earlier._replace(angle=earlier.angle.plus(op.angle))
    return replace(circuit, operations=tuple(operations))


def merge_pairs(circuit: IRCircuit) -> IRCircuit:
    """Return a circuit whose neighbours on one pair of wires are merged.

    What is constant becomes one two-qubit unitary; what is not, as few ZZ rotations as moving the
    constants to the end allows.
    """
    operations: list[Operation] = []
    for group in _pairs(circuit):
        operations += _merged(group) if isinstance(group, _Pair) else [group]
    return replace(circuit, operations=tuple(operations))


def synthesise(circuit: IRCircuit) -> IRCircuit:
    """Return a circuit without two-qubit unitaries: each as the fewest ZZ rotations, SWAPs free."""
    at = list(range(circuit.wires))
    operations: list[Operation] = []
    for op in circuit.operations:
        on = tuple(at[q] for q in wires_of(op))
        if isinstance(op, TwoQubitUnitary):
            form = cheapest(op.matrix)
            operations += form.operations(on[0], on[1])
            if form.swapped:
                at[op.a], at[op.b] = at[op.b], at[op.a]
        else:
            operations.append(moved(op, on))
    outputs = tuple(bit.relabelled(at) for bit in circuit.outputs)
    return IRCircuit(circuit.wires, tuple(operations), outputs)


def entangling_cost(operations: Sequence[Operation]) -> EntanglingCost:
    """Return the entanglers that operations take once synthesised, and their total angle."""
    count, total = 0, 0.0
    for op in operations:
        if isinstance(op, TwoQubitUnitary):
            n, angle = cheapest(op.matrix).cost
            count, total = count + n, total + angle
        elif isinstance(op, ZZRotation):
            count += 1
            # Half a turn more or less is Z⊗Z.
            nearest = abs((op.angle.const + 0.25) % 0.5 - 0.25)
            total += _PARAMETRISED_ANGLE if op.angle.terms else nearest
    return EntanglingCost(count, total)


def _partner(operations: Sequence[Operation], op: ZZRotation) -> int | None:
    """Find the latest ZZ rotation on the same pair that ``op`` commutes back to."""
    on = {op.a, op.b}
    for i in range(len(operations) - 1, -1, -1):
        earlier = operations[i]
        if on.isdisjoint(wires_of(earlier)):
            continue
        if isinstance(earlier, ZZRotation) and {earlier.a, earlier.b} == on:
            return i
        if not _is_diagonal(earlier):
            return None
    return None


def _is_diagonal(op: Operation) -> bool:
    if isinstance(op, OneQubitUnitary | TwoQubitUnitary):
        return bool(np.abs(op.matrix - np.diag(np.diag(op.matrix))).max() < _TOL)
    return isinstance(op, ZZRotation) or op.axis == "z"


# --- pairs ---------------------------------------------------------------------------------


@dataclass
class _Pair:
    """Operations on two wires and on nothing else, in time order."""

    a: int
    b: int
    operations: list[Operation] = field(default_factory=list)


def _pairs(circuit: IRCircuit) -> list[_Pair | OneQubitOperation]:
    """Group operations in time order: a pair lasts until one of its wires meets another."""
    groups: list[_Pair | OneQubitOperation] = []
    waiting: dict[int, list[OneQubitOperation]] = {q: [] for q in range(circuit.wires)}
    current: dict[int, _Pair | None] = dict.fromkeys(range(circuit.wires))
    for op in circuit.operations:
        if isinstance(op, OneQubitOperation):
            pair = current[op.wire]
            (waiting[op.wire] if pair is None else pair.operations).append(op)
            continue
        pair = current[op.a]
        if pair is None or pair is not current[op.b]:
            pair = _Pair(op.a, op.b, [*waiting[op.a], *waiting[op.b]])
            waiting[op.a], waiting[op.b] = [], []
            current[op.a] = current[op.b] = pair
            groups.append(pair)
        pair.operations.append(op)
    return [*groups, *(op for q in waiting for op in waiting[q])]


def _merged(pair: _Pair) -> list[Operation]:
    direct = _constant_runs(pair)
    entanglers = sum(isinstance(op, TwoQubitOperation) for op in pair.operations)
    if entanglers < 2 or all(is_constant(op) for op in pair.operations):
        return direct
    conjugated = _conjugated(pair)
    return direct if conjugated is None else min(direct, conjugated, key=entangling_cost)


def _constant_runs(pair: _Pair) -> list[Operation]:
    """Merge every run of constant operations that is more than one ZZ rotation."""
    out: list[Operation] = []
    for constant, group in itertools.groupby(pair.operations, is_constant):
        run = list(group)
        entangling = [type(op) for op in run if isinstance(op, TwoQubitOperation)]
        if constant and entangling not in ([], [ZZRotation]):
            run = [TwoQubitUnitary(pair.a, pair.b, _product(pair, run))]
        out += run
    return out


def _conjugated(pair: _Pair) -> list[Operation] | None:
    """Write the parametrised operations first, conjugated by the constants before them.

    U = C·Π exp(-iπ α_j Q_j): each Q_j must be a Pauli axis on one wire or a product of one
    axis on each; None where one is neither (a sum of such products).
    """
    constant: ComplexArray = np.eye(4, dtype=complex)
    terms: list[tuple[ComplexArray, Affine]] = []
    for op in pair.operations:
        if is_constant(op):
            constant = _on_pair(pair, op) @ constant
            continue
        assert isinstance(op, Rotation | ZZRotation)  # noqa: S101 - parametrised
        generator, angle = _ZZ, op.angle
        if isinstance(op, Rotation):
            generator = _on_pair(pair, OneQubitUnitary(op.wire, PAULI[op.axis]))
            angle = op.angle.scaled(1 / TURN)
        _add_term(terms, constant.conj().T @ generator @ constant, angle)
    out: list[Operation] = []
    for generator, angle in terms:
        axes = _axes(generator)
        if axes is None:
            return None
        out += _rotation_about(pair, axes, angle)
    return [*out, TwoQubitUnitary(pair.a, pair.b, constant)]


def _add_term(
    terms: list[tuple[ComplexArray, Affine]], generator: ComplexArray, angle: Affine
) -> None:
    """Append exp(-iπ angle Q), merged with an earlier one about ±Q if it commutes down to it."""
    for i in range(len(terms) - 1, -1, -1):
        earlier, before = terms[i]
        for sign in (1.0, -1.0):
            if np.abs(generator - sign * earlier).max() < _TOL:
                terms[i] = earlier, before.plus(angle.scaled(sign))
                return
        if np.abs(generator @ earlier - earlier @ generator).max() > _TOL:
            break
    terms.append((generator, angle))


def _axes(generator: ComplexArray) -> tuple[FloatArray | None, FloatArray | None] | None:
    """Return the unit axes on a and b of a generator that is their product.

    An axis is None where the generator is the identity on that wire; the result is None where
    the generator is a sum of such products.
    """
    weights = (_PAULI_PAIRS @ generator.T.reshape(16)).real.reshape(4, 4) / 4  # tr(P⊗R Q)/4
    u, s, vh = np.linalg.svd(weights)
    if s[1] > _TOL:
        return None
    left, right = u[:, 0] * s[0], vh[0]
    if abs(left[0]) > _TOL:
        return None, right[1:] * left[0]
    if abs(right[0]) > _TOL:
        return left[1:] * right[0], None
    return left[1:], right[1:]


def _rotation_about(
    pair: _Pair, axes: tuple[FloatArray | None, FloatArray | None], angle: Affine
) -> list[Operation]:
    """Write exp(-iπ angle Q) as a rotation about Z between changes of basis of Q's axes."""
    before: list[Operation] = []
    after: list[Operation] = []
    for wire, axis in zip((pair.a, pair.b), axes, strict=True):
        if axis is not None and (turn := to_z(axis)) is not None:
            before.append(OneQubitUnitary(wire, turn))
            after.append(OneQubitUnitary(wire, turn.conj().T))
    middle: Operation = ZZRotation(pair.a, pair.b, angle)
    if axes[0] is None or axes[1] is None:
        middle = Rotation(pair.b if axes[0] is None else pair.a, "z", angle.scaled(TURN))
    return [*before, middle, *after]


def to_z(axis: FloatArray) -> ComplexArray | None:
    """Return V with V (n·σ) V† = Z for a unit vector n, or None where that is Z itself.

    The half turn about the middle between two axes exchanges them.
    """
    if np.hypot(axis[0], axis[1]) < _TOL:
        return None if axis[2] > 0 else X
    far = axis[2] < 0  # nearly opposite axes have no middle: X turns n to (x, -y, -z) first
    middle = np.array([0, 0, 1]) + (axis * (1, -1, -1) if far else axis)
    half_turn = np.tensordot(middle / np.linalg.norm(middle), _PAULIS, 1)
    return np.asarray(half_turn @ X if far else half_turn)


def _product(pair: _Pair, operations: Iterable[Operation]) -> ComplexArray:
    total: ComplexArray = np.eye(4, dtype=complex)
    for op in operations:
        total = _on_pair(pair, op) @ total
    return total


def _on_pair(pair: _Pair, op: Operation) -> ComplexArray:
    """Return the 4x4 matrix of a constant operation on the wires of a pair."""
    m, on = matrix(op), wires_of(op)
    if len(on) == 1:
        return _kron(m, I2) if on[0] == pair.a else _kron(I2, m)
    return m if on == (pair.a, pair.b) else np.asarray(SWAP @ m @ SWAP)


def _kron(left: ComplexArray, right: ComplexArray) -> ComplexArray:
    """Return np.kron of 2x2 matrices, ten times as fast."""
    return np.asarray((left[:, None, :, None] * right[None, :, None, :]).reshape(4, 4))
