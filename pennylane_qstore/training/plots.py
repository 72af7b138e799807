"""Pictures of runs and results: the data into a small record first, then the drawing.

The functions without ``draw`` make the records, which need no matplotlib; those with it take
matplotlib Axes, make them if none are given, and return them. The native circuit of a QNode
is drawn by :func:`pennylane_qstore.draw_mpl`, and where the time of a batch went by
``device.stats.figure()``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.history import StepRecord

Floats = npt.NDArray[np.float64]

COLOURS = ("#1f6f8b", "#c8553d", "#6a994e", "#7d5ba6", "#d4a017", "#5c677d")
"""Of curves and classes, in order; distinguishable in grey too."""

_BAND = (16.0, 84.0)  # percentiles: one standard deviation, if it were a normal distribution


class LearningCurve(NamedTuple):
    """A number over steps, of one run or of several seeds; arrays of shape (steps,).

    Attributes:
        name: what it is, with its unit.
        steps: from 1; of several runs, those that all have made.
        raw: mean over runs.
        middle: mean over runs of the moving averages.
        low, high: where two thirds of the runs lie.
        runs: how many.
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
    """Where the time of each step went, in seconds, of shape (steps,)."""

    steps: Floats
    queue_s: Floats
    run_s: Floats
    rest_s: Floats


class Costs(NamedTuple):
    """Billed so far, in US dollars, before the first step and after each; the budget, if any."""

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
    """What a classifier says of a plane.

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


# --------------------------------------------------------------------------- records


def learning_curve(
    history: Sequence[StepRecord] | Sequence[Sequence[StepRecord]],
    name: str = "loss",
    *,
    window: int = 20,
    label: str | None = None,
) -> LearningCurve:
    """A number of every step.

    Args:
        history: of a run, or of several runs that differ by their seeds.
        name: ``"loss"`` or a metric.
        window: steps of the moving average; shortened for short runs.
        label: what to call it; by default its name.

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
    """Queue, machine, and everything else, of each step.

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
    """What had been billed: by the steps, and by calibration and evaluation between them."""
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
    """Two distributions over the same outcomes.

    Args:
        measured: probabilities.
        ideal: probabilities.
        shots: of ``measured``, for its error bars.
        labels: of the outcomes; by default their bits.

    Raises:
        ConfigurationError: they have different shapes.
    """
    p, q = np.asarray(measured, dtype=float), np.asarray(ideal, dtype=float)
    if p.shape != q.shape or p.ndim != 1:
        raise ConfigurationError(f"Distributions of shapes {p.shape} and {q.shape} do not compare.")
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
    """
    data = np.asarray(points, dtype=float)
    low, high = data.min(axis=0), data.max(axis=0)
    edge = margin * (high - low) / 2
    x, y = (np.linspace(a, b, resolution) for a, b in zip(low - edge, high + edge, strict=True))
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    classes = np.asarray(predict(grid), dtype=np.int64).reshape(resolution, resolution)
    return Regions(x, y, classes, data, np.asarray(labels, dtype=np.int64))


# --------------------------------------------------------------------------- drawings


def draw_learning_curves(
    curves: Sequence[LearningCurve],
    *,
    lines: Mapping[str, float] | None = None,
    axes: Any = None,
) -> Any:
    """Draw numbers over steps, with bands where there are several runs.

    Args:
        curves: from :func:`learning_curve`.
        lines: horizontal lines, by label.
        axes: matplotlib Axes; made if not given.

    Returns:
        The Axes.

    Raises:
        ConfigurationError: matplotlib is not installed.
    """
    axes = _axes(axes, (6, 3.6))
    for curve, colour in zip(curves, COLOURS, strict=False):
        label = curve.name
        if curve.runs > 1:
            axes.fill_between(curve.steps, curve.low, curve.high, color=colour, alpha=0.2, lw=0)
            label += f", mean of {curve.runs} runs, middle 68 %"
        elif curve.window > 1:
            axes.plot(curve.steps, curve.raw, color=colour, alpha=0.25, lw=0.8)
            label += f", mean of {curve.window} steps"
        axes.plot(curve.steps, curve.middle, color=colour, lw=1.8, label=label)
    for i, (label, value) in enumerate((lines or {}).items()):
        axes.axhline(value, color="0.25", ls=("--", ":", "-.")[i % 3], lw=1, label=label)
    axes.set(xlabel="step", ylabel=curves[0].name if len(curves) == 1 else None)
    axes.legend(frameon=False, fontsize="small")
    return _plain(axes)


def draw_step_times(times: StepTimes, axes: Any = None) -> Any:
    """Draw where the time of each step went, stacked.

    Args:
        times: from :func:`step_times`.
        axes: matplotlib Axes; made if not given.

    Returns:
        The Axes.
    """
    axes = _axes(axes, (6, 3.2))
    parts = {"queue": times.queue_s, "machine": times.run_s, "all else": times.rest_s}
    total = sum(float(np.sum(part)) for part in parts.values())
    labels = [
        f"{name}: {np.mean(part):.3g} s a step ({np.sum(part) / total if total else 0:.0%})"
        for name, part in parts.items()
    ]
    axes.stackplot(
        times.steps, *parts.values(), labels=labels, colors=("#d4d8dd", COLOURS[0], COLOURS[1]),
        step="mid" if len(times.steps) > 1 else None,
    )  # fmt: skip
    highest = float(np.max(times.queue_s + times.run_s + times.rest_s, initial=0.0))
    axes.set(xlabel="step", ylabel="seconds", ylim=(0, 1.45 * highest or None))  # room for words
    if len(times.steps) > 1:
        axes.set_xlim(times.steps[0], times.steps[-1])
    axes.legend(frameon=False, fontsize="small", loc="upper right")
    return _plain(axes)


