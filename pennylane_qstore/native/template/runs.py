"""A circuit as runs of one-qubit operations between entanglers, evaluated for all rows at once.

A wire with k entanglers has k+1 runs. Each run is a product of constants and rotations; as a
unitary of determinant 1, [[α, -β*], [β, α*]], it is kept as its first column (α, β). Runs of
the same shape are multiplied together, stacked, over all rows of parameters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pennylane_qstore.native.frontend.program import Affine, ComplexArray, FloatArray
from pennylane_qstore.native.ir import (
    H,
    IRCircuit,
    OneQubitUnitary,
    Rotation,
    TwoQubitUnitary,
    Z,
    ZZRotation,
    is_constant,
    matrix,
    wires_of,
)
from pennylane_qstore.native.su2 import first_column

_TOL = 1e-10


class Entangler(NamedTuple):
    """An interaction between two native wires, after run ``run_a`` of a and ``run_b`` of b.

    The angle is in turns; a constant one lies within (-1/4, 1/4].
    """

    a: int
    run_a: int
    b: int
    run_b: int
    angle: Affine


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs per native wire, and the entanglers between them in time order.

    Args:
        wires: circuit wire of each native wire.
        runs: ``runs[q][i]`` is run i of native wire q: constants and turns in time order.
        entanglers: in time order.
    """

    wires: tuple[int, ...]
    runs: tuple[tuple[tuple[OneQubitUnitary | Rotation, ...], ...], ...]
    entanglers: tuple[Entangler, ...]


def runs_of(circuit: IRCircuit, family: str, *, compact: bool = True) -> Runs:
    """Split a circuit without blocks into runs.

    Args:
        circuit: the circuit.
        family: ``"zz"`` keeps interactions about Z; ``"ms"`` has them about X, with the
            changes of basis in the runs.
        compact: whether wires without operations are left out.
    """
    used = {q for op in circuit.operations for q in wires_of(op)}
    wires = sorted(used) if compact else list(range(circuit.wires))
    at = {q: i for i, q in enumerate(wires)}
    runs: list[list[list[OneQubitUnitary | Rotation]]] = [[[]] for _ in wires]
    entanglers: list[Entangler] = []
    for op in circuit.operations:
        if isinstance(op, ZZRotation):
            a, b = at[op.a], at[op.b]
            angle, half = _within_quarter(op.angle)
            if not angle.terms and abs(angle.const) < _TOL:
                if half:
                    for q in (a, b):
                        _append(runs[q][-1], OneQubitUnitary(q, Z))
                continue
            for q in (a, b):
                if half:
                    _append(runs[q][-1], OneQubitUnitary(q, Z))
                if family == "ms":
                    _append(runs[q][-1], OneQubitUnitary(q, H))
            entanglers.append(Entangler(a, len(runs[a]) - 1, b, len(runs[b]) - 1, angle))
            for q in (a, b):
                runs[q].append([OneQubitUnitary(q, H)] if family == "ms" else [])
        else:
            assert not isinstance(op, TwoQubitUnitary)  # noqa: S101 - synthesised before
            _append(runs[at[op.wire]][-1], op)
    frozen = tuple(tuple(tuple(run) for run in wire) for wire in runs)
    return Runs(tuple(wires), frozen, tuple(entanglers))


def _within_quarter(angle: Affine) -> tuple[Affine, bool]:
    """A constant angle within (-1/4, 1/4], and whether half a turn (Z⊗Z) was taken off."""
    if angle.terms:
        return angle, False
    halves = int(np.ceil(2 * angle.const - 0.5 - _TOL))
    return Affine((), angle.const - halves / 2), bool(halves % 2)


def _append(run: list[OneQubitUnitary | Rotation], op: OneQubitUnitary | Rotation) -> None:
    """Append, merging neighbours about the same axis and neighbouring constants."""
    if run:
        last = run[-1]
        if isinstance(last, OneQubitUnitary) and isinstance(op, OneQubitUnitary):
            run[-1] = OneQubitUnitary(op.wire, op.matrix @ last.matrix)
            return
        if isinstance(last, Rotation) and isinstance(op, Rotation) and last.axis == op.axis:
            run[-1] = last._replace(angle=last.angle.plus(op.angle))
            return
    if isinstance(op, Rotation) and is_constant(op):
        _append(run, OneQubitUnitary(op.wire, matrix(op)))
        return
    run.append(op)


