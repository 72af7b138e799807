r"""Entanglers of one pair, ordered and turned so that neighbours on a wire have a common axis.

Between two ZZ gates a run of one-qubit gates costs pulses by the angle between their axes: none
for a common axis, one for a right angle, two otherwise. Entanglers that follow each other on one
pair, :math:`\exp(-i\pi\sum_k θ_k\, n_k·σ ⊗ m_k·σ)` with orthogonal axes on each wire, commute: any
order of them does. Where angles are equal the axes are free as well: XX + YY, and XX + YY + ZZ,
stay what they are when axes are turned alike on both wires. Entanglers and their angles stay.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pennylane_qstore.native.frontend.program import Affine, ComplexArray, FloatArray
from pennylane_qstore.native.ir import (
    I2,
    IRCircuit,
    OneQubitOperation,
    OneQubitUnitary,
    Operation,
    Rotation,
    TwoQubitUnitary,
    ZZRotation,
    is_constant,
    matrix,
)
from pennylane_qstore.native.passes.pairs import to_z
from pennylane_qstore.native.su2 import so3
from pennylane_qstore.native.template.planning import random_rows

_RIGHT = 1e-8
"""Cosine between axes that are orthogonal."""
_COMMON = 1e-10
"""One less the cosine between axes that are the same; difference of angles that are equal."""
_Z: FloatArray = np.array([0.0, 0.0, 1.0])


@dataclass(eq=False)
class _Run:
    """One-qubit operations on a wire between two groups, before the first or after the last.

    Attributes:
        operations: in time order.
        before: the group before, and which of its wires this is.
        after: the group after.
    """

    operations: list[OneQubitOperation] = field(default_factory=list)
    before: tuple[_Group, int] | None = None
    after: tuple[_Group, int] | None = None

    def close(self, sample: FloatArray) -> None:
        """Multiply the operations, at a sample of the parameters, (1, P)."""
        self.is_constant = all(map(is_constant, self.operations))
        self._turn = so3(_product([_bound(op, sample) for op in self.operations]))

    def arriving(self) -> FloatArray:
        """Return the axis of the entangler before, at the end of the run."""
        return self._turn @ (_Z if self.before is None else self.before[0].last(self.before[1]))

    def leaving(self) -> FloatArray:
        """Return the axis of the entangler after, at the start of the run."""
        return self._turn.T @ (_Z if self.after is None else self.after[0].first(self.after[1]))


@dataclass(eq=False)
class _Group:
    """Entanglers that follow each other on a pair of wires and commute.

    Attributes:
        wires: the two wires.
        before: runs before it, by wire.
        after: runs after it, by wire.
        operations: in time order, with those between its entanglers.
        angles: of the entanglers, in turns.
        axes: of the entanglers, by wire, at the start of the group: [entanglers, 2, 3].
        through: product of the operations between, by wire.
        chosen: the new axes in time order, as combinations of the old ones.
    """

    wires: tuple[int, int]
    before: tuple[_Run, _Run]
    after: tuple[_Run, _Run]
    operations: list[Operation]
    angles: list[Affine]
    axes: FloatArray
    through: list[ComplexArray] = field(default_factory=lambda: [I2, I2])
    chosen: FloatArray | None = None

    def close(self) -> None:
        """Make all angles positive, by axes that point the other way."""
        for k, angle in enumerate(self.angles):
            if (angle.terms[0][1] if angle.terms else angle.const) < 0:
                self.angles[k] = angle.scaled(-1.0)
                self.axes[k, 1] *= -1
        self._turns = [so3(matrix) for matrix in self.through]
        self._equal = _equal(self.angles)

    def neighbours(self) -> list[_Group]:
        """Return the groups beside it in which there is a choice."""
        beside = [run.before for run in self.before] + [run.after for run in self.after]
        return [end[0] for end in beside if end is not None and len(end[0].angles) > 1]

    def first(self, side: int) -> FloatArray:
        """Return the first entangler's axis on a wire, at the start of the group."""
        return self._axis(0, side)

    def last(self, side: int) -> FloatArray:
        """Return the last entangler's axis on a wire, at the end of the group."""
        return self._turns[side] @ self._axis(-1, side)

    def _axis(self, k: int, side: int) -> FloatArray:
        return np.asarray(self._current()[k] @ self.axes[:, side])

    def improve(self) -> bool:
        """Choose the axes that save most pulses beside the neighbours as they are.

        Returns:
            Whether there were better ones.
        """
        size = len(self.angles)
        arriving, leaving = (
            np.stack([self.axes[:, side] @ vector for side, vector in enumerate(vectors)])
            for vectors in (
                [run.arriving() for run in self.before],
                [self._turns[k].T @ run.leaving() for k, run in enumerate(self.after)],
            )
        )
        fixed = [run.is_constant for run in (*self.before, *self.after)]
        known = np.concatenate([arriving, leaving])[fixed]
        frames = np.concatenate(
            [self._current()[None], np.eye(size)[None], *_frames(self._equal, known)]
        )
        first, last = (_pulses(frames @ vectors.T).sum(axis=2) for vectors in (arriving, leaving))
        total = first[:, :, None] + last[:, None, :] + 9 * np.eye(size)
        best = np.unravel_index(int(total.argmin()), total.shape)
        if total[best] >= total[0, 0, -1]:
            return False
        frame, start, end = (int(i) for i in best)
        middle = [k for k in range(size) if k not in (start, end)]
        self.chosen = frames[frame][[start, *middle, end]]
        return True

    def _current(self) -> FloatArray:
        return np.eye(len(self.angles)) if self.chosen is None else self.chosen

    def written(self) -> list[Operation]:
        """Return the operations with the new axes."""
        if self.chosen is None:
            return self.operations
        out: list[Operation] = []
        basis = [I2, I2]
        for row in self.chosen:
            for side, wire in enumerate(self.wires):
                turned = to_z(row @ self.axes[:, side])
                turned = I2 if turned is None else turned
                out.append(OneQubitUnitary(wire, turned @ basis[side].conj().T))
                basis[side] = turned
            out.append(ZZRotation(*self.wires, self.angles[int(np.abs(row).argmax())]))
        for side, wire in enumerate(self.wires):
            out.append(OneQubitUnitary(wire, self.through[side] @ basis[side].conj().T))
        return out


