"""The gates of one operation as functions of its parameters, found by probing.

PennyLane expands the operation at probe points. Where each angle depends on one parameter, a few
points tell all; else one point per parameter tells the factors; else the angles are fitted as
polynomials. The fit is checked at further points; at many, and at its own parameters, where the
operation is not PennyLane's.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pennylane as qml
from pennylane.operation import Operator
from pennylane.queuing import QueuingManager

from pennylane_qstore.native.frontend.decompose import elementary
from pennylane_qstore.native.frontend.matrices import unitary
from pennylane_qstore.native.frontend.operation_keys import (
    inner_operators,
    row_shapes,
    wire_indices,
)
from pennylane_qstore.native.frontend.polynomial_fit import Terms, fit_polynomials, snapped
from pennylane_qstore.native.frontend.program import Affine, ComplexArray, FloatArray, Gate
from pennylane_qstore.operations import is_foreign, with_parameters

_BLOCK = 256
"""Parameters that are probed together: memory for all of them would grow with their square."""
_FEW = 4
"""Points that tell on which one parameter an angle depends, of however many."""
_FOREIGN_CHECKS = 16
"""Random points at which an operation from outside PennyLane is checked: its gates may depend on
where its values are."""


class NotFitted(Exception):  # noqa: N818
    """An operation whose gates are no template of its parameters."""


class Fit(NamedTuple):
    """Gates of one operation, angles affine in its parameters and in products of them."""

    gates: tuple[Gate, ...]
    products: tuple[tuple[int, ...], ...] = ()


def parameter_count(op: Operator) -> int:
    """Return the number of an operation's parameters in one row."""
    return sum(map(math.prod, row_shapes(op)))


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
        checks: number of its last probes that check the fit.
    """

    def __init__(self, gate: _Sampled, checks: int) -> None:
        self.gate = gate._replace(angles=gate.angles[0])  # the others are not kept
        self.wanted = gate.angles[-checks:].copy()
        self.predicted = np.repeat(gate.angles[:1], checks, axis=0)
        self._terms: list[list[tuple[int, float]]] = [[] for _ in gate.angles[0]]

    def add(self, angles: FloatArray, first: int, checks: FloatArray) -> None:
        """Take the angles at zero, at units of further parameters, and where they are checked.

        Args:
            angles: in radians, ``[probes, n]``.
            first: index of the first of these parameters.
            checks: their values at the points that check the fit, ``[checks, parameters]``.
        """
        factors = snapped(angles[1 : -len(checks)] - angles[0])
        self.predicted += checks @ factors
        for terms, column in zip(self._terms, factors.T, strict=True):
            terms += [(first + int(i), float(column[i])) for i in np.flatnonzero(column)]

    def as_gate(self) -> Gate:
        """Return the gate."""
        name, on, constant, matrix = self.gate
        angles = zip(self._terms, constant, strict=True)
        return Gate(name, on, tuple([Affine(tuple(t), float(c)) for t, c in angles]), matrix)


class Probes:
    """One operation at other parameters than its own.

    Args:
        op: the operation.
        wires: index of each wire label.
    """

    def __init__(self, op: Operator, wires: Mapping[Any, int]) -> None:
        self._op, self._wires = op, wires
        self._shapes = row_shapes(op)
        self._sizes = [math.prod(shape) for shape in self._shapes]
        self._count = sum(self._sizes)
        rng = np.random.default_rng(17)
        self._checks = rng.uniform(-3, 3, (1, self._count))
        if is_foreign(op):
            size = 10 ** rng.uniform(-2, 1, (_FOREIGN_CHECKS, 1))
            random = size * rng.uniform(-1, 1, (_FOREIGN_CHECKS, self._count))
            self._checks = np.concatenate([self._checks, random, self._own()])

    def fit(self) -> Fit:
        """Return the gates.

        Raises:
            NotFitted: they depend on the values otherwise than by polynomials.
        """
        made = self._at(self._checks[:1])
        values = [np.asarray(d, complex) for inner in inner_operators(made) for d in inner.data]
        if not all(np.isin(value, self._checks[0]).all() for value in values):
            raise NotFitted(self._op.name)  # an operator inside keeps values of its own
        few = self._from_few() if self._count > _FEW else None
        return few or self._affine() or self._polynomial()

    def _from_few(self) -> Fit | None:
        """The gates, None where an angle depends on more than one parameter."""
        some = np.random.default_rng(31).uniform(1, 2, (_FEW, self._count))
        points = np.concatenate([np.zeros((1, self._count)), some, self._checks])
        squares = (some**2).sum(axis=0)
        gates = []
        for name, on, values, matrix in self._sampled(points):
            angles = []
            for column in values.T:
                along = (column[1 : 1 + _FEW] - column[0]) @ some
                i = int(np.abs(along / np.sqrt(squares)).argmax())
                factor = float(snapped(along[i] / squares[i]))
                angle = Affine(((i, factor),) if abs(factor) > 1e-12 else (), float(column[0]))
                if not np.allclose(angle.at(points), column, rtol=1e-12, atol=1e-9):
                    return None
                angles.append(angle)
            gates.append(Gate(name, on, tuple(angles), matrix))
        return Fit(tuple(gates))

    def _affine(self) -> Fit | None:
        """The gates, None where angles are not affine."""
        fitted: list[_FittedGate] = []
        for start in range(0, self._count, _BLOCK):
            probed = range(start, min(start + _BLOCK, self._count))
            units = np.zeros((len(probed), self._count))
            units[range(len(probed)), probed] = 1
            zero = np.zeros((1, self._count))
            sampled = list(self._sampled(np.concatenate([zero, units, self._checks])))
            fitted = fitted or [_FittedGate(gate, len(self._checks)) for gate in sampled]
            if [(f.gate.name, f.gate.on) for f in fitted] != [(g.name, g.on) for g in sampled]:
                raise NotFitted(self._op.name)
            for one, gate in zip(fitted, sampled, strict=True):
                one.add(gate.angles, start, self._checks[:, probed])
        if all(np.allclose(f.predicted, f.wanted, rtol=1e-12, atol=1e-9) for f in fitted):
            return Fit(tuple([one.as_gate() for one in fitted]))
        return None

    def _polynomial(self) -> Fit:
        sampled: list[_Sampled] = []

        def angles(points: FloatArray) -> FloatArray:
            sampled[:] = self._sampled(points)
            return np.concatenate([gate.angles for gate in sampled], axis=1)

        terms = fit_polynomials(angles, self._count, self._checks)
        if terms is None:
            raise NotFitted(self._op.name)
        every = dict.fromkeys(m for some in terms for m in some if len(m) > 1)
        products = {product: self._count + i for i, product in enumerate(every)}
        affine = iter([_as_affine(some, products) for some in terms])
        gates = [
            Gate(g.name, g.on, tuple(itertools.islice(affine, g.angles.shape[1])), g.matrix)
            for g in sampled
        ]
        return Fit(tuple(gates), tuple(products))

    def _own(self) -> FloatArray:
        """The operation's own parameters, of its last row, ``[1, parameters]``."""
        data = [np.asarray(d, dtype=float) for d in self._op.data]
        rows = [d.reshape(-1)[d.size - size :] for d, size in zip(data, self._sizes, strict=True)]
        return np.concatenate(rows)[None]

    def _sampled(self, probes: FloatArray) -> Iterator[_Sampled]:
        """The gates of the expansion, which must be the same at every probe."""
        expansions = self._expansions(probes)
        described = [[(op.name, wire_indices(op, self._wires)) for op in ops] for ops in expansions]
        if any(other != described[0] for other in described):
            raise NotFitted(self._op.name)
        for i, (name, on) in enumerate(described[0]):
            data = [[np.asarray(value) for value in ops[i].data] for ops in expansions]
            if isinstance(expansions[0][i], qml.QubitUnitary):
                matrix = np.asarray(data[0][0], dtype=complex)
                if not all(np.allclose(d[0], matrix, rtol=0, atol=1e-12) for d in data):
                    raise NotFitted(self._op.name)
                yield _Sampled(name, on, np.zeros((len(probes), 0)), unitary(expansions[0][i]))
                continue
            angles = np.zeros((len(probes), len(data[0])))
            for slot in range(len(data[0])):
                angles[:, slot] = np.array([d[slot] for d in data], dtype=float).reshape(-1)
            if not np.isfinite(angles).all():
                raise NotFitted(self._op.name)
            yield _Sampled(name, on, angles, None)

    def _expansions(self, probes: FloatArray) -> list[list[Operator]]:
        """The expansion at all probes at once, or, where the operation does not batch, at each."""
        with QueuingManager.stop_recording():
            try:
                together = elementary([self._at(probes)], self._wires)
            except Exception:  # noqa: BLE001 - whatever it raises: it does not batch
                together = []
            if _batches(together, elementary([self._at(probes[-1:])], self._wires)):
                return [together]
            return [elementary([self._at(row[None])], self._wires) for row in probes]

    def _at(self, rows: FloatArray) -> Operator:
        """The operation with parameters from ``rows``; batched if there is more than one row."""
        parts = np.split(rows, np.cumsum(self._sizes)[:-1], axis=1)
        data = [
            part.reshape((len(rows), *shape))
            for part, shape in zip(parts, self._shapes, strict=True)
        ]
        return with_parameters(self._op, [d[0] for d in data] if len(rows) == 1 else data)


def _as_affine(terms: Terms, products: Mapping[tuple[int, ...], int]) -> Affine:
    """Return a polynomial as an affine function of parameters and products."""
    columns = [(m[0] if len(m) == 1 else products[m], c) for m, c in terms.items() if m]
    return Affine(tuple(columns), terms.get((), 0.0))


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
