"""Whatever Python asks of a number or an array fetches the value, and gives what that gives."""

from __future__ import annotations

import math
import operator

import numpy as np
import pytest

from pennylane_qstore.deferral.conversions import Fetching


class Later(Fetching):
    """A value that counts how often it is fetched."""

    def __init__(self, value):
        self.value, self.standin, self.fetched = value, np.ones_like(value), 0

    def fetch(self):
        self.fetched += 1
        return self.value


CONVERSIONS = [
    float, int, complex, bool, repr, str, round, math.trunc, hash, "{:.2f}".format,
    lambda v: round(v, 1), lambda v: divmod(v, 2), lambda v: divmod(7, v),
    operator.methodcaller("__format__", ".1f"),
]  # fmt: skip


@pytest.mark.parametrize("convert", CONVERSIONS)
def test_conversions_of_numbers(convert):
    later = Later(np.float64(2.75))
    assert convert(later) == convert(np.float64(2.75))
    assert later.fetched == 1


@pytest.mark.parametrize("compare", [operator.lt, operator.le, operator.gt, operator.ge,
                                     operator.eq, operator.ne])  # fmt: skip
@pytest.mark.parametrize("other", [1.0, 2.75, 3, np.float64(2.75)])
def test_comparisons(compare, other):
    later = Later(np.float64(2.75))
    assert compare(later, other) == compare(2.75, other)
    assert compare(later, Later(np.float64(other))) == compare(2.75, other)
    assert later.fetched == 2


def test_an_integer_is_an_index():
    assert [10, 20, 30][Later(np.int64(1))] == 20


def test_membership_is_asked_of_the_array():
    assert 2.0 in Later(np.array([1.0, 2.0]))
    assert 3.0 not in Later(np.array([1.0, 2.0]))


@pytest.mark.parametrize("copy", [None, True])
def test_an_array_is_a_copy_unless_that_is_forbidden(copy):
    later = Later(np.array([1.0, 2.0]))
    array = np.array(later, copy=True) if copy else np.asarray(later)
    array[0] = 9
    assert later.value[0] == 1
    assert np.asarray(later, dtype=int).tolist() == [1, 2]
    assert later.__array__(copy=False) is not None
    assert np.shares_memory(later.__array__(copy=False), later.value)
