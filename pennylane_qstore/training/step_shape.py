"""The shape of a training step: samples, directions and shots, chosen by what they cost.

Pure. The gradient of a step of ``n`` perturbed pairs (a random direction of a sample, or one that
all samples share) at ``s`` shots has the variance ``(D + S / s) / n``; ``D`` is the spread of
directions and samples, ``S`` that of shots. A step with the relative variance ``r`` (variance by
squared gradient) goes as far as ``1 / (1 + r)`` steps without noise, so that a number of steps is
enough up to some ``r``; what a step lacks beyond it counts twice, as more steps and as worse
ones. The cheapest shape follows from a price list (fixed costs of a job included, as in K. Ito,
arXiv:2302.04422): below a floor per job, further samples are free, and little is paid beyond it;
with a floor per circuit, further shots are free.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from pennylane_qstore.backends import DEBIASING_MIN_SHOTS, MAX_CIRCUITS, MAX_GATES, MAX_SHOTS
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.prices import JobSize, PriceModel
from pennylane_qstore.training.step_rule import MOST_PER_SAMPLE

FIRST_SHOTS, LAST_SHOTS = 20, 60
"""Least shots at first, and in the last part of a training. Few shots bias a curved loss: its mean
over noisy outputs is not its value at the mean output. Far from the minimum that matters little."""
LAST_PART = 0.3
"""Part of the steps that have at least :data:`LAST_SHOTS`."""
NOISELESS_STEPS = 20
"""Steps that a training would take if they had no noise; with noise, ``1 + r`` times as many."""
NOISELESS_STEPS_SHARED, FEWEST_SHARED = 5, 2
"""The same, and fewest directions, without samples where every circuit is paid. 80 steps of H2
reached 65 mHa with 35 circuits each and 73 with 75; those of MaxCut 0.90 with one direction and
0.957 with two; those of bars and stripes 0.005 with two and 0.001 with nine (seeds 21 to 23, on
the emulator)."""
_SPREAD = 2.0
"""``D`` by squared gradient and number of parameters before anything is measured: at the start of
nine trainings, samples had slopes about that much larger than their mean."""
_SHOT_SPREAD = 4.0
"""``S / D`` before shots have varied: a slope had as much noise from 4 shots as from its sample."""
_PRIOR_STEPS = 5.0
"""Weight of these two, in steps."""
EARLY = 10
"""First steps, whose gradients set the accuracy of all, and the most circuits of later ones."""
_MOST_NOISE = 4.0
"""Most noise by squared gradient that is believed, in multiples of the usual ratio: chance may
leave nothing of the signal."""
MOST_SHARED = 80
"""Most directions that all samples share: below a floor they are free. Of born machines for bars
and stripes, 2 in 10 ended far off with at most 20, 3 with 40, none with 80 (30 steps, seeds 21 to
30, on the emulator)."""
MOST_FLOORS, FLOOR_PARAMETERS = 1.1, 28
"""Most floors of a job that a step costs, and parameters for each of them where that is more.
Without a limit 30 steps of H2 (24 parameters) ended at 96 mHa for 1,758 USD, with 1.3 floors at
101 mHa for 965, with 1.1 at 114 mHa for 817; 80 steps of a model of 114 parameters with an accuracy
of 0.958 for 21,755 USD, with 4 floors 0.928 for 6,727, with 1.1 floors 0.845 for 2,063 (seeds 21
to 30, and 21 to 24, on the emulator)."""
_TIE = 0.02
"""Relative difference in money, or variance, that does not count."""
_SHOT_FACTORS = (1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 25.0)


class Shape(NamedTuple):
    """The shape of a step.

    Attributes:
        rows: samples; 0 without data.
        directions: of each sample, or shared by all.
        shots: of each circuit: those of a job are the same.
        per_sample: True where each sample has directions of its own.
    """

    rows: int
    directions: int
    shots: int
    per_sample: bool = True

    @property
    def pairs(self) -> int:
        """Perturbed pairs, each an independent look at the gradient."""
        return self.directions * (max(self.rows, 1) if self.per_sample else 1)

    @property
    def evaluations(self) -> int:
        """Evaluations of the model on a sample; of the cost without data."""
        return 2 * self.directions * max(self.rows, 1)


class Measured(NamedTuple):
    """A step's gradient.

    Attributes:
        signal: its squared length, noise subtracted.
        noise: variance of a single pair's gradient, summed over parameters.
        shots: of its circuits.
    """

    signal: float
    noise: float
    shots: int


class Variances(NamedTuple):
    """Squared gradient, and the variance of a single pair: from directions and samples, and shots.

    Attributes:
        signal: squared length of the gradient.
        spread: variance without shot noise, summed over parameters.
        shot_noise: variance that one shot adds; ``s`` shots add the ``s``-th part.
    """

    signal: float
    spread: float
    shot_noise: float

    def relative(self, shape: Shape) -> float:
        """Return the variance of a step's gradient, by its squared length; 1 is as much error."""
        return (self.spread + self.shot_noise / shape.shots) / (shape.pairs * self.signal)


