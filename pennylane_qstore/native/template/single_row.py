"""One row of parameters in Python's numbers.

For few runs the calls of NumPy cost more than the arithmetic: a row bound alone takes a third
of the time this way. The formulas are those of the arrays, from the same functions.
"""

from __future__ import annotations

import math

from pennylane_qstore.native.frontend.program import FloatArray
from pennylane_qstore.native.template.pushed_runs import PushPlan
from pennylane_qstore.native.template.run_evaluator import (
    EPS,
    RunEvaluator,
    multiplied,
    one_run_step,
)

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
        self._columns = [tuple(column) for column in runs.columns[:, :, 0].T.tolist()]
        self._steps = [
            (r, [one_run_step(numbered) for numbered in run])
            for r, run in enumerate(runs.numbered)
            if not runs.is_constant(r)
        ]
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
            columns[r] = multiplied(steps, cos, sin)
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
