"""Compile passes: each takes a program or a circuit and returns one that does the same, cheaper.

Order, and why (:mod:`~pennylane_qstore.native.compiler` runs them):

1. :func:`~.resynthesise_cnots`: networks of CNOTs alone, while
   they are still CNOTs.
2. :func:`merge_diagonal`, :func:`merge_pairs`, and once more: neighbours on
   the same pair, or what commutes to be, become one two-qubit unitary where they are
   constant, and as few interactions as their conjugation allows where they are not.
3. :func:`~pennylane_qstore.native.passes.readout.simplify_initial_state` and
   :func:`~pennylane_qstore.native.passes.readout.absorb_into_readout` (only when the readout may
   absorb): what the known start and the final measurement make superfluous.
4. :func:`synthesise`: two-qubit unitaries become the fewest interactions.
5. :mod:`~.search`: the same in other words, by Pauli gadgets, whole or
   in windows, where that is cheaper.

Passes 3 keep the distribution of outcomes, the others the unitary; all up to a global phase.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pennylane_qstore.native.frontend.program import Affine, ComplexArray, FloatArray
from pennylane_qstore.native.gates import TURN
from pennylane_qstore.native.ir import (
    I2,
    PAULI,
    IRCircuit,
    OneQubitUnitary,
    Operation,
    Rotation,
    TwoQubitUnitary,
    X,
    Z,
    ZZRotation,
    is_constant,
    matrix,
    wires_of,
)
from pennylane_qstore.native.passes.kak import SWAP, cheapest

_TOL = 1e-10
_PAULI_PAIRS: ComplexArray = np.array(
    [np.kron(p, r).reshape(16) for p in (I2, *PAULI.values()) for r in (I2, *PAULI.values())]
)
"""P⊗R row by row, for P and R in I, X, Y, Z."""


def merge_pairs(circuit: IRCircuit) -> IRCircuit:
    """Merge neighbouring operations on the same pair of wires."""
    operations: list[Operation] = []
    for group in _pairs(circuit):
        if isinstance(group, _Pair):
            operations += _merged(group)
        else:
            operations.append(group)
    return replace(circuit, operations=tuple(operations))


def merge_diagonal(circuit: IRCircuit) -> IRCircuit:
    """Merge interactions on the same pair that only diagonal operations stand between."""
    out: list[Operation] = []
    for op in circuit.operations:
        at = _partner(out, op) if isinstance(op, ZZRotation) else None
        if at is None:
            out.append(op)
        else:
            before = out[at]
            assert isinstance(before, ZZRotation) and isinstance(op, ZZRotation)  # noqa: S101, PT018
            out[at] = before._replace(angle=before.angle.plus(op.angle))
    return replace(circuit, operations=tuple(out))


def synthesise(circuit: IRCircuit) -> IRCircuit:
    """Turn every two-qubit unitary into the fewest interactions, SWAPs being free."""
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


def entangling_cost(operations: Sequence[Operation]) -> tuple[int, float]:
    """Number of entanglers and their total angle in turns (an eighth for a parametrised one)."""
    count, total = 0, 0.0
    for op in operations:
        if isinstance(op, TwoQubitUnitary):
            n, angle = cheapest(op.matrix).cost
            count, total = count + n, total + angle
        elif isinstance(op, ZZRotation):
            wrapped = (op.angle.const + 0.25) % 0.5 - 0.25
            count, total = count + 1, total + (0.125 if op.angle.terms else abs(wrapped))
    return count, total


def cheaper(one: tuple[int, float], other: tuple[int, float]) -> bool:
    """Fewer entanglers, or as many of less total angle (turns)."""
    return (one[0], one[1] + 1e-6) < other


def moved(op: Operation, on: Sequence[int]) -> Operation:
    """The same operation on other wires."""
    if isinstance(op, (OneQubitUnitary, Rotation)):
        return op._replace(wire=on[0])
    return op._replace(a=on[0], b=on[1])


def _partner(operations: Sequence[Operation], op: ZZRotation) -> int | None:
    """The latest interaction on the same pair that an interaction commutes back to."""
    on = {op.a, op.b}
    for i in range(len(operations) - 1, -1, -1):
        before = operations[i]
        if on.isdisjoint(wires_of(before)):
            continue
        if isinstance(before, ZZRotation) and {before.a, before.b} == on:
            return i
        if not _is_diagonal(before):
            return None
    return None


def _is_diagonal(op: Operation) -> bool:
    if isinstance(op, (OneQubitUnitary, TwoQubitUnitary)):
        return bool(np.abs(op.matrix - np.diag(np.diag(op.matrix))).max() < _TOL)
    return isinstance(op, ZZRotation) or op.axis == "z"


# --- pairs ---------------------------------------------------------------------------------


@dataclass
class _Pair:
    a: int
    b: int
    operations: list[Operation] = field(default_factory=list)


def _pairs(circuit: IRCircuit) -> list[_Pair | OneQubitUnitary | Rotation]:
    """Operations in time order, those of one pair of wires together as long as both agree."""
    items: list[_Pair | OneQubitUnitary | Rotation] = []
    waiting: dict[int, list[OneQubitUnitary | Rotation]] = {q: [] for q in range(circuit.wires)}
    current: dict[int, _Pair | None] = dict.fromkeys(range(circuit.wires))
    for op in circuit.operations:
        if isinstance(op, (OneQubitUnitary, Rotation)):
            pair = current[op.wire]
            (waiting[op.wire] if pair is None else pair.operations).append(op)
            continue
        pair = current[op.a]
        if pair is None or pair is not current[op.b]:
            pair = _Pair(op.a, op.b, [*waiting[op.a], *waiting[op.b]])
            waiting[op.a], waiting[op.b] = [], []
            current[op.a] = current[op.b] = pair
            items.append(pair)
        pair.operations.append(op)
    return [*items, *(op for q in waiting for op in waiting[q])]


def _merged(pair: _Pair) -> list[Operation]:
    entangling = [op for op in pair.operations if isinstance(op, (ZZRotation, TwoQubitUnitary))]
    if all(is_constant(op) for op in pair.operations):
        if len(entangling) == 1 and isinstance(entangling[0], ZZRotation):
            return pair.operations
        return [TwoQubitUnitary(pair.a, pair.b, _product(pair, pair.operations))]
    direct = _constant_runs(pair)
    if len(entangling) < 2:
        return direct
    pulled = _conjugated(pair)
    return min((direct, pulled), key=entangling_cost) if pulled is not None else direct


def _constant_runs(pair: _Pair) -> list[Operation]:
    """The pair's operations with every run of constant ones that entangles twice merged."""
    out: list[Operation] = []
    run: list[Operation] = []

    def close() -> None:
        if sum(isinstance(op, (ZZRotation, TwoQubitUnitary)) for op in run) > 1:
            out.append(TwoQubitUnitary(pair.a, pair.b, _product(pair, run)))
        else:
            out.extend(run)
        run.clear()

    for op in pair.operations:
        if is_constant(op):
            run.append(op)
        else:
            close()
            out.append(op)
    close()
    return out


