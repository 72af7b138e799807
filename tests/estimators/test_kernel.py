"""The classifier by a quantum kernel."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest

pytest.importorskip("sklearn", minversion="1.6")

from sklearn.datasets import make_moons
from sklearn.utils.estimator_checks import parametrize_with_checks

import pennylane_qstore as qstore
from pennylane_qstore.errors import ConfigurationError


@parametrize_with_checks([qstore.QuantumKernelClassifier(shots=None)])
def test_it_is_an_estimator_of_scikit_learn(estimator, check):
    check(estimator)


def test_measured_overlaps_are_those_of_the_states():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(12, 3)), np.arange(12) % 2
    exact = qstore.QuantumKernelClassifier(shots=None, C=1e6).fit(x, y)
    measured = qstore.QuantumKernelClassifier(shots=10_000, C=1e6, random_state=1).fit(x, y)
    first, second = np.triu_indices(12)
    features = exact._inputs(x)
    right = exact._overlaps(features, features, first, second)
    found = measured._overlaps(features, features, first, second)
    assert right[first == second] == pytest.approx(np.ones(12))
    assert 0 <= right.min() < 0.5
    assert found == pytest.approx(right, abs=5 * 0.5 / np.sqrt(10_000))


def test_it_learns_moons_with_one_job_for_a_fit():
    x, y = make_moons(60, noise=0.1, random_state=1)
    dev = qml.device("qstore.ionq", wires=2, seed=1)
    model = qstore.QuantumKernelClassifier(C=10.0, angle=1.0, shots=200, device=dev).fit(
        x[:40], y[:40]
    )
    assert dev.stats["jobs"] == 1
    assert dev.stats["circuits"] == 40 * 39 // 2
    assert model.score(x[40:], y[40:]) >= 0.9
    assert dev.stats["jobs"] == 2
    assert model.decision_function(x[40:]).shape == (20,)


@pytest.mark.parametrize(("options", "said"), [({"C": 0.0}, "C"), ({"uploads": 0}, "uploads")])
def test_wrong_options_are_named(options, said):
    with pytest.raises(ConfigurationError, match=said):
        qstore.QuantumKernelClassifier(**options).fit(np.eye(4), [0, 1, 0, 1])
