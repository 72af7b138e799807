"""Recognition of folded circuits, U U† U, whose folds the compiler cancels."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pennylane as qml
from pennylane.operation import Operator
from pennylane.ops.op_math import Adjoint
from pennylane.queuing import QueuingManager

from pennylane_qstore.native.frontend.matrices import matrix_on

_MOST_WIRES = 3
"""Operations on more wires are compared without their matrices."""


def warn_of_folds(operations: Sequence[Operator]) -> None:
    """Warn of a circuit that is folded before it is compiled.

    Args:
        operations: of one tape.
    """
    if is_folded(operations):
        warnings.warn(
            "This circuit is folded (U U† U), as qml.noise.fold_global, mitigate_with_zne or "
            "mitiq do: the compiler cancels the folds, so that the noise stays what it was and an "
            "extrapolation is worse than none. Use qstore.zne(qnode, scales=(1, 3, 5)), or "
            "folding=qstore.transforms.fold_native, which fold the compiled circuit.",
            UserWarning,
            stacklevel=2,
        )


def is_folded(operations: Sequence[Operator]) -> bool:
    """Return True where some gates with an entangler are followed by their inverse and themselves.

    Args:
        operations: of one tape.
    """
    ops = [op for op in operations if len(op.wires)]
    with QueuingManager.stop_recording():
        for center in range(1, len(ops) - 1):
            length = 0
            while length < min(center, len(ops) - center) and _are_inverse(
                ops[center - 1 - length], ops[center + length]
            ):
                length += 1
            before = ops[center - length : center]
            again = ops[center + length : center + 2 * length]
            if (
                len(again) == length > 0
                and any(len(op.wires) > 1 for op in before)
                and all(map(_are_equal, before, again))
            ):
                return True
    return False


def _are_equal(a: Operator, b: Operator) -> bool:
    return bool(qml.equal(a, b, check_interface=False, check_trainability=False))


def _are_inverse(a: Operator, b: Operator) -> bool:
    if set(a.wires) != set(b.wires):
        return False
    if any(isinstance(y, Adjoint) and _are_equal(y.base, x) for x, y in ((a, b), (b, a))):
        return True
    if len(a.wires) > _MOST_WIRES or not (a.has_matrix and b.has_matrix):
        return False
    one, other = (np.asarray(matrix_on(op, a.wires), dtype=complex) for op in (a, b))
    product = one @ other
    return bool(np.allclose(product, np.eye(2 ** len(a.wires)) * product[..., :1, :1], atol=1e-9))
