"""Evaluation of an objective at several points, in one batch where its circuits allow it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

from pennylane_qstore.deferral.operands import real
from pennylane_qstore.deferral.scope import evaluate
from pennylane_qstore.training.parameters import check_scalar, without_graphs

Mode = Literal["deferred", "tasks", "serial"]
MODES: tuple[Mode, ...] = ("deferred", "tasks", "serial")


class Evaluator(NamedTuple):
    """An objective with its keyword arguments, and the way its evaluations travel.

    Attributes:
        objective: returns one real number.
        kwargs: further arguments, the same at all points.
        mode: ``"deferred"``; ``"tasks"`` for no deferred results; ``"serial"`` for one evaluation
            after another.
    """

    objective: Callable[..., Any]
    kwargs: Mapping[str, Any]
    mode: Mode

    def __call__(self, points: Sequence[list[Any]]) -> list[Any]:
        """Evaluate the objective.

        Args:
            points: positional arguments of each evaluation.

        Returns:
            One value per point.
        """
        if self.mode == "serial":
            # One after another also where somebody collects: inside deferred().
            return [real(self._value(point)) for point in points]
        calls = [partial(self._value, point) for point in points]
        return evaluate(*calls, lazy=self.mode == "deferred")

    def _value(self, point: list[Any]) -> Any:
        value = self.objective(*without_graphs(point), **self.kwargs)
        check_scalar(value)  # of a deferred value, before anything is sent
        return value
