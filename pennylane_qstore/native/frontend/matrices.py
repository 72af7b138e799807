"""Matrices of operators, products and exponentials of which are computed here.

PennyLane (0.45) takes the wires of a product whose factors meet on some for another order than
that of the matrix it computes: ``qml.prod(S(2), RX(0.3, 1), CNOT([2, 0]))`` has another's matrix.
Of an exponential with a trained autograd coefficient it makes one that is not unitary, from
eigenvalues and gates whose orders differ.
"""

from __future__ import annotations

import functools

import numpy as np
import pennylane as qml
from pennylane.operation import Operator
from pennylane.ops import LinearCombination, Prod, SProd, Sum
from pennylane.ops.op_math import Adjoint, Controlled, ControlledOp, Exp, Pow
from pennylane.wires import Wires
from scipy.linalg import expm, fractional_matrix_power

from pennylane_qstore.errors import CompileError
from pennylane_qstore.native.frontend.program import ComplexArray


def unitary(op: Operator) -> ComplexArray:
    """Return the checked matrix of a QubitUnitary, or diagonal of a DiagonalQubitUnitary.

    Raises:
        CompileError: it is not unitary (or not finite).
    """
    matrix = np.asarray(op.data[0], dtype=complex)
    if isinstance(op, qml.DiagonalQubitUnitary):
        fine = np.allclose(np.abs(matrix) ** 2, 1, atol=1e-5)
    else:
        product = matrix @ np.swapaxes(matrix.conj(), -1, -2)
        fine = np.allclose(product, np.eye(matrix.shape[-1]), atol=1e-5)
    if not fine:
        raise CompileError(
            f"{op.name} on wires {op.wires.tolist()} has a matrix that is not unitary. Nothing "
            "was sent."
        )
    return matrix


def matrix_on(op: Operator, order: Wires) -> ComplexArray:
    """Return an operator's matrix, whatever it is made of.

    Args:
        op: the operator.
        order: wires, those of the operator among them.

    Returns:
        Shape (2 ** wires, 2 ** wires), or of a batch (rows, 2 ** wires, 2 ** wires).

    Raises:
        MatrixUndefinedError: the operator, or one of its parts, has none.
    """
    if isinstance(op, Prod):
        return functools.reduce(np.matmul, [matrix_on(factor, order) for factor in op.operands])
    if isinstance(op, (Sum, LinearCombination)):
        terms = zip(*op.terms(), strict=True)
        return np.asarray(sum(c * matrix_on(term, order) for c, term in terms))
    if isinstance(op, SProd):
        return np.asarray(op.scalar)[..., None, None] * matrix_on(op.base, order)
    if isinstance(op, Exp):
        coefficients = np.asarray(op.coeff, dtype=complex)
        return np.asarray(expm(coefficients[..., None, None] * matrix_on(op.base, order)))
    if isinstance(op, Adjoint):
        return matrix_on(op.base, order).conj().swapaxes(-1, -2)
    if isinstance(op, Pow):
        base = matrix_on(op.base, order)
        powers = [fractional_matrix_power(m, op.z) for m in base.reshape(-1, *base.shape[-2:])]
        return np.reshape(powers, base.shape)
    if type(op) in (Controlled, ControlledOp):
        return _controlled(op, order)
    return np.asarray(qml.matrix(op, wire_order=order))


def _controlled(op: Controlled, order: Wires) -> ComplexArray:
    block = matrix_on(op.base, op.base.wires)
    size, controls = block.shape[-1], len(op.control_wires)
    matrix = np.zeros((*block.shape[:-2], size << controls, size << controls), complex)
    matrix[...] = np.eye(size << controls)
    first = size * sum(1 << i for i, value in enumerate(reversed(op.control_values)) if value)
    matrix[..., first : first + size, first : first + size] = block
    return np.asarray(qml.math.expand_matrix(matrix, op.control_wires + op.base.wires, order))
