"""Polynomials of few parameters each are found among many functions, and others are refused."""

import numpy as np
import pytest

from pennylane_qstore.native.frontend.polynomial_fit import fit_polynomials, snapped

CHECKS = np.array([[0.3, -2.5, 1.1, 4.0]])


def fit(*functions):
    return fit_polynomials(lambda x: np.stack([f(*x.T) for f in functions], axis=1), 4, CHECKS)


def test_factors_are_found_exactly():
    assert fit(
        lambda a, b, c, d: a * b / 3 - 2 * c + 0.1,
        lambda a, b, c, d: d**2,
        lambda a, b, c, d: 0.7 + 0 * a,
    ) == [
        {(): pytest.approx(0.1, abs=1e-11), (2,): -2.0, (0, 1): 1 / 3},
        {(3, 3): 1.0},
        {(): pytest.approx(0.7, abs=1e-11)},
    ]


def test_the_third_degree_is_tried_too():
    (terms,) = fit(lambda a, b, c, d: a * b * c - c)
    assert terms == {(2,): -1.0, (0, 1, 2): 1.0}


@pytest.mark.parametrize(
    "function",
    [
        lambda a, b, c, d: np.cos(a),
        lambda a, b, c, d: a * b * c * d,
        lambda a, b, c, d: np.where(b < -2, a * b + 1, a * b),  # at a check only
    ],
)
def test_what_is_no_polynomial_is_refused(function):
    assert fit(function) is None


def test_too_many_parameters_are_not_tried():
    def never(points):
        raise AssertionError("probed")

    assert fit_polynomials(never, 10_000, np.zeros((1, 10_000))) is None


def test_rational_factors_lose_their_rounding():
    assert snapped(np.array([1 / 3 + 1e-13, 0.123])).tolist() == [1 / 3, 0.123]
