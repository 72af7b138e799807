"""The comparison of a training run with a plain PennyLane loop."""

from __future__ import annotations

import pennylane as qml
import pytest

from pennylane_qstore.bench import tables as compare
from pennylane_qstore.training.tasks.classifier import CLASSIFIERS
from pennylane_qstore.training.tasks.data import load_table

pytest.importorskip("sklearn")


def device(seed=1, **options):
    return qml.device("qstore.ionq", wires=4, seed=seed, **options)


def test_the_plain_loop_gives_the_same_numbers_merged_and_one_by_one():
    data = load_table("wine")
    devices = [device(3), device(3)]
    model, accuracies = CLASSIFIERS["wine"], []
    for dev, merged in zip(devices, (True, False), strict=True):
        optimizer = qml.SPSAOptimizer(maxiter=2, c=0.15, a=0.1)
        params = compare.train_plain(dev, model, data, optimizer, 1, 2, merged=merged)
        accuracies.append(compare.plain_accuracy(dev, model, data, params))
    assert accuracies[0] == accuracies[1]
    assert devices[0].stats["circuits"] == devices[1].stats["circuits"]
    assert devices[1].stats["jobs"] - 1 == 2 * 60  # the test rows are one more
    assert devices[0].stats["jobs"] == 5
    assert devices[0].state_dict()["rng"] == devices[1].state_dict()["rng"]


def test_the_comparison_counts_posts_and_seconds_of_a_step():
    ours, plain = compare.compare(["wine"], steps=2, scale=0.002)
    assert (ours.posts, ours.circuits) == (1, 60)
    assert (plain.posts, plain.circuits) == (60, 60)
    assert ours.step_s < plain.step_s
    assert "POSTs/step" in compare.text([ours, plain])
