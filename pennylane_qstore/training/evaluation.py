"""Evaluation of an objective at several points, in one batch where its circuits allow it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pennylane_qstore.deferral.operands import real
from pennylane_qstore.deferral.scope import evaluate
from pennylane_qstore.training.parameters import (
    Arrays,
    Parameters,
    as_loss,
    check_scalar,
    without_graphs,
)

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

    def losses(
        self, parameters: Parameters, points: Arrays, forward: bool
    ) -> tuple[NDArray[np.float64], Any]:
        """Evaluate the objective at points, and where the parameters stand.

        Args:
            parameters: the arguments of the objective.
            points: trained values, ``[points, *shape]`` each.
            forward: whether the arguments themselves are evaluated too.

        Returns:
            Losses, ``[points]``, and the value of the objective at the arguments (None unless
            ``forward``).

        Raises:
            ConfigurationError: a value is no finite real scalar.
        """
        moved = [parameters.rebuild(values) for values in zip(*points, strict=True)]
        calls = [partial(self._value, point) for point in moved]
        if forward:
            calls.append(partial(self._value, parameters.args))
        values = call_together(calls, self.mode)
        losses = np.array([as_loss(value) for value in values])
        return losses[: len(moved)], values[-1] if forward else None

    def loss_at(self, args: list[Any]) -> float:
        """Return the objective's value at arguments."""
        return as_loss(call_together([partial(self._value, args)], self.mode)[0])

    def _value(self, point: Sequence[Any]) -> Any:
        value = self.objective(*without_graphs(point), **self.kwargs)
        check_scalar(value)  # of a deferred value, before anything is sent
        return value


def call_together(calls: Sequence[Callable[[], Any]], mode: Mode) -> list[Any]:
    """Call functions, with their circuits in one batch where these allow it.

    Args:
        calls: functions without arguments.
        mode: as in :class:`Evaluator`.

    Returns:
        Their values, in order; real arrays only.
    """
    if mode == "serial":
        # One after another also where somebody collects: inside deferred().
        return [real(call()) for call in calls]
    return evaluate(*calls, lazy=mode == "deferred")
