"""Rotations moved through entanglers by the rules of a plan, for all rows of parameters at once.

See :mod:`~.pushing` for the rules. A rule that follows from its neighbour needs the neighbour's
angle first: rules are arranged in levels, each evaluated at one stroke.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pennylane_qstore.native.frontend.program import ComplexArray, FloatArray
from pennylane_qstore.native.template.pushing import Kind, PushRule
from pennylane_qstore.native.template.runs import Entangler

_GRID = 1.5 * 2.0**12
"""Adding and subtracting this rounds a number of size 1 to a multiple of 2^-40.

At special angles both arguments of an atan2 can be zero, of which rounding makes noise of any
direction: one row would get another angle alone than in a batch, and other pulses after it. The
rounding moves the tilt of a run by no more than 1e-12, a hundredth of what is taken for special.
"""

_Indices = npt.NDArray[np.int_]


class _Slot(NamedTuple):
    """One pushed angle that is computed from a run.

    Attributes:
        kind: how.
        at: its index among the angles of all wires.
        source: index of the neighbouring angle that it follows from.
        run: the run between the two, or the one that an Euler angle frees.
        offset: constant that is added, radians.
    """

    kind: Kind
    at: int
    source: int
    run: int
    offset: float


class _Step(NamedTuple):
    """Slots of one kind and level as arrays; offsets have the shape (slots, 1)."""

    kind: Kind
    at: _Indices
    sources: _Indices
    runs: _Indices
    offsets: FloatArray


class _Place(NamedTuple):
    """A run that rotations move into or out of, and the angles before and after it."""

    run: int
    right: int
    left: int


class PushPlan:
    """Rules ready for rows.

    Args:
        rules: for each wire with k entanglers, its k+2 rules.
        index: for each wire, the indices of its k+1 runs.
    """

    def __init__(self, rules: Sequence[Sequence[PushRule]], index: Sequence[Sequence[int]]) -> None:
        starts = np.cumsum([0, *(len(wire) for wire in rules)]).tolist()
        self._const = np.array([[rule.offset] for wire in rules for rule in wire]).reshape(-1, 1)
        self._flips = [[-1 if rule.offset else 1 for rule in wire] for wire in rules]
        levels: dict[tuple[int, Kind], list[_Slot]] = {}
        self.places: list[_Place] = []
        for start, wire, runs in zip(starts, rules, index, strict=False):
            for i, (level, rule) in enumerate(zip(_levels(wire), wire, strict=True)):
                if rule.kind != "const":
                    source = start + i + (1 if rule.kind == "backward" else -1)
                    run = runs[i - 1 if rule.kind == "forward" else i]
                    slot = _Slot(rule.kind, start + i, source, run, rule.offset)
                    levels.setdefault((level, rule.kind), []).append(slot)
            for i, run in enumerate(runs):
                if any(rule != PushRule("const", 0.0) for rule in wire[i : i + 2]):
                    self.places.append(_Place(run, start + i, start + i + 1))
        ordered = [levels[key] for key in sorted(levels)]
        self.slots = [slot for slots in ordered for slot in slots]
        self._steps = [_step(slots) for slots in ordered]
        self._moved, self._right, self._left = (
            np.array([place[k] for place in self.places], dtype=int) for k in range(3)
        )

    def apply(self, alpha: ComplexArray, beta: ComplexArray) -> None:
        """Move rotations through entanglers, in place.

        Args:
            alpha: upper entries of the runs' first columns, (runs, rows).
            beta: lower entries, (runs, rows).
        """
        if not self.places:
            return
        c = np.empty((len(self._const), alpha.shape[1]))
        c[:] = self._const
        for kind, at, sources, runs, offsets in self._steps:
            c[at] = _freeing_angle(kind, alpha[runs], beta[runs], c[sources], np) + offsets
        c /= 2
        cos, sin = np.cos(c), 1j * np.sin(c)
        right, left = self._right, self._left
        alpha[self._moved], beta[self._moved] = _between(
            *(alpha[self._moved], beta[self._moved]),
            *(cos[right], sin[right], cos[left], sin[left]),
        )

    def apply_to_row(self, columns: list[tuple[complex, complex]]) -> None:
        """Do the same for one row: a list of each run's (α, β), changed in place."""
        if not self.places:
            return
        c = self._const[:, 0].tolist()
        for kind, at, source, run, offset in self.slots:
            c[at] = _freeing_angle(kind, *columns[run], c[source], math) + offset
        cos, sin = [math.cos(x / 2) for x in c], [1j * math.sin(x / 2) for x in c]
        for run, right, left in self.places:
            columns[run] = _between(*columns[run], cos[right], sin[right], cos[left], sin[left])

    def signs(self, entanglers: Sequence[Entangler]) -> FloatArray:
        """Return the sign of each ZZ's angle after the half turns that move through it."""
        flips = self._flips
        return np.array(
            [flips[e.a][e.run_a + 1] * flips[e.b][e.run_b + 1] for e in entanglers], dtype=float
        )

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        return int(sum(a.nbytes for a in (self._const, self._moved, self._right, self._left)))


def _step(slots: Sequence[_Slot]) -> _Step:
    _, at, sources, runs, offsets = (list(column) for column in zip(*slots, strict=True))
    indices = (np.array(at), np.array(sources), np.array(runs))
    return _Step(slots[0].kind, *indices, np.array(offsets)[:, None])


def _freeing_angle(kind: Kind, a: Any, b: Any, c: Any, functions: Any) -> Any:
    """The angle that saves the run (α, β) a pulse, when its neighbour's is c.

    ``functions`` are NumPy's for arrays, those of ``math`` for numbers.
    """
    if kind == "euler":
        y = -(a.real * b.real + a.imag * b.imag)
        z = a.real * a.imag - b.real * b.imag
    else:
        cos, sin = functions.cos(c / 2), 1j * functions.sin(c / 2)
        if kind == "forward":  # the first column of U RX(-c)
            a, b = a * cos - sin * b.conjugate(), b * cos + sin * a.conjugate()
            y = a.real * b.imag - a.imag * b.real
        else:  # that of (RX(c) U)†
            a, b = cos * a - sin * b, cos * b - sin * a
            y = -(a.real * b.imag + a.imag * b.real)
        z = a.real * a.real + a.imag * a.imag - 0.5  # half of |α|² - |β|²
    y += _GRID
    y -= _GRID
    z += _GRID
    z -= _GRID
    return functions.atan2(y, z)


def _between(a: Any, b: Any, cr: Any, sr: Any, cl: Any, sl: Any) -> tuple[Any, Any]:
    """(α, β) of RX(l) U RX(-r), given cosines and sines (times i) of the half angles."""
    a, b = a * cr - sr * b.conjugate(), b * cr + sr * a.conjugate()
    return cl * a - sl * b, cl * b - sl * a


def _levels(rules: Sequence[PushRule]) -> list[int]:
    """Order of evaluation: a rule comes after the neighbour it follows from."""
    levels = [0 if rule.kind in ("const", "euler") else -1 for rule in rules]
    while -1 in levels:
        for i, rule in enumerate(rules):
            if levels[i] < 0:
                source = levels[i + (1 if rule.kind == "backward" else -1)]
                if source >= 0:
                    levels[i] = source + 1
    return levels
