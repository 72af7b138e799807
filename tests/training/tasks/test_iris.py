"""The Iris task: its data, its circuits, and that it learns."""

from __future__ import annotations

import sys

import numpy as np
import pennylane as qml
import pytest
from support.counting import CountingDevice

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.tasks import iris
from pennylane_qstore.training.tasks.catalogue import averaged
from pennylane_qstore.training.tasks.data import baseline_accuracy, constant_accuracy

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


def run(device, *, seed=0, steps=3, **options):
    data = iris.load_iris(seed)
    return iris.make_run(device, data, seed=seed, steps=steps, progress=False, **options)


def test_a_step_is_one_batch_of_three_mini_batches():
    dev = device()
    run(dev, shots=100).train(3)
    assert dev.posts == [200, 60, 60, 60]


def test_history_tells_loss_and_accuracy_of_each_step():
    history = run(device(), shots=100, steps=4, batch_size=10, seed=5).train(4).history
    assert [record.step for record in history] == [1, 2, 3, 4]
    assert all(0 <= record.metrics["accuracy"] <= 1 and record.loss > 0 for record in history)


def test_same_seed_and_same_shots_give_the_same_run():
    runs = [run(device(seed=3), shots=100, seed=7).train(3) for _ in range(2)]
    assert [r.outcome() for r in runs[0].history] == [r.outcome() for r in runs[1].history]
    np.testing.assert_array_equal(runs[0].params["weights"], runs[1].params["weights"])


def test_it_learns_what_logistic_regression_learns():
    """Two of the seeds measured for the README; shots are seeded, so no luck is involved."""
    tested, compared = [], []
    for seed in range(2):
        data = iris.load_iris(seed)
        trained = run(qml.device("default.qubit", wires=4, seed=seed), seed=seed, steps=300)
        losses = trained.train(300).table()["loss"]
        assert np.mean(losses[-50:]) < 0.6 * losses[0]
        tested.append(trained.evaluate(data.test, averaged(trained))["accuracy"])
        compared.append(baseline_accuracy(data))
        assert constant_accuracy(data) == 0.5
    assert np.mean(tested) >= np.mean(compared) - 0.03


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"batch_size": 0}, {"batch_size": 71}])
def test_numbers_out_of_range_are_refused_before_anything_is_sent(wrong):
    dev = device()
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        run(dev, **wrong)
    assert dev.posts == []


def test_missing_scikit_learn_is_an_error_that_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ConfigurationError, match=r"pennylane-qstore\[train\]"):
        iris.load_iris(0)
