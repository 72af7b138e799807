"""Stopping: patience, the best step, and Ctrl-C once and twice."""

from __future__ import annotations

import os
import signal

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore import SPSAOptimizer
from pennylane_qstore.training.run import TrainingRun

X = np.random.default_rng(0).normal(size=(20, 2))

Y = np.sign(X[:, 0])

WEIGHTS = np.random.default_rng(1).normal(size=(1, 2, 3))


def mean_square(out, y):
    return qml.numpy.mean((out - y) ** 2)


def right(out, y):
    return np.mean(np.sign(out) == y)


def make(optimizer="spsa", *, device=None, noise=None, params=None, **options):
    """A small run; everything seeded."""
    device = device or qml.device("qstore.ionq", wires=2, seed=3, noise_model=noise)

    def circuit(w, x):
        qml.AngleEmbedding(x, wires=range(2))
        qml.StronglyEntanglingLayers(w, wires=range(2))
        return qml.expval(qml.Z(0))

    gradient_free = "spsa" in optimizer
    node = qml.set_shots(
        qml.QNode(circuit, device, diff_method=None if gradient_free else "parameter-shift"), 100
    )
    model = node if gradient_free else lambda w, x: qml.numpy.stack([node(w, row) for row in x])
    made = {
        "spsa": lambda: SPSAOptimizer(maxiter=20, seed=1),
        "stock spsa": lambda: qml.SPSAOptimizer(maxiter=20),
        "adam": lambda: qml.AdamOptimizer(0.1),
        "momentum": lambda: qml.MomentumOptimizer(0.1),
        "gradient descent": lambda: qml.GradientDescentOptimizer(0.1),
    }[optimizer]()
    settings = {
        "loss": mean_square, "metrics": {"accuracy": right}, "data": (X, Y), "batch_size": 4,
        "seed": 1, "device": device, "progress": False,
    }  # fmt: skip
    start = qml.numpy.array(WEIGHTS, requires_grad=True) if params is None else params
    return TrainingRun(model, start, made, **{**settings, **options})


def outcomes(run):
    return [record.outcome() for record in run.history]


def test_it_stops_when_the_validation_loss_no_longer_improves(tmp_path):
    options = {
        "validation": (X[:4], Y[:4]), "validate_every": 2, "patience": 2, "min_delta": 10.0,
        "checkpoint": tmp_path / "a",
    }  # fmt: skip
    run = make(**options).train(50)
    assert (run.stopped, run.step, run.best.step) == ("patience", 6, 2)
    again = make(**options, resume=True).train(50)
    assert (again.stopped, again.step) == ("patience", 6)


def test_best_parameters_are_those_of_the_least_validation_loss():
    run = make(validation=(X, Y)).train(8)
    losses = run.table()["val_loss"]
    assert run.best.step == 1 + int(np.argmin(losses))
    assert run.evaluate((X, Y), run.best_params)["loss"] == pytest.approx(min(losses), abs=0.3)


def test_ctrl_c_ends_the_run_after_the_step():
    def interrupt(record):
        if record.step == 2:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    run = make(callbacks=[interrupt]).train(9)
    assert (run.stopped, run.step) == ("interrupt", 2)
    assert signal.getsignal(signal.SIGINT) is before
    assert run.train(3).step == 3


def test_a_second_ctrl_c_ends_it_at_once_and_the_step_can_be_repeated():
    whole = make().train(3)
    pressed = []

    def interrupt(record):
        if record.step == 2 and not pressed:
            pressed.append(True)
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    run = make(callbacks=[interrupt])
    with pytest.raises(KeyboardInterrupt):
        run.train(9)
    assert run.step == 1
    assert outcomes(run.train(3)) == outcomes(whole)
