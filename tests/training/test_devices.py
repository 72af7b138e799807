"""Devices of a run: found or named, isolated while evaluating, sizes and budgets."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore import SPSAOptimizer
from pennylane_qstore.emulator import Emulator
from pennylane_qstore.errors import ConfigurationError
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


def test_use_of_the_device_between_two_calls_changes_nothing():
    whole = make().train(4)
    device = qml.device("qstore.ionq", wires=2, seed=3)
    parts = make(device=device).train(2)
    other = make(device=device)
    other.train(1)
    first = parts.evaluate((X, Y))
    assert parts.evaluate((X, Y)) == first
    assert outcomes(parts.train(4)) == outcomes(whole)


def test_two_runs_of_one_name_do_not_meet_in_the_ledger(tmp_path):
    with Emulator() as emulator:
        for seed in (1, 2):
            device = qml.device(
                "qstore.ionq", wires=2, seed=seed, backend="simulator", api_key="key",
                base_url=emulator.url, ledger=tmp_path / "ledger",
            )  # fmt: skip
            make(device=device, name="same").train(2)
        assert emulator.billed_jobs == 4


def test_what_a_device_spent_before_counts_in_its_budget(tmp_path):
    with Emulator(profile="none") as emulator:
        dev = qml.device(
            "qstore.ionq", wires=2, seed=3, backend="qpu.forte-1", api_key="key",
            base_url=emulator.url, ledger=tmp_path / "ledger", budget_usd=100.0,
        )  # fmt: skip
        tape = qml.tape.QuantumScript([qml.RX(0.1, 0)], [qml.expval(qml.Z(0))], shots=100)
        qml.execute([tape], dev, diff_method=None)
        assert dev.spent_usd > 0
        run = make(device=dev).train(2)
        run.train(99)
        assert run.stopped == "budget"
        assert dev.spent_usd == pytest.approx(emulator.stats()["billed_usd"])
        assert dev.spent_usd <= 100.0


def test_a_function_needs_its_device_named():
    with pytest.raises(ConfigurationError, match="device= is missing"):
        TrainingRun(lambda w: w, np.ones(1), SPSAOptimizer(maxiter=1))


def test_sizes_that_follow_the_queue_do_not_go_with_a_checkpoint(tmp_path):
    device = qml.device(
        "qstore.ionq", wires=2, max_circuits_per_job="adaptive", ledger=tmp_path / "ledger"
    )
    with pytest.raises(ConfigurationError, match="fixed max_circuits_per_job"):
        make(device=device, checkpoint=tmp_path / "a").train(1)
