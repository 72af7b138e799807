"""Streams by counter: uniform, independent of the division, events with their rates."""

from __future__ import annotations

import numpy as np
import pytest

from pennylane_qstore.emulator.simulation.draws import events, outcomes, shot_keys, uniform


def test_a_shots_numbers_depend_on_nothing_beside_it() -> None:
    keys = shot_keys(7, np.arange(5), 20)
    assert (shot_keys(7, np.array([3]), 9)[0] == keys[3, :9]).all()
    assert len(np.unique(keys)) == keys.size
    assert not (shot_keys(8, np.arange(5), 20) == keys).any()


def test_numbers_are_uniform_and_uncorrelated_between_shots_and_places() -> None:
    keys = shot_keys(1, np.arange(100), 1_000)
    first, second = (uniform(keys.ravel(), k).reshape(keys.shape) for k in (0, 1))
    counts = np.histogram(first, bins=100, range=(0, 1))[0]
    assert ((counts - 1_000) ** 2 / 1_000).sum() < 180  # chi-square, 99 degrees of freedom
    for other in (second, np.roll(first, 1, axis=1), np.roll(first, 1, axis=0)):
        assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.015


def test_events_happen_at_their_rates_and_independently() -> None:
    rates = np.array([0.0, 0.3, 0.5, 0.0, 1.0, 0.02])
    keys = shot_keys(2, np.arange(1), 100_000).ravel()
    shot, event = events(rates, keys, 0)
    happened = np.zeros((len(keys), len(rates)))
    happened[shot, event] = 1
    assert len(shot) == happened.sum()  # none twice
    assert (np.diff(shot * len(rates) + event) > 0).all()
    np.testing.assert_allclose(happened.mean(axis=0), rates, atol=0.008)
    assert np.corrcoef(happened[:, 1], happened[:, 2])[0, 1] == pytest.approx(0, abs=0.015)


def test_outcomes_follow_their_own_distribution() -> None:
    table = np.array([[0.0, 0.2, 0.8, 0.0], [0.5, 0.0, 0.0, 1.5]])
    keys = shot_keys(3, np.arange(2), 50_000)
    which = np.repeat([0, 1], 50_000)
    found = outcomes(table, which, uniform(keys.ravel(), 0)).reshape(keys.shape)
    shares = [np.bincount(row.astype(int), minlength=4) / 50_000 for row in found]
    np.testing.assert_allclose(shares, [[0, 0.2, 0.8, 0], [0.25, 0, 0, 0.75]], atol=0.01)
    assert outcomes(table, np.array([0]), np.array([1 - 2.0**-53])) <= 3
