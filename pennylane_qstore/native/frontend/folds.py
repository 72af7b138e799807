"""Recognition of folded circuits, U U† U, whose folds the compiler cancels."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pennylane as qml
from pennylane.operation import Operator
from pennylane.ops.op_math import Adjoint
from pennylane.queuing import QueuingManager
from pennylane.wires import Wires

from pennylane_qstore.native.frontend.matrices import matrix_on

_MOST_WIRES = 3
"""Operations on more wires are compared without their matrices."""

_Stacks = defaultdict[Any, list[Operator]]
"""Operations by wire, the latest on top."""


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

    Wire by wire: gates on other wires may stand between, as mitiq writes them, moment by moment.

    Args:
        operations: of one tape.
    """
    standing: _Stacks = defaultdict(list)
    undone: _Stacks = defaultdict(list)
    entangled: set[Any] = set()  # wires on which an entangler has come again
    with QueuingManager.stop_recording():
        for op in map(_plain, operations):
            if (before := _last_on(op.wires, undone)) is not None and _are_equal(before, op):
                for wire in op.wires:
                    undone[wire].pop()
                    if len(op.wires) > 1:
                        entangled.add(wire)
                if not (any(undone[wire] for wire in op.wires) or entangled.isdisjoint(op.wires)):
                    return True
            elif (last := _last_on(op.wires, standing)) is not None and _are_inverse(last, op):
                for wire in op.wires:
                    undone[wire].append(standing[wire].pop())
                continue
            else:
                for wire in op.wires:
                    undone[wire].clear()
                    entangled.discard(wire)
            for wire in op.wires:
                standing[wire].append(op)
    return False


def _plain(op: Operator) -> Operator:
    """Return the base of an adjoint that it is equal to, such as a CNOT."""
    return op.base if isinstance(op, Adjoint) and _are_inverse(op.base, op.base) else op


def _last_on(wires: Wires, stacks: _Stacks) -> Operator | None:
    """Return the operation that is on top of all these wires' stacks, and of no other."""
    tops = [stacks[wire][-1] for wire in wires if stacks[wire]]
    if not tops or len(tops) < len(wires) or any(top is not tops[0] for top in tops):
        return None
    return tops[0] if len(tops[0].wires) == len(wires) else None


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
