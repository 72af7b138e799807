"""Rows of a table as features."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.inputs import Inputs


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