def _conjugated(pair: _Pair) -> list[Operation] | None:
    """The parametrised operations first, conjugated by the constants that stood before them.

    U = C·Π exp(-i α_j/2 Q_j): each Q_j must be a Pauli axis on one wire or a product of one
    axis on each; None where one is neither (a sum of such products).
    """
    done: ComplexArray = np.eye(4, dtype=complex)
    terms: list[tuple[ComplexArray, Affine]] = []
    for op in pair.operations:
        if is_constant(op):
            done = _on_pair(pair, op) @ done
            continue
        assert isinstance(op, (Rotation, ZZRotation))  # noqa: S101 - parametrised
        generator, angle = np.kron(Z, Z), op.angle.scaled(1.0)
        if isinstance(op, Rotation):
            generator = _on_pair(pair, OneQubitUnitary(op.wire, PAULI[op.axis]))
            angle = op.angle.scaled(1 / TURN)
        _add_term(terms, done.conj().T @ generator @ done, angle)
    out: list[Operation] = []
    for q, angle in terms:
        axes = _axes(q)
        if axes is None:
            return None
        out += _about(pair, axes, angle)
    return [*out, TwoQubitUnitary(pair.a, pair.b, done)]


def _add_term(terms: list[tuple[ComplexArray, Affine]], q: ComplexArray, angle: Affine) -> None:
    """Append exp(-iπ angle Q), merged with an earlier one about ±Q if it commutes down to it."""
    for i in range(len(terms) - 1, -1, -1):
        earlier, before = terms[i]
        for sign in (1.0, -1.0):
            if np.abs(q - sign * earlier).max() < _TOL:
                terms[i] = earlier, before.plus(angle.scaled(sign))
                return
        if np.abs(q @ earlier - earlier @ q).max() > _TOL:
            break
    terms.append((q, angle))


