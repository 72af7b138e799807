"""Lists of NumPy functions: what is said of each holds."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from pennylane_qstore.deferral import numpy_functions
from pennylane_qstore.deferral.numpy_functions import (
    LAZY_FUNCTIONS,
    SHAPE_FUNCTIONS,
    UFUNC_METHODS,
    VALUE_FUNCTIONS,
)

ONE_ARRAY = sorted(
    (f for f in LAZY_FUNCTIONS - VALUE_FUNCTIONS
     if len([p for p in inspect.signature(f).parameters.values()
             if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]) == 1),
    key=lambda f: f.__name__,
)  # fmt: skip


def shape(function, array):
    try:
        return np.shape(function(array))
    except (TypeError, ValueError, np.linalg.LinAlgError) as error:
        return type(error)


@pytest.mark.parametrize("function", ONE_ARRAY, ids=lambda f: f.__name__)
def test_the_shape_of_a_result_does_not_depend_on_the_values(function):
    for dims in [(3,), (2, 3), (3, 3)]:
        rng = np.random.default_rng(1)
        arrays = [np.ones(dims), np.zeros(dims), rng.normal(size=dims)]
        assert len({shape(function, array) for array in arrays}) == 1


def test_functions_that_ask_for_the_shape_are_not_deferred_themselves():
    assert not SHAPE_FUNCTIONS & LAZY_FUNCTIONS
    assert VALUE_FUNCTIONS <= LAZY_FUNCTIONS


@pytest.mark.parametrize("name", ["unique", "nonzero", "argwhere", "extract", "compress", "save"])
def test_functions_whose_shape_depends_on_the_values_fetch(name):
    assert getattr(np, name) not in LAZY_FUNCTIONS


def test_ways_of_calling_a_ufunc():
    assert all(hasattr(np.add, method) for method in UFUNC_METHODS)
    assert "at" not in UFUNC_METHODS  # it writes in place
    assert numpy_functions.words("a b  c") == ["a", "b", "c"]
