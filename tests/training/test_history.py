"""History: records as a table."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore import SPSAOptimizer
from pennylane_qstore.training.history import StepRecord, table
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


def test_history_is_a_table_for_pandas():
    run = make(validation=(X[:6], Y[:6]), validate_every=2).train(3)
    table = run.table()
    assert {len(column) for column in table.values()} == {3}
    assert table["step"] == [1, 2, 3]
    assert np.isnan(table["val_loss"]).tolist() == [True, False, True]
    pandas = pytest.importorskip("pandas")
    assert pandas.DataFrame(table).loc[1, "val_accuracy"] <= 1


def test_a_record_s_values_are_found_by_name_and_its_outcome_leaves_times_out():
    record = StepRecord(3, 1, 0.5, {"accuracy": 0.9}, circuits=12, seconds=1.5, cost_usd=2.0)
    assert (record.value("loss"), record.value("accuracy")) == (0.5, 0.9)
    assert record.value("val_loss") is None
    assert record.outcome() == {
        "step": 3, "epoch": 1, "loss": 0.5, "accuracy": 0.9, "circuits": 12,
    }  # fmt: skip
    assert record.as_dict()["cost_usd"] == 2.0
    assert "metrics" not in record.as_dict()
    assert table([]) == {}
