"""The tasks by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import Any

import numpy as np

from pennylane_qstore.training.tasks import bars, centroid, energies
from pennylane_qstore.training.tasks.data import (
    LOADERS,
    Split,
    all_features_accuracy,
    baseline_accuracy,
    constant_accuracy,
    linear_r_squared,
    logistic_odds,
)
from pennylane_qstore.training.tasks.task import Reference, Score, Task, averaged
from pennylane_qstore.training.tasks.variational import (
    Variational,
    accuracy,
    average_precision,
    cross_entropy,
    mean_squared_error,
    r_squared,
)

__all__ = ["TASKS", "averaged", "classification", "nearest_centroid", "regression"]


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


_ACCURACY = (
    Reference("baseline_accuracy", "Logistic regression", lambda d, _: baseline_accuracy(d)),
    Reference("constant_accuracy", "Constant guess", lambda d, _: constant_accuracy(d)),
)
_R_SQUARED = (
    Reference("baseline_r_squared", "Linear regression", lambda d, _: linear_r_squared(d)),
    Reference(
        "constant_r_squared",
        "Constant guess",
        lambda d, _: r_squared(np.full((len(d.test_y), 1), d.train_y.mean()), d.test_y),
    ),
)
_PRECISION = (
    Reference(
        "baseline_average_precision",
        "Logistic regression",
        lambda d, _: average_precision(logistic_odds(d), d.test_y),
    ),
    Reference("constant_average_precision", "Constant guess", lambda d, _: np.mean(d.test_y)),
)


def classification(
    load: Callable[[int], Split], title: str, model: Variational, **options: Any
) -> Task:
    """Return the task of a classifier.

    Args:
        load: data of a seed.
        title: for people.
        model: that is trained.
        **options: of the :class:`Task`; by default accuracy, beside logistic regression.

    Returns:
        The task.
    """
    settings: dict[str, Any] = {
        "score": Score("accuracy", "Test accuracy", accuracy),
        "references": _ACCURACY,
        "loss": cross_entropy,
    }
    return Task(title=title, model=model, load=load, **{**settings, **options})


def regression(load: Callable[[int], Split], title: str, model: Variational) -> Task:
    """Return the task of a regression: R^2, beside linear regression, in 100 steps.

    Args:
        load: data of a seed.
        title: for people.
        model: that is trained.

    Returns:
        The task.
    """
    return Task(
        title=title,
        model=model,
        load=load,
        loss=mean_squared_error,
        score=Score("r_squared", "Test R^2", r_squared, bounds=(-inf, 1.0)),
        references=_R_SQUARED,
        steps=100,
    )


def _table(name: str, title: str, model: Variational) -> Task:
    whole = Reference(
        "all_features_accuracy", "  on all features", lambda *_: all_features_accuracy(name)
    )
    references = (_ACCURACY[0], whole, _ACCURACY[1])
    return classification(LOADERS[name], title, model, references=references)


TASKS: Mapping[str, Task] = {
    "iris": classification(
        LOADERS["iris"], "two Iris species", Variational(uploads=2, layers=1), steps=40
    ),
    "bas": Task(
        title="bars and stripes",
        model=bars.BornMachine(),
        loss=bars.divergence,
        score=Score("divergence", "KL divergence (nats)", bars.divergence, False, (0.0, inf)),
        references=(
            Reference(
                "shot_noise_divergence",
                "  a perfect model at these shots",
                lambda _, shots: bars.shot_noise_divergence(shots),
            ),
            Reference("tree_divergence", "Classical tree", lambda *_: bars.tree_divergence()),
            Reference("uniform_divergence", "Constant guess", lambda *_: bars.uniform_divergence()),
        ),
        metrics={"share": bars.share},
        steps=30,
    ),
    "wine": _table("wine", "three cultivars of wine", Variational(outputs=3)),
    "cancer": _table("cancer", "benign and malignant tumours", Variational(outputs=2)),
    "moons": classification(
        LOADERS["moons"],
        "two moons",
        Variational(wires=2, outputs=2, uploads=5, layers=1, angle=1.0),
    ),
    "digits": classification(
        LOADERS["digits"], "images of 3 and 8", Variational(wires=6, outputs=2, uploads=3, layers=1)
    ),
    "h2": Task(
        title="ground state of stretched H2",
        model=energies.Hydrogen(),
        loss=energies.mean,
        score=Score("energy_error", "Energy error (mHa)", energies.energy_error, False, (0.0, inf)),
        references=(
            Reference(
                "hartree_fock_error",
                "Hartree-Fock",
                lambda *_: energies.energy_error(energies.hartree_fock_energy()),
            ),
        ),
        steps=30,
    ),
    "maxcut": Task(
        title="largest cut of a prism",
        model=energies.LargestCut(),
        loss=energies.mean,
        score=Score("cut_ratio", "Approximation ratio", energies.cut_ratio),
        references=(
            Reference(
                "random_ratio",
                "Random division",
                lambda *_: energies.cut_ratio(len(energies.EDGES) / 2),
            ),
        ),
        steps=30,
    ),
    "sine": regression(LOADERS["sine"], "a sine", Variational(uploads=3, layers=1, angle=1.0)),
    "friedman": regression(
        LOADERS["friedman"], "Friedman's regression", Variational(uploads=3, layers=1)
    ),
    "rare": classification(
        LOADERS["rare"],
        "5 % positives",
        Variational(outputs=2),
        score=Score("average_precision", "Test average precision", average_precision),
        references=_PRECISION,
    ),
    "few": classification(LOADERS["few"], "20 tumours to train on", Variational(outputs=2)),
    "deep": classification(
        LOADERS["deep"], "images of 3, 5 and 8", Variational(outputs=3, uploads=3, layers=3)
    ),
    "parity": classification(
        LOADERS["parity"], "even and odd digits", Variational(wires=8, outputs=2, layers=3)
    ),
}
"""Tasks that are trained, by name."""
