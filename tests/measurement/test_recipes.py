"""Recipes: which results depend on the order of shots."""

from __future__ import annotations

import pennylane as qml
import pytest

from pennylane_qstore.measurement.plan import analyse


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
