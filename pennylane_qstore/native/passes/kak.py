r"""Fewest entanglers for a two-qubit unitary.

Any two-qubit unitary is, up to one-qubit operations,
:math:`\exp(-i\pi(\theta_x XX + \theta_y YY + \theta_z ZZ))` with each angle within ±1/4 turn: as
many partial entanglers as angles differ from zero, with the least total angle (Vidal, Hammerer
and Cirac, quant-ph/0112168). With all-to-all connectivity a SWAP is free, so the cheaper of U
and SWAP·U is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pennylane_qstore.native.frontend.program import Affine, ComplexArray, FloatArray
from pennylane_qstore.native.ir import (
    PAULI,
    OneQubitUnitary,
    Operation,
    cached_by_value,
    pauli_pair,
)
from pennylane_qstore.native.su2 import to_su2

EPS = 2e-11
"""Entangling angles (turns) below this are dropped."""
_ANGLE_TOL = 1e-6
"""Total angles (turns) that differ by less than this count as equal."""

_MAGIC: ComplexArray = np.array(
    [[1, 0, 0, 1j], [0, 1j, 1, 0], [0, 1j, -1, 0], [1, 0, 0, -1j]]
) / np.sqrt(2)
_SIGNS: FloatArray = np.array([[1, 1, -1, -1], [-1, 1, -1, 1], [1, -1, -1, 1]], dtype=float)
"""Eigenvalues of XX, YY, ZZ on the columns of the magic basis."""
_MIXES = (0.3, 1.1, 2.0, 2.7, 0.75, 1.6, 2.4)
"""Angles that mix a matrix's real and imaginary parts: a mix with degenerate eigenvalues need not
diagonalise both, so that the best of several is taken."""

_ZZ: FloatArray = np.array([1.0, -1.0, -1.0, 1.0])
_YY: ComplexArray = np.fliplr(np.diag([-1, 1, 1, -1])).astype(complex)


class EntanglingCost(NamedTuple):
    """Entanglers of a circuit, and their total angle in turns."""

    entanglers: int
    angle: float

    def cheaper_than(self, other: EntanglingCost) -> bool:
        """Return True for fewer entanglers, or as many of less total angle."""
        return (self.entanglers, self.angle + _ANGLE_TOL) < other

    def no_worse_than(self, other: EntanglingCost) -> bool:
        """Return True where neither the number nor the angle is greater."""
        return self.entanglers <= other.entanglers and self.angle <= other.angle + _ANGLE_TOL

    @property
    def rank(self) -> tuple[int, float]:
        """Key to sort by, equal for costs that differ by rounding only."""
        return self.entanglers, round(self.angle, 6)


@dataclass(frozen=True, slots=True)
class Canonical:
    """U = (after_a ⊗ after_b) exp(-iπ Σ θ_k σ_k⊗σ_k) (before_a ⊗ before_b), up to phase.

    Args:
        before, after: pairs of 2x2 unitaries.
        angles: θ for XX, YY and ZZ in turns, each within ±1/4.
        swapped: True if the two outputs are exchanged besides.
    """

    before: tuple[ComplexArray, ComplexArray]
    angles: tuple[float, float, float]
    after: tuple[ComplexArray, ComplexArray]
    swapped: bool = False

    @property
    def cost(self) -> EntanglingCost:
        """Number of entanglers and their total angle."""
        used = [abs(angle) for angle in self.angles if abs(angle) > EPS]
        return EntanglingCost(len(used), sum(used))

    def operations(self, a: int, b: int) -> list[Operation]:
        """Write the form as operations.

        Args:
            a: wire of the left tensor factor.
            b: wire of the right one.

        Returns:
            One-qubit unitaries and ZZ rotations in time order; the outputs are exchanged if
            ``swapped``.
        """
        out: list[Operation] = [*_one_qubit_pair(a, b, self.before)]
        for axis, angle in zip("xyz", self.angles, strict=True):
            if abs(angle) > EPS:
                out += pauli_pair(a, b, axis * 2, Affine((), angle))
        return [*out, *_one_qubit_pair(a, b, self.after)]


def canonical(unitary: ComplexArray) -> Canonical:
    """Return the canonical (KAK) decomposition of a 4x4 unitary.

    In the magic basis one-qubit unitaries are real and the interaction is diagonal, so M^T M is
    diagonalised by a real rotation (Kraus and Cirac, quant-ph/0011050).
    """
    u = _to_su4(unitary)
    m = _MAGIC.conj().T @ u @ _MAGIC
    p = _real_eigenbasis(m.T @ m)
    if np.linalg.det(p) < 0:
        p[:, 0] = -p[:, 0]
    phases = np.angle(np.diag(p.T @ m.T @ m @ p)) / 2
    k = m @ p @ np.diag(np.exp(-1j * phases))
    if np.linalg.det(k).real < 0:
        phases[0] += np.pi
        k[:, 0] = -k[:, 0]
    after = _factors(_MAGIC @ k.real @ _MAGIC.conj().T)
    before = _factors(_MAGIC @ p.T @ _MAGIC.conj().T)
    thetas = -(_SIGNS @ phases) / 4 / np.pi
    return _reduced(before, thetas, after)


@cached_by_value
def cheapest(unitary: ComplexArray) -> Canonical:
    """Return the canonical form of U or, where cheaper, of U with its outputs exchanged."""
    plain = canonical(unitary)
    # SWAP is exp(-iπ/4 (XX + YY + ZZ)) up to phase, and SWAP (A ⊗ B) = (B ⊗ A) SWAP.
    thetas = np.array(plain.angles) + 0.25
    mirrored = _reduced(plain.before, thetas, plain.after[::-1], swapped=True)
    return mirrored if mirrored.cost.cheaper_than(plain.cost) else plain


def prepare_state(state: ComplexArray, a: int, b: int) -> list[Operation]:
    """Build operations that take |00⟩ to a two-qubit state, with one entangler at most.

    Args:
        state: 4 amplitudes.
        a: wire of the left tensor factor.
        b: wire of the right one.

    Returns:
        Operations in time order.
    """
    left, (c, s), right = np.linalg.svd(state.reshape(2, 2))
    angle = float(np.arctan2(s, c) / np.pi)
    out: list[Operation] = []
    if angle > EPS:  # exp(-iπθ X⊗Y)|00⟩ = cos πθ |00⟩ + sin πθ |11⟩
        out += pauli_pair(a, b, "xy", Affine((), angle))
    return [*out, *_one_qubit_pair(a, b, (left, right.T))]


def before_diagonal(unitary: ComplexArray) -> Canonical:
    """Return the cheapest form of D·U over diagonal D: at most two entanglers."""
    return cheapest(diagonal_before(unitary)[:, None] * unitary)


def diagonal_before(unitary: ComplexArray) -> ComplexArray:
    """Return the diagonal D, shape (4,) and a power of Z⊗Z, for which D·U is cheapest.

    The angle is the one that makes tr(U YY Uᵀ YY) real (Shende, Bullock and Markov,
    quant-ph/0308045).
    """
    u = _to_su4(unitary)
    gamma = u @ _YY @ u.T @ _YY
    angle = np.arctan2(np.trace(gamma).imag, float(np.sum(_ZZ * np.diag(gamma)).real))
    diagonals = [np.exp(-0.5j * psi * _ZZ) for psi in (0.0, angle, angle + np.pi, np.pi / 2)]
    return min(diagonals, key=lambda d: cheapest(d[:, None] * unitary).cost.rank)


def _to_su4(unitary: ComplexArray) -> ComplexArray:
    """Return a 4x4 unitary divided by a fourth root of its determinant."""
    return np.asarray(unitary / (np.linalg.det(unitary) + 0j) ** 0.25)


def _one_qubit_pair(
    a: int, b: int, matrices: tuple[ComplexArray, ComplexArray]
) -> tuple[OneQubitUnitary, OneQubitUnitary]:
    return OneQubitUnitary(a, matrices[0]), OneQubitUnitary(b, matrices[1])


def _reduced(
    before: tuple[ComplexArray, ComplexArray],
    thetas: FloatArray,
    after: tuple[ComplexArray, ComplexArray],
    swapped: bool = False,
) -> Canonical:
    """Bring each angle within ±1/4: half a turn is a pair of Paulis."""
    angles = []
    a, b = before
    for axis, theta in zip("xyz", thetas, strict=True):
        halves = np.ceil(2 * theta - 0.5 - 1e-12)  # 1/4 itself stays, whatever its rounding
        angles.append(float(theta - halves / 2))
        if int(halves) % 2:
            a, b = PAULI[axis] @ a, PAULI[axis] @ b
    return Canonical((a, b), (angles[0], angles[1], angles[2]), after, swapped)


def _real_eigenbasis(m: ComplexArray) -> FloatArray:
    """Return a rotation that diagonalises a symmetric unitary's real and imaginary parts."""
    candidates = []
    for mix in _MIXES:
        _, p = np.linalg.eigh(np.cos(mix) * m.real + np.sin(mix) * m.imag)
        d = p.T @ m @ p
        error = float(np.abs(d - np.diag(np.diag(d))).max())
        candidates.append((error, p))
        if error < 1e-13:
            break
    return np.asarray(min(candidates, key=lambda candidate: candidate[0])[1])


def _factors(product: ComplexArray) -> tuple[ComplexArray, ComplexArray]:
    """Return A and B of A⊗B, each with determinant 1 (the nearest such product)."""
    grid = product.reshape(2, 2, 2, 2).transpose(0, 2, 1, 3).reshape(4, 4)
    u, s, vh = np.linalg.svd(grid)
    a = (u[:, 0] * np.sqrt(s[0])).reshape(2, 2)
    b = (vh[0] * np.sqrt(s[0])).reshape(2, 2)
    return to_su2(a), to_su2(b)
