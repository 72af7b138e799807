"""Runs and entangling angles of a circuit, evaluated for any number of rows of parameters.

A run of one-qubit gates is a unitary of determinant 1, [[α, -β*], [β, α*]], and is kept as its
first column (α, β). Runs of the same shape are multiplied together, stacked, over all rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pennylane_qstore.native.frontend.program import Affine, ComplexArray, FloatArray
from pennylane_qstore.native.ir import OneQubitUnitary, Rotation
from pennylane_qstore.native.su2 import first_column
from pennylane_qstore.native.template.runs import Runs

EPS = 1e-10
"""Amplitudes, and angles in turns, below this are nothing."""

_MOST_GAPS = 2
"""Steps that a run of a longer group may leave out."""

Numbered = tuple[OneQubitUnitary | Rotation, int]
"""An operation of a run, and the slot of its angle if it is a rotation."""
_Placed = Numbered | None
"""The operation of a run at a position of its group, if it has one there."""
Step = tuple[str, Any, Any]
"""A kind ("x", "y", "z": a rotation, "c": a constant); slots of the angles, or α; β of a constant.
Arrays over the runs of a group; numbers for one run."""
_Group = tuple[np.ndarray, list[Step]]


class RunEvaluator:
    """Runs and entangling angles as functions of the parameters.

    Args:
        runs: the runs; run i of wire q has index ``index[q][i]`` here.
        family: ``"ms"`` or ``"zz"``.
        parameters: number of parameters P.
    """

    def __init__(self, runs: Runs, family: str, parameters: int) -> None:
        self.family, self.parameters = family, parameters
        self.entanglers = runs.entanglers
        ends = np.cumsum([0, *(len(wire) for wire in runs.runs)]).tolist()
        self.index = [
            list(range(start, start + len(wire)))
            for start, wire in zip(ends, runs.runs, strict=False)
        ]
        self.size: int = ends[-1]
        # The run after each entangler, on its first wire and on its second: all different ones.
        self.after = np.array(
            [
                [self.index[e.a][e.run_a + 1] for e in runs.entanglers],
                [self.index[e.b][e.run_b + 1] for e in runs.entanglers],
            ],
            dtype=np.intp,
        )
        self.turning = [i for i, e in enumerate(runs.entanglers) if e.angle.terms]
        """Entanglers whose angle depends on parameters."""
        half_angles: list[Affine] = []
        self.numbered: list[list[Numbered]] = []
        for run in (run for wire in runs.runs for run in wire):
            self.numbered.append([])
            for op in run:
                self.numbered[-1].append((op, len(half_angles)))
                if isinstance(op, Rotation):
                    half_angles.append(op.angle.scaled(0.5))
        self.rotations = len(half_angles)
        self.angles = AffineMap([*half_angles, *(e.angle for e in runs.entanglers)])
        self.columns = np.zeros((2, self.size, 1), dtype=complex)
        """First columns of the constant runs, (2, runs, 1)."""
        self.columns[0] = 1.0
        self._groups = self._grouped()

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        return self.columns.nbytes + self.after.nbytes + self.angles.nbytes

    def is_constant(self, run: int) -> bool:
        """Return whether a run is independent of the parameters."""
        return not any(isinstance(op, Rotation) for op, _ in self.numbered[run])

    def evaluate(self, parameters: FloatArray) -> tuple[FloatArray, ComplexArray]:
        """Evaluate everything at parameters ``[rows, P]``.

        Returns:
            Angles of the entanglers in turns within ±1/4, (entanglers, rows), and (α, β) of
            the runs, (2, runs, rows).
        """
        rows = len(parameters)
        columns = np.empty((2, self.size, rows), dtype=complex)
        columns[:] = self.columns
        angles = self.angles(parameters)
        half, entangling = angles[: self.rotations], angles[self.rotations :]
        if self._groups:
            cos, sin = np.ones((len(half) + 1, rows)), np.zeros((len(half) + 1, rows))
            np.cos(half, out=cos[:-1])
            np.sin(half, out=sin[:-1])
            alpha, beta = columns
            for members, steps in self._groups:
                alpha[members], beta[members] = multiplied(steps, cos, sin)
        if self.turning:
            entangling = self._wrapped(entangling, columns)
        return entangling, columns

    def after_half_turn(self, a: Any, b: Any) -> tuple[Any, Any]:
        """Return (α, β) of a run that half a turn of the entangler before it goes into.

        Args:
            a: α before, an array or a number.
            b: β before.

        Returns:
            (α, β) after.
        """
        if self.family == "zz":  # times -iZ on the right
            return -1j * a, -1j * b
        return 1j * b.conjugate(), -1j * a.conjugate()  # times -iX

    def _wrapped(self, angles: FloatArray, columns: ComplexArray) -> FloatArray:
        """Angles within ±1/4; half a turn is a Pauli on the runs that follow."""
        halves = np.ceil(2 * angles - (0.5 + EPS))
        odd, rows = np.nonzero(halves % 2)
        if odd.size:
            alpha, beta = columns.reshape(2, -1)  # one index is cheaper than two
            at = (self.after[:, odd] * angles.shape[1] + rows).ravel()
            alpha[at], beta[at] = self.after_half_turn(alpha[at], beta[at])
        return np.asarray(angles - halves / 2)

    def _grouped(self) -> list[_Group]:
        """Multiply constant runs now and group the others by shape.

        A shape joins a longer one that has room for it, with turns by nothing in between: a
        group more costs more than these.
        """
        shapes: dict[tuple[str, ...], list[int]] = {}
        for r, run in enumerate(self.numbered):
            if not self.is_constant(r):
                shape = tuple(op.axis if isinstance(op, Rotation) else "c" for op, _ in run)
                shapes.setdefault(shape, []).append(r)
            elif run:
                ((op, _),) = run  # neighbouring constants are one
                self.columns[:, r, 0] = _constant_column(op)
        groups: dict[tuple[str, ...], list[tuple[int, list[_Placed]]]] = {}
        for shape in sorted(shapes, key=len, reverse=True):
            hosts = ((host, _fit(shape, host)) for host in (*groups, shape))
            host, at = next((host, at) for host, at in hosts if at is not None)
            for r in shapes[shape]:
                placed = [None if i is None else self.numbered[r][i] for i in at]
                groups.setdefault(host, []).append((r, placed))
        return [
            (
                np.array([r for r, _ in members]),
                [
                    _step(kind, placed)
                    for kind, *placed in zip(host, *(p for _, p in members), strict=True)
                ],
            )
            for host, members in groups.items()
        ]


class AffineMap:
    """Many affine angles at once: ``[rows, P] -> [angles, rows]``.

    Terms are added one by one, not by a matrix product: BLAS adds in an order that depends on
    the number of rows, and a row must get the same bits alone as in a batch.

    Args:
        angles: the angles.
    """

    def __init__(self, angles: Sequence[Affine]) -> None:
        most = max((len(angle.terms) for angle in angles), default=0)
        self._const = np.array([[angle.const] for angle in angles]).reshape(-1, 1)
        self._index = np.zeros((most, len(angles)), dtype=np.intp)
        self._factor = np.zeros((most, len(angles), 1))
        for row, angle in enumerate(angles):
            for k, (i, factor) in enumerate(angle.terms):
                self._index[k, row], self._factor[k, row] = i, factor
        nothing = ((0, 0.0),) if most == 1 else ()
        self._singly = [(angle.terms or nothing, float(angle.const)) for angle in angles]

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        return self._const.nbytes + self._index.nbytes + self._factor.nbytes

    def __call__(self, parameters: FloatArray) -> FloatArray:
        """Return angles (angles, rows) at parameters (rows, P)."""
        columns = parameters.T
        if not len(self._index):
            return np.repeat(self._const, len(parameters), axis=1)
        angles: FloatArray = columns[self._index[0]]
        angles *= self._factor[0]
        for index, factor in zip(self._index[1:], self._factor[1:], strict=True):
            angles += columns[index] * factor
        angles += self._const
        return angles

    def of_row(self, parameters: FloatArray) -> list[float]:
        """Return the angles of one row (1, P), the same bits as Python's numbers."""
        row = parameters[0].tolist()
        if len(self._index) == 1:
            return [row[i] * factor + const for ((i, factor),), const in self._singly]
        return [
            sum([row[i] * factor for i, factor in terms]) + const for terms, const in self._singly
        ]