class Workload(NamedTuple):
    """The circuits of a step, and their limits.

    Attributes:
        circuits: of an evaluation: of the model on a sample, or of the cost without data.
        n_1q, n_2q: gates of a circuit, on average.
        rows: samples there are; 0 without data.
        per_sample: True where each sample has directions of its own.
        fixed_rows, fixed_directions: where they are not to be chosen.
        most_evaluations: of a step; None for no such limit.
        max_circuits: of a job.
        fewest_shots, most_shots: of a job.
        mitigated: True where jobs of enough shots are debiased.
        parameters: trained numbers.
    """

    circuits: float
    n_1q: float
    n_2q: float
    rows: int = 0
    per_sample: bool = True
    fixed_rows: int | None = None
    fixed_directions: int | None = None
    most_evaluations: int | None = None
    max_circuits: int = MAX_CIRCUITS
    fewest_shots: int = 1
    most_shots: int = MAX_SHOTS
    mitigated: bool = False
    parameters: int = 0

    def price(self, shape: Shape, prices: PriceModel) -> float:
        """Return the price of a step.

        Args:
            shape: of the step.
            prices: the price list.

        Returns:
            US dollars, for as few jobs as the service's limits allow.
        """
        jobs, size = self._jobs(shape)
        return jobs * prices.price(size)

    def least_price(self, shape: Shape, prices: PriceModel) -> float:
        """Return the least price of a step's jobs and circuits, if they had no gates and shots.

        Args:
            shape: of the step.
            prices: the price list.

        Returns:
            US dollars.
        """
        jobs, size = self._jobs(shape)
        return jobs * prices.price(size._replace(n_1q=0, n_2q=0, shots=0))

    def _jobs(self, shape: Shape) -> tuple[int, JobSize]:
        """Return how many jobs a step is, and the size of each."""
        circuits = shape.evaluations * self.circuits
        gates = circuits * (self.n_1q + self.n_2q)
        jobs = max(1, math.ceil(circuits / self.max_circuits), math.ceil(gates / MAX_GATES))
        each = max(1, math.ceil(circuits / jobs))
        mitigated = self.mitigated and shape.shots >= DEBIASING_MIN_SHOTS
        return jobs, JobSize(each * self.n_1q, each * self.n_2q, each, shape.shots, mitigated)


def least_shots(step: int, steps: int) -> int:
    """Return the least shots of a step that keep the bias of a curved loss small.

    Args:
        step: counted from 1.
        steps: of the training.

    Returns:
        Shots of each circuit.
    """
    return LAST_SHOTS if step > (1 - LAST_PART) * steps else FIRST_SHOTS


def estimate_variances(measured: Sequence[Measured], parameters: int) -> Variances:
    """Estimate the squared gradient and the parts of its variance from the steps so far.

    The parts are a line through variances over ``1 / shots``. Where shots have hardly varied, a
    ratio of both that holds for most trainings decides.

    Args:
        measured: gradients of the steps.
        parameters: trained numbers.

    Returns:
        Positive figures; before the first step, in units of the squared gradient.
    """
    ratio = _SPREAD * parameters
    if not measured:
        return Variances(1.0, ratio, _SHOT_SPREAD * ratio)
    inverse = np.array([1 / m.shots for m in measured])
    noise = np.array([max(m.noise, 0.0) for m in measured])
    # Least squares of noise = D + S / shots, and of S = 4 D with the weight of a few steps.
    weight = math.sqrt(_PRIOR_STEPS) * inverse.mean()
    rows = np.stack([np.ones_like(inverse), inverse], 1)
    rows = np.append(rows, [[-weight * _SHOT_SPREAD, weight]], 0)
    spread, shot_noise = np.linalg.lstsq(rows, np.append(noise, 0.0), rcond=None)[0]
    if spread <= 0:
        spread, shot_noise = 0.0, (noise * inverse).sum() / (inverse**2).sum()
    elif shot_noise < 0:
        spread, shot_noise = noise.mean(), 0.0
    # The gradient vanishes towards the minimum: to follow it there would cost ever more.
    early = measured[:EARLY]
    usual = float(noise[:EARLY].mean()) / ratio
    signal = sum(m.signal for m in early) + _PRIOR_STEPS * usual
    signal = max(signal / (len(early) + _PRIOR_STEPS), usual / _MOST_NOISE, 1e-300)
    return Variances(float(signal), float(spread), float(shot_noise))


