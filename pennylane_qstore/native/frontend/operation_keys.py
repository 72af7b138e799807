"""Keys of operations: all that fixes an operation but its parameters."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pennylane as qml
from pennylane.operation import Operator
from pennylane.ops.op_math import (
    Adjoint,
    CompositeOp,
    Controlled,
    Evolution,
    Exp,
    SProd,
    SymbolicOp,
)

from pennylane_qstore.native.frontend.decompose import ELEMENTARY

_PLAIN = frozenset(
    (
        *(qml.CCZ, qml.CH, qml.CRot, qml.CSWAP, qml.DoubleExcitation, qml.DoubleExcitationMinus),
        *(qml.DoubleExcitationPlus, qml.ECR, qml.FermionicSWAP, qml.ISWAP, qml.IsingXY),
        *(qml.MultiRZ, qml.OrbitalRotation, qml.PSWAP, qml.QFT, qml.SISWAP, qml.SQISW),
        *(qml.SingleExcitation, qml.SingleExcitationMinus, qml.SingleExcitationPlus, qml.Toffoli),
        qml.SimplifiedTwoDesign,
    )
)
"""Operations fixed by their type, wires and parameters alone."""

_NAMED: Mapping[type, tuple[str, ...]] = {
    qml.AngleEmbedding: ("rotation",),
    qml.BasicEntanglerLayers: ("rotation",),
    qml.IQPEmbedding: ("n_repeats", "pattern"),
    qml.MultiControlledX: ("control_values",),
    qml.PauliRot: ("pauli_word",),
    qml.QAOAEmbedding: ("local_field",),
    qml.StronglyEntanglingLayers: ("ranges", "imprimitive"),
}
"""Operations fixed by these hyperparameters too."""

_NDIM: Mapping[type, tuple[int, ...]] = {
    qml.AngleEmbedding: (1,),
    qml.BasicEntanglerLayers: (2,),
    qml.IQPEmbedding: (1,),
    qml.QAOAEmbedding: (1, 2),
    qml.SimplifiedTwoDesign: (1, 3),
    qml.StronglyEntanglingLayers: (3,),
}
"""Dimensions of one row's parameters where PennyLane's ``ndim_params`` counts the batch in."""

_CONTROLLED = frozenset(kind for kind in ELEMENTARY if issubclass(kind, Controlled))
"""Elementary gates with controls."""


def operation_key(op: Operator, wires: Mapping[Any, int]) -> Hashable | None:
    """Return the key of an operation, or None where its values are part of it.

    Args:
        op: an operation of a tape.
        wires: index of each wire label.

    Returns:
        A hashable key.
    """
    kind = type(op)
    on = wire_indices(op, wires)
    if kind in ELEMENTARY or kind in _PLAIN or kind in _NAMED:
        names = _NAMED.get(kind, ())
        named = tuple([_frozen(op.hyperparameters[name]) for name in names])
        if kind is qml.MultiControlledX and op.work_wires:
            named += _work_wires(op, wires)
        return kind, on, named, row_shapes(op)
    if isinstance(op, qml.QubitUnitary):
        matrix = np.asarray(op.data[0])
        if matrix.ndim == 2 and len(on) <= 2:
            return kind, on, np.ascontiguousarray(matrix, dtype=complex).tobytes()
        return None
    if isinstance(op, Adjoint):
        base = operation_key(op.base, wires)
        return None if base is None or isinstance(op.base, qml.QubitUnitary) else ("adjoint", base)
    if isinstance(op, Controlled):
        base = operation_key(op.base, wires)
        if base is None or isinstance(op.base, qml.QubitUnitary):
            return None
        spare = _work_wires(op, wires) if op.work_wires else ()
        return "controlled", kind, on, tuple(op.control_values), spare, base
    return None


def _work_wires(op: Controlled, wires: Mapping[Any, int]) -> tuple[Hashable, ...]:
    return op.work_wire_type, tuple([wires.get(w) for w in op.work_wires])


def wire_indices(op: Operator, wires: Mapping[Any, int]) -> tuple[int, ...]:
    """Return the indices of an operation's wires, its controls first.

    Args:
        op: an operation of a tape.
        wires: index of each wire label.

    Returns:
        One index per wire.
    """
    if type(op) in _CONTROLLED:  # which would put them together anew
        return tuple([wires[w] for w in (*op.control_wires, *op.target_wires)])
    return tuple([wires[w] for w in op.wires])


def _frozen(value: Any) -> Hashable:
    if isinstance(value, (list, tuple, np.ndarray)):
        return tuple([_frozen(v) for v in value])
    try:
        hash(value)
    except TypeError:
        return repr(value)
    return value  # type: ignore[no-any-return]


def row_shapes(op: Operator) -> tuple[tuple[int, ...], ...]:
    """Return the shapes of an operation's parameters without the batch dimension."""
    shapes = [(np.shape(d), n) for d, n in zip(op.data, row_ndims(op), strict=True)]
    return tuple([shape[len(shape) - n :] for shape, n in shapes])


def row_ndims(op: Operator) -> tuple[int, ...]:
    """Return the dimensions of an operation's parameters without the batch dimension."""
    kind = type(op)
    if kind in ELEMENTARY:
        return (0,) * ELEMENTARY[kind]
    if kind in _NDIM:
        return _NDIM[kind]
    if isinstance(op, CompositeOp):
        return tuple(n for operand in op for n in row_ndims(operand))
    if isinstance(op, Evolution):  # which does not count its generator's
        return (0,)
    if isinstance(op, (Exp, SProd)):
        return (0, *row_ndims(op.base))
    if isinstance(op, SymbolicOp):
        return row_ndims(op.base)
    return tuple(op.ndim_params)
