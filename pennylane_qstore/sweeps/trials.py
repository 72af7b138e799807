"""The trials of a sweep: their parameters, names and outcomes, and a rule that ends bad ones."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pennylane_qstore.errors import BudgetExceeded, ConfigurationError
from pennylane_qstore.training.history import loss_at_ends
from pennylane_qstore.training.stopping import Abandoned
from pennylane_qstore.validation import check, check_seeds

if TYPE_CHECKING:
    from pennylane_qstore.training.run import TrainingRun

Objective: TypeAlias = "Callable[[TrainingRun], float]"
TrialState = Literal["waiting", "complete", "pruned", "failed", "stopped"]

_UNSAFE = re.compile(r"[^A-Za-z0-9.+-]+")


@dataclass(slots=True, eq=False)
class Trial:
    """One training of a sweep.

    Attributes:
        number: from 0.
        params: arguments of ``make_run``, by name.
        label: name of the trial, and of its folder.
        run: the training.
        state: ``"waiting"``, ``"complete"``, ``"pruned"``, ``"failed"`` (see ``error``), or
            ``"stopped"`` by Ctrl-C, a budget or a callback, so that it can go on.
        value: reached, by the sweep's objective; None where there is none.
        error: that the training ended with.
    """

    number: int
    params: Mapping[str, Any]
    label: str
    run: TrainingRun
    state: TrialState = "waiting"
    value: float | None = None
    error: Exception | None = None

    def checkpoint(self, folder: Path) -> Path:
        """Return the path of its checkpoint in the folder of a sweep or study."""
        return folder / self.label / "checkpoint.json"

    def row(self) -> dict[str, Any]:
        """Return parameters and outcome: a row of the table."""
        run = self.run
        return {
            "trial": self.number,
            **self.params,
            "state": self.state,
            "steps": run.step,
            "value": self.value,
            "stopped": run.stopped,
            "circuits": sum(record.circuits for record in run.history),
            "cost_usd": run.spent_usd,
            "error": None if self.error is None else f"{type(self.error).__name__}: {self.error}",
        }


def reached(run: TrainingRun) -> float:
    """Return what a run has reached: its least validation loss, or else its loss at the end.

    The loss at the end is the mean of the last 10 steps, or of half of a shorter run.

    Raises:
        ConfigurationError: it has made no step.
    """
    if run.watched != "loss" and run.best is not None:
        return float(run.best.metrics[run.watched])
    if not run.history:
        raise ConfigurationError(f"The run {run.name!r} has made no step.")
    return loss_at_ends(run.history)[1]


def combinations(
    seeds: int | Iterable[int] | None,
    grid: Mapping[str, Iterable[Any]] | None,
    trials: Iterable[Mapping[str, Any]] | None,
) -> list[dict[str, Any]]:
    """Return the arguments of each trial: every point of the grid, or trial, with every seed.

    Args:
        seeds: so many, from 1, or a list of them; None for none.
        grid: values of each argument, by name.
        trials: arguments of each trial, instead of a grid.

    Returns:
        The arguments by name, points first and the seeds of each together.

    Raises:
        ConfigurationError: there is nothing to try, or the same argument twice.
    """
    check("trials", trials, trials is None or grid is None, "None where there is a grid")
    if trials is not None:
        points = [dict(point) for point in trials]
    else:
        axes = {name: list(values) for name, values in (grid or {}).items()}
        empty = [name for name, values in axes.items() if not values]
        if empty:
            raise ConfigurationError(f"The grid has no values of {', '.join(map(repr, empty))}.")
        points = [
            dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())
        ]
    if seeds is not None:
        chosen = check_seeds(seeds)
        if any("seed" in point for point in points):
            raise ConfigurationError("Give the seeds in seeds=, or as 'seed' of each trial.")
        points = [{**point, "seed": seed} for point in points for seed in dict.fromkeys(chosen)]
    if not points or points == [{}]:
        raise ConfigurationError("There is nothing to try: give seeds=, grid= or trials=.")
    return points


def labels(points: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a name for each trial that is a file name too: ``"lr-0.1-seed-2"``."""
    names = ["-".join(f"{name}-{_text(value)}" for name, value in p.items()) for p in points]
    twice = {name for name in names if names.count(name) > 1}
    return [f"{name}-trial-{i}" if name in twice else name for i, name in enumerate(names)]


def _text(value: Any) -> str:
    name = getattr(value, "__name__", None) or str(value)
    return _UNSAFE.sub("_", name)[:40]


def made(make_run: Callable[..., TrainingRun], point: Mapping[str, Any]) -> TrainingRun:
    """Return the run of a trial.

    Args:
        make_run: makes it.
        point: its arguments, by name.

    Returns:
        The run, before its first step.

    Raises:
        ConfigurationError: the function has no such arguments, or returns no run.
    """
    from pennylane_qstore.training.run import TrainingRun

    try:
        run = make_run(**point)
    except TypeError as error:
        raise ConfigurationError(
            f"make_run cannot be called with {', '.join(point)}: {error}. The names of the grid, "
            "and 'seed' for seeds=, are its arguments."
        ) from error
    check("make_run(...)", run, isinstance(run, TrainingRun), "a TrainingRun")
    return run


def conclude(trial: Trial, objective: Objective | None) -> None:
    """Set state and value of a trial that has been trained.

    Args:
        trial: whose run tells why it stopped.
        objective: of the run, where that is complete; None for what :func:`reached` tells.
    """
    run = trial.run
    over = run.stopped in ("steps", "patience", "callback")
    trial.state = "pruned" if run.stopped == "pruned" else "complete" if over else "stopped"
    if not run.history:
        return
    if objective is None:
        trial.value = reached(run)
    elif trial.state == "complete":
        try:
            trial.value = float(objective(run))
        except BudgetExceeded as error:  # what was trained is not lost by that
            trial.state, trial.error = "stopped", error
        except Abandoned:
            trial.state = "stopped"


PruneRule = Callable[[Trial, Sequence[Trial]], bool]
"""Called after each step of a trial with it and all trials; True ends it."""


@dataclass(frozen=True, slots=True)
class MedianRule:
    """End a trial whose loss is worse than the median of all trials.

    Losses are those of the step before, which all trials have made that are still at work, as the
    means of several steps.

    Args:
        after: steps that every trial may make.
        window: steps of a mean.
    """

    after: int = 10
    window: int = 5

    def __call__(self, trial: Trial, trials: Sequence[Trial]) -> bool:
        """Return True where the trial is to end.

        Args:
            trial: that has made a step.
            trials: all of the sweep.
        """
        step = trial.run.step - 1
        if step < self.after:
            return False
        means = [self._mean(one, step) for one in trials if one.run.step >= step]
        return len(means) > 1 and self._mean(trial, step) > median(means)

    def _mean(self, trial: Trial, step: int) -> float:
        return fmean(r.loss for r in trial.run.history[max(0, step - self.window) : step])
