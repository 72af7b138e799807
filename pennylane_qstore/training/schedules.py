"""Schedules: values that change from step to step, for ``TrainingRun(lr=, shots=)``.

A schedule is a function of the step, counted from 1. Those here are such functions; any other will
do as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.validation import check, check_count, check_number

__all__ = ["constant", "cosine", "exponential", "linear"]

Function: TypeAlias = Callable[[int], float]
_LOOKED_AT = (1, 2, 3, 4, 5, 7, 10, 20, 30, 50, 70, 100, 200, 300, 500, 700, 1000)
"""Steps whose values are compared when a run goes on with a schedule."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A function of the step, from 1, that goes from one value to another and stays there.

    Attributes:
        kind: of the way between them.
        start: value of step 1.
        end: value of step ``steps``, and of those after it.
        steps: length of the way.
    """

    kind: Literal["constant", "linear", "cosine", "exponential"]
    start: float
    end: float
    steps: int

    def __call__(self, step: int) -> float:
        """Return the value of a step, counted from 1."""
        part = min(max(step - 1, 0) / max(self.steps - 1, 1), 1.0)
        if self.kind == "exponential":
            return float(self.start * (self.end / self.start) ** part)
        if self.kind == "cosine":
            part = (1.0 - math.cos(math.pi * part)) / 2.0
        return self.start + (self.end - self.start) * part

    def __repr__(self) -> str:
        if self.kind == "constant":
            return f"constant({self.start:g})"
        return f"{self.kind}({self.start:g}, {self.end:g}, steps={self.steps})"


def constant(value: float) -> Schedule:
    """Return the schedule that has one value in every step."""
    value = check_number("value", value)
    return Schedule("constant", value, value, 1)


def linear(start: float, end: float, steps: int) -> Schedule:
    """Return a schedule that changes by the same amount in every step.

    Args:
        start: value of step 1.
        end: value of step ``steps``, and of those after it.
        steps: length of the way.

    Returns:
        The schedule.
    """
    return _between("linear", start, end, steps)


def cosine(start: float, end: float, steps: int) -> Schedule:
    """Return a schedule that follows half a cosine: slowly at both ends.

    I. Loshchilov and F. Hutter, arXiv:1608.03983, without restarts.

    Args:
        start: value of step 1.
        end: value of step ``steps``, and of those after it.
        steps: length of the way.

    Returns:
        The schedule.
    """
    return _between("cosine", start, end, steps)


def exponential(start: float, end: float, steps: int) -> Schedule:
    """Return a schedule that changes by the same factor in every step.

    Args:
        start: value of step 1, above 0.
        end: value of step ``steps``, and of those after it, above 0.
        steps: length of the way.

    Returns:
        The schedule.
    """
    check_number("start", start, above=0)
    check_number("end", end, above=0)
    return _between("exponential", start, end, steps)


def _between(kind: Any, start: float, end: float, steps: int) -> Schedule:
    ends = (check_number("start", start), check_number("end", end))
    return Schedule(kind, *ends, check_count("steps", steps))


def described(schedule: Function) -> Any:
    """Return the description of a schedule, the same in every process.

    Args:
        schedule: a function of the step.

    Returns:
        The call that makes it, or the values of some steps as far as it has values.
    """
    if isinstance(schedule, Schedule):
        return repr(schedule)
    values = []
    for step in _LOOKED_AT:
        try:
            values.append(float(schedule(step)))
        except (LookupError, StopIteration):  # such as a list that is as long as the training
            break
        except (TypeError, ValueError):  # refused with the number of its step, when it is due
            break
    return values


class LearningRate:
    """The learning rates of a run's steps, given to its optimizer for each of them.

    Args:
        lr: a function of the step, a number for all of them, or None to leave them to the
            optimizer.
        optimizer: of the run.

    Raises:
        ConfigurationError: neither, or an optimizer that has no learning rate.
    """

    def __init__(self, lr: Function | float | None, optimizer: Any) -> None:
        self._optimizer = optimizer
        self._schedule = lr if lr is None or callable(lr) else constant(check_number("lr", lr))
        if lr is None:
            return
        self._name = _attribute(optimizer)
        if getattr(optimizer, "given", {}).get("a") is not None:
            raise ConfigurationError("lr= takes the place of the optimizer's a=: leave one out.")

    def settings(self) -> dict[str, Any]:
        """Return the settings that have to be the same when a run goes on."""
        return {} if self._schedule is None else {"lr": described(self._schedule)}

    @contextmanager
    def applied(self, step: int) -> Iterator[None]:
        """Let a step have its learning rate.

        Args:
            step: its number.

        Raises:
            ConfigurationError: the schedule gives no number for it. Nothing was sent.
        """
        if self._schedule is None:
            yield
            return
        rate = check_number(f"lr in step {step}", self._schedule(step), least=0)
        optimizer, name = self._optimizer, self._name
        if name == "a":  # of PennyLane's SPSA, whose rate is a / (A + k)^alpha
            rate *= (optimizer.A + optimizer.k) ** optimizer.alpha
        holders = getattr(optimizer, "param_groups", None) or [vars(optimizer)]
        before = [holder[name] for holder in holders]
        for holder in holders:
            holder[name] = rate
        try:
            yield
        finally:
            for holder, value in zip(holders, before, strict=True):
                holder[name] = value


def _attribute(optimizer: Any) -> str:
    """Return where an optimizer keeps its learning rate."""
    if hasattr(optimizer, "param_groups"):
        return "lr"
    names = ("learning_rate", "step_size", "stepsize", "a")
    name = next((name for name in names if name in vars(optimizer)), None)
    kind = type(optimizer).__name__
    check("lr", f"of a {kind}", name is not None, f"None: a {kind} has no learning rate")
    return str(name)