class Bank:
    """All runs and entangling angles of a circuit, evaluated for any number of rows.

    Args:
        runs: the runs; run i of wire q has index ``index[q][i]`` here.
        parameters: number of parameters P.
    """

    def __init__(self, runs: Runs, parameters: int) -> None:
        flat = [run for wire in runs.runs for run in wire]
        self.index: list[list[int]] = []
        for wire in runs.runs:
            start = sum(len(w) for w in self.index)
            self.index.append(list(range(start, start + len(wire))))
        self.size = len(flat)
        self._columns = np.zeros((2, self.size, 1), dtype=complex)
        self._columns[0] = 1.0
        turns: list[Affine] = []
        numbered: list[list[_Numbered]] = []
        for run in flat:
            numbered.append([])
            for op in run:
                numbered[-1].append((op, len(turns)))
                if isinstance(op, Rotation):
                    turns.append(op.angle.scaled(0.5))
        self._turns = len(turns)
        self.small = self.size + len(turns) <= _SMALL
        self.angles = AffineMap([*turns, *(e.angle for e in runs.entanglers)], parameters)
        self._groups = self._grouped(numbered)
        self._fixed = [tuple(column) for column in self._columns[:, :, 0].T.tolist()]
        alone = {r: run for r, run in enumerate(numbered) if self.small and _varies(run)}
        self._singly = [(r, [_alone(*its) for its in run]) for r, run in alone.items()]

    def evaluate(self, parameters: FloatArray) -> tuple[FloatArray, ComplexArray]:
        """At parameters ``[rows, P]``: angles of the entanglers, and (α, β) of every run.

        Returns:
            Turns, (entanglers, rows); amplitudes, (2, runs, rows).
        """
        rows = len(parameters)
        columns = np.empty((2, self.size, rows), dtype=complex)
        columns[:] = self._columns
        angles = self.angles(parameters)
        half, entangling = angles[: self._turns], angles[self._turns :]
        if self._groups:
            cos, sin = np.ones((len(half) + 1, rows)), np.zeros((len(half) + 1, rows))
            np.cos(half, out=cos[:-1])
            np.sin(half, out=sin[:-1])
            alpha, beta = columns
            for members, together in self._groups:
                alpha[members], beta[members] = _multiplied(together, cos, sin)
        return entangling, columns

    def alone(self, parameters: FloatArray) -> tuple[list[float], list[tuple[complex, complex]]]:
        """The same for one row, ``[1, P]``, in Python's numbers; for a bank that is ``small``."""
        angles = self.angles.alone(parameters)
        half = angles[: self._turns]
        cos, sin = [math.cos(x) for x in half], [math.sin(x) for x in half]
        columns = self._fixed.copy()
        for r, steps in self._singly:
            columns[r] = _multiplied(steps, cos, sin)
        return angles[self._turns :], columns

    def _grouped(self, runs: Sequence[Sequence[_Numbered]]) -> list[_Group]:
        """Constant runs are multiplied now; the others are grouped by shape.

        A shape joins a longer one that has room for it, with turns by nothing in between: a
        group more costs more than these.
        """
        shapes: dict[tuple[str, ...], list[int]] = {}
        for r, run in enumerate(runs):
            if _varies(run):
                shape = tuple(op.axis if isinstance(op, Rotation) else "c" for op, _ in run)
                shapes.setdefault(shape, []).append(r)
            elif run:
                ((op, _),) = run  # neighbouring constants are one
                self._columns[:, r, 0] = first_column(_constant(op))
        groups: dict[tuple[str, ...], list[tuple[int, list[_Placed]]]] = {}
        for shape in sorted(shapes, key=len, reverse=True):
            hosts = ((host, _fit(shape, host)) for host in (*groups, shape))
            host, at = next((host, at) for host, at in hosts if at is not None)
            for r in shapes[shape]:
                placed = [None if i is None else runs[r][i] for i in at]
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


