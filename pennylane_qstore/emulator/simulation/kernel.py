"""The compiled kernel of :mod:`.rows`: gates as data, sixteen circuits per block. Needs Numba.

Circuits lie side by side in the last axis, so that one instruction treats several of them: an
amplitude, and a coefficient, is a row of their real and then their imaginary parts. A gate is a row
of ``gates``: its kind, the mask of its controls, the mask of the bits that it flips, where its
targets begin in ``targets``, their number, where its coefficients begin.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from pennylane_qstore.compiled import OPTIONS, kept

WIDTH = 16
"""Circuits in a block."""
DIAGONAL, PAIR, DENSE = 0, 1, 2
_LANES = ir.VectorType(ir.DoubleType(), WIDTH)
_OPTIONS: Any = {"fastmath": {"contract"}}
_compiled = njit(**OPTIONS, **_OPTIONS)


def _kept(function: Any) -> Any:
    return kept(function, **_OPTIONS)


@_kept
def run_blocks(
    qubits: int,
    first: int,
    last: int,
    gates: Any,
    targets: Any,
    coefficients: Any,
    rows: Any,
    errors: Any,
    starts: Any,
    out: Any,
) -> None:
    """Run blocks of circuits on |0..0⟩.

    Args:
        qubits: number of qubits.
        first: the first block.
        last: the block behind the last one.
        gates: shape [gates, 6].
        targets: qubits, shape [T].
        coefficients: real and imaginary parts, shape [2, C, rows].
        rows: row of each circuit, shape [K].
        errors: lane, gate, X mask and Z mask of each Pauli error, shape [E, 4]; by block, then
            by gate.
        starts: the first error of each block and the one behind the last, shape [blocks + 1].
        out: takes the probabilities, shape [K, 2**qubits].
    """
    size = 1 << qubits
    state = np.empty((size, 2 * WIDTH))
    most = gates[:, 4].max() if len(gates) else 1
    table = np.empty((1 << max(2 * most, most + 1), 2 * WIDTH))
    row = np.empty(WIDTH, np.int64)
    for block in range(first, last):
        lanes = min(WIDTH, len(rows) - block * WIDTH)
        for lane in range(WIDTH):
            row[lane] = rows[block * WIDTH + min(lane, lanes - 1)]
        state[:] = 0.0
        state[0, :WIDTH] = 1.0
        error = starts[block]
        for g in range(len(gates)):
            kind, controls, flip, begin, count, offset = gates[g]
            entries = (2 << count) if kind == PAIR else 1 << (2 * count if kind == DENSE else count)
            for c in range(entries):
                for lane in range(WIDTH):
                    table[c, lane] = coefficients[0, offset + c, row[lane]]
                    table[c, WIDTH + lane] = coefficients[1, offset + c, row[lane]]
            if kind == DIAGONAL:
                _diagonal(state, table, controls, targets[begin : begin + count])
            elif kind == PAIR:
                _pair(state, table, controls, flip, targets[begin : begin + count])
            else:
                _dense(state, table, controls, targets[begin : begin + count])
            while error < starts[block + 1] and errors[error, 1] == g:
                _strike(state, errors[error, 0], errors[error, 2], errors[error, 3])
                error += 1
        for i in range(size):
            for lane in range(lanes):
                out[block * WIDTH + lane, i] = state[i, lane] ** 2 + state[i, WIDTH + lane] ** 2


@_kept
def run_angles(
    qubits: int,
    first: int,
    last: int,
    gates: Any,
    targets: Any,
    entries: Any,
    angles: Any,
    out: Any,
) -> None:
    """Run blocks of circuits on |0..0⟩, whose gates are functions of one angle each.

    Args:
        qubits: number of qubits.
        first: the first block.
        last: the block behind the last one.
        gates: shape [gates, 8]: as above (of gates on one target, the kind is :data:`PAIR`), the
            row of the angle, and the mask of all qubits.
        targets: qubits, shape [T].
        entries: a, b and c of a + b cos + c sin, real and imaginary parts, shape [E, 6].
        angles: in turns, shape [angles, 16 blocks].
        out: takes the probabilities, shape [K, 2**qubits].
    """
    state = np.empty((1 << qubits, 2 * WIDTH))
    table = np.empty((8, 2 * WIDTH))
    runs = np.empty((qubits, 4, 2 * WIDTH))  # gates on one qubit, multiplied, as tables of pairs
    running, waves = np.zeros(qubits, np.bool_), np.empty((2, WIDTH))
    for start in range(first * WIDTH, last * WIDTH, WIDTH):
        state[:] = 0.0
        state[0, :WIDTH] = 1.0
        for g in range(len(gates)):
            kind, controls, flip, begin, count, offset, angle, touched = gates[g]
            qubit, members = targets[begin], targets[begin : begin + count]
            alone = count == 1 and controls == 0
            joins = alone and running[qubit]
            size = 2 << count if kind == PAIR else 1 << count
            for lane in range(WIDTH):
                waves[0, lane], waves[1, lane] = _cosine_and_sine(angles[angle, start + lane])
            _fill(runs[qubit] if alone and not joins else table, entries, offset, size, waves)
            if joins:
                _mix(runs[qubit], 0, 3, table, 0, 2, 1, 3)
                _mix(runs[qubit], 2, 1, table, 0, 2, 1, 3)
            elif alone:
                running[qubit] = True
            else:
                _end_runs(state, runs, running, touched)
                if kind == DIAGONAL:
                    _diagonal(state, table, controls, members)
                else:
                    _pair(state, table, controls, flip, members)
        _end_runs(state, runs, running, len(state) - 1)
        for i in range(len(state)):
            for lane in range(min(WIDTH, len(out) - start)):
                out[start + lane, i] = state[i, lane] ** 2 + state[i, WIDTH + lane] ** 2


@_compiled
def _fill(table: Any, entries: Any, first: int, count: int, waves: Any) -> None:
    """Compute entries of a gate from the cosine and the sine in each lane."""
    for k in range(count):
        entry = entries[first + k]
        for lane in range(WIDTH):
            cosine, sine = waves[0, lane], waves[1, lane]
            table[k, lane] = entry[0] + entry[2] * cosine + entry[4] * sine
            table[k, WIDTH + lane] = entry[1] + entry[3] * cosine + entry[5] * sine


@_compiled
def _cosine_and_sine(turns: float) -> tuple[float, float]:
    """Return both of an angle, with an error below 2e-16, without a branch.

    The polynomials are those of Cephes (S. L. Moshier, ``sin.c``) for an eighth of a turn.
    """
    quarters = math.floor(4.0 * turns + 0.5)
    x = 2.0 * math.pi * (turns - 0.25 * quarters)
    z = x * x
    s = 1.58962301576546568060e-10 * z - 2.50507477628578072866e-8
    s = (s * z + 2.75573136213857245213e-6) * z - 1.98412698295895385996e-4
    s = (s * z + 8.33333333332211858878e-3) * z - 1.66666666666666307295e-1
    s = x + x * z * s
    c = -1.13585365213876817300e-11 * z + 2.08757008419747316778e-9
    c = (c * z - 2.75573141792967388112e-7) * z + 2.48015872888517045348e-5
    c = (c * z - 1.38888888888730564116e-3) * z + 4.16666666666665929218e-2
    c = 1.0 - 0.5 * z + z * z * c
    halves = quarters - 2.0 * math.floor(0.5 * quarters)  # 1 where both change places
    cosine, sine = (1.0 - halves) * c + halves * s, (1.0 - halves) * s + halves * c
    whole = quarters - 4.0 * math.floor(0.25 * quarters)  # 0 to 3
    return cosine * (1.0 - 2.0 * (0.5 < whole < 2.5)), sine * (1.0 - 2.0 * (whole > 1.5))


@_compiled
def _end_runs(state: Any, runs: Any, running: Any, qubits: int) -> None:
    """Apply what was multiplied on these qubits, given as a mask."""
    for qubit in range(len(running)):
        if running[qubit] and qubits >> qubit & 1:
            running[qubit] = False
            for i in range(len(state)):
                if not i >> qubit & 1:
                    _mix(state, i, i | 1 << qubit, runs[qubit], 0, 2, 1, 3)


@_compiled
def _entry(i: int, targets: Any) -> int:
    """Read the targets' bits of an index; the first target is the highest bit."""
    entry = 0
    for target in targets:
        entry = entry << 1 | (i >> target & 1)
    return entry