def draw_costs(found: Costs, axes: Any = None) -> Any:
    """Draw what has been spent after each step.

    Args:
        found: from :func:`costs`.
        axes: matplotlib Axes; made if not given.

    Returns:
        The Axes.
    """
    axes = _axes(axes, (6, 3.2))
    steps, total = found.steps, found.total_usd
    axes.step(steps, total, where="post", color=COLOURS[0], lw=1.8, label="billed")
    axes.fill_between(steps, total, step="post", color=COLOURS[0], alpha=0.12, lw=0)
    if found.budget_usd is not None:
        label = f"budget ${found.budget_usd:,.2f}"
        axes.axhline(found.budget_usd, color=COLOURS[1], ls="--", lw=1.2, label=label)
    axes.set(xlabel="step", ylabel="US dollars", ylim=(0, None), xlim=(0, None))
    axes.yaxis.set_major_formatter("${x:,.2f}" if total[-1] < 10 else "${x:,.0f}")
    axes.legend(frameon=False, fontsize="small", loc="lower right")
    return _plain(axes)


def draw_comparison(found: Comparison, axes: Any = None) -> Any:
    """Draw a histogram against the ideal one.

    Args:
        found: from :func:`comparison`.
        axes: matplotlib Axes; made if not given.

    Returns:
        The Axes.
    """
    axes = _axes(axes, (max(4.0, 0.42 * len(found.labels)), 3.2))
    at = np.arange(len(found.labels))
    axes.bar(at, found.ideal, width=0.86, color="#d4d8dd", label="ideal")
    axes.bar(at, found.measured, width=0.5, color=COLOURS[0], label="measured")
    if found.error.any():
        axes.errorbar(at, found.measured, found.error, fmt="none", ecolor="0.2", lw=1, capsize=2)
    axes.set_xticks(at, found.labels, rotation=60 if len(at) > 8 else 0, fontfamily="monospace")
    axes.set(ylabel="probability", xlim=(-0.6, len(at) - 0.4))
    axes.legend(frameon=False, fontsize="small")
    return _plain(axes)


def draw_decision_regions(
    regions: Regions, *, names: Sequence[str] | None = None, axes: Any = None
) -> Any:
    """Draw what a classifier says of a plane, and the data.

    Args:
        regions: from :func:`decision_regions`.
        names: of the classes.
        axes: matplotlib Axes; made if not given.

    Returns:
        The Axes.
    """
    axes = _axes(axes, (4.6, 4.0))
    from matplotlib.colors import ListedColormap

    classes = np.union1d(regions.classes, regions.labels)
    colours = [COLOURS[int(c) % len(COLOURS)] for c in classes]
    axes.pcolormesh(
        regions.x, regions.y, np.searchsorted(classes, regions.classes), shading="nearest",
        cmap=ListedColormap(colours), vmin=-0.5, vmax=len(classes) - 0.5, alpha=0.28, lw=0,
        rasterized=True,
    )  # fmt: skip
    for c, colour in zip(classes, colours, strict=True):
        here = regions.points[regions.labels == c]
        label = names[int(c)] if names else f"class {int(c)}"
        axes.scatter(*here.T, s=22, color=colour, edgecolor="white", lw=0.6, label=label)
    axes.legend(frameon=True, framealpha=0.9, edgecolor="none", fontsize="small")
    return _plain(axes)


def pyplot() -> Any:
    """``matplotlib.pyplot``.

    Raises:
        ConfigurationError: matplotlib is not installed.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ConfigurationError(
            "Plots need matplotlib: pip install 'pennylane-qstore[train]'."
        ) from None
    return plt


def _axes(axes: Any, size: tuple[float, float]) -> Any:
    return pyplot().subplots(figsize=size, layout="constrained")[1] if axes is None else axes


def _plain(axes: Any) -> Any:
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def _column(run: Sequence[StepRecord], name: str) -> tuple[Floats, Floats]:
    """Steps that have a value, and the values."""
    rows = [(r.step, r.loss if name == "loss" else r.metrics[name])
            for r in run if name == "loss" or name in r.metrics]  # fmt: skip
    steps, values = np.array(rows, dtype=float).reshape(-1, 2).T
    return steps, values


def _moving(values: Floats, window: int) -> Floats:
    """Mean of ``window`` values around each, of fewer at the ends."""
    if window == 1:
        return values
    kernel = np.ones(min(window, len(values)))
    total, count = (np.convolve(v, kernel, mode="same") for v in (values, np.ones(len(values))))
    return np.asarray(total / count)
