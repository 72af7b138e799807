"""Coefficients and matrices of observables, or why they cannot be measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pennylane as qml
from pennylane.measurements import MeasurementProcess
from pennylane.operation import Operator
from pennylane.ops import Prod, SProd
from pennylane.tape import QuantumScript

from pennylane_qstore.measurement.recipes import NotSupported
from pennylane_qstore.native.frontend.matrices import matrix_on
from pennylane_qstore.native.frontend.program import ComplexArray

MAX_PRODUCTS = 100_000
"""Products of terms that are multiplied out: those of the variance of 316 Pauli words."""


def check_products(what: MeasurementProcess | Operator, count: int, made_of: str) -> None:
    """Refuse what would be multiplied out for minutes, and measured in thousands of bases.

    Args:
        what: the measurement or the observable.
        count: number of products.
        made_of: what they are products of, in words.

    Raises:
        NotSupported: there are more than :data:`MAX_PRODUCTS`.
    """
    if count > MAX_PRODUCTS:
        raise NotSupported(
            f"{type(what).__name__} on {len(what.wires)} wires is not supported on qstore.ionq: "
            f"{made_of} has {count:,} products, and at most {MAX_PRODUCTS:,} are multiplied out. "
            "Leave small terms out, or measure parts of it one by one. Nothing was sent."
        )


def real_coefficient(coefficient: Any, op: Operator) -> float:
    """Return a coefficient of an observable as a float.

    Args:
        coefficient: any number.
        op: the observable.

    Returns:
        Its real part.

    Raises:
        NotSupported: it is broadcast, not finite or not real.
    """
    if np.ndim(coefficient):
        raise NotSupported(
            f"Observable {op} not supported on qstore.ionq: its coefficients are broadcast. "
            "Measure an observable for each."
        )
    c = complex(coefficient)
    if not np.isfinite(c):
        raise NotSupported(f"Observable {op} not supported on qstore.ionq: not finite.")
    if abs(c.imag) > 1e-8 * max(1.0, abs(c)):
        raise not_hermitian(op)
    return c.real


def not_hermitian(op: Operator) -> NotSupported:
    """Return the error for an observable that is not Hermitian."""
    return NotSupported(f"Observable {op} not supported on qstore.ionq: not Hermitian.")


def matrix_of(op: Operator) -> ComplexArray:
    """Return an observable's matrix, shape (2 ** wires, 2 ** wires).

    Raises:
        NotSupported: it has none, or is not one of qubits.
    """
    try:
        matrix = np.asarray(matrix_on(op, op.wires))
    except (qml.exceptions.MatrixUndefinedError, ValueError) as error:
        raise NotSupported(f"Observable {op} not supported on qstore.ionq: {error}") from error
    if matrix.shape != (2 ** len(op.wires),) * 2:
        raise NotSupported(f"Observable {op} not supported on qstore.ionq: not one of qubits.")
    return matrix


def eigenbasis_gates(op: Operator) -> Sequence[Operator]:
    """Return gates after which outcome ``i`` has the ``i``-th of an observable's eigenvalues.

    Args:
        op: the observable; the order is that of ``op.eigvals()``.

    Returns:
        PennyLane's diagonalizing gates, or a unitary where those are wrong: from products that
        meet on a wire it makes matrices that are not unitary, and it takes a sum's eigenvectors
        for those of the same sum in another order, whose wires come in another order.

    Raises:
        NotSupported: the observable is not Hermitian, where that has to be known.
        DiagGatesUndefinedError: PennyLane does not diagonalise it.
    """
    gates: Sequence[Operator] = op.diagonalizing_gates()
    if not any(isinstance(gate, qml.QubitUnitary) for gate in gates):
        return gates
    matrix, values = matrix_of(op), np.asarray(op.eigvals())
    turn = np.asarray(qml.matrix(QuantumScript(gates), wire_order=op.wires))
    if np.allclose(turn @ matrix, values[:, None] * turn) and _is_unitary(turn):
        return gates
    if not np.allclose(matrix, matrix.conj().T, atol=1e-8):
        raise not_hermitian(op)
    vectors = np.empty_like(matrix)
    vectors[:, np.argsort(values.real)] = np.linalg.eigh(matrix)[1]
    return [qml.QubitUnitary(vectors.conj().T, wires=op.wires)]


def _is_unitary(matrix: ComplexArray) -> bool:
    return bool(np.allclose(matrix @ matrix.conj().T, np.eye(len(matrix)), atol=1e-8))


def pauli_letters(op: Operator) -> Mapping[Any, str] | None:
    """Return the letter on each wire of a multiple of a Pauli word without identities, or None.

    Read off the operator as it is written: a sum may be a multiple of a word, but PennyLane sorts
    its eigenvalues, and with them the probabilities, in another way.
    """
    if isinstance(op, (qml.PauliX, qml.PauliY, qml.PauliZ)):
        return {op.wires[0]: type(op).__name__[-1]}
    if isinstance(op, SProd):
        return pauli_letters(op.base)
    if not isinstance(op, Prod) or op.has_overlapping_wires:
        return None
    together: dict[Any, str] = {}
    for operand in op.operands:
        letters = pauli_letters(operand)
        if letters is None:
            return None
        together.update(letters)
    return together
