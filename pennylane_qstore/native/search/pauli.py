"""Pauli strings as rows of small integers, and how Cliffords conjugate them.

A row has one code per wire: 0 for I, 1 for X, 2 for Y, 3 for Z; its sign (+1 or -1) stands in
an array beside it.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pennylane_qstore.native.frontend.program import Affine, ComplexArray
from pennylane_qstore.native.ir import I2, PAULI, H, Operation, S, cached_by_value, pauli_pair
from pennylane_qstore.native.su2 import to_su2

Codes = npt.NDArray[Any]
"""Codes, int8, shape (rows, wires) or (wires,)."""
Signs = npt.NDArray[Any]
"""+1 or -1, int8, shape (rows,)."""
Image = tuple[int, int]
"""A Pauli matrix with its sign: (code, sign)."""

AXES = "ixyz"
"""Names of the codes."""
GENERATORS = tuple(itertools.product((1, 2, 3), repeat=2))
"""The nine entangling generators on a pair of wires, as pairs of codes."""

_MATRICES = (I2, *PAULI.values())
_X_AND_Z = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=np.float32)
_Z_AND_X = np.ascontiguousarray(_X_AND_Z[:, ::-1])
"""X and Z parts of each code."""


def _products() -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return the code of the product of two codes, and the power of i before it."""
    code, power = np.zeros((4, 4), dtype=np.int8), np.zeros((4, 4), dtype=np.int8)
    for a, b in itertools.product(range(4), repeat=2):
        product = _MATRICES[a] @ _MATRICES[b]
        for c, m in enumerate(_MATRICES):
            phase = np.trace(m @ product) / 2
            if abs(phase) > 0.5:
                code[a, b] = c
                power[a, b] = round(np.angle(phase) / (np.pi / 2)) % 4
    return code, power


_PRODUCT, _POWER = _products()


class PauliTable(NamedTuple):
    """Pauli strings with their signs; conjugations change them in place, all rows at once.

    Attributes:
        codes: (rows, wires).
        signs: (rows,).
    """

    codes: Codes
    signs: Signs

    @classmethod
    def identities(cls, rows: int, wires: int) -> PauliTable:
        """Create a table of strings that act on nothing.

        Args:
            rows: number of strings.
            wires: number of wires.

        Returns:
            A table with positive signs.
        """
        return cls(np.zeros((rows, wires), dtype=np.int8), np.ones(rows, dtype=np.int8))

    def rows(self, index: Any) -> PauliTable:
        """Return some rows; a slice of them shares this table's memory."""
        return PauliTable(self.codes[index], self.signs[index])

    def joined(self, other: PauliTable) -> PauliTable:
        """Return a new table of this one's rows and another's."""
        return PauliTable(
            np.concatenate([self.codes, other.codes]), np.concatenate([self.signs, other.signs])
        )

    def conjugate_by_entangler(self, a: int, b: int, generator: int) -> None:
        """Conjugate R → g R g† with g = exp(-iπ/4 P⊗Q).

        Args:
            a: wire of P.
            b: wire of Q.
            generator: index of (P, Q) in :data:`GENERATORS`.
        """
        at = 4 * self.codes[:, a] + self.codes[:, b]
        np.multiply(self.signs, _PAIR_SIGN[generator, at], out=self.signs)
        new = PAIR_CODE[generator, at]
        self.codes[:, a], self.codes[:, b] = new >> 2, new & 3

    def conjugate_by_quarter_turn(self, pauli: Codes, sign: int) -> None:
        """Conjugate R → g R g† with g = exp(-i sign π/4 P).

        Args:
            pauli: string P, shape (wires,), of any weight.
            sign: +1 or -1.
        """
        turned = np.flatnonzero(anticommuting(self.codes, pauli[None])[:, 0])
        power = _POWER[pauli, self.codes[turned]].sum(axis=1) + 3
        self.signs[turned] *= sign * (1 - power % 4).astype(np.int8)
        self.codes[turned] = _PRODUCT[pauli, self.codes[turned]]

    def pull_back(self, wire: int, unitary: ComplexArray) -> None:
        """Conjugate R → g† R g with a one-qubit Clifford g.

        Args:
            wire: wire of g.
            unitary: 2x2 matrix of g.
        """
        code, sign = _conjugation(unitary)
        np.multiply(self.signs, sign[self.codes[:, wire]], out=self.signs)
        self.codes[:, wire] = code[self.codes[:, wire]]


