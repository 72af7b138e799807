"""Models of rows in the forms that a step by samples takes, on a device that counts."""

from __future__ import annotations

import numpy as np
import pennylane as qml
from support.counting import CountingDevice

X = np.random.default_rng(0).uniform(-1, 1, (6, 2))
Y = np.where(X[:, 0] > 0, 1.0, -1.0)
PARAMS = {"w": np.array([0.4, -0.7]), "more": [np.array(0.2)]}


def mean_square(out, y):
    return qml.math.mean((out - y) ** 2)


def qnode(dev=None, **options):
    """A circuit of (features [..., 2], angles a, b, c), which broadcasts over all of them."""
    dev = dev or CountingDevice(wires=2)

    @qml.qnode(dev, **{"diff_method": None, **options})
    def circuit(x, a, b, c):
        qml.RY(x[..., 0], 0)
        qml.RY(x[..., 1], 1)
        qml.RX(a, 0)
        qml.CNOT([0, 1])
        qml.RY(b, 1)
        qml.RX(c, 0)
        return qml.expval(qml.Z(1) @ qml.X(0))

    return circuit, dev


def make(form, dev=None, **options):
    """Return a model of (parameters, x) in a form, and its device."""
    circuit, dev = qnode(dev, **options)

    def batch(p, x):
        return circuit(x, p["w"][..., 0], p["w"][..., 1], p["more"][0])

    def loop(p, x):
        return qml.math.stack([batch(p, row) for row in x])

    def one(p, x):
        if x.shape != (2,):
            raise ValueError("one sample at a time")
        return batch(p, x)

    return {"batch": batch, "loop": loop, "one": one}[form], dev
