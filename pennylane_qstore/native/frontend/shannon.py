r"""Unitaries on three wires and more: the quantum Shannon decomposition.

A unitary is two multiplexed ones, chosen by its first wire, and a multiplexed RY between them (the
cosine-sine decomposition); each of the two is two unitaries on the other wires and a multiplexed RZ
(Shende, Bullock and Markov, quant-ph/0406176). One entangler less than PennyLane's: RY is
multiplexed by CZ gates, the last of which is part of the unitary that follows. What is diagonal
between the two-qubit unitaries moves on later (:mod:`~pennylane_qstore.native.passes.diagonals`):
an arbitrary unitary on three wires takes 20 entanglers.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pennylane as qml
from pennylane.operation import Operator
from scipy.linalg import cossin, hadamard, schur

from pennylane_qstore.native.frontend.program import ComplexArray, FloatArray

_TOL = 1e-12
"""Angles below this are those of no gate."""


def shannon(matrix: ComplexArray, wires: Sequence[Any]) -> list[Operator]:
    """Write a unitary as unitaries on all wires but the first, and multiplexed rotations of that.

    Args:
        matrix: the unitary, (2 ** wires, 2 ** wires).
        wires: its wires, three or more.

    Returns:
        Operations in time order.
    """
    if factors := _factors(matrix, wires):
        return factors
    half = len(matrix) // 2
    (zero, one), angles, before = cossin(matrix, p=half, q=half, separate=True)
    turns, rest = _multiplexed(qml.RY, 2 * angles, wires)
    chosen = _chosen(zero, one, wires)
    if len(chosen) > 1:  # a Z of each where the first wire is 1
        chosen = _chosen(zero, one * hadamard(half)[rest], wires)
    else:
        turns += [qml.CZ([wires[-1 - bit], wires[0]]) for bit in _ones(rest)]
    return [*_chosen(before[0], before[1], wires), *turns, *chosen]


def _factors(matrix: ComplexArray, wires: Sequence[Any]) -> list[Operator]:
    """Return a product of unitaries on some of the wires and on the others; [] of no product.

    The decomposition would find equal angles in its place, whose eigenvectors rounding chooses.
    """
    count = len(wires)
    tensor = matrix.reshape((2,) * (2 * count))
    for size in range(1, count // 2 + 1):
        for some in itertools.combinations(range(count), size):
            others = [i for i in range(count) if i not in some]
            axes = [k + i for part in (some, others) for k in (0, count) for i in part]
            flat = tensor.transpose(axes).reshape(4**size, -1)
            row, column = np.unravel_index(np.argmax(np.abs(flat)), flat.shape)
            first, second = flat[:, column], flat[row] / flat[row, column]
            if np.allclose(np.outer(first, second), flat, rtol=0, atol=_TOL):
                scale = np.linalg.norm(first) / np.sqrt(2**size)  # that of a unitary is 1
                return [
                    qml.QubitUnitary(factor.reshape(2 ** len(part), -1), [wires[i] for i in part])
                    for factor, part in ((first / scale, some), (second * scale, others))
                ]
    return []


def _chosen(zero: ComplexArray, one: ComplexArray, wires: Sequence[Any]) -> list[Operator]:
    """Apply one unitary or another to all wires but the first, as that one is 0 or 1.

    With zero·one† = A D² A† they are A D B and A D† B.
    """
    squares, a = schur(zero @ one.conj().T, output="complex")
    phases = np.angle(np.diag(squares)) / 2
    b = np.exp(1j * phases)[:, None] * (a.conj().T @ one)
    turns, rest = _multiplexed(qml.RZ, -2 * phases, wires)
    if not turns:
        return [qml.QubitUnitary(a @ b, wires[1:])]
    turns += [qml.CNOT([wires[-1 - bit], wires[0]]) for bit in _ones(rest)]
    return [qml.QubitUnitary(b, wires[1:]), *turns, qml.QubitUnitary(a, wires[1:])]


def _multiplexed(
    kind: type[qml.RY] | type[qml.RZ], angles: FloatArray, wires: Sequence[Any]
) -> tuple[list[Operator], int]:
    """Rotate the first wire by an angle that the others choose.

    Between rotations entanglers with the others change the sign of what follows, in the order of
    a Gray code: (-1)^(i·g_j) for angle i and rotation j, row g_j of a Hadamard matrix. Rotations
    by nothing are left out.

    Returns:
        Gates, and the wires that entanglers are still missing with, as bits from the last wire on.
    """
    count = len(angles)
    codes = [j ^ j >> 1 for j in range(count)]
    entangler = qml.CZ if kind is qml.RY else qml.CNOT
    gates: list[Operator] = []
    present = 0
    for code, angle in zip(codes, hadamard(count)[codes] @ angles / count, strict=True):
        if abs(angle) > _TOL:
            gates += [entangler([wires[-1 - b], wires[0]]) for b in _ones(code ^ present)]
            gates.append(kind(float(angle), wires[0]))
            present = code
    return gates, present


def _ones(code: int) -> list[int]:
    return [bit for bit in range(code.bit_length()) if code >> bit & 1]
