"""The structure of a tape, which stays the same from step to step, apart from its parameters.

A tape is split into a hashable *key* and a matrix of *parameters* ``[rows, P]``: one row, or
one per element of the batch. Tapes with equal keys have the same :class:`Program`, a list of
elementary gates whose angles are affine in the parameters, so that the compiler sees each
structure once. What cannot be keyed without its values is decomposed first, value by value.

Why keys are built by hand: ``tape.hash`` holds the parameters, PennyLane's hyperparameters
are not always hashable, and from 0.46 on pytree structures no longer hold the wires.
"""

from __future__ import annotations

import functools
import itertools
import numbers
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pennylane as qml
from pennylane.operation import Operator
from pennylane.tape import QuantumScript

from pennylane_qstore.errors import CompileError
from pennylane_qstore.native.frontend.affine_fit import structure_key
from pennylane_qstore.native.frontend.decompose import (
    UnknownWire,
    check_gate_count,
    dense,
    elementary,
)
from pennylane_qstore.native.frontend.operation_keys import row_ndims, wire_indices
from pennylane_qstore.native.frontend.program import DROPPED, ELEMENTARY, FloatArray, StructuredTape
from pennylane_qstore.operations import with_parameters

_T = TypeVar("_T")


def standard_order(tape: QuantumScript) -> Sequence[Any]:
    """Return wires in the order in which PennyLane's devices without own wires measure all.

    Wires 0, 1, 2, ... ascend, those of operations first; other labels come as they come.
    """
    operated, every = tape.op_wires, tape.wires
    if all(set(some) == set(range(len(some))) for some in (operated, every)):
        return range(len(every))
    return every  # type: ignore[no-any-return]


def extract_structure(tape: QuantumScript, wires: Mapping[Any, int]) -> list[StructuredTape]:
    """Split a tape into structure and parameters.

    Args:
        tape: the tape; a broadcast tape of batch size B gives B rows.
        wires: index of each wire label.

    Returns:
        One item, or, where a broadcast operation decomposes differently for each element of
        the batch, one item per element, in order.

    Raises:
        CompileError: a parameter is not finite, or an operation is unknown and PennyLane
            cannot decompose it.
    """
    structured = _structured(tape.operations, wires)
    if structured is not None:
        return [structured]
    operations = [dense(op) for op in tape.operations]
    names = tuple(dict.fromkeys(op.name for op in operations if not _is_keyed(op, wires)))
    return [piece._replace(by_value=names) for piece in _decomposed(operations, wires)]


def with_every_wire(
    tape: QuantumScript, order: Sequence[Any] | None, make: Callable[[dict[Any, int]], _T]
) -> _T:
    """Make something of a tape that needs an index of each wire label.

    Args:
        tape: the tape.
        order: labels of the device's wires, or None to number the tape's own, and then those
            that decompositions bring.
        make: called with the index of each wire label.

    Returns:
        What ``make`` returned.

    Raises:
        UnknownWire: a decomposition uses a wire that the device has not.
    """
    wires = {w: i for i, w in enumerate(order or ())}
    if order is not None:
        try:  # quicker than to look first: a tape has to gather its wires
            return make(wires)
        except (KeyError, UnknownWire):  # ancillas
            pass
    for w in standard_order(tape):
        wires.setdefault(w, len(wires))
    while True:
        try:
            return make(wires)
        except UnknownWire as error:
            if order is not None:
                raise
            wires[error.wire] = len(wires)


def row_operations(
    tape: QuantumScript, order: Sequence[Any] | None = None
) -> list[list[Operator]] | None:
    """Return the operations of each row of a tape, told by PennyLane to be broadcast or not.

    Args:
        tape: the tape.
        order: labels of the device's wires, if it has any.

    Returns:
        One list per row, without operations that have no effect on outcomes; None where the
        tape is not broadcast.
    """
    pieces = with_every_wire(tape, order, functools.partial(extract_structure, tape))
    if not any(piece.batched for piece in pieces):
        return None
    return [
        [row_of(op, i) for op in piece.operations]
        for piece in pieces
        for i in range(len(piece.parameters))
    ]


def _decomposed(operations: Sequence[Operator], wires: Mapping[Any, int]) -> list[StructuredTape]:
    """The structure of the decomposition, row by row where the batch as a whole has none."""
    batch = _batch_of(operations)
    try:
        together = _structured(_decomposed_by_value(operations, wires), wires, batch)
    except Exception:
        if batch is None:
            raise
        together = None  # whatever PennyLane raises where a decomposition by values meets a batch
    if together is not None:
        return [together]
    # One that batches may have a batch that only its gates tell.
    operations = [gate for op in operations for gate in _gates_that_batch(op, wires)]
    rows = ([row_of(op, i) for op in operations] for i in range(_batch_of(operations) or 0))
    parts = [_structured(_decomposed_by_value(row, wires), wires) for row in rows]
    if not parts or any(part is None or part.batched for part in parts):
        raise CompileError(
            "A broadcast operation decomposes into gates that cannot be batched. Give its "
            "parameters one row at a time."
        )
    return [part._replace(batched=True) for part in parts if part is not None]


