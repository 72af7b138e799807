"""The compiled kernel of :mod:`.rows`: gates as data, sixteen circuits per block. Needs Numba.

Circuits lie side by side in the last axis, so that one instruction treats several of them. A
gate is a row of ``gates``: its kind, the mask of its controls, the mask of the bits that it
flips, where its targets begin in ``targets``, their number, where its coefficients begin.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import config, njit
from platformdirs import user_cache_path

WIDTH = 16
"""Circuits in a block."""
DIAGONAL, PAIR, DENSE = 0, 1, 2
_OPTIONS: Any = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
_compiled = njit(**_OPTIONS)


def _kept(function: Any) -> Any:
    """Compile a function, once for all processes of a user: its code is kept in a cache folder.

    By default it would be kept beside this file, which may be read-only or another user's.
    """
    chosen = config.CACHE_DIR
    config.CACHE_DIR = chosen or str(user_cache_path("pennylane-qstore"))
    try:
        return njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # no folder can be written to: every process compiles it
        return _compiled(function)
    finally:
        config.CACHE_DIR = chosen


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
    re, im = np.empty((size, WIDTH)), np.empty((size, WIDTH))
    table = np.empty((2, _most_coefficients(gates), WIDTH))
    row = np.empty(WIDTH, np.int64)
    for block in range(first, last):
        lanes = min(WIDTH, len(rows) - block * WIDTH)
        for lane in range(WIDTH):
            row[lane] = rows[block * WIDTH + min(lane, lanes - 1)]
        re[:], im[:] = 0.0, 0.0
        re[0, :] = 1.0
        error = starts[block]
        for g in range(len(gates)):
            kind, controls, flip, begin, count, offset = gates[g]
            entries = (2 << count) if kind == PAIR else 1 << (2 * count if kind == DENSE else count)
            for c in range(entries):
                for lane in range(WIDTH):
                    table[0, c, lane] = coefficients[0, offset + c, row[lane]]
                    table[1, c, lane] = coefficients[1, offset + c, row[lane]]
            if kind == DIAGONAL:
                _diagonal(re, im, table, controls, targets[begin : begin + count])
            elif kind == PAIR:
                _pair(re, im, table, controls, flip, targets[begin : begin + count])
            else:
                _dense(re, im, table, controls, targets[begin : begin + count])
            while error < starts[block + 1] and errors[error, 1] == g:
                _strike(re, im, errors[error, 0], errors[error, 2], errors[error, 3])
                error += 1
        for i in range(size):
            for lane in range(lanes):
                out[block * WIDTH + lane, i] = re[i, lane] ** 2 + im[i, lane] ** 2


@_compiled
def _most_coefficients(gates: Any) -> int:
    """Return the most coefficients that a gate has."""
    most = 1
    for g in range(len(gates)):
        most = max(most, 1 << max(2 * gates[g, 4], gates[g, 4] + 1))
    return most


@_compiled
def _entry(i: int, targets: Any) -> int:
    """Read the targets' bits of an index; the first target is the highest bit."""
    entry = 0
    for target in targets:
        entry = entry << 1 | (i >> target & 1)
    return entry


@_compiled
def _diagonal(re: Any, im: Any, table: Any, controls: int, targets: Any) -> None:
    for i in range(len(re)):
        if i & controls != controls:
            continue
        t = _entry(i, targets)
        for lane in range(WIDTH):
            a, b = re[i, lane], im[i, lane]
            re[i, lane] = table[0, t, lane] * a - table[1, t, lane] * b
            im[i, lane] = table[0, t, lane] * b + table[1, t, lane] * a


@_compiled
def _pair(re: Any, im: Any, table: Any, controls: int, flip: int, targets: Any) -> None:
    """Mix each amplitude with the one whose index differs by ``flip``.

    The first half of the table multiplies the amplitude itself, the second the other one.
    """
    across = 1 << len(targets)
    for i in range(len(re)):
        j = i ^ flip
        if j < i or i & controls != controls:
            continue
        s, t = _entry(i, targets), _entry(j, targets)
        u, v = s + across, t + across
        for lane in range(WIDTH):
            ar, ai, br, bi = re[i, lane], im[i, lane], re[j, lane], im[j, lane]
            re[i, lane], im[i, lane] = _mixed(table, s, u, lane, ar, ai, br, bi)
            re[j, lane], im[j, lane] = _mixed(table, t, v, lane, br, bi, ar, ai)


@_compiled
def _mixed(
    table: Any, a: int, b: int, lane: int, ar: float, ai: float, br: float, bi: float
) -> tuple[float, float]:
    """Return the sum of two amplitudes, multiplied by the table's entries ``a`` and ``b``."""
    return (
        table[0, a, lane] * ar
        - table[1, a, lane] * ai
        + table[0, b, lane] * br
        - table[1, b, lane] * bi,
        table[0, a, lane] * ai
        + table[1, a, lane] * ar
        + table[0, b, lane] * bi
        + table[1, b, lane] * br,
    )


@_compiled
def _dense(re: Any, im: Any, table: Any, controls: int, targets: Any) -> None:
    """Multiply by a matrix [d, d] whose entries lie one after the other."""
    dim, mask = 1 << len(targets), 0
    for target in targets:
        mask |= 1 << target
    place = np.empty(dim, np.int64)
    for k in range(dim):
        place[k] = 0
        for position in range(len(targets)):
            place[k] |= (k >> (len(targets) - 1 - position) & 1) << targets[position]
    before = np.empty((2, dim, WIDTH))
    for i in range(len(re)):
        if i & mask or i & controls != controls:
            continue
        for k in range(dim):
            before[0, k], before[1, k] = re[i | place[k]], im[i | place[k]]
        for k in range(dim):
            j = i | place[k]
            re[j], im[j] = 0.0, 0.0
            for m in range(dim):
                for lane in range(WIDTH):
                    a, b = table[0, k * dim + m, lane], table[1, k * dim + m, lane]
                    re[j, lane] += a * before[0, m, lane] - b * before[1, m, lane]
                    im[j, lane] += a * before[1, m, lane] + b * before[0, m, lane]


@_compiled
def _strike(re: Any, im: Any, lane: int, flips: int, signs: int) -> None:
    """Put a Pauli string on one circuit: bits flipped, then signs by parity."""
    for i in range(len(re)):
        j = i ^ flips
        if j < i:
            continue
        here, there = i & signs, j & signs
        for shift in (32, 16, 8, 4, 2, 1):
            here ^= here >> shift
            there ^= there >> shift
        a, b = 1.0 - 2.0 * (here & 1), 1.0 - 2.0 * (there & 1)
        re[i, lane], re[j, lane] = a * re[j, lane], b * re[i, lane]
        im[i, lane], im[j, lane] = a * im[j, lane], b * im[i, lane]
