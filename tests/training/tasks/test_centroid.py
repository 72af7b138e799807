"""Nearest centroid on iris: one request, exact without noise, near the classical one with it."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore.training.tasks import centroid

pytest.importorskip("sklearn")


def device(seed=1, **options):
    return qml.device("qstore.ionq", wires=4, seed=seed, **options)


def test_nearest_centroid_is_one_post_of_450_circuits():
    dev = device()
    found = centroid.classify(dev)
    assert (dev.stats["jobs"], dev.stats["circuits"]) == (1, 450)
    assert found.baseline_accuracy == pytest.approx(0.927, abs=5e-4)
    assert found.constant_accuracy == pytest.approx(1 / 3)


def test_without_noise_distances_are_exact_and_shots_reach_090():
    exact = centroid.classify(device(), shots=None)
    np.testing.assert_allclose(exact.distances, exact.exact, atol=1e-6)
    assert exact.accuracy == exact.baseline_accuracy
    assert all(centroid.classify(device(seed)).accuracy >= 0.90 for seed in range(1, 5))


def test_with_forte_noise_it_stays_within_003_of_the_classical_accuracy():
    found = [centroid.classify(device(seed, noise_model="forte-1")) for seed in range(1, 5)]
    assert all(abs(f.accuracy - f.baseline_accuracy) <= 0.03 for f in found)
    assert all(0.9 < f.kept.mean() < 1 for f in found)