def _is_keyed(op: Operator, wires: Mapping[Any, int]) -> bool:
    kind = type(op)
    return kind in ELEMENTARY or kind in DROPPED or structure_key(op, wires) is not None


def _decomposed_by_value(
    operations: Sequence[Operator], wires: Mapping[Any, int]
) -> list[Operator]:
    """Decompose the operations that have no key, and no other."""
    parts = ([op] if _is_keyed(op, wires) else elementary([op], wires) for op in operations)
    gates = list(itertools.chain.from_iterable(parts))
    if operations:
        check_gate_count(len(gates), operations[-1])
    return gates


def _batch_of(operations: Sequence[Operator]) -> int | None:
    batch: int | None = None
    for op in operations:
        for value, ndim in zip(op.data, row_ndims(op), strict=True):
            if np.ndim(value) > ndim:
                batch = _same_batch(batch, len(value))
    return batch


def _gates_that_batch(op: Operator, wires: Mapping[Any, int]) -> Sequence[Operator]:
    """Return the gates of an operation; itself where it decomposes by the values of each row."""
    try:
        gates = _decomposed_by_value([op], wires)
        return [op] if _structured(gates, wires) is None else gates
    except Exception:  # noqa: BLE001 - whatever PennyLane raises: it does not batch
        return [op]


def row_of(op: Operator, i: int) -> Operator:
    """Return an operation at one element of its batch; itself where it has none.

    Args:
        op: the operation.
        i: index of the element.

    Returns:
        An operation without a batch dimension.
    """
    if all(np.ndim(d) <= n for d, n in zip(op.data, row_ndims(op), strict=True)):
        return op
    data = [d[i] if np.ndim(d) > n else d for d, n in zip(op.data, row_ndims(op), strict=True)]
    return with_parameters(op, data)


# --- keys and parameters -------------------------------------------------------------------


def _structured(
    operations: Sequence[Operator], wires: Mapping[Any, int], batch: int | None = None
) -> StructuredTape | None:
    """Rows of the operations; None where one cannot be keyed without its values."""
    keys: list[Hashable] = []
    kept: list[Operator] = []
    rows = _Rows(batch)
    for op in operations:
        kind = type(op)
        if kind in DROPPED or (kind is qml.Barrier and op.only_visual):
            if op.data and op.batch_size:
                rows.batch = _same_batch(rows.batch, op.batch_size)
            continue
        kept.append(op)
        if kind in ELEMENTARY:
            keys.append((kind, wire_indices(op, wires)))
        else:
            key = structure_key(op, wires)
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
    return StructuredTape(tuple(keys), parameters, tuple(kept), rows.batch is not None)


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
        for value, ndim in zip(op.data, row_ndims(op), strict=True):
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
    if array.dtype.kind in "OV":  # a table's column among others; bfloat16, unknown to NumPy
        array = _numbers(array)
    if array.dtype.kind in "fiub" or (array.dtype.kind == "c" and not array.imag.any()):
        return array.real.astype(float)
    raise CompileError(
        f"{op.name} has a parameter that is not a real number: {str(value)[:80]}. Nothing was sent."
    )


def _numbers(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if array.dtype.kind == "O" and not all(isinstance(v, numbers.Number) for v in array.flat):
        return array  # None would be NaN, and text a number
    for dtype in (float, complex):
        try:
            return array.astype(dtype)
        except (TypeError, ValueError, OverflowError):
            continue
    return array


def _same_batch(batch: int | None, size: int) -> int:
    if not size:
        raise CompileError("An operation is broadcast over an empty batch. Nothing was sent.")
    if batch is not None and batch != size:
        raise CompileError(f"Operations are broadcast over different batches: {batch} and {size}.")
    return size


def _refuse_not_finite(operations: Sequence[Operator]) -> None:
    for op in operations:
        for value in op.data:
            finite = np.isfinite(np.asarray(value))
            if not finite.all():
                rows = op.batch_size if finite.ndim and len(finite) == op.batch_size else None
                first = "" if rows is None else f", first in row {np.argwhere(~finite)[0, 0]}"
                raise CompileError(
                    f"{op.name} on wires {op.wires.tolist()} has a parameter that is not finite "
                    f"(NaN or infinite{first}). Nothing was sent; look at where the value comes "
                    "from."
                )