_Numbered = tuple[OneQubitUnitary | Rotation, int]
"""An operation of a run, and the slot of its angle if it is a turn."""
_Placed = _Numbered | None
"""What a run has at a position of its group, if anything."""
_Step = tuple[str, Any, Any]
"""A kind ("x", "y", "z": a turn, "c": a constant); slots of the angles, or α; β of a constant.
Arrays of all runs of a group; numbers of a run alone."""
_Group = tuple[np.ndarray, list[_Step]]

_SMALL = 120
"""With more runs and turns than this, arrays are faster than Python's numbers for one row, too."""
_MOST_ROOM = 2
"""Steps that a run of a longer group may leave out."""


def _fit(shape: tuple[str, ...], host: tuple[str, ...]) -> list[int | None] | None:
    """Which step of a shape stands at each position of another, or None where it has no room."""
    if len(host) - len(shape) > _MOST_ROOM:
        return None
    at: list[int | None] = []
    taken = 0
    for kind in host:
        fits = taken < len(shape) and shape[taken] == kind
        at.append(taken if fits else None)
        taken += fits
    return at if taken == len(shape) else None


def _varies(run: Sequence[_Numbered]) -> bool:
    """Whether a run depends on parameters."""
    return any(isinstance(op, Rotation) for op, _ in run)


def _alone(op: OneQubitUnitary | Rotation, slot: int) -> _Step:
    """One operation of a run by itself."""
    return (op.axis, slot, None) if isinstance(op, Rotation) else ("c", *first_column(op.matrix))


def _step(kind: str, placed: Sequence[_Placed]) -> _Step:
    """One position of a group, over its runs."""
    if kind != "c":  # the last angle is 0
        return kind, np.array([-1 if its is None else its[1] for its in placed]), None
    columns = [(1.0, 0.0) if its is None else first_column(_constant(its[0])) for its in placed]
    a, b = (np.array([[c[i]] for c in columns], dtype=complex) for i in (0, 1))
    return kind, a, b


class AffineMap:
    """Many affine angles at once: ``[rows, P] -> [angles, rows]``."""

    def __init__(self, angles: Sequence[Affine], parameters: int) -> None:
        self._const = np.array([[angle.const] for angle in angles]).reshape(-1, 1)
        self._matrix = np.zeros((len(angles), parameters))
        for row, angle in enumerate(angles):
            for i, factor in angle.terms:
                self._matrix[row, i] += factor
        # Nearly always each angle is one parameter times a number: take it, do not multiply.
        self._pick: np.ndarray | None = None
        self._picked: list[tuple[int, float, float]] | None = None
        if parameters and all(len(angle.terms) <= 1 for angle in angles):
            terms = [angle.terms[0] if angle.terms else (0, 0.0) for angle in angles]
            self._pick = np.array([i for i, _ in terms], dtype=np.intp)
            self._factor = np.array([factor for _, factor in terms])[:, None]
            self._picked = [(*t, float(a.const)) for t, a in zip(terms, angles, strict=True)]

    def alone(self, parameters: FloatArray) -> list[float]:
        """Angles of one row (1, P), in Python's numbers."""
        if self._picked is None:
            return self(parameters)[:, 0].tolist()  # type: ignore[no-any-return]
        row = parameters[0].tolist()
        return [row[i] * factor + const for i, factor, const in self._picked]

    def __call__(self, parameters: FloatArray) -> FloatArray:
        """Angles (angles, rows) at parameters (rows, P)."""
        if self._pick is None:
            return np.asarray(self._matrix @ parameters.T + self._const)
        picked: FloatArray = parameters.T[self._pick]
        picked *= self._factor
        picked += self._const
        return picked


def _constant(op: OneQubitUnitary | Rotation) -> ComplexArray:
    assert isinstance(op, OneQubitUnitary)  # noqa: S101 - by its shape
    return op.matrix


def _multiplied(steps: Sequence[_Step], cos: Any, sin: Any) -> Any:
    """(α, β) of the product of the steps in time order: of arrays, or of numbers."""
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


def random_rows(rng: np.random.Generator, rows: int, parameters: int) -> FloatArray:
    """Generic parameters: no angle is special with any likelihood."""
    shape = rows, parameters
    return np.asarray(rng.uniform(0.2, 2.9, shape) * rng.choice([-1.0, 1.0], shape))
