"""Mini-batches: all rows once an epoch, in an order of the seed; sizes that are possible."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore import SPSAOptimizer
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.minibatches import MiniBatches
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


def test_all_rows_are_seen_once_an_epoch_in_an_order_of_the_seed():
    batches = MiniBatches(10, 4, seed=5)
    epochs = [np.concatenate([batches(s) for s in range(k, k + 3)]) for k in (1, 4)]
    assert [sorted(rows) for rows in epochs] == [list(range(10))] * 2
    assert list(epochs[0]) != list(epochs[1])
    assert [len(batches(s)) for s in (1, 2, 3)] == [4, 4, 2]
    assert [batches.epoch(s) for s in (1, 3, 4)] == [1, 1, 2]
    np.testing.assert_array_equal(batches(5), MiniBatches(10, 4, seed=5)(5))
    equal = MiniBatches(10, 4, seed=5, drop_last=True)
    assert {len(equal(s)) for s in range(1, 20)} == {4}
    assert equal.epoch(3) == 2


def test_epochs_count_in_steps():
    assert make().train(epochs=2).step == 10


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"batch_size": 21}, "batch_size=21"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"data": (X, Y[:3])}, "one length"),
        ({"data": None}, "needs data"),
        ({"patience": 0}, "patience=0"),
        ({"loss": None}, "give loss= too"),
    ],
)
def test_settings_that_are_not_possible_are_refused(wrong, said):
    with pytest.raises(ConfigurationError, match=said):
        make(**wrong)