def align_axes(circuit: IRCircuit) -> IRCircuit:
    """Return a circuit of the same unitary and entanglers, with fewer pulses for ZZ gates.

    Args:
        circuit: without two-qubit unitaries.

    Returns:
        The circuit, changed only where that saves pulses.
    """
    groups, last = _grouped(circuit)
    waiting = dict.fromkeys(group for group in groups if len(group.angles) > 1)
    while waiting:  # every change saves a pulse
        group = next(iter(waiting))
        del waiting[group]
        if group.improve():
            waiting |= dict.fromkeys(group.neighbours())
    if all(group.chosen is None for group in groups):
        return circuit
    operations: list[Operation] = []
    for group in groups:
        operations += [op for run in group.before for op in run.operations]
        operations += group.written()
    operations += [op for run in last for op in run.operations]
    return replace(circuit, operations=tuple(operations))


def _grouped(circuit: IRCircuit) -> tuple[list[_Group], list[_Run]]:
    """Split a circuit into groups, and the runs after the last ones on each wire."""
    groups: list[_Group] = []
    runs = [_Run() for _ in range(circuit.wires)]
    all_runs = [*runs]
    for op in circuit.operations:
        if not isinstance(op, ZZRotation):
            assert not isinstance(op, TwoQubitUnitary)  # noqa: S101 - synthesised before
            runs[op.wire].operations.append(op)
            continue
        wires = op.a, op.b
        if not _join(runs[op.a], runs[op.b], op):
            after = _Run(), _Run()
            all_runs += after
            before = runs[op.a], runs[op.b]
            groups.append(_Group(wires, before, after, [op], [op.angle], np.array([[_Z, _Z]])))
            for side, wire in enumerate(wires):
                before[side].after = groups[-1], side
                after[side].before = groups[-1], side
                runs[wire] = after[side]
    sample = _sample(circuit)
    for run in all_runs:
        run.close(sample)
    for group in groups:
        group.close()
    return groups, runs


