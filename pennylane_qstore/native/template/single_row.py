"""Evaluation of a single row of parameters in Python's numbers.

For few runs the calls of NumPy cost more than the arithmetic: a row bound alone takes a third
of the time this way. Moved angles come from the same
functions as those of the arrays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pennylane_qstore.native.frontend.program import FloatArray
from pennylane_qstore.native.ir import OneQubitUnitary
from pennylane_qstore.native.su2 import first_column
from pennylane_qstore.native.template.pushed_runs import PushPlan
from pennylane_qstore.native.template.run_evaluator import EPS, RunEvaluator

_Step = tuple[str, int, complex, complex]
"""Axis of a rotation and the slot of its half angle, or "c" and (α, β) of a constant."""

_MOST_OPERATIONS = 120
"""With more runs and rotations than this, arrays are faster for one row, too."""


class SingleRow:
    """Runs and entangling angles of one row, rotations moved.

    Args:
        runs: the runs.
        push: rotations to move through entanglers.
        signs: ±1 for each entangler, (entanglers,).
    """

    def __init__(self, runs: RunEvaluator, push: PushPlan, signs: FloatArray) -> None:
        self._runs, self._push = runs, push
        steps = [_steps(runs, r) for r in range(runs.size)]
        varying = [r for r in range(runs.size) if not runs.is_constant(r)]
        self._columns = [
            (1.0, 0.0) if r in varying else _product(steps[r], (), ()) for r in range(runs.size)
        ]
        self._steps = [(r, steps[r]) for r in varying]
        self._turning = [(e, runs.after[:, e].tolist(), float(signs[e])) for e in runs.turning]

    @staticmethod
    def pays_for(runs: RunEvaluator) -> bool:
        """Return whether there are few enough runs for Python's numbers."""
        return runs.size + runs.rotations <= _MOST_OPERATIONS

    def evaluate(
        self, parameters: FloatArray
    ) -> tuple[list[tuple[complex, complex]], list[float], bytes]:
        """Evaluate one row, ``[1, P]``.

        Returns:
            (α, β) of every run, rotations moved; angles of the entanglers that depend on
            parameters, in turns within ±1/4; and for each entangler whether its angle is zero.
        """
        runs = self._runs
        angles = runs.angles.of_row(parameters)
        half, entangling = angles[: runs.rotations], angles[runs.rotations :]
        cos, sin = [math.cos(x) for x in half], [math.sin(x) for x in half]
        columns = self._columns.copy()
        for r, steps in self._steps:
            columns[r] = _product(steps, cos, sin)
        turns, zero = [], bytearray(len(entangling))
        for e, following, sign in self._turning:
            halves = math.ceil(2 * entangling[e] - (0.5 + EPS))
            if halves % 2:
                for run in following:
                    columns[run] = runs.after_half_turn(*columns[run])
            turn = (entangling[e] - halves / 2) * sign
            turns.append(turn)
            zero[e] = abs(turn) < EPS
        self._push.apply_to_row(columns)
        return columns, turns, bytes(zero)


def _steps(runs: RunEvaluator, run: int) -> list[_Step]:
    return [
        ("c", slot, *first_column(op.matrix))
        if isinstance(op, OneQubitUnitary)
        else (op.axis, slot, 0.0, 0.0)
        for op, slot in zip(runs.runs[run], runs.slots[run], strict=True)
    ]


def _product(
    steps: Sequence[_Step], cos: Sequence[float], sin: Sequence[float]
) -> tuple[complex, complex]:
    """(α, β) of the product of steps in time order; cosines and sines of the half angles."""
    a: complex = 1.0
    b: complex = 0.0
    for kind, slot, first, second in steps:
        if kind == "c":
            a, b = (
                first * a - second.conjugate() * b,
                second * a + first.conjugate() * b,
            )
            continue
        c, s = cos[slot], sin[slot]
        if kind == "z":
            e = complex(c, -s)
            a, b = e * a, e.conjugate() * b
        elif kind == "y":
            a, b = c * a - s * b, s * a + c * b
        else:
            turned = complex(0.0, s)
            a, b = c * a - turned * b, c * b - turned * a
    return a, b
