"""Rules that end bad trials early."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from pennylane_qstore.sweeps.trials import Trial

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
