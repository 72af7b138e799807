"""Programs from structures: elementary gates whose angles are functions of the parameters.

Composite operations are expanded by PennyLane at probe points, once per key. What fits
(:mod:`~.operation_fit`) is a template; what does not is decomposed at its values, whenever it
comes.
"""

from __future__ import annotations

import functools
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pennylane as qml
from pennylane.operation import Operator

from pennylane_qstore.native.frontend.decompose import (
    UnknownWire,
    UnsupportedOperation,
    check_gate_count,
    elementary,
)
from pennylane_qstore.native.frontend.matrices import unitary
from pennylane_qstore.native.frontend.operation_fit import Fit, Probes, parameter_count
from pennylane_qstore.native.frontend.operation_keys import (
    KNOWN,
    inner_operators,
    operation_key,
    wire_indices,
)
from pennylane_qstore.native.frontend.program import (
    ELEMENTARY,
    Affine,
    Gate,
    Program,
    StructuredTape,
)

_FITS = 4096
"""Operations whose gates are remembered."""


def structure_key(op: Operator, wires: Mapping[Any, int]) -> Hashable | None:
    """Return the key of an operation, or None where its gates depend on its values.

    Args:
        op: an operation of a tape.
        wires: index of each wire label.

    Returns:
        A hashable key; equal keys have the same gates, as functions of the parameters.

    Raises:
        CompileError: an operation without parameters has no decomposition, or one acts on a wire
            that there is not.
    """
    key = operation_key(op, wires)
    if key is None or type(op) in KNOWN or isinstance(op, qml.QubitUnitary):
        return key
    return key if _fit(_Keyed(key, op, wires)) else None


def parameter_counts(operations: Sequence[Operator]) -> list[int]:
    """Return the number of parameters that each operation of a structure has in a row."""
    return [0 if isinstance(op, qml.QubitUnitary) else parameter_count(op) for op in operations]


def program_of(structured: StructuredTape, wires: Mapping[Any, int]) -> Program:
    """Return the elementary gates of a structure, angles affine in its columns.

    Args:
        structured: rows of the structure.
        wires: index of each wire label.

    Returns:
        The program.

    Raises:
        CompileError: an operation has no decomposition.
    """
    operations, keys = structured.operations, structured.key
    counts = parameter_counts(operations)
    total, first = sum(counts), 0
    gates: list[Gate] = []
    products: list[tuple[int, ...]] = []
    for op, key, count in zip(operations, keys, counts, strict=True):
        if type(op) in ELEMENTARY:
            angles = tuple([Affine(((first + i, 1.0),)) for i in range(count)])
            gates.append(Gate(op.name, wire_indices(op, wires), angles))
        else:
            fit = _fit(_Keyed(key, op, wires))
            assert fit is not None  # noqa: S101 - or the structure would not have its key
            new = total + len(products)
            column = [*range(first, first + count), *range(new, new + len(fit.products))]
            gates += [gate.renumbered(column) for gate in fit.gates]
            products += [tuple([first + i for i in product]) for product in fit.products]
        first += count
        check_gate_count(len(gates), op)
    return Program(len(wires), tuple(gates), total + len(products), tuple(products))


def affine_program(
    piece: StructuredTape, wires: Mapping[Any, int]
) -> tuple[StructuredTape, Program]:
    """Return the program of a structure, and its rows with all columns of that program.

    Args:
        piece: rows of a structure.
        wires: index of each wire label.

    Returns:
        The structure, products of its parameters beside them, and its program.
    """
    program = program_of(piece, wires)
    return piece._replace(parameters=program.columns(piece.parameters)), program


def _constant(op: Operator, wires: Mapping[Any, int]) -> Gate:
    if isinstance(op, qml.QubitUnitary):
        return Gate("QubitUnitary", wire_indices(op, wires), (), unitary(op))
    angles = tuple([Affine((), float(np.asarray(d))) for d in op.data])
    return Gate(op.name, wire_indices(op, wires), angles)


@dataclass(frozen=True, slots=True)
class _Keyed:
    """An operation that is the same as any other of its key."""

    key: Hashable
    op: Operator = field(compare=False)
    wires: Mapping[Any, int] = field(compare=False)


def _work_wires(op: Operator) -> list[Any]:
    """Work wires of an operation and of those inside; its key tells them."""
    every = [op, *inner_operators(op)]
    return [w for o in every for w in o.hyperparameters.get("work_wires") or ()]


@functools.lru_cache(maxsize=_FITS)
def _fit(keyed: _Keyed) -> Fit | None:
    """Return the gates of an operation; None where they depend on its values."""
    op, wires = keyed.op, keyed.wires
    if isinstance(op, qml.QubitUnitary) or not parameter_count(op):
        fit = Fit(tuple([_constant(inner, wires) for inner in elementary([op], wires)]))
    else:
        try:
            with np.errstate(all="ignore"):  # of values that it is not made for
                fit = Probes(op, wires).fit()
        except (UnknownWire, UnsupportedOperation):
            raise
        except Exception:  # noqa: BLE001 - whatever it raises at values that are not its own
            return None
    inside = {wires.get(w) for w in (*op.wires, *_work_wires(op))}
    return fit if all(inside.issuperset(gate.wires) for gate in fit.gates) else None
