"""Affine angles and programs over parameters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pennylane_qstore.native.frontend.program import Affine, Gate, Program, bind_constants

PARAMETERS = 3
numbers = st.floats(-3, 3)
affines = st.builds(
    lambda factors, const: Affine(tuple(factors.items()), const),
    st.dictionaries(st.integers(0, PARAMETERS - 1), numbers, max_size=PARAMETERS),
    numbers,
)
rows = st.lists(st.lists(numbers, min_size=PARAMETERS, max_size=PARAMETERS), min_size=1, max_size=3)


@given(affines, affines, numbers, rows)
def test_angles_add_and_scale_as_their_values_do(one, other, factor, values):
    parameters = np.array(values)
    want = one.at(parameters) + factor * other.at(parameters)
    assert np.allclose(one.plus(other.scaled(factor)).at(parameters), want, atol=1e-12)
    assert np.allclose(one.plus(factor).at(parameters), one.at(parameters) + factor, atol=1e-12)


def test_terms_that_cancel_are_dropped():
    angle = Affine(((0, 1.0), (1, 2.0)), 0.5)
    assert angle.plus(Affine(((0, -1.0),), 0.5)) == Affine(((1, 2.0),), 1.0)


def test_bound_constants_leave_no_parameters():
    turned = Gate("RX", (1,), (Affine(((0, 2.0), (2, 1.0)), 0.1),))
    fixed = Gate("CNOT", (0, 1))
    bound = bind_constants(Program(2, (turned, fixed), 3), np.array([[0.5, 9.0, 0.25]]))
    assert bound.parameters == 0
    assert bound.gates[0].angles[0].terms == ()
    assert bound.gates[0].angles[0].const == pytest.approx(1.35)
    assert bound.gates[1] == fixed
