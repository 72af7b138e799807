"""A small training run on the emulator, everything seeded, and what it came to."""

from __future__ import annotations

import numpy as np
import pennylane as qml

from pennylane_qstore import SPSAOptimizer
from pennylane_qstore.training.run import TrainingRun

X = np.random.default_rng(0).normal(size=(20, 2))

Y = np.sign(X[:, 0])

WEIGHTS = np.random.default_rng(1).normal(size=(1, 2, 3))


def mean_square(out, y):
    return qml.numpy.mean((out - y) ** 2)


def right(out, y):
    return np.mean(np.sign(out) == y)


def make(
    optimizer="spsa", *, device=None, noise=None, params=None, optimizer_object=None, **options
):
    """A small run; everything seeded."""
    device = device or qml.device("qstore.ionq", wires=2, seed=3, noise_model=noise)

    def circuit(w, x):
        qml.AngleEmbedding(x, wires=range(2))
        qml.StronglyEntanglingLayers(w, wires=range(2))
        return qml.expval(qml.Z(0))

    gradient_free = optimizer_object is not None or "spsa" in optimizer
    node = qml.set_shots(
        qml.QNode(circuit, device, diff_method=None if gradient_free else "parameter-shift"), 100
    )
    model = node if gradient_free else lambda w, x: qml.numpy.stack([node(w, row) for row in x])
    made = (
        optimizer_object
        or {
            "spsa": lambda: SPSAOptimizer(maxiter=20, seed=1),
            "stock spsa": lambda: qml.SPSAOptimizer(maxiter=20),
            "adam": lambda: qml.AdamOptimizer(0.1),
            "momentum": lambda: qml.MomentumOptimizer(0.1),
            "gradient descent": lambda: qml.GradientDescentOptimizer(0.1),
        }[optimizer]()
    )
    settings = {
        "loss": mean_square, "metrics": {"accuracy": right}, "data": (X, Y), "batch_size": 4,
        "seed": 1, "device": device, "progress": False,
    }  # fmt: skip
    start = qml.numpy.array(WEIGHTS, requires_grad=True) if params is None else params
    return TrainingRun(model, start, made, **{**settings, **options})


def outcomes(run):
    return [record.outcome() for record in run.history]
