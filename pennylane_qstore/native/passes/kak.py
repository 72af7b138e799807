r"""Fewest entanglers for a two-qubit unitary, and for a network of CNOTs.

Any two-qubit unitary is, up to local operations, :math:`\exp(-i\pi(\theta_x XX + \theta_y YY +
\theta_z ZZ))` with each angle within ±1/4 turn: as many partial entanglers as angles differ
from zero, with the least total angle (Vidal, Hammerer and Cirac, quant-ph/0112168). With
all-to-all connectivity a SWAP is free, so the cheaper of U and SWAP·U is taken.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pennylane_qstore.native.frontend.program import Affine, ComplexArray, FloatArray
from pennylane_qstore.native.ir import PAULI, OneQubitUnitary, Operation, pauli_pair

EPS = 2e-11
"""Angles (turns) below this are nothing."""

_MAGIC: ComplexArray = np.array(
    [[1, 0, 0, 1j], [0, 1j, 1, 0], [0, 1j, -1, 0], [1, 0, 0, -1j]]
) / np.sqrt(2)
_SIGNS: FloatArray = np.array([[1, 1, -1, -1], [-1, 1, -1, 1], [1, -1, -1, 1]], dtype=float)
"""Eigenvalues of XX, YY, ZZ on the columns of the magic basis."""

SWAP: ComplexArray = np.eye(4, dtype=complex)[[0, 2, 1, 3]]
CNOT: ComplexArray = np.eye(4, dtype=complex)[[0, 1, 3, 2]]
CNOT_REVERSED: ComplexArray = np.eye(4, dtype=complex)[[0, 3, 2, 1]]
_ZZ: FloatArray = np.array([1.0, -1.0, -1.0, 1.0])
_YY: ComplexArray = np.fliplr(np.diag([-1, 1, 1, -1])).astype(complex)


@dataclass(frozen=True, slots=True)
class Canonical:
    """U = (after_a ⊗ after_b) exp(-iπ Σ θ_k σ_k⊗σ_k) (before_a ⊗ before_b), up to phase.

    Args:
        before, after: pairs of 2x2 unitaries.
        angles: θ for XX, YY and ZZ in turns, each within ±1/4.
        swapped: whether the two outputs are exchanged besides.
    """

    before: tuple[ComplexArray, ComplexArray]
    angles: tuple[float, float, float]
    after: tuple[ComplexArray, ComplexArray]
    swapped: bool = False

    @property
    def cost(self) -> tuple[int, float]:
        """Number of entanglers and their total angle in turns."""
        used = [abs(t) for t in self.angles if abs(t) > EPS]
        return len(used), sum(used)

    def operations(self, a: int, b: int) -> list[Operation]:
        """As locals and interactions on wires a and b (outputs exchanged if ``swapped``)."""
        out: list[Operation] = [
            OneQubitUnitary(a, self.before[0]),
            OneQubitUnitary(b, self.before[1]),
        ]
        for axis, angle in zip("xyz", self.angles, strict=True):
            if abs(angle) > EPS:
                out += pauli_pair(a, b, axis * 2, Affine((), angle))
        return [*out, OneQubitUnitary(a, self.after[0]), OneQubitUnitary(b, self.after[1])]


def canonical(unitary: ComplexArray) -> Canonical:
    """The canonical (KAK) decomposition of a 4x4 unitary.

    Method: in the magic basis local unitaries are real and the interaction is diagonal, so
    M^T M is diagonalised by a real rotation (Kraus and Cirac, quant-ph/0011050).
    """
    u = unitary / np.linalg.det(unitary) ** 0.25
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


def cheapest(unitary: ComplexArray) -> Canonical:
    """The canonical form of U or, where cheaper, of U with its outputs exchanged."""
    return _cheapest(np.ascontiguousarray(unitary, dtype=complex).tobytes())


@functools.lru_cache(maxsize=4096)  # a pass asks for a cost, the next one for the operations
def _cheapest(buffer: bytes) -> Canonical:
    plain = canonical(np.frombuffer(buffer, dtype=complex).reshape(4, 4))
    # SWAP is exp(-iπ/4 (XX + YY + ZZ)) up to phase, and SWAP (A ⊗ B) = (B ⊗ A) SWAP.
    thetas = np.array(plain.angles) + 0.25
    mirrored = _reduced(plain.before, thetas, plain.after[::-1], swapped=True)
    (n, total), (m, total_m) = plain.cost, mirrored.cost
    return mirrored if (m, total_m + 1e-6) < (n, total) else plain


def prepared(state: ComplexArray, a: int, b: int) -> list[Operation]:
    """Operations that take |00⟩ to a two-qubit state (4 amplitudes): one entangler at most."""
    left, (c, s), right = np.linalg.svd(state.reshape(2, 2))
    angle = float(np.arctan2(s, c) / np.pi)
    out: list[Operation] = []
    if angle > EPS:  # exp(-iπθ X⊗Y)|00⟩ = cos πθ |00⟩ + sin πθ |11⟩
        out += pauli_pair(a, b, "xy", Affine((), angle))
    return [*out, OneQubitUnitary(a, left), OneQubitUnitary(b, right.T)]


def before_diagonal(unitary: ComplexArray) -> Canonical:
    """The cheapest form of D·U over diagonal D: at most two entanglers.

    The angle is the one that makes tr(U YY Uᵀ YY) real (Shende, Bullock and Markov,
    quant-ph/0308045).
    """
    u = unitary / np.linalg.det(unitary) ** 0.25
    gamma = u @ _YY @ u.T @ _YY
    angle = np.arctan2(np.trace(gamma).imag, float(np.sum(_ZZ * np.diag(gamma)).real))
    candidates = (0.0, angle, angle + np.pi, np.pi / 2)
    forms = [cheapest(np.exp(-0.5j * psi * _ZZ)[:, None] * unitary) for psi in candidates]
    return min(forms, key=lambda form: (form.cost[0], round(form.cost[1], 6)))


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
        halves = np.ceil(2 * theta - 0.5 - 1e-12)
        angles.append(float(theta - halves / 2))
        if int(halves) % 2:
            a, b = PAULI[axis] @ a, PAULI[axis] @ b
    return Canonical((a, b), (angles[0], angles[1], angles[2]), after, swapped)


def _real_eigenbasis(m: ComplexArray) -> FloatArray:
    """A rotation that diagonalises a symmetric unitary's real and imaginary parts at once."""
    best: tuple[float, FloatArray] | None = None
    for mix in _mixes():
        _, p = np.linalg.eigh(np.cos(mix) * m.real + np.sin(mix) * m.imag)
        d = p.T @ m @ p
        error = float(np.abs(d - np.diag(np.diag(d))).max())
        if best is None or error < best[0]:
            best = (error, p)
        if error < 1e-13:
            break
    assert best is not None  # noqa: S101 - at least one mix
    return best[1]


def _mixes() -> Iterator[float]:
    yield from (0.3, 1.1, 2.0, 2.7, 0.75, 1.6, 2.4)


def _factors(product: ComplexArray) -> tuple[ComplexArray, ComplexArray]:
    """A and B of A⊗B, each with determinant 1."""
    grid = product.reshape(2, 2, 2, 2).transpose(0, 2, 1, 3).reshape(4, 4)
    u, s, vh = np.linalg.svd(grid)
    a = (u[:, 0] * np.sqrt(s[0])).reshape(2, 2)
    b = (vh[0] * np.sqrt(s[0])).reshape(2, 2)
    return a / np.sqrt(np.linalg.det(a) + 0j), b / np.sqrt(np.linalg.det(b) + 0j)