@_compiled
def _diagonal(state: Any, table: Any, controls: int, targets: Any) -> None:
    for i in range(len(state)):
        if i & controls == controls:
            _scale(state, i, table, _entry(i, targets))


@_compiled
def _pair(state: Any, table: Any, controls: int, flip: int, targets: Any) -> None:
    """Mix each amplitude with the one whose index differs by ``flip``.

    The first half of the table multiplies the amplitude itself, the second the other one.
    """
    across = 1 << len(targets)
    for i in range(len(state)):
        j = i ^ flip
        if j > i and i & controls == controls:
            s, t = _entry(i, targets), _entry(j, targets)
            _mix(state, i, j, table, s, s + across, t, t + across)


# LLVM does not know that rows do not overlap: it would check that for every row, or work on one
# lane after the other, in four times the time. Here all lanes are one vector, read before anything
# is written.


@intrinsic
def _scale(_: Any, state: Any, i: Any, table: Any, t: Any) -> Any:
    """Multiply amplitude ``i`` by coefficient ``t``."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        where = _parts(context, builder, signature.args[0], *values[:2])
        factor = _parts(context, builder, signature.args[2], *values[2:])
        terms = [(_load(builder, factor), _load(builder, where))]
        _store(builder, _sum_of_products(builder, terms), where)
        return context.get_dummy_value()

    return types.void(state, i, table, t), build


@intrinsic
def _mix(_: Any, state: Any, i: Any, j: Any, table: Any, s: Any, u: Any, t: Any, v: Any) -> Any:
    """Put ``s a + u b`` in the place of amplitude ``a`` (i), ``t b + v a`` in that of ``b`` (j)."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kinds, (states, *places, tables, s, u, t, v) = signature.args, values
        where = [_parts(context, builder, kinds[0], states, place) for place in places]
        a, b = (_load(builder, parts) for parts in where)
        s, u, t, v = (
            _load(builder, _parts(context, builder, kinds[3], tables, place))
            for place in (s, u, t, v)
        )
        mixed = [_sum_of_products(builder, terms) for terms in ([(s, a), (u, b)], [(t, b), (v, a)])]
        for sums, parts in zip(mixed, where, strict=True):
            _store(builder, sums, parts)
        return context.get_dummy_value()

    return types.void(state, i, j, table, s, u, t, v), build