def _join(a: _Run, b: _Run, op: ZZRotation) -> bool:
    """Add an entangler to the group before, if it follows it and commutes with it."""
    if a.before is None or b.before is None or a.before[0] is not b.before[0]:
        return False
    if not all(map(is_constant, (*a.operations, *b.operations))):
        return False
    group = a.before[0]
    sides = (a, b) if a.before[1] == 0 else (b, a)
    through = [_product(run.operations) @ group.through[k] for k, run in enumerate(sides)]
    axes = np.array([so3(matrix)[2] for matrix in through])
    if np.abs(np.sum(group.axes * axes, axis=2)).max() > _RIGHT:
        return False
    group.operations += [*a.operations, *b.operations, op]
    group.angles.append(op.angle)
    group.axes = np.concatenate([group.axes, axes[None]])
    group.through = through
    for run in sides:
        run.operations = []
    return True


def _product(operations: Sequence[OneQubitOperation]) -> ComplexArray:
    """Multiply constant operations."""
    return functools.reduce(lambda total, op: matrix(op) @ total, operations, I2)


def _bound(op: OneQubitOperation, sample: FloatArray) -> OneQubitOperation:
    """Return an operation at a row of parameters, (1, P)."""
    if isinstance(op, OneQubitUnitary):
        return op
    return op._replace(angle=Affine((), float(op.angle.at(sample)[0])))


def _sample(circuit: IRCircuit) -> FloatArray:
    """Return generic values of the parameters of rotations, (1, P)."""
    rotations = [op for op in circuit.operations if isinstance(op, Rotation)]
    last = max((i for op in rotations for i, _ in op.angle.terms), default=-1)
    return random_rows(np.random.default_rng(20), 1, 1 + last)


def _equal(angles: Sequence[Affine]) -> list[list[int]]:
    """Return the indices of angles that are equal at all parameters."""
    classes: list[list[int]] = []
    for k, angle in enumerate(angles):
        for some in classes:
            difference = angle.plus(angles[some[0]].scaled(-1.0))
            if max(abs(c) for c in (difference.const, *(c for _, c in difference.terms))) < _COMMON:
                some.append(k)
                break
        else:
            classes.append([k])
    return classes


def _pulses(cosines: FloatArray) -> FloatArray:
    """Return the pulses between axes at these cosines; half turns move through ZZ gates."""
    sizes = np.abs(cosines)
    return np.where(sizes > 1 - _COMMON, 0.0, np.where(sizes < _RIGHT, 1.0, 2.0))


def _frames(classes: Sequence[Sequence[int]], vectors: FloatArray) -> Iterator[FloatArray]:
    """Yield orthonormal bases of new axes, in which one axis of each class is along or across.

    Args:
        classes: indices of old axes that may be combined with each other.
        vectors: components of the neighbours' axes along the old ones, [neighbours, axes].

    Yields:
        Shape [bases, axes, axes]; rows stay within their class.
    """
    size = sum(map(len, classes))
    for equal in classes:
        if len(equal) > 1:
            bases = _bases(vectors[:, equal])
            frames = np.tile(np.eye(size), (len(bases), 1, 1))
            frames[np.ix_(range(len(bases)), equal, equal)] = bases
            yield frames


def _bases(vectors: FloatArray) -> FloatArray:
    """Return orthonormal bases along and across some vectors of 2 or 3 dimensions."""
    along = _directions(vectors)
    if vectors.shape[1] == 2:
        return np.stack([along, along[:, ::-1] * (-1, 1)], axis=1)
    across = np.cross(along[:, None], along[None]).reshape(-1, 3)
    along = np.concatenate([along, _directions(across), np.eye(3)])
    one, other = (along[k] for k in np.indices((len(along),) * 2).reshape(2, -1))
    second = other - np.sum(one * other, axis=1, keepdims=True) * one
    sizes = np.linalg.norm(second, axis=1, keepdims=True)
    one, second = (some[sizes[:, 0] > _RIGHT] for some in (one, second / np.maximum(sizes, _RIGHT)))
    return np.stack([one, second, np.cross(one, second)], axis=1)


def _directions(vectors: FloatArray) -> FloatArray:
    """Return the vectors that have a direction, of size 1."""
    sizes = np.linalg.norm(vectors, axis=1)
    return np.asarray(vectors[sizes > _RIGHT] / sizes[sizes > _RIGHT, None])
