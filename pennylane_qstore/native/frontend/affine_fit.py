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
from pennylane_qstore.native.frontend.operation_keys import row_shapes
from pennylane_qstore.native.frontend.program import Affine, ComplexArray, FloatArray, Gate, Program
from pennylane_qstore.native.frontend.structure import StructuredTape, expand_by_value
from pennylane_qstore.operations import with_parameters

_SNAP = 96
"""Denominator of the rational factors in PennyLane's decompositions (halves, thirds, ...)."""


_BLOCK = 256
"""Parameters that are probed together: memory for all of them would grow with their square."""


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


class _FittedGate:
    """A gate whose angles are fitted, some parameters at a time.

    Args:
        gate: the gate at the first probes.
    """

    def __init__(self, gate: _Sampled) -> None:
        self.gate = gate._replace(angles=gate.angles[[0, -1]])  # the others are not kept
        self.predicted, self.wanted = self.gate.angles.copy()
        self._terms: list[list[tuple[int, float]]] = [[] for _ in self.wanted]

    def add(self, angles: FloatArray, first: int, check: FloatArray) -> None:
        """Take the angles at zero, at units of further parameters, and at the random point.

        Args:
            angles: in radians, ``[probes, n]``.
            first: index of the first of these parameters.
            check: their values at the random point.
        """
        factors = angles[1:-1] - angles[0]
        snapped = np.round(factors * _SNAP) / _SNAP
        factors = np.where(np.abs(factors - snapped) < 1e-11, snapped, factors)
        self.predicted += check @ factors
        for terms, column in zip(self._terms, factors.T, strict=True):
            terms += [(first + int(i), float(column[i])) for i in np.flatnonzero(column)]

    def as_gate(self) -> Gate:
        """Return the gate."""
        name, on, (constant, _), matrix = self.gate
        angles = zip(self._terms, constant, strict=True)
        return Gate(name, on, tuple(Affine(tuple(t), float(c)) for t, c in angles), matrix)


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
        self._op, self._shapes, self._wires, self._count = op, shapes, wires, count
        self._check = np.random.default_rng(17).uniform(-3, 3, (1, count))

    def gates(self, first: int) -> list[Gate]:
        """Return the gates; the operation's parameters are those from index ``first`` on."""
        fitted: list[_FittedGate] = []
        for start in range(0, self._count, _BLOCK):
            probed = range(start, min(start + _BLOCK, self._count))
            sampled = list(self._sampled(self._probes(probed)))
            fitted = fitted or [_FittedGate(gate) for gate in sampled]
            if [(f.gate.name, f.gate.on) for f in fitted] != [(g.name, g.on) for g in sampled]:
                raise NotAffine(self._op.name)
            for one, gate in zip(fitted, sampled, strict=True):
                one.add(gate.angles, first + start, self._check[0, probed])
        for one in fitted:
            if not np.allclose(one.predicted, one.wanted, rtol=0, atol=1e-9):
                raise NotAffine(self._op.name)
        return [one.as_gate() for one in fitted]

    def _probes(self, probed: range) -> FloatArray:
        """Zero, the unit vectors of some parameters, and the random point."""
        units = np.zeros((len(probed), self._count))
        units[range(len(probed)), probed] = 1
        return np.concatenate([np.zeros((1, self._count)), units, self._check])

    def _sampled(self, probes: FloatArray) -> Iterator[_Sampled]:
        """The gates of the expansion, which must be the same at every probe."""
        expansions = self._expansions(probes)
        described = [[(op.name, _on(op, self._wires)) for op in ops] for ops in expansions]
        if any(other != described[0] for other in described):
            raise NotAffine(self._op.name)
        for i, (name, on) in enumerate(described[0]):
            data = [[np.asarray(value) for value in ops[i].data] for ops in expansions]
            if isinstance(expansions[0][i], qml.QubitUnitary):
                matrix = np.asarray(data[0][0], dtype=complex)
                if not all(np.allclose(d[0], matrix, rtol=0, atol=1e-12) for d in data):
                    raise NotAffine(self._op.name)
                yield _Sampled(name, on, np.zeros((len(probes), 0)), matrix)
                continue
            angles = np.zeros((len(probes), len(data[0])))
            for slot in range(len(data[0])):
                angles[:, slot] = np.array([d[slot] for d in data], dtype=float).reshape(-1)
            yield _Sampled(name, on, angles, None)

    def _expansions(self, probes: FloatArray) -> list[list[Operator]]:
        """The expansion at all probes at once, or, where the operation does not batch, at each."""
        with QueuingManager.stop_recording():
            try:
                together = elementary([self._at(probes)], self._wires)
            except Exception:  # noqa: BLE001 - whatever it raises: it does not batch
                together = []
            if _batches(together, elementary([self._at(self._check)], self._wires)):
                return [together]
            return [elementary([self._at(row[None])], self._wires) for row in probes]

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
