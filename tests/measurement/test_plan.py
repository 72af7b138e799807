"""Measurements are analysed: few bases, a recipe for each result."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore.measurement.plan import analyse
from pennylane_qstore.measurement.recipes import NotSupported

WIRES = {i: i for i in range(4)}


def test_terms_share_bases():
    wires = {i: i for i in range(4)}
    words = [qml.Z(0) @ qml.Z(1), qml.Z(2), qml.X(3), qml.Z(1) @ qml.X(3), qml.Y(0)]
    plan = analyse([qml.expval(qml.sum(*words))], wires, finite=True)
    assert len(plan.bases) == 2
    several = analyse([qml.expval(word) for word in words], wires, finite=True)
    assert len(several.bases) == 2


@pytest.mark.parametrize(
    ("measurement", "kind"),
    [
        (qml.expval(qml.Z(0)), "expval"),
        (qml.var(qml.Z(0) + qml.Z(1)), "var"),
        (qml.var(qml.X(0) + qml.Z(0) @ qml.Z(1)), "var"),
        (qml.probs(wires=[1, 0]), "probs"),
        (qml.counts(qml.Y(2)), "values"),
        (qml.sample(wires=3), "bits"),
    ],
)
def test_each_measurement_has_its_recipe(measurement, kind):
    (recipe,) = analyse([measurement], WIRES, finite=True).recipes
    assert recipe.kind == kind


def test_a_variance_too_large_to_diagonalise_is_a_difference_of_moments():
    wires = {i: i for i in range(8)}
    word = qml.prod(*[qml.Z(i) for i in range(8)])
    (recipe,) = analyse([qml.var(qml.X(0) + word)], wires, finite=True).recipes
    assert recipe.kind == "moment"
    assert recipe.squared_constant == pytest.approx(2.0)


def test_all_terms_of_one_variance_are_read_in_one_basis():
    plan = analyse([qml.expval(qml.X(0)), qml.var(qml.Z(0) + qml.Z(1))], WIRES, finite=True)
    _, variance = plan.recipes
    assert {term.basis for term in variance.terms} == {variance.basis}
    assert [gate.name for gate in plan.bases[variance.basis].gates] == []


def test_a_constant_needs_no_basis_of_its_own():
    plan = analyse([qml.expval(2.5 * qml.Identity(0))], WIRES, finite=False)
    assert len(plan.bases) == 1
    assert plan.recipes[0].constant == 2.5


@pytest.mark.parametrize(
    ("measurement", "finite", "message"),
    [
        (qml.state(), True, "does not return states"),
        (qml.counts(), False, "without shots"),
        (qml.expval(1j * qml.Z(0)), True, "not Hermitian"),
        (qml.expval(qml.s_prod(np.inf, qml.Z(0))), True, "not finite"),
    ],
)
def test_what_cannot_be_measured_is_named(measurement, finite, message):
    with pytest.raises(NotSupported, match=message):
        analyse([measurement], WIRES, finite)
