"""Perturbations: the mean of slopes is the smoothed gradient, its variance what it says."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pennylane_qstore.training.perturbations import (
    draw_directions,
    estimate_gradient,
    shortened,
)

W = [np.array([0.3, -0.8]), np.array(0.5)]
SAMPLES = np.random.default_rng(0).normal(size=(60, 3))
SIZE = 0.3


def losses(points, x):
    """A curved loss of each row, at parameters of its own."""
    return np.sin(points @ x.T if points.ndim == 1 else np.sum(points * x, axis=1)) ** 2


def flat(arrays, lead=0):
    return np.concatenate([a.reshape(*a.shape[:lead], -1) for a in arrays], axis=-1)


def slopes_of(directions, x):
    d, w = flat(directions, 1), flat(W)
    slope = (losses(w + SIZE * d, x) - losses(w - SIZE * d, x)) / (2 * SIZE)
    return [slope[:, None] * directions[0], slope * directions[1]]


def smoothed(x):
    """The gradient that the estimates have to average to, by all directions there are."""
    corners = np.array(list(itertools.product([-1.0, 1.0], repeat=3)))
    return np.mean(
        [flat([s.mean(axis=0) for s in slopes_of([np.tile(c[:2], (len(x), 1)),
               np.tile(c[2], len(x))], x)]) for c in corners], axis=0,
    )  # fmt: skip


def own(rng, x, each):
    rows = np.repeat(x, each, axis=0)
    return estimate_gradient(slopes_of(draw_directions(rng, W, len(rows)), rows), each)


def shared(rng, x, count):
    directions = draw_directions(rng, W, count)
    each = [
        [
            np.mean(part, axis=0)
            for part in slopes_of([np.repeat(d[None], len(x), 0) for d in one], x)
        ]
        for one in zip(*directions, strict=True)
    ]
    return estimate_gradient([np.array(part) for part in zip(*each, strict=True)])


def test_directions_are_drawn_one_after_another_whatever_their_number():
    together = draw_directions(np.random.default_rng(3), W, 5)
    rng = np.random.default_rng(3)
    for i in range(5):
        for got, value in zip(together, W, strict=True):
            np.testing.assert_array_equal(got[i], rng.choice((-1.0, 1.0), size=value.shape))
    assert [d.shape for d in together] == [(5, 2), (5,)]
    assert set(np.unique(flat(together, 1))) == {-1.0, 1.0}


@given(seed=st.integers(0, 10**6), rows=st.integers(2, 40), each=st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_the_mean_over_many_directions_is_the_smoothed_gradient(seed, rows, each):
    rng, x = np.random.default_rng(seed), SAMPLES[:rows]
    wanted, repeats = smoothed(x), 200
    for estimate in (own, shared):
        means = np.array([flat(estimate(rng, x, each).mean) for _ in range(repeats)])
        error = means.std(axis=0, ddof=1) / np.sqrt(repeats)
        assert np.all(np.abs(means.mean(axis=0) - wanted) < 6 * error + 1e-12)


@pytest.mark.parametrize("each", [1, 3])
@pytest.mark.parametrize("rows", [1, 2, 20])
def test_the_variance_is_that_of_the_mean(rows, each):
    """For own directions over the choice of samples too; a single sample has its directions'."""
    rng = np.random.default_rng(4)
    chosen = [SAMPLES[rng.integers(len(SAMPLES), size=rows)] for _ in range(4000)]
    if rows == 1:
        chosen = [SAMPLES[:1]] * 4000
    found = [own(rng, x, each) for x in chosen]
    if rows * each == 1:
        assert all(estimate.variance is None for estimate in found)
        return
    spread = np.var([flat(e.mean) for e in found], axis=0, ddof=1)
    np.testing.assert_allclose(np.mean([flat(e.variance) for e in found], axis=0), spread, rtol=0.1)
    assert found[0].directions == each
    assert found[0].mean_variance == pytest.approx(np.mean(flat(found[0].variance)))


def test_the_variance_of_shared_directions_is_that_between_them():
    rng = np.random.default_rng(5)
    found = [shared(rng, SAMPLES[:7], 4) for _ in range(3000)]
    spread = np.var([flat(e.mean) for e in found], axis=0, ddof=1)
    np.testing.assert_allclose(np.mean([flat(e.variance) for e in found], axis=0), spread, rtol=0.1)
    assert (found[0].directions, shared(rng, SAMPLES, 1).variance) == (4, None)


def test_own_directions_have_the_smaller_variance():
    """By about the number of samples while their gradients are alike."""
    rng, x = np.random.default_rng(6), np.tile(SAMPLES[:1], (50, 1))
    mine = np.mean([own(rng, x, 1).mean_variance for _ in range(200)])
    common = np.mean([shared(rng, x, 2).mean_variance * 2 for _ in range(200)])
    assert common / mine == pytest.approx(50, rel=0.2)


def test_equal_slopes_have_no_variance_and_nothing_is_divided_by_zero():
    with np.errstate(all="raise"):
        estimate = estimate_gradient([np.zeros((6, 2)), np.zeros(6)], 2)
    assert (estimate.rms, estimate.mean_variance) == (0.0, 0.0)


def test_long_gradients_keep_their_direction():
    assert shortened(W, None) is W
    assert shortened(W, 100.0) is W
    short = shortened(W, 0.1)
    assert np.linalg.norm(flat(short)) == pytest.approx(0.1)
    assert flat(short) @ flat(W) == pytest.approx(0.1 * np.linalg.norm(flat(W)))
