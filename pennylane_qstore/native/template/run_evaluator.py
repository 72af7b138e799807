"""Runs and entangling angles of a circuit, evaluated for any number of rows of parameters.

A run of one-qubit gates is a unitary of determinant 1, [[α, -β*], [β, α*]], and is kept as its
first column (α, β). All runs are multiplied together, stacked, operation by operation.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pennylane_qstore.errors import CompileError
from pennylane_qstore.gateset import FULL_ANGLE
from pennylane_qstore.native.frontend.program import Affine, ComplexArray, FloatArray, Gate
from pennylane_qstore.native.ir import Rotation
from pennylane_qstore.native.su2 import first_column
from pennylane_qstore.native.template.runs import Runs

EPS = 1e-10
"""Amplitudes, and angles in turns, below this are nothing."""

_SINES: Mapping[str, tuple[complex, complex]] = {"x": (0, -1j), "y": (0, 1), "z": (-1j, 0)}
"""Factors of the sine of the half angle in the (α, β) of a rotation."""


class RunEvaluator:
    """Runs and entangling angles as functions of the parameters.

    Args:
        runs: the runs; run i of part q has index ``index[q][i]`` here.
        family: ``"ms"`` or ``"zz"``.
        parameters: number of parameters P.
    """

    def __init__(self, runs: Runs, family: str, parameters: int) -> None:
        self.family, self.parameters = family, parameters
        self.entanglers, self.parts, self.ends = runs.entanglers, runs.parts, runs.ends
        sent = [end.fence.gate for end in runs.ends if end.fence.gate is not None]
        self.as_written = AsWritten(sent) if sent else None
        self.runs = [run for wire in runs.runs for run in wire]
        self.size = len(self.runs)
        ends = np.cumsum([0, *(len(wire) for wire in runs.runs)]).tolist()
        self.index = [
            list(range(start, start + len(wire)))
            for start, wire in zip(ends, runs.runs, strict=False)
        ]
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
        half_angles = self._stack()
        self.rotations = len(half_angles)
        self.varying = {
            part
            for part in runs.kept
            if len(self.index[part]) == 1 and not self.is_constant(self.index[part][0])
        }
        """Parts that a rotation is kept in; no entangler of theirs changes it by half a turn."""
        self.kept_runs = [self.index[part][0] for part in sorted(self.varying)]
        self.kept_entanglers = [i for i, e in enumerate(runs.entanglers) if e.a in runs.kept]
        self.angles = AffineMap([*half_angles, *(e.angle for e in runs.entanglers)])

    def _stack(self) -> list[Affine]:
        """Stack the operations of all runs, first ones first; return the rotations' half angles.

        The longest runs come first, so that those with an n-th operation are a slice.
        """
        order = sorted(range(self.size), key=lambda r: -len(self.runs[r]))
        self._unsorted = np.argsort(order)
        longest = max(map(len, self.runs), default=0)
        counts = [sum(len(run) > n for run in self.runs) for n in range(1, longest)]
        self.slots: list[list[int]] = [[] for _ in self.runs]
        """For each operation of each run, the index of its half angle, -1 for constants."""
        places: list[int] = []
        columns: list[tuple[complex, complex]] = []
        half_angles: list[Affine] = []
        for n, count in enumerate([self.size, *counts]):
            for r in order[:count]:
                if n == len(self.runs[r]):  # an empty run
                    columns.append((1, 0))
                    continue
                op = self.runs[r][n]
                if isinstance(op, Rotation):
                    self.slots[r].append(len(half_angles))
                    half_angles.append(op.angle.scaled(0.5))
                    places.append(len(columns))
                    columns.append(_SINES[op.axis])
                else:
                    self.slots[r].append(-1)
                    columns.append(first_column(op.matrix))
        self._ends = np.cumsum([self.size, *counts]).tolist()
        self._factors = np.array(columns, dtype=complex).reshape(-1, 2).T[:, :, None].copy()
        self._places = np.array(places, dtype=np.intp)
        self._sines = self._factors[:, self._places]
        return half_angles

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        arrays = (self._factors, self._sines, self._places, self._unsorted, self.after)
        sent = self.as_written.nbytes if self.as_written else 0
        return sum(array.nbytes for array in arrays) + self.angles.nbytes + sent

    def is_constant(self, run: int) -> bool:
        """Return whether a run is independent of the parameters."""
        return not any(isinstance(op, Rotation) for op in self.runs[run])

    def evaluate(self, parameters: FloatArray) -> tuple[FloatArray, ComplexArray]:
        """Evaluate everything at parameters ``[rows, P]``.

        Returns:
            Angles of the entanglers in turns within ±1/4, (entanglers, rows), and (α, β) of
            the runs, (2, runs, rows).
        """
        rows = len(parameters)
        angles = self.angles(parameters)
        half, entangling = angles[: self.rotations], angles[self.rotations :]
        factors = np.empty((2, self._factors.shape[1], rows), dtype=complex)
        factors[:] = self._factors
        rotations = self._sines * np.sin(half)
        rotations[0] += np.cos(half)
        factors[:, self._places] = rotations
        columns = factors[:, : self.size]  # first operations; the others are multiplied to them
        for start, end in itertools.pairwise(self._ends):
            a, b = factors[:, start:end]
            x, y = columns[:, : end - start]
            x[:], y[:] = a * x - b.conj() * y, b * x + a.conj() * y
        columns = columns.take(self._unsorted, axis=1)  # contiguous, unlike an index
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


_LIMITS: Mapping[str, tuple[float, float]] = {"ms": (0.0, FULL_ANGLE), "zz": (-1.0, 1.0)}
"""Angles that IonQ takes, in turns."""


class AsWritten:
    """The numbers of native gates that are sent as they are.

    Args:
        gates: the gates, in time order.
    """

    def __init__(self, gates: Sequence[Gate]) -> None:
        self._angles = AffineMap([angle for gate in gates for angle in gate.angles])
        slots = [(gate.name.lower(), i) for gate in gates for i in range(len(gate.angles))]
        last = {"ms": 2, "zz": 0}
        self._limited = [(s, name) for s, (name, i) in enumerate(slots) if last.get(name) == i]
        self._phases = np.delete(np.arange(len(slots)), [s for s, _ in self._limited])
        self.nbytes = self._angles.nbytes + self._phases.nbytes

    def __call__(self, parameters: FloatArray) -> FloatArray:
        """Return the numbers (slots, rows) at parameters (rows, P), in turns; phases within ±1.

        Raises:
            CompileError: the angle of an entangler is none that IonQ takes.
        """
        turns = self._angles(parameters)
        for slot, name in self._limited:
            least, most = _LIMITS[name]
            wrong = turns[slot][(turns[slot] < least) | (turns[slot] > most)]
            if wrong.size:
                raise CompileError(
                    f"{name.upper()} with an angle of {wrong[0]:g} turns cannot be sent as it is. "
                    f"Allowed in a verbatim box: {least:g} to {most:g}. Nothing was sent."
                )
        phases = turns[self._phases]
        turns[self._phases] = np.where(np.abs(phases) > 1, np.fmod(phases, 1), phases)
        return turns


_PADDED = 4096
"""Terms up to which angles with few are given zeros, to be added all at once; beyond it only the
terms there are kept: one angle of all parameters would make a dense matrix of the others."""


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
        padded = most * len(angles) <= _PADDED
        self._terms = [_terms(angles, k, padded=padded or k == 0) for k in range(most)]
        nothing = ((0, 0.0),) if most == 1 else ()
        self._single_terms = most == 1
        self._singly = [(angle.terms or nothing, float(angle.const)) for angle in angles]

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        rows = sum(on.nbytes for on, *_ in self._terms if isinstance(on, np.ndarray))
        terms = sum(index.nbytes + factor.nbytes for _, index, factor in self._terms)
        return int(self._const.nbytes + rows + terms)

    def __call__(self, parameters: FloatArray) -> FloatArray:
        """Return angles (angles, rows) at parameters (rows, P)."""
        columns = parameters.T
        if not self._terms:
            return np.repeat(self._const, len(parameters), axis=1)
        _, index, factor = self._terms[0]
        angles: FloatArray = columns[index]
        angles *= factor
        for on, index, factor in self._terms[1:]:
            angles[on] += columns[index] * factor
        angles += self._const
        return angles

    def of_row(self, parameters: FloatArray) -> list[float]:
        """Return the angles of one row (1, P), the same bits as Python's numbers."""
        row = parameters[0].tolist()
        if self._single_terms:
            return [row[i] * factor + const for ((i, factor),), const in self._singly]
        # Not sum(): from Python 3.12 on it compensates the rounding of floats, and NumPy does not.
        return [
            functools.reduce(operator.add, [row[i] * factor for i, factor in terms], 0.0) + const
            for terms, const in self._singly
        ]


def _terms(
    angles: Sequence[Affine], k: int, *, padded: bool
) -> tuple[Any, npt.NDArray[np.intp], FloatArray]:
    """The k-th term of each angle that has so many; of all where ``padded``, by zeros.

    Returns:
        Which angles they are, the indices of their parameters, and their factors, ``[n, 1]``.
    """
    on = [i for i, angle in enumerate(angles) if padded or len(angle.terms) > k]
    terms = [angles[i].terms[k] if len(angles[i].terms) > k else (0, 0.0) for i in on]
    index = np.array([i for i, _ in terms], dtype=np.intp)
    factor = np.array([[f] for _, f in terms], dtype=float).reshape(-1, 1)
    return slice(None) if padded else np.array(on, dtype=np.intp), index, factor
