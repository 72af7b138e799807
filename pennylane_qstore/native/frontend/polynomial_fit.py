"""Polynomials fitted to functions of many parameters, each of which depends on few."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

import numpy as np

from pennylane_qstore.native.frontend.program import FloatArray

Terms = Mapping[tuple[int, ...], float]
"""A polynomial: factors by monomials, which are indices of parameters, () for the constant."""

_SNAP = 96
"""Denominator of the rational factors in PennyLane's decompositions (halves, thirds, ...)."""
_DEGREES = (2, 3)
_MOST_PARAMETERS, _MOST_TERMS = 512, 100
"""Largest fit that is tried: each parameter and each term is a decomposition."""
_SPARE = 6
"""Points more than terms: a function that is no polynomial does not agree at them."""


def snapped(factors: FloatArray) -> FloatArray:
    """Return factors, those rational that are so but for rounding."""
    near = np.round(factors * _SNAP) / _SNAP
    return np.where(np.abs(factors - near) < 1e-11, near, factors)


def fit_polynomials(
    function: Callable[[FloatArray], FloatArray], count: int, checks: FloatArray
) -> list[Terms] | None:
    """Fit polynomials of low degree.

    Args:
        function: from points ``[points, parameters]`` to values ``[points, functions]``.
        count: number of parameters.
        checks: points at which the fit has to agree, ``[checks, parameters]``.

    Returns:
        One polynomial per function; None where they are none, or too many terms.
    """
    if count > _MOST_PARAMETERS:
        return None
    rng = np.random.default_rng(23)
    start = rng.uniform(-1, 1, count)
    moved = function(start + np.concatenate([np.zeros((1, count)), np.eye(count)]))
    depends = np.abs(moved[1:] - moved[0]) > 1e-9
    parameters = [np.flatnonzero(column).tolist() for column in depends.T]
    for degree in _DEGREES:
        monomials = [
            [m for d in range(degree + 1) for m in itertools.combinations_with_replacement(some, d)]
            for some in parameters
        ]
        most = max(map(len, monomials), default=0)
        if most > _MOST_TERMS:
            return None
        points = np.concatenate([rng.uniform(-1.5, 1.5, (most + _SPARE, count)), checks])
        values = function(points)
        fits = [_fit(m, points, v, len(checks)) for m, v in zip(monomials, values.T, strict=True)]
        if all(fit is not None for fit in fits):
            return [fit for fit in fits if fit is not None]
    return None


def _fit(
    monomials: list[tuple[int, ...]], points: FloatArray, values: FloatArray, checks: int
) -> Terms | None:
    """Return the polynomial of these monomials; None where it does not agree at every point."""
    columns = np.stack([np.prod(points[:, m], axis=1) for m in monomials], axis=1)
    fitted = len(points) - checks
    factors = np.linalg.lstsq(columns[:fitted], values[:fitted], rcond=None)[0]
    factors = snapped(np.where(np.abs(factors) < 1e-11, 0.0, factors))
    if not np.allclose(columns @ factors, values, rtol=1e-11, atol=1e-9):
        return None
    return {m: float(c) for m, c in zip(monomials, factors, strict=True) if c}