def choose_shape(
    variances: Variances,
    work: Workload,
    prices: PriceModel,
    step: int,
    steps: int,
) -> Shape:
    """Choose the shape of a step that costs least for its part of the training.

    Of shapes that cost the same, as below a floor, the one with the smallest variance is taken,
    and of these the one with the fewest shots.

    Args:
        variances: of the gradient.
        work: circuits of a step, and their limits.
        prices: the price list.
        step: counted from 1.
        steps: of the training.

    Returns:
        The shape.

    Raises:
        ConfigurationError: the limits leave no number of shots.
    """
    is_free = bool(prices.floor_usd) and prices.per == "job"  # another circuit, below the floor
    few = not (is_free or work.rows)
    fewest_shots = max(least_shots(step, steps), work.fewest_shots)
    shapes = list(_shapes(work, fewest_shots, FEWEST_SHARED if few else 1))
    if not shapes:
        raise ConfigurationError(
            f'shots="auto" needs {least_shots(step, steps)} shots or more; the backend takes '
            f"{work.most_shots}."
        )
    way = (NOISELESS_STEPS_SHARED if few else NOISELESS_STEPS) / steps
    found = []
    for shape, usd in _little_beyond_floors(shapes, work, prices):
        variance = variances.relative(shape)
        lacking = max(1.0, (1 + variance) * way)  # of its part of the way
        found.append((shape, usd * lacking**2, variance))
    cheapest = min(usd for _, usd, _ in found)
    found = [entry for entry in found if entry[1] <= (1 + _TIE) * cheapest]
    surest = min(variance for _, _, variance in found)
    found = [entry for entry in found if entry[2] <= (1 + _TIE) * surest]
    return min(found, key=lambda entry: (entry[0].evaluations * entry[0].shots, entry[0]))[0]


def _little_beyond_floors(
    shapes: Sequence[Shape], work: Workload, prices: PriceModel
) -> list[tuple[Shape, float]]:
    """Return what pays little beyond the floors of a price list, else the cheapest; with prices."""
    priced = [(shape, work.price(shape, prices)) for shape in shapes]
    if not prices.floor_usd:
        return priced
    most = max(MOST_FLOORS, work.parameters / FLOOR_PARAMETERS)
    within = [(s, usd) for s, usd in priced if usd <= most * work.least_price(s, prices)]
    return within or [min(priced, key=operator.itemgetter(1))]


def _shapes(work: Workload, fewest_shots: int, fewest_shared: int) -> Iterable[Shape]:
    """Return the shapes to choose from."""
    shots = sorted({round(factor * fewest_shots) for factor in _SHOT_FACTORS})
    shots = [n for n in shots if n <= work.most_shots]
    if work.fixed_rows is not None or not work.per_sample:
        all_rows = [work.rows if work.fixed_rows is None else work.fixed_rows]
    else:
        all_rows = sorted({int(n) for n in np.geomspace(max(work.rows, 1), 1, 24).round()})
        all_rows = all_rows if work.rows else [0]
    most = MOST_PER_SAMPLE if work.per_sample and work.rows > 0 else MOST_SHARED
    for rows in all_rows:
        directions = range(fewest_shared, most + 1) if rows == all_rows[-1] else (1,)
        if work.fixed_directions is not None:
            directions = (work.fixed_directions,)
        for n, s in itertools.product(directions, shots):
            shape = Shape(rows, n, s, work.per_sample)
            if n == directions[0] or shape.evaluations <= (work.most_evaluations or math.inf):
                yield shape
