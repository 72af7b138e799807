"""What stays the same from step to step: the structure of a tape, apart from its parameters.

A tape is split into a hashable *key* and a matrix of *parameters* ``[rows, P]``: one row, or
one per element of the batch. Tapes with equal keys have the same :class:`Program`, a list of
elementary gates whose angles are affine in the parameters, so that the compiler sees each
structure once. What cannot be keyed without its values is decomposed first, value by value.

Why keys are built by hand: ``tape.hash`` holds the parameters, PennyLane's hyperparameters
are not always hashable, and from 0.46 on pytree structures no longer hold the wires.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

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
from pennylane.queuing import QueuingManager
from pennylane.tape import QuantumScript

from pennylane_qstore.errors import CompileError
from pennylane_qstore.native.frontend.decompose import (
    DROPPED,
    ELEMENTARY,
    dense,
    elementary,
    rebound,
    unitary,
)
from pennylane_qstore.native.frontend.program import Affine, ComplexArray, FloatArray, Gate, Program

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

_SNAP = 96
"""Denominator of the rational factors in PennyLane's decompositions (halves, thirds, ...)."""


class Split(NamedTuple):
    """Rows of one structure: its key, parameters ``[rows, P]``, and the operations behind it."""

    key: Hashable
    parameters: FloatArray
    operations: tuple[Operator, ...]
    batched: bool


def standard_order(tape: QuantumScript) -> Sequence[Any]:
    """Wires in the order in which PennyLane's devices without wires of their own measure all.

    Wires 0, 1, 2, ... ascend, those of operations first; other labels come as they come.
    """
    operated, every = tape.op_wires, tape.wires
    if all(set(some) == set(range(len(some))) for some in (operated, every)):
        return range(len(every))
    return every  # type: ignore[no-any-return]


def split(tape: QuantumScript, wires: Mapping[Any, int]) -> list[Split]:
    """Split a tape into structure and parameters.

    Args:
        tape: the tape; a broadcast tape of batch size B gives B rows.
        wires: index of each wire label.

    Returns:
        One piece, or, where a broadcast operation decomposes differently for each element of
        the batch, one piece per element, in order.

    Raises:
        CompileError: a parameter is not finite, or an operation is unknown and PennyLane
            cannot decompose it.
    """
    piece = _split(tape.operations, wires)
    return [piece] if piece is not None else _decomposed(tape.operations, wires)


def program(piece: Split, wires: Mapping[Any, int]) -> Program:
    """The elementary gates of a structure, angles affine in its parameters.

    Composite operations are expanded by PennyLane at probe points (one for the constant, one
    per parameter) and checked at a random one.

    Raises:
        CompileError: an operation has no decomposition.
        NotAffine: an angle is not affine in the parameters.
    """
    gates: list[Gate] = []
    first = 0
    for op in piece.operations:
        shapes = _row_shapes(op)
        count = sum(int(np.prod(shape)) for shape in shapes)
        if isinstance(op, qml.QubitUnitary):
            count = 0
        gates += _gates(op, shapes, first, count, wires)
        first += count
    return Program(len(wires), tuple(gates), first)


class NotAffine(Exception):  # noqa: N818
    """An operation whose decomposition is not affine in its parameters."""


def expand(piece: Split, wires: Mapping[Any, int]) -> list[Split]:
    """The same rows with every composite operation decomposed at its own values.

    Returns:
        As :func:`split`: one piece, or one per row.
    """
    pieces = _decomposed(piece.operations, wires)
    return [found._replace(batched=piece.batched) for found in pieces]


