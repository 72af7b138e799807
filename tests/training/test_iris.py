"""The Iris task: its data, its circuits, and that it learns."""

from __future__ import annotations

import sys

import numpy as np
import pennylane as qml
import pytest
from counting import CountingDevice

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training import iris

pytest.importorskip("sklearn")


def device(seed=0):
    return CountingDevice(wires=4, analytic=False, seed=seed)


def test_split_is_balanced_standardised_and_decided_by_its_seed():
    data, same, other = iris.load_iris(1), iris.load_iris(1), iris.load_iris(2)
    assert (len(data.train_y), len(data.test_y)) == (70, 30)
    assert (data.train_y.sum(), data.test_y.sum()) == (35, 15)
    np.testing.assert_allclose(data.train_x.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(data.train_x.std(axis=0), 1)
    np.testing.assert_array_equal(data.train_x, same.train_x)
    assert not np.array_equal(data.train_x, other.train_x)


def test_most_telling_feature_comes_first():
    data = iris.load_iris(0)
    telling = np.abs(np.corrcoef(data.train_x.T, data.train_y)[-1, :-1])
    assert list(np.argsort(-telling)) == [0, 1, 2, 3]


def test_a_step_is_one_batch_of_three_mini_batches():
    dev = device()
    posts = []
    iris.train(
        iris.make_model(dev, shots=100),
        iris.load_iris(0),
        steps=3,
        batch_size=20,
        on_calibrated=lambda _: posts.append(len(dev.posts)),
        on_step=lambda _: posts.append(len(dev.posts)),
    )
    assert posts == [1, 2, 3, 4]
    assert dev.posts == [200, 60, 60, 60, 30]


def test_history_tells_loss_accuracy_and_circuits_of_each_step():
    model = iris.make_model(device(), shots=100)
    result = iris.train(model, iris.load_iris(0), steps=4, batch_size=10, seed=5)
    assert [record.step for record in result.history] == [1, 2, 3, 4]
    assert all(record.circuits == 30 for record in result.history)
    assert all(0 <= record.accuracy <= 1 and record.loss > 0 for record in result.history)


def test_same_seed_and_same_shots_give_the_same_run():
    runs = [
        iris.train(iris.make_model(device(seed=3), 100), iris.load_iris(0), steps=3, seed=7)
        for _ in range(2)
    ]
    assert runs[0].history == runs[1].history
    np.testing.assert_array_equal(runs[0].params["weights"], runs[1].params["weights"])


def test_it_learns_what_logistic_regression_learns():
    """Three of the seeds measured for the README; shots are seeded, so no luck is involved."""
    results = [
        iris.train(
            iris.make_model(qml.device("default.qubit", wires=4, seed=seed)),
            iris.load_iris(seed),
            seed=seed,
        )
        for seed in range(3)
    ]
    tested = np.mean([result.test_accuracy for result in results])
    assert tested >= np.mean([result.baseline_accuracy for result in results]) - 0.03
    assert all(result.constant_accuracy == 0.5 for result in results)
    for result in results:
        losses = [record.loss for record in result.history]
        assert np.mean(losses[-50:]) < 0.6 * losses[0]


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"batch_size": 0}, {"batch_size": 71}])
def test_numbers_out_of_range_are_refused_before_anything_is_sent(wrong):
    dev = device()
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        iris.train(iris.make_model(dev), iris.load_iris(0), **wrong)
    assert dev.posts == []


def test_missing_scikit_learn_is_an_error_that_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ConfigurationError, match=r"pennylane-qstore\[train\]"):
        iris.load_iris(0)
