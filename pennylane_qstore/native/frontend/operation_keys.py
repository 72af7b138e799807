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
from pennylane.wires import Wires

from pennylane_qstore.native.frontend.program import ELEMENTARY
from pennylane_qstore.operations import is_foreign

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
    qml.ParticleConservingU1: (3,),
    qml.ParticleConservingU2: (2,),
    qml.QAOAEmbedding: (1, 2),
    qml.SimplifiedTwoDesign: (1, 3),
    qml.StronglyEntanglingLayers: (3,),
}
"""Dimensions of one row's parameters where PennyLane's ``ndim_params`` counts the batch in."""

_SCALARS = (qml.ApproxTimeEvolution, qml.CommutingEvolution, qml.TrotterProduct)
"""Operations whose parameters are numbers, which PennyLane's ``ndim_params`` does not tell."""

KNOWN = frozenset((*ELEMENTARY, *_PLAIN, *_NAMED))
"""Operations whose angles are affine in their parameters."""

_BASE = frozenset(vars(qml.RX(0.0, 0))) | {"_batch_size", "_ndim_params", "_pauli_rep"}
"""Attributes that every operation has."""

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
    if isinstance(op, qml.operation.StatePrepBase) or any(_kind(d) not in "fiub" for d in op.data):
        return None
    try:
        return on, *_general_key(op, wires), row_shapes(op)
    except _NotHashable:
        return None


def inner_operators(op: Operator) -> list[Operator]:
    """Return the operators among an operation's options, at any depth."""
    found: list[Operator] = []
    left = list(op.hyperparameters.values())
    while left:
        item = left.pop()
        if isinstance(item, Operator):
            found.append(item)
        elif isinstance(item, (list, tuple)):
            left.extend(item)
    return found


class _NotHashable(Exception):  # noqa: N818
    """An option that fixes a circuit in a way that no key can tell."""


_SIMPLE = frozenset((bool, int, float, complex, str, bytes, type(None)))


def _general_key(op: Operator, wires: Mapping[Any, int]) -> tuple[Any, ...]:
    """Type, wires and all options of an operation or of one inside, but no parameter.

    Labels stand beside the wires' indices, since options may hold labels.
    """
    options = dict(op.hyperparameters)
    if options.get("seed", 0) is None:
        raise _NotHashable("seed")
    if is_foreign(op):  # options of its own may be attributes
        own = {k: v for k, v in vars(op).items() if k not in _BASE}
        if any(_kind(v) in "fc" for v in own.values()):
            raise _NotHashable("numbers that may be parameters")
        options.update(own)
    named = tuple([(name, _option(value, wires)) for name, value in options.items()])
    shapes = tuple([np.shape(d) for d in op.data])
    return type(op), _option(op.wires, wires), named, shapes


def _option(value: Any, wires: Mapping[Any, int]) -> Hashable:
    if type(value) in _SIMPLE or isinstance(value, type):
        return value  # type: ignore[no-any-return]
    if isinstance(value, (list, tuple)):
        if _SIMPLE.issuperset(map(type, value)):
            return tuple(value)
        return tuple([_option(v, wires) for v in value])
    if isinstance(value, Wires):
        return value.labels, tuple([wires.get(w) for w in value.labels])
    if isinstance(value, np.generic):
        return value.item()  # type: ignore[no-any-return]
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value.shape, value.dtype.str, value.tobytes()
    if isinstance(value, Mapping):
        return tuple([(_option(k, wires), _option(v, wires)) for k, v in value.items()])
    if isinstance(value, Operator):
        return _general_key(value, wires)
    raise _NotHashable(repr(value))


def _kind(value: Any) -> str:
    """Return the kind of an array's numbers, "O" for what is none."""
    if isinstance(value, (str, bytes, Operator)) or callable(value):
        return "O"
    try:
        return np.asarray(value).dtype.kind
    except (TypeError, ValueError):  # lists of different lengths
        return "O"


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
    if kind in _SCALARS:
        return (0,) * len(op.data)
    if isinstance(op, Evolution):  # which does not count its generator's
        return (0,)
    if isinstance(op, (Exp, SProd)):
        return (0, *row_ndims(op.base))
    if isinstance(op, SymbolicOp):
        return row_ndims(op.base)
    return tuple(op.ndim_params)
