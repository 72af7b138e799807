"""Measurements are analysed: few bases, a recipe for each result."""

from __future__ import annotations

import itertools

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pennylane_qstore.measurement import observables
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


def words_of(count, wires):
    factors = itertools.product((qml.X, qml.Y, qml.Z), repeat=len(wires))
    return [
        qml.prod(*(factor(w) for factor, w in zip(some, wires, strict=True)))
        for some in itertools.islice(factors, count)
    ]


@pytest.mark.parametrize(("count", "refused"), [(10, False), (11, True)])
def test_products_without_end_are_refused_before_they_are_made(monkeypatch, count, refused):
    monkeypatch.setattr(observables, "MAX_PRODUCTS", 100)
    wires, multiplied = {i: i for i in range(8)}, []
    total = qml.sum(*words_of(count, range(8)))
    assert analyse([qml.expval(total)], wires, finite=True).bases
    product = qml.pauli.PauliSentence.__matmul__

    def counted(a, b):
        multiplied.append(len(a) * len(b))
        return product(a, b)

    monkeypatch.setattr(qml.pauli.PauliSentence, "__matmul__", counted)
    if refused:
        message = "VarianceMP on 8 wires.*11 Pauli words has 121 products, and at most 100 "
        with pytest.raises(NotSupported, match=message):
            analyse([qml.var(total)], wires, finite=True)
    else:
        analyse([qml.var(total)], wires, finite=True)
    assert multiplied == ([] if refused else [100])


def test_a_product_of_sums_has_the_same_limit(monkeypatch):
    monkeypatch.setattr(observables, "MAX_PRODUCTS", 3)
    one = qml.X(0) + qml.Hermitian(np.diag([1.0, 2.0]), 1)
    two = qml.Y(2) + qml.Z(3)
    with pytest.raises(NotSupported, match="a product of sums has 4 products, and at most 3 "):
        analyse([qml.expval(qml.prod(one, two))], WIRES, finite=True)


def test_a_variance_of_many_commuting_words_has_no_limit(monkeypatch):
    monkeypatch.setattr(observables, "MAX_PRODUCTS", 3)
    total = qml.sum(*(qml.Z(i) @ qml.Z(j) for i in range(4) for j in range(i)))
    (recipe,) = analyse([qml.var(total)], WIRES, finite=True).recipes
    assert recipe.kind == "var"


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


X, Y, Z = qml.X, qml.Y, qml.Z

FACTORS = st.builds(
    lambda pauli, wire: pauli(wire), st.sampled_from([X, Y, Z, qml.Hadamard]), st.integers(0, 2)
)
OBSERVABLES = st.recursive(
    FACTORS,
    lambda some: st.one_of(
        st.builds(qml.s_prod, st.sampled_from([2.0, -0.5, 1.0]), some),
        st.builds(qml.sum, some, some),
        st.builds(qml.prod, some, some),
        st.builds(lambda a, b: qml.prod(a, b, a), some, some),  # Hermitian, and met on a wire
    ),
    max_leaves=4,
)


def check_order(op):
    """Probabilities come in the order of ``op.eigvals()``."""

    def circuit(measure):
        for wire in range(3):
            qml.RY(0.4 + wire, wire)
            qml.RX(0.9 - wire, wire)
        qml.CRY(0.7, wires=[1, 0])
        qml.CRX(1.1, wires=[0, 2])
        return measure(op=op)

    exact = qml.QNode(circuit, qml.device("default.qubit", wires=3))(
        lambda op: qml.expval(qml.Hermitian(qml.matrix(op), op.wires))
    )
    probs = qml.QNode(circuit, qml.device("qstore.ionq", wires=3))(qml.probs)
    assert np.isclose(probs.sum(), 1)
    assert np.isclose(probs @ op.eigvals(), exact), op


@pytest.mark.parametrize(
    "op",
    [
        X(0) + X(0),  # one word, sorted the other way round
        Z(1) + Z(1),
        X(0) @ Y(1) + X(0) @ Y(1),
        0.5 * (X(0) + X(0)),
        (X(0) + X(0)) @ Y(1),
        (2 * X(0)) @ Y(1),
        -1 * (X(2) @ Y(1)),
        Y(1) @ X(0),
        X(0) @ Y(0) @ X(0),
        X(0) @ X(0) @ X(0),
        qml.prod(X(0) @ Z(1), Z(1)),
        qml.prod(X(0) @ Z(1), X(0) @ X(1), X(0) @ Z(1)),  # eig's vectors are not orthogonal
        qml.prod(qml.Hadamard(0) @ Z(1), qml.SWAP([0, 1]), qml.Hadamard(0) @ Z(1)),
        qml.adjoint(X(0) @ Y(1)),
        0 * X(0),
        qml.I(0) @ X(1),
    ],
)
def test_probabilities_of_an_observable_come_in_the_order_of_its_eigenvalues(op):
    check_order(op)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("more", [False, True])
def test_a_sum_in_another_order_has_its_own_eigenvectors(turned, more):
    """PennyLane finds those of both under one hash, and the wires come in another order."""
    terms = [-0.5 * (X(2) @ Y(0)), -0.5 * qml.prod(Y(0), Y(0))]
    for some in (terms, terms[::-1]) if turned else (terms[::-1], terms):
        check_order(qml.sum(*some) @ Z(1) if more else qml.sum(*some))


@settings(max_examples=20, deadline=None)
@given(OBSERVABLES)
def test_probabilities_of_any_hermitian_observable_come_in_that_order(op):
    matrix = qml.matrix(op)
    if np.allclose(matrix, matrix.conj().T):
        check_order(op)