def _parts(context: Any, builder: Any, kind: Any, array: Any, row: Any) -> list[Any]:
    """Return pointers to the real and to the imaginary parts in a row of an array."""
    data, width = make_array(kind)(context, builder, array).data, ir.Constant(row.type, WIDTH)
    real = builder.gep(data, [builder.mul(row, ir.Constant(row.type, 2 * WIDTH))])
    return [builder.bitcast(p, _LANES.as_pointer()) for p in (real, builder.gep(real, [width]))]


def _load(builder: Any, parts: list[Any]) -> list[Any]:
    return [builder.load(part, align=8) for part in parts]


def _store(builder: Any, values: list[Any], parts: list[Any]) -> None:
    for value, part in zip(values, parts, strict=True):
        builder.store(value, part, align=8)


def _sum_of_products(builder: Any, terms: list[Any]) -> list[Any]:
    """Return real and imaginary part of a sum of complex products."""
    kind = ir.FunctionType(_LANES, [_LANES] * 3)
    add_product = builder.module.declare_intrinsic(f"llvm.fmuladd.v{WIDTH}f64", fnty=kind)
    ((cr, ci), (xr, xi)), *others = terms
    re = builder.call(add_product, [cr, xr, builder.fneg(builder.fmul(ci, xi))])
    im = builder.call(add_product, [cr, xi, builder.fmul(ci, xr)])
    for (cr, ci), (xr, xi) in others:
        re = builder.call(add_product, [cr, xr, re])
        im = builder.call(add_product, [cr, xi, im])
        re = builder.call(add_product, [builder.fneg(ci), xi, re])
        im = builder.call(add_product, [ci, xr, im])
    return [re, im]


@_compiled
def _dense(state: Any, table: Any, controls: int, targets: Any) -> None:
    """Multiply by a matrix [d, d] whose entries lie one after the other."""
    dim, mask = 1 << len(targets), 0
    for target in targets:
        mask |= 1 << target
    place = np.empty(dim, np.int64)
    for k in range(dim):
        place[k] = 0
        for position in range(len(targets)):
            place[k] |= (k >> (len(targets) - 1 - position) & 1) << targets[position]
    before = np.empty((dim, 2 * WIDTH))
    for i in range(len(state)):
        if i & mask or i & controls != controls:
            continue
        for k in range(dim):
            before[k] = state[i | place[k]]
        for k in range(dim):
            j = i | place[k]
            state[j] = 0.0
            for m in range(dim):
                for lane in range(WIDTH):
                    a, b = table[k * dim + m, lane], table[k * dim + m, WIDTH + lane]
                    x, y = before[m, lane], before[m, WIDTH + lane]
                    state[j, lane] += a * x - b * y
                    state[j, WIDTH + lane] += a * y + b * x


@_compiled
def _strike(state: Any, lane: int, flips: int, signs: int) -> None:
    """Put a Pauli string on one circuit: bits flipped, then signs by parity."""
    for i in range(len(state)):
        j = i ^ flips
        if j < i:
            continue
        here, there = i & signs, j & signs
        for shift in (32, 16, 8, 4, 2, 1):
            here ^= here >> shift
            there ^= there >> shift
        a, b = 1.0 - 2.0 * (here & 1), 1.0 - 2.0 * (there & 1)
        for part in (lane, WIDTH + lane):
            state[i, part], state[j, part] = a * state[j, part], b * state[i, part]
