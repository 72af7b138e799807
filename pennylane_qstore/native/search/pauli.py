"""Pauli strings as rows of small integers, and how Cliffords move them.

A row has one code per wire: 0 for I, 1 for X, 2 for Y, 3 for Z; its sign (+1 or -1) stands in
an array beside it. All functions work on many rows at once and change them in place.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pennylane_qstore.native.frontend.program import ComplexArray
from pennylane_qstore.native.ir import I2, PAULI, H, S

Rows = npt.NDArray[Any]
"""Codes, int8, shape (rows, wires)."""
Signs = npt.NDArray[Any]
"""+1 or -1, int8, shape (rows,)."""

_MATRICES = (I2, *PAULI.values())
AXES = "ixyz"
"""Names of the codes."""


class _Product(NamedTuple):
    code: npt.NDArray[Any]
    power: npt.NDArray[Any]  # of i


def _products() -> _Product:
    code, power = np.zeros((4, 4), dtype=np.int8), np.zeros((4, 4), dtype=np.int8)
    for a, b in itertools.product(range(4), repeat=2):
        product = _MATRICES[a] @ _MATRICES[b]
        for c, m in enumerate(_MATRICES):
            phase = np.trace(m @ product) / 2
            if abs(phase) > 0.5:
                code[a, b] = c
                power[a, b] = round(np.angle(phase) / (np.pi / 2)) % 4
    return _Product(code, power)


_PRODUCT = _products()

GENERATORS = tuple(itertools.product((1, 2, 3), repeat=2))
"""The nine entangling generators on a pair of wires, as pairs of codes."""


def _pair_tables() -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """By generator and codes on the pair (4a + b): new codes, sign, and weight lost."""
    code = np.zeros((9, 16), dtype=np.int8)
    sign = np.ones((9, 16), dtype=np.int8)
    lost = np.zeros((16, 9), dtype=np.int8)
    for g, (p, q) in enumerate(GENERATORS):
        for a, b in itertools.product(range(4), repeat=2):
            at = 4 * a + b
            code[g, at] = at
            if ((a not in (0, p)) + (b not in (0, q))) % 2:
                c, d = _PRODUCT.code[p, a], _PRODUCT.code[q, b]
                power = int(_PRODUCT.power[p, a] + _PRODUCT.power[q, b])
                code[g, at] = 4 * c + d
                sign[g, at] = round((-1j * 1j**power).real)
                lost[at, g] = (a > 0) + (b > 0) - (c > 0) - (d > 0)
    return code, sign, lost


_PAIR_CODE, _PAIR_SIGN, LOST = _pair_tables()
"""``LOST[4a + b, g]``: weight a row with codes a, b loses under generator g."""


def turn_pair(rows: Rows, signs: Signs, a: int, b: int, generator: int) -> None:
    """R → g R g† with g = exp(-iπ/4 P⊗Q) on wires a and b."""
    at = 4 * rows[:, a] + rows[:, b]
    signs *= _PAIR_SIGN[generator, at]
    moved = _PAIR_CODE[generator, at]
    rows[:, a], rows[:, b] = moved >> 2, moved & 3


def turn_all(rows: Rows, signs: Signs, pauli: npt.NDArray[Any], sign: int) -> None:
    """R → g R g† with g = exp(-i sign π/4 P), P of any weight."""
    moved = np.flatnonzero(anticommuting(rows, pauli[None])[:, 0])
    power = _PRODUCT.power[pauli, rows[moved]].sum(axis=1) + 3
    signs[moved] *= sign * (1 - power % 4).astype(np.int8)
    rows[moved] = _PRODUCT.code[pauli, rows[moved]]


def turn_wire(rows: Rows, signs: Signs, wire: int, unitary: ComplexArray) -> None:
    """R → g† R g with a one-qubit Clifford g."""
    code, sign = _conjugation(unitary.tobytes())
    signs *= sign[rows[:, wire]]
    rows[:, wire] = code[rows[:, wire]]


def product(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], int]:
    """Product of two commuting strings, and its sign."""
    power = int(_PRODUCT.power[one, other].sum()) % 4
    return _PRODUCT.code[one, other], 1 - power


def anticommuting(one: Rows, other: Rows) -> npt.NDArray[np.bool_]:
    """Whether each string of one anticommutes with each of the other; (rows, others)."""
    x, z = (one == 1) | (one == 2), one >= 2
    u, v = (other == 1) | (other == 2), other >= 2
    crossed = x.astype(np.int32) @ v.T.astype(np.int32) + z.astype(np.int32) @ u.T.astype(np.int32)
    return np.asarray(crossed % 2 == 1)


def weight(rows: Rows) -> npt.NDArray[np.intp]:
    """Number of wires each string acts on."""
    return np.asarray((rows > 0).sum(axis=1))


def is_clifford(unitary: ComplexArray) -> bool:
    """Whether a 2x2 unitary maps Paulis to Paulis."""
    return _conjugation(unitary.tobytes()) is not None


def clifford(x: tuple[int, int], z: tuple[int, int]) -> ComplexArray:
    """The 2x2 unitary g with g† X g and g† Z g the given (code, sign)."""
    return _cliffords()[x, z]


def all_cliffords() -> tuple[ComplexArray, ...]:
    """The 24 one-qubit Cliffords with determinant 1, the identity first."""
    return tuple(_cliffords().values())


@functools.lru_cache(maxsize=4096)
def _conjugation(buffer: bytes) -> Any:
    """Codes and signs of g† P g for P = I, X, Y, Z; None where g is not Clifford."""
    g = np.frombuffer(buffer, dtype=complex).reshape(2, 2)
    code, sign = np.zeros(4, dtype=np.int8), np.ones(4, dtype=np.int8)
    for c, p in enumerate(_MATRICES):
        turned = g.conj().T @ p @ g
        parts = np.array([np.trace(m @ turned).real / 2 for m in _MATRICES])
        code[c] = int(np.abs(parts).argmax())
        if np.abs(np.delete(parts, code[c])).max() > 1e-10:  # 1 - cosine would be too flat
            return None
        sign[c] = round(parts[code[c]])
    return code, sign


@functools.cache
def _cliffords() -> dict[tuple[tuple[int, int], tuple[int, int]], ComplexArray]:
    found: dict[tuple[tuple[int, int], tuple[int, int]], ComplexArray] = {}
    layer = [I2]
    while layer:
        following = []
        for g in layer:
            code, sign = _conjugation(np.ascontiguousarray(g).tobytes())
            key = (int(code[1]), int(sign[1])), (int(code[3]), int(sign[3]))
            if key not in found:
                found[key] = g / np.sqrt(np.linalg.det(g))
                following += [H @ g, S @ g]
        layer = following
    return found
