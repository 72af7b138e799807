"""The tasks by name: their runs, and the figures of the results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pennylane_qstore.training.run import TrainingRun
from pennylane_qstore.training.tasks import bars, centroid
from pennylane_qstore.training.tasks.classifier import CLASSIFIERS
from pennylane_qstore.training.tasks.data import (
    TABLES,
    Split,
    all_features_accuracy,
    baseline_accuracy,
    constant_accuracy,
    load_iris,
    load_table,
)

WIRES = 4
"""Of every task."""


@dataclass(frozen=True, slots=True)
class Task:
    """A task that is trained.

    Attributes:
        title: for people.
        steps: by default.
        make: a run on a device: ``make(device, seed=, steps=, batch_size=, shots=, **options)``.
        figures: of a run that has ended: results by name, classical ones among them.
        lines: the figures in words, by label.
    """

    title: str
    steps: int
    make: Callable[..., TrainingRun]
    figures: Callable[[TrainingRun, int, int], dict[str, float]]
    lines: Callable[[Mapping[str, Any]], dict[str, str]]


def nearest_centroid(device: Any, shots: int) -> dict[str, Any]:
    """Return the figures of the task that needs no training.

    Args:
        device: with four wires.
        shots: per circuit.

    Returns:
        Accuracies, share of outcomes kept, and error of the distances (cm^2), by name.
    """
    result = centroid.classify(device, shots)
    return {
        "test_accuracy": result.accuracy,
        "baseline_accuracy": result.baseline_accuracy,
        "constant_accuracy": result.constant_accuracy,
        "kept": float(np.mean(result.kept)),
        "distance_error": float(np.sqrt(np.mean((result.distances - result.exact) ** 2))),
    }


def averaged(run: TrainingRun) -> Any:
    """Return the outcome of a training: the mean of the last iterates."""
    return run.optimizer.averaged(run.params)


@dataclass(frozen=True, slots=True)
class _Table:
    """Data of a classifier: iris is split anew for every seed, the others once for all."""

    name: str

    def load(self, seed: int) -> Split:
        return load_iris(seed) if self.name == "iris" else load_table(self.name)

    def make_run(self, device: Any, *, seed: int, **options: Any) -> TrainingRun:
        return CLASSIFIERS[self.name].make_run(device, self.load(seed), seed=seed, **options)

    def figures(self, run: TrainingRun, seed: int, shots: int) -> dict[str, float]:
        data = self.load(seed)
        figures = {
            "test_accuracy": run.evaluate(data.test, averaged(run))["accuracy"],
            "baseline_accuracy": baseline_accuracy(data),
            "constant_accuracy": constant_accuracy(data),
        }
        if self.name in TABLES:
            figures["all_features_accuracy"] = all_features_accuracy(self.name)
        return figures


def _classifier_lines(figures: Mapping[str, Any]) -> dict[str, str]:
    all_features = figures.get("all_features_accuracy")
    same = "same split" if all_features is None else "same 4 features"
    return {
        "Test accuracy": f"{figures['test_accuracy']:.3f}",
        "Logistic regression": f"{figures['baseline_accuracy']:.3f} ({same})",
        **({} if all_features is None else {"  on all features": f"{all_features:.3f}"}),
        "Constant guess": f"{figures['constant_accuracy']:.3f}",
    }


def _make_bars(device: Any, *, batch_size: int, **options: Any) -> TrainingRun:
    return bars.make_run(device, **options)  # there are no samples, hence no mini-batches


def _bars_figures(run: TrainingRun, seed: int, shots: int) -> dict[str, float]:
    return {
        "divergence": run.evaluate(params=averaged(run))["loss"],
        "tree_divergence": bars.tree_divergence(),
        "uniform_divergence": bars.uniform_divergence(),
        "shot_noise_divergence": bars.shot_noise_divergence(shots),
    }


def _bars_lines(figures: Mapping[str, Any]) -> dict[str, str]:
    return {
        "KL divergence": f"{figures['divergence']:.3f} nats "
        f"(a perfect model has {figures['shot_noise_divergence']:.3f} at these shots)",
        "Classical tree": f"{figures['tree_divergence']:.3f} (best model of pairwise dependences)",
        "Constant guess": f"{figures['uniform_divergence']:.3f} (all images equally likely)",
    }


def _classifier(name: str, title: str, steps: int) -> Task:
    table = _Table(name)
    return Task(title, steps, table.make_run, table.figures, _classifier_lines)


TASKS: Mapping[str, Task] = {
    "iris": _classifier("iris", "two Iris species", 300),
    "bas": Task("bars and stripes", 150, _make_bars, _bars_figures, _bars_lines),
    "wine": _classifier("wine", "three cultivars of wine", 200),
    "cancer": _classifier("cancer", "benign and malignant tumours", 200),
}
"""Tasks that are trained, by name."""