def _decomposed(operations: Sequence[Operator], wires: Mapping[Any, int]) -> list[Split]:
    """Pieces of the decomposition, row by row where there is none of the whole batch."""
    batch: int | None = None
    operations = [dense(op) for op in operations]
    for op in operations:
        for value, ndim in zip(op.data, _ndims(op), strict=True):
            if np.ndim(value) > ndim:
                batch = _same_batch(batch, len(value))
    try:
        piece = _split(tuple(elementary(operations)), wires, batch)
    except Exception:
        if batch is None:
            raise
        piece = None  # whatever PennyLane raises where a decomposition by values meets a batch
    if piece is not None:
        return [piece]
    rows = ([_row(op, i) for op in operations] for i in range(batch or 0))
    pieces = [_split(tuple(elementary(row)), wires) for row in rows]
    if not pieces or any(found is None for found in pieces):
        raise CompileError("An operation decomposes into gates that cannot be batched.")
    return [found._replace(batched=True) for found in pieces if found is not None]


def _row(op: Operator, i: int) -> Operator:
    """An operation at one element of its batch."""
    data = [d[i] if np.ndim(d) > n else d for d, n in zip(op.data, _ndims(op), strict=True)]
    with QueuingManager.stop_recording():
        return rebound(op, data)


# --- keys and parameters -------------------------------------------------------------------


def _split(
    operations: Sequence[Operator], wires: Mapping[Any, int], batch: int | None = None
) -> Split | None:
    keys: list[Hashable] = []
    kept: list[Operator] = []
    rows = _Rows(batch)
    for op in operations:
        kind = type(op)
        if kind in DROPPED:
            if op.data and op.batch_size:
                rows.batch = _same_batch(rows.batch, op.batch_size)
            continue
        kept.append(op)
        if kind in ELEMENTARY:
            keys.append((kind, _on(op, wires)))
        else:
            key = _key(op, wires)
            if key is None:
                return None
            keys.append(key)
            if kind is qml.QubitUnitary:  # part of its key
                continue
        if op.data:
            rows.add(op)
    parameters = rows.matrix()
    if not np.isfinite(parameters).all():
        _refuse_not_finite(kept)
    return Split(tuple(keys), parameters, tuple(kept), rows.batch is not None)


class _Rows:
    """Parameters of operations, as they come.

    Args:
        batch: number of rows, as far as it is known.
    """

    def __init__(self, batch: int | None) -> None:
        self.batch = batch
        self._parts: list[Any] = [[]]  # numbers that follow each other, and arrays (rows, n)

    def add(self, op: Operator) -> None:
        """Take the parameters of the next operation."""
        for value, ndim in zip(op.data, _ndims(op), strict=True):
            if isinstance(value, float):
                self._parts[-1].append(value)
                continue
            array = _real(value, op)
            if array.ndim > ndim + 1:
                raise CompileError(
                    f"{op.name} has a parameter of shape {array.shape}: one dimension more than "
                    f"its own {ndim} can be a batch, {array.ndim - ndim} cannot. Nothing was sent."
                )
            rows = 1
            if array.ndim > ndim:
                self.batch = _same_batch(self.batch, len(array))
                rows = len(array)
            self._parts += [array.reshape(rows, -1), []]

    def matrix(self) -> FloatArray:
        """All parameters, ``[rows, P]``."""
        parts = [np.array([p]) if isinstance(p, list) else p for p in self._parts if len(p)]
        if self.batch is not None:
            parts = [np.broadcast_to(part, (self.batch, part.shape[1])) for part in parts]
        return np.concatenate(parts, axis=1) if parts else np.zeros((self.batch or 1, 0))


def _real(value: Any, op: Operator) -> FloatArray:
    array = np.asarray(value)
    if array.dtype.char == "d":  # quicker than to compare types
        return array
    if array.dtype.kind in "fiub" or (array.dtype.kind == "c" and not array.imag.any()):
        return array.real.astype(float)
    raise CompileError(
        f"{op.name} has a parameter that is not a real number: {str(value)[:80]}. Nothing was sent."
    )


def _same_batch(batch: int | None, size: int) -> int:
    if not size:
        raise CompileError("An operation is broadcast over an empty batch. Nothing was sent.")
    if batch is not None and batch != size:
        raise CompileError(f"Operations are broadcast over different batches: {batch} and {size}.")
    return size