def entangler(a: int, b: int, generator: int) -> list[Operation]:
    """Build the full interaction that :meth:`PauliTable.conjugate_by_entangler` conjugates by.

    Args:
        a: wire of P.
        b: wire of Q.
        generator: index of (P, Q) in :data:`GENERATORS`.

    Returns:
        exp(-iπ/4 P⊗Q) as operations.
    """
    axes = "".join(AXES[code] for code in GENERATORS[generator])
    return pauli_pair(a, b, axes, Affine((), 0.25))


def product(one: Codes, other: Codes) -> tuple[Codes, int]:
    """Multiply two commuting strings.

    Args:
        one: codes, shape (wires,).
        other: codes, shape (wires,).

    Returns:
        Codes of the product, shape (wires,), and its sign.
    """
    return _PRODUCT[one, other], 1 - int(_POWER[one, other].sum()) % 4


def anticommuting(one: Codes, other: Codes) -> npt.NDArray[np.bool_]:
    """Compare each string of one table with each of another.

    Args:
        one: codes, shape (rows, wires).
        other: codes, shape (others, wires).

    Returns:
        True where two strings anticommute, shape (rows, others).
    """
    left = _X_AND_Z.take(one, axis=0).reshape(len(one), 2 * one.shape[1])
    right = _Z_AND_X.take(other, axis=0).reshape(len(other), 2 * one.shape[1])
    # Floats, since BLAS multiplies them; exact up to 2**24.
    return np.asarray((left @ right.T).astype(np.int32) & 1 == 1)


def weight(codes: Codes) -> npt.NDArray[np.intp]:
    """Return the number of wires that each string acts on, shape (rows,)."""
    return np.asarray((codes > 0).sum(axis=1))


def is_clifford(unitary: ComplexArray) -> bool:
    """Return True if a 2x2 unitary maps Paulis to Paulis."""
    return _conjugation(unitary) is not None


def clifford(x: Image, z: Image) -> ComplexArray:
    """Find a one-qubit Clifford by what it does.

    Args:
        x: code and sign of g† X g.
        z: code and sign of g† Z g.

    Returns:
        The 2x2 unitary g.
    """
    return _cliffords()[x, z]


def all_cliffords() -> tuple[ComplexArray, ...]:
    """Return the 24 one-qubit Cliffords with determinant 1, the identity first."""
    return tuple(_cliffords().values())


def _pair_tables() -> tuple[Codes, Codes, Codes]:
    """Return new codes, sign and weight lost by generator and codes on the pair (4a + b)."""
    before = np.array(list(itertools.product(range(4), repeat=2)), dtype=np.int8)
    tables = [PauliTable(before.copy(), np.ones(16, dtype=np.int8)) for _ in GENERATORS]
    for table, generator in zip(tables, GENERATORS, strict=True):
        table.conjugate_by_quarter_turn(np.array(generator, dtype=np.int8), 1)
    code = np.array([4 * table.codes[:, 0] + table.codes[:, 1] for table in tables])
    lost = np.array([weight(before) - weight(table.codes) for table in tables], dtype=np.int8).T
    return code, np.array([table.signs for table in tables]), np.ascontiguousarray(lost)


PAIR_CODE, _PAIR_SIGN, LOST = _pair_tables()
"""``PAIR_CODE[g, 4a + b]``: the codes 4a' + b' of a row with codes a, b under generator g;
``LOST[4a + b, g]``: weight it loses."""


@cached_by_value
def _conjugation(g: ComplexArray) -> Any:
    """Return codes and signs of g† P g for P = I, X, Y, Z; None where g is not Clifford."""
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
def _cliffords() -> dict[tuple[Image, Image], ComplexArray]:
    """Return the Cliffords by their images of X and Z: all products of H and S."""
    cliffords: dict[tuple[Image, Image], ComplexArray] = {}
    layer = [I2]
    while layer:
        following = []
        for g in layer:
            code, sign = _conjugation(g)
            images = (int(code[1]), int(sign[1])), (int(code[3]), int(sign[3]))
            if images not in cliffords:
                cliffords[images] = to_su2(g)
                following += [H @ g, S @ g]
        layer = following
    return cliffords