def multiplied(steps: Sequence[Step], cos: Any, sin: Any) -> Any:
    """Return (α, β) of the product of steps in time order, of arrays or of numbers.

    Args:
        steps: the steps.
        cos: cosines of the half angles, by slot.
        sin: sines of the half angles, by slot.

    Returns:
        (α, β); ``a`` is 1.0 and ``b`` 0.0 where there are no steps.
    """
    a: Any = 1.0
    b: Any = 0.0
    for n, (kind, first, second) in enumerate(steps):
        if kind == "c":
            if n == 0:
                a, b = first, second
            else:
                back = second.conjugate(), first.conjugate()
                a, b = first * a - back[0] * b, second * a + back[1] * b
            continue
        c, s = cos[first], sin[first]
        if kind == "z":
            e = c - 1j * s
            a, b = (e, 0.0) if n == 0 else (e * a, e.conjugate() * b)
        elif kind == "y":
            a, b = (c, s) if n == 0 else (c * a - s * b, s * a + c * b)
        else:
            s = 1j * s
            a, b = (c, -s) if n == 0 else (c * a - s * b, c * b - s * a)
    return a, b


def one_run_step(numbered: Numbered) -> Step:
    """Return one operation of a run as a step of numbers."""
    op, slot = numbered
    return (op.axis, slot, None) if isinstance(op, Rotation) else ("c", *_constant_column(op))


def _fit(shape: tuple[str, ...], host: tuple[str, ...]) -> list[int | None] | None:
    """Which step of a shape stands at each position of another, or None where it has no room."""
    if len(host) - len(shape) > _MOST_GAPS:
        return None
    at: list[int | None] = []
    taken = 0
    for kind in host:
        fits = taken < len(shape) and shape[taken] == kind
        at.append(taken if fits else None)
        taken += fits
    return at if taken == len(shape) else None


def _step(kind: str, placed: Sequence[_Placed]) -> Step:
    """One position of a group, over its runs."""
    if kind != "c":  # the last angle is 0
        return kind, np.array([-1 if entry is None else entry[1] for entry in placed]), None
    columns = [(1.0, 0.0) if entry is None else _constant_column(entry[0]) for entry in placed]
    a, b = (np.array([[column[i]] for column in columns], dtype=complex) for i in (0, 1))
    return kind, a, b


def _constant_column(op: OneQubitUnitary | Rotation) -> tuple[complex, complex]:
    assert isinstance(op, OneQubitUnitary)  # noqa: S101 - by its shape
    return first_column(op.matrix)
