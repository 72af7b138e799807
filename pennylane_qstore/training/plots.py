"""Drawings of runs and results, each of a record that a function of :mod:`.plot_data` makes.

They take matplotlib Axes, make them if none are given, and return them. The native circuit of a
QNode is drawn by :func:`pennylane_qstore.draw_mpl`, and where the time of a batch went by
``device.stats.figure()``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pennylane_qstore.training.plot_data import (
    Comparison,
    Costs,
    LearningCurve,
    Regions,
    StepTimes,
    comparison,
    costs,
    decision_regions,
    learning_curve,
    step_times,
)
from pennylane_qstore.validation import installed

__all__ = [
    "COLOURS",
    "comparison",
    "costs",
    "decision_regions",
    "draw_comparison",
    "draw_costs",
    "draw_decision_regions",
    "draw_learning_curves",
    "draw_step_times",
    "learning_curve",
    "pyplot",
    "step_times",
]

COLOURS = ("#1f6f8b", "#c8553d", "#6a994e", "#7d5ba6", "#d4a017", "#5c677d")
"""Colours of curves and classes, in order; distinguishable in grey too."""


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
    axes = new_axes(axes, (6, 3.6))
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
    return finished(axes)


def draw_step_times(times: StepTimes, axes: Any = None) -> Any:
    """Draw the parts of the time of each step, stacked.

    Args:
        times: from :func:`step_times`.
        axes: matplotlib Axes; made if not given.

    Returns:
        The Axes.
    """
    axes = new_axes(axes, (6, 3.2))
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
    return finished(axes, loc="upper right")


def draw_costs(spending: Costs, axes: Any = None) -> Any:
    """Draw the sums billed after each step.

    Args:
        spending: from :func:`costs`.
        axes: matplotlib Axes; made if not given.

    Returns:
        The Axes.
    """
    axes = new_axes(axes, (6, 3.2))
    steps, total = spending.steps, spending.total_usd
    axes.step(steps, total, where="post", color=COLOURS[0], lw=1.8, label="billed")
    axes.fill_between(steps, total, step="post", color=COLOURS[0], alpha=0.12, lw=0)
    if spending.budget_usd is not None:
        label = f"budget ${spending.budget_usd:,.2f}"
        axes.axhline(spending.budget_usd, color=COLOURS[1], ls="--", lw=1.2, label=label)
    axes.set(xlabel="step", ylabel="US dollars", ylim=(0, None), xlim=(0, None))
    axes.yaxis.set_major_formatter("${x:,.2f}" if total[-1] < 10 else "${x:,.0f}")
    return finished(axes, loc="lower right")


def draw_comparison(pair: Comparison, axes: Any = None) -> Any:
    """Draw a histogram against the ideal one.

    Args:
        pair: from :func:`comparison`.
        axes: matplotlib Axes; made if not given.

    Returns:
        The Axes.
    """
    axes = new_axes(axes, (max(4.0, 0.42 * len(pair.labels)), 3.2))
    at = np.arange(len(pair.labels))
    axes.bar(at, pair.ideal, width=0.86, color="#d4d8dd", label="ideal")
    axes.bar(at, pair.measured, width=0.5, color=COLOURS[0], label="measured")
    if pair.error.any():
        axes.errorbar(at, pair.measured, pair.error, fmt="none", ecolor="0.2", lw=1, capsize=2)
    axes.set_xticks(at, pair.labels, rotation=60 if len(at) > 8 else 0, fontfamily="monospace")
    axes.set(ylabel="probability", xlim=(-0.6, len(at) - 0.4))
    return finished(axes)


def draw_decision_regions(
    regions: Regions, *, names: Sequence[str] | None = None, axes: Any = None
) -> Any:
    """Draw the predictions of a classifier over a plane, and the data.

    Args:
        regions: from :func:`decision_regions`.
        names: of the classes.
        axes: matplotlib Axes; made if not given.

    Returns:
        The Axes.
    """
    axes = new_axes(axes, (4.6, 4.0))
    from matplotlib.colors import ListedColormap

    classes = np.union1d(regions.classes, regions.labels)
    colours = [COLOURS[int(c) % len(COLOURS)] for c in classes]
    axes.pcolormesh(
        regions.x, regions.y, np.searchsorted(classes, regions.classes), shading="nearest",
        cmap=ListedColormap(colours), vmin=-0.5, vmax=len(classes) - 0.5, alpha=0.28, lw=0,
        rasterized=True,
    )  # fmt: skip
    for c, colour in zip(classes, colours, strict=True):
        points = regions.points[regions.labels == c]
        label = names[int(c)] if names else f"class {int(c)}"
        axes.scatter(*points.T, s=22, color=colour, edgecolor="white", lw=0.6, label=label)
    return finished(axes, frameon=True, framealpha=0.9, edgecolor="none")


def pyplot() -> Any:
    """Return ``matplotlib.pyplot``.

    Raises:
        ConfigurationError: matplotlib is not installed.
    """
    return installed("matplotlib.pyplot", "Plots need matplotlib", "train")


def new_axes(axes: Any, size: tuple[float, float]) -> Any:
    """Return the Axes that were given, or new ones.

    Args:
        axes: matplotlib Axes, or None.
        size: of the figure of new ones, in inches.

    Returns:
        The Axes.
    """
    return pyplot().subplots(figsize=size, layout="constrained")[1] if axes is None else axes


def finished(axes: Any, **legend: Any) -> Any:
    """Return Axes with a legend, and no frame at the top and on the right.

    Args:
        axes: matplotlib Axes.
        **legend: options of its legend.

    Returns:
        The Axes.
    """
    axes.legend(**{"frameon": False, "fontsize": "small", **legend})
    axes.spines[["top", "right"]].set_visible(False)
    return axes
