"""The classifier: its batches, its losses, and that it learns what logistic regression learns."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest
from support.counting import CountingDevice

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.tasks.catalogue import averaged
from pennylane_qstore.training.tasks.classifier import (
    CLASSIFIERS,
    accuracy,
    cross_entropy,
    predicted,
)
from pennylane_qstore.training.tasks.data import (
    baseline_accuracy,
    constant_accuracy,
    load_iris,
    load_table,
)

pytest.importorskip("sklearn")


def device(seed=0):
    return CountingDevice(wires=4, analytic=False, seed=seed)


def run(device, *, seed=0, steps=3, **options):
    data = load_iris(seed)
    return CLASSIFIERS["iris"].make_run(
        device, data, seed=seed, steps=steps, progress=False, **options
    )


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
        data = load_iris(seed)
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


def test_cross_entropy_and_accuracy_are_those_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    found, y = rng.normal(size=(30, 3)), rng.integers(0, 3, 30)
    chance = np.exp(found) / np.exp(found).sum(axis=1, keepdims=True)
    expected = metrics.log_loss(y, chance, labels=[0, 1, 2])
    assert float(cross_entropy(found, y)) == pytest.approx(expected)
    assert accuracy(found, y) == metrics.accuracy_score(y, found.argmax(axis=1))


def test_one_logit_is_the_log_odds_of_the_second_class():
    rng = np.random.default_rng(0)
    odds, y = rng.normal(size=(30, 1)), rng.integers(0, 2, 30)
    two = np.concatenate([np.zeros((30, 1)), odds], axis=1)
    assert float(cross_entropy(odds, y)) == pytest.approx(float(cross_entropy(two, y)))
    assert accuracy(odds, y) == accuracy(two, y)
    assert predicted(odds).tolist() == predicted(two).tolist()


@pytest.mark.parametrize("name", ["wine", "cancer"])
def test_the_classifier_comes_near_logistic_regression(name):
    """Ideal simulator, one seed each: shots are seeded, so no luck is involved."""
    data = load_table(name)
    dev = qml.device("default.qubit", wires=4, seed=1)
    made = CLASSIFIERS[name].make_run(dev, data, seed=1, progress=False).train(200)
    reached = made.evaluate(data.test, averaged(made))["accuracy"]
    assert reached >= baseline_accuracy(data) - 0.08
    assert reached > constant_accuracy(data) + 0.2
