"""Small training runs for sweeps: each with a device, data and random numbers of its own."""

from __future__ import annotations

import numpy as np
import pennylane as qml

from pennylane_qstore import SPSAOptimizer
from pennylane_qstore.training.run import TrainingRun

X = np.random.default_rng(0).normal(size=(12, 2))
Y = np.sign(X[:, 0])


def make_run(seed=1, lr=0.2, *, stock=False, device=None, shots=100, batch_size=4, **options):
    """A small run; everything seeded but the global generators that stock SPSA draws from."""
    device = qml.device("qstore.ionq", wires=2, **{"seed": seed, **(device or {})})

    def circuit(w, x):
        qml.AngleEmbedding(x, wires=range(2))
        qml.StronglyEntanglingLayers(w, wires=range(2))
        return qml.expval(qml.Z(0))

    model = qml.set_shots(qml.QNode(circuit, device, diff_method=None), shots)
    start = qml.numpy.array(np.random.default_rng(seed).normal(size=(1, 2, 3)), requires_grad=True)
    optimizer = (
        qml.SPSAOptimizer(maxiter=20, a=lr) if stock else SPSAOptimizer(maxiter=20, a=lr, seed=seed)
    )
    return TrainingRun(
        model,
        start,
        optimizer,
        **{
            "loss": lambda out, y: qml.numpy.mean((out - y) ** 2),
            "data": (X, Y),
            "batch_size": batch_size,
            "seed": seed,
            "device": device,
            "progress": False,
            **options,
        },
    )


def on(emulator, ledger, backend="qpu.forte-1", **options):
    """Options of a device at a service in this process, as IonQ's would be."""
    return {
        "backend": backend,
        "base_url": emulator.url,
        "api_key": "k",
        "ledger": ledger,
        **options,
    }


def outcomes(run):
    """Return what a repeated run gives again, and where it has come to."""
    return [record.outcome() for record in run.history], np.asarray(run.params).tobytes()
