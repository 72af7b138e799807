"""The model of tasks with samples: batches, losses, scores, and that it learns."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from support.counting import CountingDevice

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.tasks.catalogue import TASKS, averaged
from pennylane_qstore.training.tasks.data import (
    baseline_accuracy,
    constant_accuracy,
    load_iris,
    load_table,
)
from pennylane_qstore.training.tasks.variational import (
    Inputs,
    Variational,
    accuracy,
    average_precision,
    cross_entropy,
    mean_squared_error,
    predicted,
    r_squared,
)

pytest.importorskip("sklearn")


def device(seed=0):
    return CountingDevice(wires=4, analytic=False, seed=seed)


def run(device, *, seed=0, steps=3, **options):
    return TASKS["iris"].make(device, seed=seed, steps=steps, progress=False, **options)


def test_a_step_is_one_batch_of_two_points_a_direction():
    dev = device()
    run(dev, shots=100, batch_size=20).train(3)
    assert len(dev.posts) == 3
    assert all(circuits % 40 == 0 for circuits in dev.posts)


def test_history_tells_loss_and_accuracy_of_each_step():
    history = run(device(), shots=100, steps=4, batch_size=10, seed=5).train(4).history
    assert [record.step for record in history] == [1, 2, 3, 4]
    assert all(0 <= record.metrics["accuracy"] <= 1 and record.loss > 0 for record in history)


def test_same_seed_and_same_shots_give_the_same_run():
    runs = [run(device(seed=3), shots=100, seed=7).train(3) for _ in range(2)]
    assert [r.outcome() for r in runs[0].history] == [r.outcome() for r in runs[1].history]
    np.testing.assert_array_equal(runs[0].params["weights"], runs[1].params["weights"])


def test_it_learns_what_logistic_regression_learns():
    """Two seeds, without noise; shots are seeded, so no luck is involved."""
    tested, compared = [], []
    for seed in range(2):
        data = load_iris(seed)
        trained = run(qml.device("qstore.ionq", wires=4, seed=seed), seed=seed, steps=40)
        losses = trained.train(40).table()["loss"]
        assert np.mean(losses[-10:]) < 0.6 * losses[0]
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


@pytest.mark.parametrize("size", [1e2, 1e5])
@pytest.mark.parametrize("outputs", [1, 3])
def test_the_loss_of_logits_that_diverge_is_finite(outputs, size):
    logits = size * np.random.default_rng(0).normal(size=(20, outputs))
    y = np.zeros(20, dtype=int)
    with np.errstate(all="raise", under="ignore"):
        loss = float(cross_entropy(logits, y))
    two = np.concatenate([np.zeros((20, 1)), logits], axis=1) if outputs == 1 else logits
    assert loss == pytest.approx(np.mean(two.max(axis=1) - two[:, 0]), rel=0.02)


@pytest.mark.parametrize("name", ["wine", "cancer"])
def test_the_classifier_comes_near_logistic_regression(name):
    """Without noise, one seed each: shots are seeded, so no luck is involved."""
    data = load_table(name)
    dev = qml.device("qstore.ionq", wires=4, seed=1)
    made = TASKS[name].make(dev, seed=1, steps=60, progress=False).train(60)
    reached = made.evaluate(data.test, averaged(made))["accuracy"]
    assert reached >= baseline_accuracy(data) - 0.08
    assert reached > constant_accuracy(data) + 0.2


def test_scores_are_those_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    found, y, t = rng.normal(size=(40, 2)), rng.integers(0, 2, 40), rng.normal(size=40)
    odds = found[:, 1] - found[:, 0]
    assert average_precision(found, y) == pytest.approx(metrics.average_precision_score(y, odds))
    ties = np.round(odds)[:, None]
    expected = metrics.average_precision_score(y, ties[:, 0])
    assert average_precision(ties, y) == pytest.approx(expected)
    assert average_precision(found, np.zeros(40)) == 0
    one = found[:, :1]
    assert r_squared(one, t) == pytest.approx(metrics.r2_score(t, one[:, 0]))
    assert float(mean_squared_error(one, t)) == pytest.approx(
        metrics.mean_squared_error(t, one[:, 0])
    )


@pytest.mark.parametrize("wires", [2, 3])
def test_each_row_may_have_parameters_of_its_own(wires):
    model = Variational(wires=wires, outputs=2, uploads=2, layers=2)
    call = model.make(qml.device("default.qubit", wires=wires), None)
    x = np.random.default_rng(0).normal(size=(3, wires))
    rows = [model.initial_params(seed) for seed in range(3)]
    together = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    single = [np.asarray(call(p, x[i : i + 1]))[0] for i, p in enumerate(rows)]
    np.testing.assert_allclose(call(together, x), single, atol=1e-12)


def test_two_wires_are_entangled():
    """By CZ twice they would not be: the expectation of wire 0 would not depend on wire 1."""
    model = Variational(wires=2, layers=1, angle=1.0)
    call = model.make(qml.device("default.qubit", wires=2), None)
    params = {**model.initial_params(1), "weights": np.full((1, 1, 2, 3), 0.7)}
    first, second = np.asarray(call(params, np.array([[0.3, 0.0], [0.3, 1.5]])))[:, 0]
    assert abs(first - second) > 0.1


def rows(columns, count=50, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(3.0, 2.0, (count, columns)) * np.arange(1, columns + 1)


def test_as_many_columns_as_features_are_standardised():
    found = Inputs.learn(x := rows(4), 4)(x)
    assert found.mean(axis=0) == pytest.approx(np.zeros(4), abs=1e-12)
    assert found.std(axis=0) == pytest.approx(np.ones(4))
    assert found == pytest.approx((x - x.mean(axis=0)) / x.std(axis=0))


def test_more_columns_become_the_principal_components_of_scikit_learn():
    decomposition = pytest.importorskip("sklearn.decomposition")
    x = rows(9) @ np.random.default_rng(1).normal(size=(9, 9))
    standard = (x - x.mean(axis=0)) / x.std(axis=0)
    theirs = decomposition.PCA(3).fit_transform(standard)
    ours = Inputs.learn(x, 3)(x)
    assert np.abs(ours) == pytest.approx(np.abs(theirs / theirs[:, 0].std()))


def test_fewer_columns_are_given_to_several_wires():
    found = Inputs.learn(x := rows(2), 5)(x)
    assert found.shape == (50, 5)
    assert np.array_equal(found[:, 0], found[:, 2])
    assert np.array_equal(found[:, 1], found[:, 3])


@given(
    hnp.arrays(
        np.float64, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.floats(-1e6, 1e6)
    ),
    st.integers(1, 5),
)
def test_features_are_finite_whatever_the_rows(x, features):
    found = Inputs.learn(x, features)(x)
    assert found.shape == (len(x), features)
    assert np.all(np.isfinite(found))


def test_a_column_that_never_changes_counts_as_zero():
    x = np.column_stack([rows(1), np.full(50, 0.1), np.full(50, 1e100)])
    assert not Inputs.learn(x, 3)(x)[:, 1:].any()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (np.zeros((3, 2)), "rows of 4 numbers"),
        (np.zeros(4), "rows of 4 numbers"),
        (np.full((2, 4), np.nan), "NaN"),
        ([["a", "b", "c", "d"]], "no number"),
    ],
)
def test_other_rows_are_refused(wrong, said):
    with pytest.raises(ConfigurationError, match=said):
        Inputs.learn(rows(4), 4)(wrong)


def test_the_message_names_the_columns():
    with pytest.raises(ConfigurationError, match="length, width"):
        Inputs.learn(rows(2), 2, ["length", "width"])(np.zeros((1, 3)))
