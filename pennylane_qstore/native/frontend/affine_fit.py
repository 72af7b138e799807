"""Programs from structures: elementary gates whose angles are affine in the parameters.

Composite operations are expanded by PennyLane at probe points (one for the constant, one per
parameter), the angles fitted, and the fit checked at a random point.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pennylane as qml
from pennylane.operation import Operator
from pennylane.queuing import QueuingManager

from pennylane_qstore.native.frontend.decompose import ELEMENTARY, elementary, unitary
from pennylane_qstore.native.frontend.program import Affine, ComplexArray, FloatArray, Gate, Program
from pennylane_qstore.native.frontend.structure import StructuredTape, expand_by_value, row_shapes
from pennylane_qstore.operations import with_parameters

_SNAP = 96
"""Denominator of the rational factors in PennyLane's decompositions (halves, thirds, ...)."""


class NotAffine(Exception):  # noqa: N818
    """An operation whose decomposition is not affine in its parameters."""


def program_of(structured: StructuredTape, wires: Mapping[Any, int]) -> Program:
    """Return the elementary gates of a structure, angles affine in its parameters.

    Args:
        structured: rows of the structure.
        wires: index of each wire label.

    Returns:
        The program.

    Raises:
        CompileError: an operation has no decomposition.
        NotAffine: an angle is not affine in the parameters.
    """
    gates: list[Gate] = []
    first = 0
    for op in structured.operations:
        shapes = row_shapes(op)
        count = sum(int(np.prod(shape)) for shape in shapes)
        if isinstance(op, qml.QubitUnitary):  # its matrix is part of the structure
            count = 0
        if type(op) in ELEMENTARY:
            angles = tuple(Affine(((first + i, 1.0),)) for i in range(count))
            gates.append(Gate(op.name, _on(op, wires), angles))
        elif not count:
            gates += [_constant(inner, wires) for inner in elementary([op], wires)]
        else:
            gates += _AffineFit(op, shapes, count, wires).gates(first)
        first += count
    return Program(len(wires), tuple(gates), first)


def affine_program(
    piece: StructuredTape, wires: Mapping[Any, int]
) -> tuple[StructuredTape, Program]:
    """Return the program of a structure, decomposed at its values where that is not affine.

    Args:
        piece: a structure with one row of parameters.
        wires: index of each wire label.

    Returns:
        The structure, expanded where it had to be, and its program.
    """
    try:
        return piece, program_of(piece, wires)
    except NotAffine:
        (piece,) = expand_by_value(piece, wires)
        return piece, program_of(piece, wires)


def _on(op: Operator, wires: Mapping[Any, int]) -> tuple[int, ...]:
    return tuple(wires[w] for w in op.wires)


def _constant(op: Operator, wires: Mapping[Any, int]) -> Gate:
    if isinstance(op, qml.QubitUnitary):
        return Gate("QubitUnitary", _on(op, wires), (), unitary(op))
    angles = tuple(Affine((), float(np.asarray(d))) for d in op.data)
    return Gate(op.name, _on(op, wires), angles)


class _Sampled(NamedTuple):
    """A gate of the expansion: its angles ``[probes, n]``, or its constant matrix."""

    name: str
    on: tuple[int, ...]
    angles: FloatArray
    matrix: ComplexArray | None


class _AffineFit:
    """The elementary gates of one operation, fitted as functions of its parameters.

    Args:
        op: the operation.
        shapes: shapes of its parameters, without the batch dimension.
        count: number of its parameters.
        wires: index of each wire label.
    """

    def __init__(
        self,
        op: Operator,
        shapes: Sequence[tuple[int, ...]],
        count: int,
        wires: Mapping[Any, int],
    ) -> None:
        self._op, self._shapes, self._wires = op, shapes, wires
        self._check = np.random.default_rng(17).uniform(-3, 3, (1, count))
        self._probes = np.concatenate([np.zeros((1, count)), np.eye(count), self._check])

    def gates(self, first: int) -> list[Gate]:
        """Return the gates; the operation's parameters are those from index ``first`` on."""
        return [
            Gate(gate.name, gate.on, self._fitted(gate.angles, first), gate.matrix)
            for gate in self._sampled()
        ]

    def _fitted(self, angles: FloatArray, first: int) -> tuple[Affine, ...]:
        constant = angles[0]
        factors = angles[1:-1] - constant
        snapped = np.round(factors * _SNAP) / _SNAP
        factors = np.where(np.abs(factors - snapped) < 1e-11, snapped, factors)
        fitted = constant + (self._check @ factors)[0]
        if not np.allclose(fitted, angles[-1], rtol=0, atol=1e-9):
            raise NotAffine(self._op.name)
        return tuple(
            Affine(tuple((first + int(i), float(f[i])) for i in np.flatnonzero(f)), float(c))
            for f, c in zip(factors.T, constant, strict=True)
        )

    def _sampled(self) -> Iterator[_Sampled]:
        """The gates of the expansion, which must be the same at every probe."""
        expansions = self._expansions()
        described = [[(op.name, _on(op, self._wires)) for op in ops] for ops in expansions]
        if any(other != described[0] for other in described):
            raise NotAffine(self._op.name)
        for i, (name, on) in enumerate(described[0]):
            data = [[np.asarray(value) for value in ops[i].data] for ops in expansions]
            if isinstance(expansions[0][i], qml.QubitUnitary):
                matrix = np.asarray(data[0][0], dtype=complex)
                if not all(np.allclose(d[0], matrix, rtol=0, atol=1e-12) for d in data):
                    raise NotAffine(self._op.name)
                yield _Sampled(name, on, np.zeros((len(self._probes), 0)), matrix)
                continue
            angles = np.zeros((len(self._probes), len(data[0])))
            for slot in range(len(data[0])):
                angles[:, slot] = np.array([d[slot] for d in data], dtype=float).reshape(-1)
            yield _Sampled(name, on, angles, None)

    def _expansions(self) -> list[list[Operator]]:
        """The expansion at all probes at once, or, where the operation does not batch, at each."""
        with QueuingManager.stop_recording():
            try:
                together = elementary([self._at(self._probes)], self._wires)
            except Exception:  # noqa: BLE001 - whatever it raises: it does not batch
                together = []
            if _batches(together, elementary([self._at(self._check)], self._wires)):
                return [together]
            return [elementary([self._at(row[None])], self._wires) for row in self._probes]

    def _at(self, rows: FloatArray) -> Operator:
        """The operation with parameters from ``rows``; batched if there is more than one row."""
        sizes = [int(np.prod(shape)) for shape in self._shapes]
        ends = list(itertools.accumulate(sizes, initial=0))
        data = [
            rows[:, a:b].reshape((len(rows), *shape))
            for (a, b), shape in zip(itertools.pairwise(ends), self._shapes, strict=True)
        ]
        return with_parameters(self._op, [d[0] for d in data] if len(rows) == 1 else data)


def _batches(together: Sequence[Operator], alone: Sequence[Operator]) -> bool:
    """Return whether a batched expansion agrees, in its last row, with the operation there alone.

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
