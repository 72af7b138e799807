"""Outcomes in one basis: means, selections, values of terms."""

from dataclasses import replace

import numpy as np

from pennylane_qstore.measurement.outcomes import Outcomes, product_of, state_of, values_of
from pennylane_qstore.measurement.recipes import Factor, Term


def outcomes():
    """Two rows on wires 3 and 1."""
    bits = np.array([[0, 0], [1, 1], [0, 1]], dtype=np.uint8)
    return Outcomes((3, 1), 2, np.array([0, 0, 1]), bits, np.array([1.0, 3.0, 4.0]), 4)


def test_means_are_weighted_by_row():
    assert outcomes().mean(np.array([1.0, 2.0, 5.0])).tolist() == [1.75, 5.0]


def test_terms_are_parities_or_looked_up():
    where = outcomes()
    parity = Term(2.0, 0, (Factor((1,)),))
    looked_up = Term(1.0, 0, (Factor((1, 3), np.array([5.0, 6.0, 7.0, 8.0])),))
    assert product_of(parity, where).tolist() == [1, -1, -1]
    assert product_of(looked_up, where).tolist() == [5, 8, 7]
    assert where.mean(values_of([parity, looked_up], 10.0, where)).tolist() == [
        10 - 1 + 7.25,
        10 - 2 + 7,
    ]


def test_rows_with_the_same_outcomes_have_the_values_of_one():
    bits = np.array([[0, 0], [1, 1], [0, 1]] * 2, dtype=np.uint8)
    whole = Outcomes((3, 1), 2, np.repeat([0, 1], 3), bits, np.arange(6.0), None)
    repeated = replace(whole, period=3)
    terms = [Term(2.0, 0, (Factor((1,)),)), Term(1.0, 0, (Factor((1, 3), np.arange(4.0)),))]
    for term in terms:
        assert product_of(term, repeated).tolist() == product_of(term, whole).tolist()
    seen = []
    repeated.of_bits(lambda some: seen.append(len(some)) or some[:, 0])
    assert seen == [3]


def test_states_are_big_endian():
    assert state_of(np.array([[1, 0], [0, 1]], dtype=np.uint8)).tolist() == [2, 1]


def test_rows_keep_the_shots_that_are_selected():
    selected = outcomes().selected([(3, 1)])
    assert selected.total[0] == 3
    assert np.isnan(selected.total[1])
