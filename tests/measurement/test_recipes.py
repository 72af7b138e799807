"""Recipes: which results depend on the order of shots, and how large they are."""

from __future__ import annotations

import contextlib

import numpy as np
import pennylane as qml
import pytest

import pennylane_qstore as qstore
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.measurement.plan import analyse
from pennylane_qstore.measurement.recipes import Factor, Product, joined


@pytest.mark.parametrize(
    ("measurement", "is_ordered"),
    [
        (qml.sample(wires=0), True), (qml.sample(qml.Z(0)), True), (qml.counts(wires=0), False),
        (qml.counts(qml.Z(0)), False), (qml.expval(qml.Z(0)), False), (qml.probs(wires=0), False),
    ],
)  # fmt: skip
def test_samples_alone_depend_on_the_order(measurement, is_ordered):
    (recipe,) = analyse([measurement], {0: 0}, finite=True).recipes
    assert recipe.is_ordered is is_ordered


@pytest.mark.parametrize(
    ("measure", "shots"),
    [
        (lambda: qml.probs(wires=range(29)), None),
        (lambda: qml.probs(), 5),
        (lambda: qml.counts(all_outcomes=True), 5),
        (lambda: qml.probs(wires=range(27)), 5),
    ],
)
@pytest.mark.parametrize("deferred", [False, True])
def test_results_too_large_for_memory_are_refused_before_anything_is_sent(measure, shots, deferred):
    def circuit(x):
        qml.RX(x, 0)
        return measure()

    dev = qml.device("qstore.ionq", wires=29)
    node = qml.QNode(circuit, dev, shots=shots)
    with (
        pytest.raises(ConfigurationError, match=r"GB of memory\. Allowed: 1\.1 GB"),
        qstore.deferred() if deferred else contextlib.nullcontext(),
    ):
        node(np.array([0.1, 0.2]))
    assert not dev.stats["jobs"]


def product(letters):
    labels = tuple(((wire,), letter) for wire, letter in letters.items())
    return Product(1.0, labels, (Factor(tuple(letters)),))


def test_products_that_agree_wire_by_wire_share_labels():
    together = joined([product({0: "X"}), product({0: "X", 2: "Y"}), product({1: "Z"})])
    assert together == (((0,), "X"), ((1,), "Z"), ((2,), "Y"))


def test_products_that_do_not_agree_share_none():
    assert joined([product({0: "X"}), product({0: "Z"})]) is None