def _key(op: Operator, wires: Mapping[Any, int]) -> Hashable | None:
    """Key of an operation, or None where it cannot be keyed without its values."""
    kind = type(op)
    on = _on(op, wires)
    if kind in ELEMENTARY or kind in _PLAIN or kind in _NAMED:
        names = _NAMED.get(kind, ())
        named = tuple([_frozen(op.hyperparameters[name]) for name in names])
        return kind, on, named, _row_shapes(op)
    if isinstance(op, qml.QubitUnitary):
        matrix = np.asarray(op.data[0])
        if matrix.ndim == 2 and len(on) <= 2:
            return kind, on, np.ascontiguousarray(matrix, dtype=complex).tobytes()
        return None
    if isinstance(op, Adjoint):
        base = _key(op.base, wires)
        return None if base is None or isinstance(op.base, qml.QubitUnitary) else ("adjoint", base)
    if isinstance(op, Controlled):
        base = _key(op.base, wires)
        if base is None or isinstance(op.base, qml.QubitUnitary):
            return None
        return "controlled", kind, on, tuple(op.control_values), base
    return None


def _on(op: Operator, wires: Mapping[Any, int]) -> tuple[int, ...]:
    """Indices of an operation's wires, its controls first."""
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


def _row_shapes(op: Operator) -> tuple[tuple[int, ...], ...]:
    """Shapes of an operation's parameters without the batch dimension."""
    shapes = [(np.shape(d), n) for d, n in zip(op.data, _ndims(op), strict=True)]
    return tuple([shape[len(shape) - n :] for shape, n in shapes])


def _ndims(op: Operator) -> tuple[int, ...]:
    kind = type(op)
    if kind in ELEMENTARY:
        return (0,) * ELEMENTARY[kind]
    if kind in _NDIM:
        return _NDIM[kind]
    if isinstance(op, CompositeOp):
        return tuple(n for operand in op for n in _ndims(operand))
    if isinstance(op, Evolution):  # which does not count its generator's
        return (0,)
    if isinstance(op, (Exp, SProd)):
        return (0, *_ndims(op.base))
    if isinstance(op, SymbolicOp):
        return _ndims(op.base)
    return tuple(op.ndim_params)


def _refuse_not_finite(operations: Sequence[Operator]) -> None:
    for op in operations:
        for value in op.data:
            if not np.isfinite(np.asarray(value)).all():
                raise CompileError(
                    f"{op.name} on wires {op.wires.tolist()} has a parameter that is not finite "
                    "(NaN or infinite). Nothing was sent; look at where the value comes from."
                )


# --- expansion -----------------------------------------------------------------------------


def _gates(
    op: Operator,
    shapes: Sequence[tuple[int, ...]],
    first: int,
    count: int,
    wires: Mapping[Any, int],
) -> list[Gate]:
    if type(op) in ELEMENTARY:
        on = tuple(wires[w] for w in op.wires)
        angles = tuple(Affine(((first + i, 1.0),)) for i in range(count))
        return [Gate(op.name, on, angles)]
    if not count:
        return [_constant(inner, wires) for inner in elementary([op])]
    return _probed(op, shapes, first, count, wires)


def _constant(op: Operator, wires: Mapping[Any, int]) -> Gate:
    on = tuple(wires[w] for w in op.wires)
    if isinstance(op, qml.QubitUnitary):
        return Gate("QubitUnitary", on, (), unitary(op))
    return Gate(op.name, on, tuple(Affine((), float(np.asarray(d))) for d in op.data))


def _probed(
    op: Operator,
    shapes: Sequence[tuple[int, ...]],
    first: int,
    count: int,
    wires: Mapping[Any, int],
) -> list[Gate]:
    check = np.random.default_rng(17).uniform(-3, 3, (1, count))
    probes = np.concatenate([np.zeros((1, count)), np.eye(count), check])
    names, values, matrices = _expand_at(op, shapes, probes, wires)
    constant = values[0]
    factors = values[1:-1] - constant
    snapped = np.round(factors * _SNAP) / _SNAP
    factors = np.where(np.abs(factors - snapped) < 1e-11, snapped, factors)
    if not np.allclose(constant + (check @ factors)[0], values[-1], rtol=0, atol=1e-9):
        raise NotAffine(op.name)
    gates, k = [], 0
    for (name, on, n), matrix in zip(names, matrices, strict=True):
        angles = tuple(
            Affine(
                tuple(
                    (first + int(i), float(factors[i, s])) for i in np.flatnonzero(factors[:, s])
                ),
                float(constant[s]),
            )
            for s in range(k, k + n)
        )
        k += n
        gates.append(Gate(name, on, angles, matrix))
    return gates


