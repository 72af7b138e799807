"""Small problems for the SPSA optimizer, and steps on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pennylane as qml
from support.counting import CountingDevice

from pennylane_qstore.training.spsa import SPSAOptimizer

TARGET = np.array([0.5, -1.0, 2.0])


def quadratic(w: Any) -> Any:
    return ((w - TARGET) ** 2).sum()


def quadratic_like(w: Any) -> Any:
    return ((w - 1) ** 2).sum()


def optimizer(**kwargs: Any) -> SPSAOptimizer:
    return SPSAOptimizer(**{"maxiter": 200, "seed": 1, "a": 1.0, **kwargs})


def train(opt: Any, cost: Callable[..., Any], w: Any, steps: int = 200, **kwargs: Any) -> Any:
    for _ in range(steps):
        w = opt.step(cost, w, **kwargs)
    return w


def problem() -> tuple[CountingDevice, Callable[[Any], Any], Any]:
    """A device, a loss over four samples on it, and weights."""
    dev = CountingDevice(wires=2)

    @qml.qnode(dev)
    def circuit(x, w):
        qml.AngleEmbedding(x, wires=range(2))
        qml.StronglyEntanglingLayers(w, wires=range(2))
        return qml.expval(qml.Z(0))

    rng = np.random.default_rng(0)
    x, y, w = rng.uniform(size=(4, 2)), rng.choice([-1.0, 1.0], 4), rng.uniform(size=(1, 2, 3))
    return dev, (lambda w: sum((circuit(a, w) - b) ** 2 for a, b in zip(x, y, strict=True))), w
