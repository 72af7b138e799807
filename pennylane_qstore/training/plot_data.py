"""Data of the plots: curves, times, costs, comparisons and regions, computed without matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.history import StepRecord

Floats = npt.NDArray[np.float64]

_BAND = (16.0, 84.0)  # percentiles: one standard deviation, if it were a normal distribution


class LearningCurve(NamedTuple):
    """A number over steps, of one run or of several seeds; arrays of shape (steps,).

    Attributes:
        name: of the number, with its unit.
        steps: from 1; of several runs, those that all have made.
        raw: mean over runs.
        middle: mean over runs of the moving averages.
        low, high: where two thirds of the runs lie.
        runs: number of runs.
        window: steps of the moving average; 1 for none.
    """

    name: str
    steps: Floats
    raw: Floats
    middle: Floats
    low: Floats
    high: Floats
    runs: int
    window: int


class StepTimes(NamedTuple):
    """Parts of the time of each step, in seconds, of shape (steps,)."""

    steps: Floats
    queue_s: Floats
    run_s: Floats
    rest_s: Floats


class Costs(NamedTuple):
    """Sums billed before the first step and after each, in US dollars; the budget, if any."""

    steps: Floats
    total_usd: Floats
    budget_usd: float | None


class Comparison(NamedTuple):
    """Outcomes of a circuit beside what they should be, of shape (outcomes,).

    Attributes:
        labels: of the outcomes.
        measured, ideal: probabilities.
        error: standard error of ``measured``; zeros if the shots are not known.
    """

    labels: tuple[str, ...]
    measured: Floats
    ideal: Floats
    error: Floats


class Regions(NamedTuple):
    """Predictions of a classifier over a plane.

    Attributes:
        x, y: of the grid, ``[N]`` and ``[M]``.
        classes: predicted, ``[M, N]``.
        points: the data, ``[P, 2]``.
        labels: their true classes, ``[P]``.
    """

    x: Floats
    y: Floats
    classes: npt.NDArray[np.int64]
    points: Floats
    labels: npt.NDArray[np.int64]


def learning_curve(
    history: Sequence[StepRecord] | Sequence[Sequence[StepRecord]],
    name: str = "loss",
    *,
    window: int = 20,
    label: str | None = None,
) -> LearningCurve:
    """Return a number of every step, with its moving average.

    Args:
        history: of a run, or of several runs that differ by their seeds.
        name: ``"loss"`` or a metric.
        window: steps of the moving average; shortened for short runs.
        label: name of the curve; by default that of the number.

    Returns:
        The curve, over the steps that all runs have made.

    Raises:
        ConfigurationError: no step has such a number.
    """
    runs = [history] if history and isinstance(history[0], StepRecord) else list(history)
    columns = [_column(run, name) for run in runs]  # type: ignore[arg-type]
    length = min((len(steps) for steps, _ in columns), default=0)
    if not length:
        raise ConfigurationError(f"There are no values of {name!r} in this history.")
    window = max(1, min(window, length // 5))
    values = np.stack([values[:length] for _, values in columns])
    smooth = np.stack([_moving(row, window) for row in values])
    low, high = np.percentile(smooth, _BAND, axis=0)
    mean, middle, steps = values.mean(axis=0), smooth.mean(axis=0), columns[0][0][:length]
    return LearningCurve(label or name, steps, mean, middle, low, high, len(runs), window)


def step_times(history: Sequence[StepRecord]) -> StepTimes:
    """Return the time in the queue, on the machine, and elsewhere, of each step.

    Jobs that travel at the same time wait at the same time: of their summed seconds at most
    the duration of the step is counted.
    """
    table = np.array([[r.seconds, r.queue_s, r.run_s] for r in history]).reshape(-1, 3)
    seconds, queue_s, run_s = table.T
    service = queue_s + run_s
    part = np.where(service > seconds, seconds / np.where(service > 0, service, 1.0), 1.0)
    queue_s, run_s = queue_s * part, run_s * part
    steps = np.array([r.step for r in history], dtype=float)
    return StepTimes(steps, queue_s, run_s, seconds - queue_s - run_s)


def costs(history: Sequence[StepRecord], budget_usd: float | None = None) -> Costs:
    """Return the sums billed: by the steps, and by calibration and evaluation between them.

    Args:
        history: of a run.
        budget_usd: its limit, in US dollars.

    Returns:
        Sums before the first step and after each, ``[steps + 1]``.
    """
    before = [history[0].spent_usd - history[0].cost_usd] if history else [0.0]
    steps = np.array([0, *(r.step for r in history)], dtype=float)
    return Costs(steps, np.array([*before, *(r.spent_usd for r in history)]), budget_usd)


def comparison(
    measured: npt.ArrayLike,
    ideal: npt.ArrayLike,
    *,
    shots: int | None = None,
    labels: Sequence[str] | None = None,
) -> Comparison:
    """Return two distributions over the same outcomes, with error bars.

    Args:
        measured: probabilities.
        ideal: probabilities.
        shots: of ``measured``, for its error bars.
        labels: of the outcomes; by default their bits.

    Returns:
        Both, ``[outcomes]`` each, and the standard errors.

    Raises:
        ConfigurationError: they have different shapes.
    """
    p, q = np.asarray(measured, dtype=float), np.asarray(ideal, dtype=float)
    if p.shape != q.shape or p.ndim != 1:
        raise ConfigurationError(
            f"Distributions of shapes {p.shape} and {q.shape} cannot be compared. "
            "Allowed: two of the same shape [outcomes]."
        )
    error = np.zeros_like(p) if shots is None else np.sqrt(p * (1 - p) / shots)
    bits = max(1, int(len(p) - 1).bit_length())
    names = tuple(labels or (format(state, f"0{bits}b") for state in range(len(p))))
    return Comparison(names, p, q, error)


def decision_regions(
    predict: Callable[[Floats], npt.ArrayLike],
    points: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    resolution: int = 40,
    margin: float = 0.3,
) -> Regions:
    """Ask a classifier of two features about a grid, in one call: one request.

    Args:
        predict: classes ``[R]`` of features ``[R, 2]``.
        points: the data, ``[P, 2]``; the grid covers them.
        labels: their classes, ``[P]``.
        resolution: points of the grid in each direction.
        margin: around the data, as a share of their range.

    Returns:
        The grid, its classes, and the data.
    """
    data = np.asarray(points, dtype=float)
    low, high = data.min(axis=0), data.max(axis=0)
    edge = margin * (high - low) / 2
    x, y = (np.linspace(a, b, resolution) for a, b in zip(low - edge, high + edge, strict=True))
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    classes = np.asarray(predict(grid), dtype=np.int64).reshape(resolution, resolution)
    return Regions(x, y, classes, data, np.asarray(labels, dtype=np.int64))


def _column(run: Sequence[StepRecord], name: str) -> tuple[Floats, Floats]:
    """Return the steps that have a value, and the values."""
    rows = [(r.step, value) for r in run if (value := r.value(name)) is not None]
    steps, values = np.array(rows, dtype=float).reshape(-1, 2).T
    return steps, values


def _moving(values: Floats, window: int) -> Floats:
    """Return the mean of ``window`` values around each, of fewer at the ends."""
    if window == 1:
        return values
    kernel = np.ones(min(window, len(values)))
    total, count = (np.convolve(v, kernel, mode="same") for v in (values, np.ones(len(values))))
    return np.asarray(total / count)
