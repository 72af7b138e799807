"""The classifier and the regressor by variational circuits."""

from __future__ import annotations

import pickle

import numpy as np
import pennylane as qml
import pytest

pytest.importorskip("sklearn", minversion="1.6")

from sklearn.datasets import load_iris, make_blobs
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import pennylane_qstore as qstore
from pennylane_qstore.emulator import Emulator
from pennylane_qstore.errors import BudgetExceeded, ConfigurationError

BRIEF = {"steps": 1, "shots": None, "batch_size": 4}  # the checks are of the interface
ONE_STEP = "one step trains nothing; other tests here train"


def known_failures(estimator):
    """Checks of scikit-learn that one step cannot fulfil."""
    return {"check_classifiers_train": ONE_STEP, "check_regressors_train": ONE_STEP}


@parametrize_with_checks(
    [qstore.QuantumClassifier(**BRIEF), qstore.QuantumRegressor(**BRIEF)],
    expected_failed_checks=known_failures,
)
def test_they_are_estimators_of_scikit_learn(estimator, check):
    check(estimator)


def test_a_classifier_learns_three_classes_with_names():
    x, y = make_blobs(30, 2, centers=[(0, 0), (4, 0), (0, 4)], random_state=1)
    names = np.array(["ash", "beech", "cedar"])[y]
    model = qstore.QuantumClassifier(steps=30, shots=None, random_state=1).fit(x, names)
    assert model.score(x, names) >= 0.9
    assert model.predict_proba(x).sum(axis=1) == pytest.approx(np.ones(30))
    assert set(model.predict(x)) == set(names)
    assert model.cost_usd_ == 0
    assert model.model_.training["steps"] == len(model.history_["loss"]) == 30


def test_a_regressor_learns_a_curve_in_units_of_the_targets():
    x = np.linspace(-1, 1, 20)[:, None]
    y = 100 + 20 * np.sin(2 * x[:, 0])
    model = qstore.QuantumRegressor(steps=50, shots=None, wires=2, random_state=1).fit(x, y)
    assert model.score(x, y) >= 0.9


@pytest.mark.parametrize("to", [str, object, bool])
def test_targets_of_a_regressor_are_taken_as_numbers(to):
    x, y = np.linspace(-1, 1, 6)[:, None], np.array([0.0, 1.0] * 3)
    model = qstore.QuantumRegressor(steps=1, shots=None, wires=1, random_state=1)
    found = model.fit(x, y.astype(to)).predict(x)
    np.testing.assert_array_equal(found, model.fit(x, y).predict(x))


def test_a_grid_search_over_a_pipeline():
    x, y = load_iris(return_X_y=True)
    x, y = x[y > 0][::3], y[y > 0][::3]
    model = make_pipeline(
        StandardScaler(), PCA(2), qstore.QuantumClassifier(steps=4, random_state=1)
    )
    search = GridSearchCV(model, {"quantumclassifier__uploads": [1, 2]}, cv=2, error_score="raise")
    search.fit(x, y)
    assert search.best_params_["quantumclassifier__uploads"] in (1, 2)
    assert search.predict(x).shape == (len(x),)


def test_the_same_seed_is_the_same_model_also_after_pickling():
    x, y = make_blobs(20, 2, centers=2, random_state=1)
    one, two = (qstore.QuantumClassifier(steps=2, random_state=7).fit(x, y) for _ in range(2))
    again = pickle.loads(pickle.dumps(one))
    assert np.array_equal(one.predict_proba(x), two.predict_proba(x))
    assert np.array_equal(one.predict_proba(x), again.predict_proba(x))


def test_the_model_is_saved_with_names_of_columns_and_read_without_scikit_learn(tmp_path):
    pandas = pytest.importorskip("pandas")
    x, y = make_blobs(20, 2, centers=2, random_state=1)
    frame = pandas.DataFrame(x, columns=["length", "width"])
    model = qstore.QuantumClassifier(steps=2, random_state=7).fit(frame, y)
    model.model_.save(tmp_path / "model.json")
    read = qstore.load_model(tmp_path / "model.json")
    assert read.inputs.columns == ("length", "width")
    assert np.array_equal(read.predict(x), model.predict(frame))


def test_a_fit_stays_within_its_budget():
    x, y = make_blobs(20, 2, centers=2, random_state=1)
    with Emulator() as service:
        dev = qml.device(
            "qstore.ionq", wires=2, backend="qpu.forte-1", api_key="key", base_url=service.url
        )
        with pytest.raises(BudgetExceeded):
            qstore.QuantumClassifier(device=dev, budget_usd=1.0, random_state=1).fit(x, y)
        assert service.billed_jobs == 0


def test_a_fit_that_was_cut_off_goes_on(tmp_path):
    x, y = make_blobs(20, 2, centers=2, random_state=1)
    whole = qstore.QuantumClassifier(steps=4, random_state=7).fit(x, y)
    path = tmp_path / "fit.json"
    first = qstore.QuantumClassifier(steps=4, random_state=7, checkpoint=path).fit(x, y)
    again = qstore.QuantumClassifier(steps=4, random_state=7, checkpoint=path).fit(x, y)
    assert np.array_equal(first.predict_proba(x), whole.predict_proba(x))
    assert np.array_equal(again.predict_proba(x), whole.predict_proba(x))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"steps": 0}, "steps"),
        ({"wires": 0}, "wires"),
        ({"uploads": 0}, "uploads"),
        ({"shots": "many"}, "shots"),
        ({"prices": "mine"}, "price list"),
    ],
)
def test_wrong_options_are_named(options, said):
    x, y = make_blobs(20, 2, centers=2, random_state=1)
    with pytest.raises(ConfigurationError, match=said):
        qstore.QuantumClassifier(**options).fit(x, y)


def test_a_device_that_is_too_small_is_refused():
    x, y = make_blobs(20, 3, centers=2, random_state=1)
    dev = qml.device("qstore.ionq", wires=2)
    with pytest.raises(ConfigurationError, match="3 wires and the device 2"):
        qstore.QuantumClassifier(device=dev).fit(x, y)


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="one class"):
        qstore.QuantumClassifier().fit(np.zeros((4, 2)), np.ones(4, dtype=int))


def test_before_fit_there_is_nothing_to_predict():
    with pytest.raises(NotFittedError):
        qstore.QuantumRegressor().predict(np.zeros((1, 2)))
