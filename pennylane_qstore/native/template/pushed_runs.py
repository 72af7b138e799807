"""Rotations moved through entanglers by the rules of a plan, for all rows of parameters at once.

See :mod:`~.pushing` for the rules. A rule that follows from its neighbour
needs the neighbour's angle first: rules are arranged in levels, each evaluated at one stroke.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pennylane_qstore.native.frontend.program import ComplexArray, FloatArray
from pennylane_qstore.native.template.pushing import Kind, Rule
from pennylane_qstore.native.template.runs import Bank, Entangler

_Indices = npt.NDArray[np.int_]


class _Step(NamedTuple):
    """Angles of one kind and level: slots to fill, slots they follow from, runs between."""

    kind: Kind
    slots: _Indices
    sources: _Indices
    runs: _Indices
    offsets: FloatArray  # radians, (slots, 1)


class Moves:
    """A plan ready for rows.

    Args:
        rules: for each wire with k entanglers, the k+2 rules of its plan.
        bank: the runs.
    """

    def __init__(self, rules: Sequence[Sequence[Rule]], bank: Bank) -> None:
        starts = np.cumsum([0, *(len(wire) for wire in rules)])
        self._const = np.zeros((starts[-1], 1))
        self._signs: list[list[int]] = [[-1 if r.offset else 1 for r in wire] for wire in rules]
        levels: dict[tuple[int, Kind], list[tuple[int, int, int, float]]] = {}
        left, right, moved = [], [], []
        for start, wire, index in zip(starts, rules, bank.index, strict=False):
            for i, (level, rule) in enumerate(zip(_levels(wire), wire, strict=True)):
                if rule.kind == "const":
                    self._const[start + i] = rule.offset
                    continue
                source = start + i + (1 if rule.kind == "backward" else -1)
                run = index[i - 1 if rule.kind == "forward" else i]
                item = (start + i, source, run, rule.offset)
                levels.setdefault((level, rule.kind), []).append(item)
            for i, run in enumerate(index):
                if any(rule != Rule("const", 0.0) for rule in wire[i : i + 2]):
                    right.append(start + i)
                    left.append(start + i + 1)
                    moved.append(run)
        arranged = sorted(levels.items())
        self._items = [(kind, *item) for (_, kind), items in arranged for item in items]
        self._places = list(zip(moved, right, left, strict=True))
        self._steps = [
            _Step(
                kind,
                np.array([item[0] for item in items]),
                np.array([item[1] for item in items]),
                np.array([item[2] for item in items]),
                np.array([[item[3]] for item in items]),
            )
            for (_, kind), items in arranged
        ]
        self._moved, self._left, self._right = (
            np.array(m, dtype=int) for m in (moved, left, right)
        )

    def __call__(self, alpha: ComplexArray, beta: ComplexArray) -> None:
        """Move rotations, in place: (α, β) of the runs, each of shape (runs, rows)."""
        if not self._moved.size:
            return
        c = np.empty((len(self._const), alpha.shape[1]))
        c[:] = self._const
        for kind, slots, sources, runs, offsets in self._steps:
            c[slots] = _freeing(kind, alpha[runs], beta[runs], c[sources], np) + offsets
        c /= 2
        cos, sin = np.cos(c), 1j * np.sin(c)
        right, left = self._right, self._left
        alpha[self._moved], beta[self._moved] = _moved(
            *(alpha[self._moved], beta[self._moved]),
            *(cos[right], sin[right], cos[left], sin[left]),
        )

    def alone(self, columns: list[tuple[complex, complex]]) -> None:
        """The same for one row: a list of each run's (α, β), changed in place."""
        if not self._moved.size:
            return
        c = self._const[:, 0].tolist()
        for kind, slot, source, run, offset in self._items:
            c[slot] = _freeing(kind, *columns[run], c[source], math) + offset
        cos, sin = [math.cos(x / 2) for x in c], [1j * math.sin(x / 2) for x in c]
        for run, right, left in self._places:
            columns[run] = _moved(*columns[run], cos[right], sin[right], cos[left], sin[left])

    def flips(self, entanglers: Sequence[Entangler]) -> FloatArray:
        """Sign that each ZZ's angle gets from the half turns moved through it."""
        return np.array(
            [self._signs[e.a][e.run_a + 1] * self._signs[e.b][e.run_b + 1] for e in entanglers],
            dtype=float,
        )


def _freeing(kind: Kind, a: Any, b: Any, c: Any, functions: Any) -> Any:
    """The angle that saves the run (α, β) a pulse, when its neighbour's is c.

    ``functions`` are NumPy's for arrays, those of ``math`` for numbers.
    """
    if kind == "euler":
        y = -2 * (a.real * b.real + a.imag * b.imag)
        return functions.atan2(y, 2 * (a.real * a.imag - b.real * b.imag))
    cos, sin = functions.cos(c / 2), 1j * functions.sin(c / 2)
    if kind == "forward":  # the first column of U RX(-c)
        a, b = a * cos - sin * b.conjugate(), b * cos + sin * a.conjugate()
        y = a.real * b.imag - a.imag * b.real
    else:  # that of (RX(c) U)†
        a, b = cos * a - sin * b, cos * b - sin * a
        y = -(a.real * b.imag + a.imag * b.real)
    z = a.real * a.real + a.imag * a.imag - b.real * b.real - b.imag * b.imag
    return functions.atan2(2 * y, z)


def _moved(a: Any, b: Any, cr: Any, sr: Any, cl: Any, sl: Any) -> tuple[Any, Any]:
    """(α, β) of RX(l) U RX(-r), given cosines and sines (times i) of the half angles."""
    a, b = a * cr - sr * b.conjugate(), b * cr + sr * a.conjugate()
    return cl * a - sl * b, cl * b - sl * a


def _levels(rules: Sequence[Rule]) -> list[int]:
    """Order of evaluation: a rule comes after the neighbour it follows from."""
    levels = [0 if rule.kind in ("const", "euler") else -1 for rule in rules]
    while -1 in levels:
        for i, rule in enumerate(rules):
            if levels[i] < 0:
                source = levels[i + (1 if rule.kind == "backward" else -1)]
                if source >= 0:
                    levels[i] = source + 1
    return levels