def _expand_at(
    op: Operator,
    shapes: Sequence[tuple[int, ...]],
    probes: FloatArray,
    wires: Mapping[Any, int],
) -> tuple[list[tuple[str, tuple[int, ...], int]], FloatArray, list[ComplexArray | None]]:
    """Names, angles ``[probes, slots]`` and constant matrices of the expansion at each probe."""
    expanded = _expanded_at(op, shapes, probes)
    described = [
        [(inner.name, tuple(wires[w] for w in inner.wires)) for inner in operations]
        for operations in expanded
    ]
    if any(d != described[0] for d in described):
        raise NotAffine(op.name)
    matrices: list[ComplexArray | None] = []
    names, columns = [], []
    for i, inner in enumerate(expanded[0]):
        values = [[np.asarray(d) for d in operations[i].data] for operations in expanded]
        matrix = None
        if isinstance(inner, qml.QubitUnitary):
            matrix = np.asarray(values[0][0], dtype=complex)
            if not all(np.allclose(v[0], matrix, rtol=0, atol=1e-12) for v in values):
                raise NotAffine(op.name)
        n = 0 if matrix is not None else len(inner.data)
        for slot in range(n):
            column = np.array([v[slot] for v in values], dtype=float).reshape(-1)
            columns.append(np.broadcast_to(column, (len(probes),)))
        names.append((*described[0][i], n))
        matrices.append(matrix)
    table = np.stack(columns, axis=1) if columns else np.zeros((len(probes), 0))
    return names, table, matrices


def _expanded_at(
    op: Operator, shapes: Sequence[tuple[int, ...]], probes: FloatArray
) -> list[list[Operator]]:
    """The expansion at all probes at once, or, where the operation does not batch, at each."""
    with QueuingManager.stop_recording():
        try:
            together = list(elementary([_rebind(op, shapes, probes)]))
        except Exception:  # noqa: BLE001 - whatever it raises: it does not batch
            together = []
        if _batches(together, list(elementary([_rebind(op, shapes, probes[-1:])]))):
            return [together]
        return [list(elementary([_rebind(op, shapes, row[None])])) for row in probes]


def _batches(together: Sequence[Operator], alone: Sequence[Operator]) -> bool:
    """Whether a batched expansion has, in its last row, what the operation has there alone.

    Some operations take a leading dimension for something else than a batch.
    """
    if [(o.name, o.wires) for o in together] != [(o.name, o.wires) for o in alone]:
        return False
    pairs = [
        (np.asarray(d), np.asarray(e))
        for o, p in zip(together, alone, strict=True)
        if not isinstance(o, qml.QubitUnitary)
        for d, e in zip(o.data, p.data, strict=True)
    ]
    if not any(d.ndim == 1 for d, _ in pairs):
        return False
    return all(d.ndim <= 1 and np.allclose(d if d.ndim == 0 else d[-1], e) for d, e in pairs)


def _rebind(op: Operator, shapes: Sequence[tuple[int, ...]], rows: FloatArray) -> Operator:
    """The operation with parameters from ``rows``; batched if there is more than one row."""
    ends = list(itertools.accumulate((int(np.prod(s)) for s in shapes), initial=0))
    data = [
        rows[:, a:b].reshape((len(rows), *shape))
        for (a, b), shape in zip(itertools.pairwise(ends), shapes, strict=True)
    ]
    if len(rows) == 1:
        data = [d[0] for d in data]
    return rebound(op, data)
