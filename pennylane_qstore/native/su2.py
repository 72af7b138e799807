r"""One-qubit unitaries: as first columns, quaternions, Euler angles and rotations in space.

A unitary of determinant 1 is :math:`\begin{pmatrix}α & -β^*\\ β & α^*\end{pmatrix}`; its first
column (α, β) is the form that templates multiply. Everything here is for single 2x2 matrices;
products over many rows of parameters are in :mod:`~pennylane_qstore.native.template.runs`.
"""

from __future__ import annotations

import numpy as np

from pennylane_qstore.native.frontend.program import ComplexArray, FloatArray
from pennylane_qstore.native.ir import PAULI

_TOL = 1e-10
_PAULIS: ComplexArray = np.array(list(PAULI.values()))


def to_su2(u: ComplexArray) -> ComplexArray:
    """Return a 2x2 unitary divided by a square root of its determinant."""
    return np.asarray(u / np.sqrt(np.linalg.det(u) + 0j))


def first_column(u: ComplexArray) -> tuple[complex, complex]:
    """Return (α, β) of a 2x2 unitary brought to determinant 1."""
    u = to_su2(u)
    return complex(u[0, 0]), complex(u[1, 0])


def from_first_column(alpha: complex, beta: complex) -> ComplexArray:
    """Return the 2x2 unitary of determinant 1 with the first column (α, β).

    Args:
        alpha: upper left entry.
        beta: lower left entry.

    Returns:
        Shape (2, 2).
    """
    return np.array([[alpha, -np.conj(beta)], [beta, np.conj(alpha)]])


def so3(u: ComplexArray) -> FloatArray:
    """Return the rotation in space of a 2x2 unitary, shape (3, 3).

    Column k holds the Pauli components of :math:`U σ_k U^†`; the last one is the Bloch vector
    of :math:`U|0⟩`. A global phase has no effect.
    """
    turned = u @ _PAULIS @ u.conj().T
    return np.asarray(np.einsum("pij,qji->pq", _PAULIS, turned).real / 2)


def quaternion(u: ComplexArray) -> tuple[float, float, float, float]:
    """Return (w, x, y, z) of u = w - i (x X + y Y + z Z), of determinant 1."""
    a, b = u[0, 0], u[1, 0]
    return a.real, -b.imag, b.real, -a.imag


def wrapped(angle: float) -> float:
    """Return an angle in radians within ±π; the sign of the unitary is not kept."""
    return float((angle + np.pi) % (2 * np.pi) - np.pi)


def euler_angles(u: ComplexArray, outer: str, inner: str) -> list[tuple[str, float]]:
    """Return the Euler angles of U = R_outer(c) R_inner(b) R_outer(a), up to a global phase.

    Args:
        u: a 2x2 unitary of determinant 1.
        outer: axis of the first and the last rotation, "x", "y" or "z".
        inner: axis of the rotation between them.

    Returns:
        [(outer, a), (inner, b), (outer, c)] in time order; radians within ±π.
    """
    third = next(axis for axis in "xyz" if axis not in (outer, inner))
    parity = 1 if outer + inner + third in ("xyz", "yzx", "zxy") else -1
    w, *axis = quaternion(u)
    i, j, k = (axis["xyz".index(name)] for name in (outer, inner, third))
    k *= parity
    # w = cos(b/2) cos((a+c)/2), i = cos(b/2) sin((a+c)/2),
    # j = sin(b/2) cos((c-a)/2), k = sin(b/2) sin((c-a)/2)
    b = 2 * np.arctan2(np.hypot(j, k), np.hypot(w, i))
    total = 2 * np.arctan2(i, w) if np.hypot(w, i) > _TOL else 0.0
    difference = 2 * np.arctan2(k, j) if np.hypot(j, k) > _TOL else total
    if np.hypot(w, i) <= _TOL:  # only c - a is determined: let a be 0
        total = difference
    a, c = (total - difference) / 2, (total + difference) / 2
    return [(outer, wrapped(a)), (inner, wrapped(b)), (outer, wrapped(c))]
