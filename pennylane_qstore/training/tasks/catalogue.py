"""The tasks by name: how to run each, and what to say of the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from pennylane_qstore.training.run import TrainingRun
from pennylane_qstore.training.tasks import bars, centroid, iris, tables
from pennylane_qstore.training.tasks.data import Split, baseline_accuracy, constant_accuracy

WIRES = 4
"""Of every task."""


@dataclass(frozen=True, slots=True)
class Task:
    """A task that is trained.

    Attributes:
        title: what it is.
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
    """Figures of the task that needs no training."""
    found = centroid.classify(device, shots)
    return {
        "test_accuracy": found.accuracy,
        "baseline_accuracy": found.baseline_accuracy,
        "constant_accuracy": found.constant_accuracy,
        "kept": float(np.mean(found.kept)),
        "distance_error": float(np.sqrt(np.mean((found.distances - found.exact) ** 2))),
    }


def averaged(run: TrainingRun) -> Any:
    """What the training came to: the mean of the last iterates."""
    return run.optimizer.averaged(run.params)


def _make_classifier(
    module: Any, load: Callable[[int], Split], device: Any, *, seed: int, **options: Any
) -> TrainingRun:
    made: TrainingRun = module.make_run(device, load(seed), seed=seed, **options)
    return made


def _classifier_figures(
    load: Callable[[int], Split],
    more: Callable[[int], dict[str, float]],
    run: TrainingRun,
    seed: int,
    shots: int,
) -> dict[str, float]:
    data = load(seed)
    return {
        "test_accuracy": run.evaluate(data.test, averaged(run))["accuracy"],
        "baseline_accuracy": baseline_accuracy(data),
        "constant_accuracy": constant_accuracy(data),
        **more(seed),
    }


def _classifier_lines(figures: Mapping[str, Any]) -> dict[str, str]:
    whole = figures.get("all_features_accuracy")
    same = "same split" if whole is None else "same 4 features"
    return {
        "Test accuracy": f"{figures['test_accuracy']:.3f}",
        "Logistic regression": f"{figures['baseline_accuracy']:.3f} ({same})",
        **({} if whole is None else {"  on all features": f"{whole:.3f}"}),
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
        f"({figures['shot_noise_divergence']:.3f} has a perfect model at these shots)",
        "Classical tree": f"{figures['tree_divergence']:.3f} (best of pairwise dependences)",
        "Constant guess": f"{figures['uniform_divergence']:.3f} (all images alike)",
    }


def _classifier(title: str, steps: int, module: Any, load: Any, more: Any = None) -> Task:
    return Task(
        title,
        steps,
        partial(_make_classifier, module, load),
        partial(_classifier_figures, load, more or (lambda seed: {})),
        _classifier_lines,
    )


def _table(name: str, title: str) -> Task:
    return _classifier(
        title,
        200,
        tables,
        lambda seed: tables.load_table(name),  # the same rows for all
        lambda seed: {"all_features_accuracy": tables.all_features_accuracy(name)},
    )


TASKS: Mapping[str, Task] = {
    "iris": _classifier("two Iris species", 300, iris, iris.load_iris),
    "bas": Task("bars and stripes", 150, _make_bars, _bars_figures, _bars_lines),
    "wine": _table("wine", "three cultivars of wine"),
    "cancer": _table("cancer", "benign and malignant tumours"),
}
"""Tasks that are trained, by name."""
