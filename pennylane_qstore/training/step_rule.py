"""Step size, perturbation, directions and their number, from what the steps have measured.

No circuit is evaluated for it: a step's own gradient and its variance are all that is used.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pennylane_qstore.training.perturbations import Gradient

FIRST_STEP = 0.2
"""Root mean square change of a parameter in the first step (radians, for angles). Of 0.15, 0.2,
0.25 and 0.3 with one setting for five tasks (iris, wine, cancer, moons, digits; 80 steps of 100
samples, simulated without a device, seeds 1 to 10) the middle two did best, by little."""
LARGEST_STEP = 2.0
"""Largest step, in first steps."""
PERTURBATION = 0.3
"""Largest first perturbation of a parameter (radians, for angles); measured with the first step."""
PERTURBATION_LENGTH = 1.6
"""Largest Euclidean length of the first perturbation: all parameters move at once, so that with
many of them each has to move less. Measured at 114 and 222 parameters."""
MOST_DIRECTIONS = 20
"""Most shared directions that ``resamplings="auto"`` takes in a step. H2 came as near in 40 steps
of 20 directions as in 300 of one."""
MOST_PER_SAMPLE = 4
"""Most directions a sample: another sample reduces the variance more than another direction."""
MEMORY = 0.9
"""Weight that the running means keep at each step. The scale of the steps
forgets, too: its plain mean was 0.003 worse on the mean of the five tasks."""
LEAST_MEASURED = 10
"""Steps measured before shared directions are tried."""
WHOLE = 0.9
"""Share of the data in a step from which on shared directions are tried: below it, the difference
between samples stays whatever the directions. Trained on all of 20 or 40 samples in every step,
losses ended 10 to 30 % lower than with own directions throughout; on half of 200 they did not
(simulated, 12 seeds)."""
TRY_EVERY = 3
"""Steps from one trial to the next."""
LEAST_TRIALS = 8
"""Trials before directions are shared for good: one trial measures the variance only roughly."""
SHARE_BELOW = 0.7
"""Ratio of the squared gradients, shared to own directions, below which directions are shared."""


@dataclass(frozen=True, slots=True)
class StepRule:
    """Running measurements of a training, and what follows from them.

    The step is ``first_step`` times the gradient, divided by the running root mean square of all
    gradients with the noise in it, times SPSA's decay. Dividing by the size without the noise
    collapsed with many parameters.

    Attributes:
        steps: seen.
        mean_square: mean over parameters of the squared gradient; a running mean.
        measured: steps that had a variance.
        signal: squared length of the gradient, noise subtracted; a running mean, which chance can
            make negative.
        noise: variance of the gradient from one direction (a sample), summed over parameters; a
            running mean.
        trials: steps of shared directions among those of own ones.
        tried: squared length of the gradient in these, noise included; a running mean.
        own: the same in the other steps.
    """

    steps: int = 0
    mean_square: float = 0.0
    measured: int = 0
    signal: float = 0.0
    noise: float = 0.0
    trials: int = 0
    tried: float = 0.0
    own: float = 0.0

    def updated(self, gradient: Gradient, *, trial: bool = False) -> StepRule:
        """Return the rule after one more step.

        Args:
            gradient: of the step.
            trial: the step was one of :meth:`tries_shared`.

        Returns:
            A new rule.
        """
        square, count = gradient.rms**2, sum(g.size for g in gradient.mean)
        steps = self.steps + 1
        mean_square = _running(self.mean_square, square, self.steps)
        rule = replace(self, steps=steps, mean_square=mean_square)
        if trial:
            tried = _running(self.tried, count * square, self.trials)
            return replace(rule, trials=self.trials + 1, tried=tried)
        variance, measured = gradient.mean_variance, self.measured
        if variance is None:
            return rule
        return replace(
            rule,
            measured=measured + 1,
            signal=_running(self.signal, count * (square - variance), measured),
            noise=_running(self.noise, count * variance * gradient.directions, measured),
            own=_running(self.own, count * square, measured),
        )

    def gain(self, first_step: float, rms: float, decay: float) -> float:
        """Return the factor of the gradient in a step.

        Args:
            first_step: root mean square change of a parameter in the first step.
            rms: root mean square of this step's gradient, which was seen by :meth:`updated`.
            decay: SPSA's, 1 at the first step.

        Returns:
            A finite number; 0 while all gradients have been zero.
        """
        if rms == 0 or self.mean_square == 0:
            return 0.0
        largest = LARGEST_STEP * first_step / rms
        return float(min(first_step * decay / np.sqrt(self.mean_square), largest))

    def directions(self, parameters: int, most: int) -> int:
        """Return the number of directions for the next step.

        As many as make the error of the gradient as long as the gradient itself: the norm test
        of R. H. Byrd et al., Math. Program. 134, 127 (2012).

        Args:
            parameters: number of trained numbers.
            most: the cap.

        Returns:
            A number from 1 to ``most``; at least 2 where that is allowed, since the variance of
            a single one is not known.
        """
        if not self.measured:
            wanted = float(parameters)
        elif self.noise <= 0:
            wanted = 1.0
        else:
            wanted = self.noise / self.signal if self.signal > 0 else np.inf
        return int(np.ceil(np.clip(wanted, min(2, most), most)))

    def tries_shared(self, parameters: int, rows: int, total: int | None) -> bool:
        """Return True where the next step is to share one direction, to see how good that is.

        With ``B`` samples, own directions have the variance ``(P q - g2) / B``, with ``P``
        parameters, ``q`` the mean squared slope and ``g2`` the squared gradient; for the same
        circuits a shared one has about ``P (g2 + u (q - g2) / B) - g2``, where ``u`` is the part of
        the slopes' spread that stays if the step uses all data: shot noise. That is worse by
        the factor ``B g2 / q + u``. While its first term is clearly above 1 nothing is tried; below
        it a trial loses little.

        Args:
            parameters: number of trained numbers.
            rows: of a step.
            total: samples that they are taken from; None for as many as one likes.

        Returns:
            False while little has been measured.
        """
        if total is None or rows < WHOLE * total or self.measured < LEAST_MEASURED:
            return False
        if self.noise <= 0 or self.steps % TRY_EVERY:
            return False
        effective = min(self.measured, (1 + MEMORY) / (1 - MEMORY))
        error = np.sqrt(2 * parameters / effective)
        return bool(parameters * self.signal / self.noise - error < 1)

    @property
    def favours_shared(self) -> bool:
        """True once trials have shown that shared directions have the smaller variance."""
        return self.trials >= LEAST_TRIALS and self.tried < SHARE_BELOW * self.own


def _running(mean: float, value: float, count: int) -> float:
    """Return a running mean after one more value: plain at first, then forgetting."""
    return mean + max(1.0 / (count + 1), 1.0 - MEMORY) * (value - mean)


def most_directions(per_sample: bool) -> int:
    """Return the most directions that are chosen: for each sample, or for all that share them."""
    return MOST_PER_SAMPLE if per_sample else MOST_DIRECTIONS


def perturbation_size(parameters: int) -> float:
    """Return the first perturbation of each parameter, for so many trained numbers."""
    return float(min(PERTURBATION, PERTURBATION_LENGTH / np.sqrt(parameters)))