def _axes(q: ComplexArray) -> tuple[FloatArray | None, FloatArray | None] | None:
    """Unit axes on a and b of a generator that is their product; None for the identity."""
    weights = (_PAULI_PAIRS @ q.T.reshape(16)).real.reshape(4, 4) / 4  # tr(P⊗R Q)/4
    u, s, vh = np.linalg.svd(weights)
    if s[1] > _TOL:
        return None
    left, right = u[:, 0] * s[0], vh[0]
    if abs(left[0]) > _TOL:
        return None, right[1:] * left[0]
    if abs(right[0]) > _TOL:
        return left[1:] * right[0], None
    return left[1:], right[1:]


def _about(
    pair: _Pair, axes: tuple[FloatArray | None, FloatArray | None], angle: Affine
) -> list[Operation]:
    """exp(-iπ angle Q) as an operation about Z between the rotations of the axes to Z."""
    before: list[Operation] = []
    after: list[Operation] = []
    for wire, axis in zip((pair.a, pair.b), axes, strict=True):
        if axis is not None and (v := _to_z(axis)) is not None:
            before.append(OneQubitUnitary(wire, v))
            after.append(OneQubitUnitary(wire, v.conj().T))
    middle: Operation = ZZRotation(pair.a, pair.b, angle)
    if axes[0] is None or axes[1] is None:
        middle = Rotation(pair.b if axes[0] is None else pair.a, "z", angle.scaled(TURN))
    return [*before, middle, *after]


def _to_z(axis: FloatArray) -> ComplexArray | None:
    """V with V (n·σ) V† = Z, or None where the axis is Z itself."""
    if np.hypot(axis[0], axis[1]) < _TOL:
        return None if axis[2] > 0 else X
    if axis[2] < 0:  # from the nearer pole: X turns n to (x, -y, -z)
        return np.asarray(_half_turn(axis * np.array([1, -1, -1])) @ X)
    return _half_turn(axis)


def _half_turn(axis: FloatArray) -> ComplexArray:
    """The half turn about the middle between an axis and Z, which exchanges them."""
    n = axis + np.array([0, 0, 1.0])
    n /= np.linalg.norm(n)
    return np.asarray(n[0] * PAULI["x"] + n[1] * PAULI["y"] + n[2] * PAULI["z"])


def _product(pair: _Pair, operations: Iterable[Operation]) -> ComplexArray:
    total: ComplexArray = np.eye(4, dtype=complex)
    for op in operations:
        total = _on_pair(pair, op) @ total
    return total


def _on_pair(pair: _Pair, op: Operation) -> ComplexArray:
    m = matrix(op)
    on = wires_of(op)
    if len(on) == 1:
        return _kron(m, I2) if on[0] == pair.a else _kron(I2, m)
    return m if on == (pair.a, pair.b) else np.asarray(SWAP @ m @ SWAP)


def _kron(left: ComplexArray, right: ComplexArray) -> ComplexArray:
    """np.kron of 2x2 matrices, without its overhead."""
    return np.asarray((left[:, None, :, None] * right[None, :, None, :]).reshape(4, 4))
