r"""Fewest entanglers for a two-qubit unitary, and for a network of CNOTs.

Any two-qubit unitary is, up to local operations, :math:`\exp(-i\pi(\theta_x XX + \theta_y YY +
\theta_z ZZ))` with each angle within ±1/4 turn: as many partial entanglers as angles differ
from zero, with the least total angle (Vidal, Hammerer and Cirac, quant-ph/0112168). With
all-to-all connectivity a SWAP is free, so the cheaper of U and SWAP·U is taken.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pennylane_qstore.native.frontend.program import Affine, ComplexArray, FloatArray
from pennylane_qstore.native.passes.lower import PAULI, Local, Operation, pauli_pair

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
        out: list[Operation] = [Local(a, self.before[0]), Local(b, self.before[1])]
        for axis, angle in zip("xyz", self.angles, strict=True):
            if abs(angle) > EPS:
                out += pauli_pair(a, b, axis * 2, Affine((), angle))
        return [*out, Local(a, self.after[0]), Local(b, self.after[1])]


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
    return [*out, Local(a, left), Local(b, right.T)]


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


def linear_network(rows: Sequence[int]) -> tuple[list[tuple[int, int]], list[int]]:
    """CNOTs (control, target) in time order for an invertible matrix over GF(2).

    Args:
        rows: row i as a bit mask: output i is the XOR of these inputs.

    Returns:
        The CNOTs, and ``where``: output i is found on wire ``where[i]``. Relabelling is free,
        so the network is found up to a permutation: exactly the fewest CNOTs up to four
        wires, greedily beyond.
    """
    network, where = _network(tuple(rows))
    return list(network), list(where)


@functools.lru_cache(maxsize=1024)
def _network(target: tuple[int, ...]) -> tuple[list[tuple[int, int]], list[int]]:
    return _exact(target) if len(target) <= 4 else _greedy(target)


def _exact(target: tuple[int, ...]) -> tuple[list[tuple[int, int]], list[int]]:
    n = len(target)
    table = _all_networks(n)
    best = min(itertools.permutations(range(n)), key=lambda w: len(table[_permuted(target, w)]))
    return list(table[_permuted(target, best)]), list(best)


def _permuted(rows: tuple[int, ...], where: tuple[int, ...]) -> tuple[int, ...]:
    """Rows as found on the wires when output i is on wire where[i]."""
    out = [0] * len(rows)
    for i, w in enumerate(where):
        out[w] = rows[i]
    return tuple(out)


@functools.cache
def _all_networks(n: int) -> dict[tuple[int, ...], tuple[tuple[int, int], ...]]:
    """Shortest CNOT network of every element of GL(n, 2), by breadth-first search."""
    start = tuple(1 << i for i in range(n))
    found: dict[tuple[int, ...], tuple[tuple[int, int], ...]] = {start: ()}
    layer = [start]
    while layer:
        following = []
        for rows in layer:
            for c, t in itertools.permutations(range(n), 2):
                moved = list(rows)
                moved[t] ^= moved[c]
                key = tuple(moved)
                if key not in found:
                    found[key] = (*found[rows], (c, t))
                    following.append(key)
        layer = following
    return found


def _greedy(target: tuple[int, ...]) -> tuple[list[tuple[int, int]], list[int]]:
    """Row additions that shorten a matrix and its inverse most (after De Brugière et al.)."""
    n = len(target)
    candidates = [_elimination(target)]
    # E_k…E_1·A = P gives A = E_1…E_k·P: the additions reversed, on relabelled wires.
    if (found := _reduce(target)) is not None:
        additions, where = found
        candidates.append(([(where[c], where[t]) for c, t in reversed(additions)], where))
    # E_k…E_1·A⁻¹ = P gives A = P⁻¹·E_k…E_1: the additions as they come, relabelled after.
    if (found := _reduce(_inverse(target))) is not None:
        additions, where = found
        candidates.append((additions, [where.index(i) for i in range(n)]))
    return min(candidates, key=lambda network: len(network[0]))


def _reduce(target: tuple[int, ...]) -> tuple[list[tuple[int, int]], list[int]] | None:
    """Row additions (source, target) that bring rows to a permutation, or None if stuck."""
    n, rows, inverse = len(target), list(target), list(_inverse(target))
    additions: list[tuple[int, int]] = []
    score = _length(rows, inverse)
    while any(x.bit_count() > 1 for x in rows):
        best = None
        for s, t in itertools.permutations(range(n), 2):
            moved = list(rows)
            moved[t] ^= moved[s]
            undone = [x ^ (((x >> t) & 1) << s) for x in inverse]
            value = _length(moved, undone)
            if best is None or value < best[0] - 1e-12:
                best = (value, s, t, moved, undone)
        if best is None or best[0] >= score - 1e-12:
            return None
        score, s, t, rows, inverse = best
        additions.append((s, t))
    return additions, [x.bit_length() - 1 for x in rows]


def _length(rows: Sequence[int], inverse: Sequence[int]) -> float:
    """Sum of the logarithms of the weights of the rows and of the inverse's columns."""
    columns = [sum(((x >> j) & 1) << i for i, x in enumerate(inverse)) for j in range(len(rows))]
    return sum(math.log2(x.bit_count()) for x in (*rows, *columns))


def _elimination(target: tuple[int, ...]) -> tuple[list[tuple[int, int]], list[int]]:
    """Plain Gaussian elimination, for what the greedy search gets stuck on."""
    n, rows = len(target), list(target)
    operations: list[tuple[int, int]] = []
    for col in range(n):
        if not rows[col] >> col & 1:
            pivot = next(i for i in range(col + 1, n) if rows[i] >> col & 1)
            rows[col] ^= rows[pivot]
            operations.append((pivot, col))
        for i in range(n):
            if i != col and rows[i] >> col & 1:
                rows[i] ^= rows[col]
                operations.append((col, i))
    return list(reversed(operations)), list(range(n))


def _inverse(rows: tuple[int, ...]) -> tuple[int, ...]:
    n = len(rows)
    left, right = list(rows), [1 << i for i in range(n)]
    for col in range(n):
        pivot = next(i for i in range(col, n) if left[i] >> col & 1)
        left[col], left[pivot] = left[pivot], left[col]
        right[col], right[pivot] = right[pivot], right[col]
        for i in range(n):
            if i != col and left[i] >> col & 1:
                left[i] ^= left[col]
                right[i] ^= right[col]
    return tuple(right)


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
