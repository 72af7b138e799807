"""Pictures of a run: the data into a small record first, then the drawing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pennylane_qstore.errors import ConfigurationError

Floats = npt.NDArray[np.float64]


class LearningCurve(NamedTuple):
    """What is drawn of a training run, each of shape (steps,); smoothed ones by ``window``."""

    steps: Floats
    loss: Floats
    smooth_loss: Floats
    accuracy: Floats
    smooth_accuracy: Floats
    window: int


def learning_curve(
    loss: Sequence[float], accuracy: Sequence[float], window: int = 20
) -> LearningCurve:
    """Prepare loss and accuracy of every step.

    Args:
        loss: per step.
        accuracy: per step, 0 to 1.
        window: steps of the moving average; shortened for short runs.
    """
    window = max(1, min(window, len(loss)))
    losses, accuracies = np.asarray(loss, float), np.asarray(accuracy, float)
    steps = np.arange(1, len(losses) + 1, dtype=float)
    return LearningCurve(
        steps, losses, _moving(losses, window), accuracies, _moving(accuracies, window), window
    )


def draw_learning_curve(
    curve: LearningCurve, lines: dict[str, float] | None = None, axes: Any = None
) -> Any:
    """Draw loss and accuracy over steps.

    Args:
        curve: from :func:`learning_curve`.
        lines: horizontal lines in the accuracy panel, by label.
        axes: two matplotlib Axes; made if not given.

    Returns:
        The two Axes.

    Raises:
        ConfigurationError: matplotlib is not installed.
    """
    if axes is None:
        _, axes = pyplot().subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    left, right = axes
    left.plot(curve.steps, curve.loss, color="C0", alpha=0.3, linewidth=0.8)
    left.plot(curve.steps, curve.smooth_loss, color="C0", label=f"mean of {curve.window} steps")
    left.set(xlabel="step", ylabel="loss (nats)", title="Loss of the mini-batch")
    left.legend(frameon=False)
    right.plot(curve.steps, curve.accuracy, color="C2", alpha=0.3, linewidth=0.8)
    right.plot(curve.steps, curve.smooth_accuracy, color="C2", label="mini-batch")
    for i, (label, value) in enumerate((lines or {}).items()):
        right.axhline(value, color=f"C{i + 3}", linestyle="--", linewidth=1, label=label)
    right.set(xlabel="step", ylabel="accuracy", title="Accuracy", ylim=(0, 1.02))
    right.legend(frameon=False, loc="lower right", fontsize="small")
    for panel in axes:
        panel.spines[["top", "right"]].set_visible(False)
    return axes


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


def _moving(values: Floats, window: int) -> Floats:
    """Mean of the last ``window`` values, of fewer at the start."""
    total = np.cumsum(values)
    total[window:] -= total[:-window].copy()
    return np.asarray(total / np.minimum(np.arange(1, len(values) + 1), window))
