"""Draws of the emulator's shots, and the test that they come from a distribution."""

from __future__ import annotations

import numpy as np
from scipy.stats import chi2

from pennylane_qstore.emulator.simulation.draws import shot_keys


def keys_of(rows: int, shots: int, seed: int = 0) -> np.ndarray:
    return shot_keys(seed, np.arange(rows), shots)


def seen(outcomes: np.ndarray, qubits: int) -> np.ndarray:
    return np.bincount(outcomes.astype(int), minlength=2**qubits)


def fits(counts: np.ndarray, p: np.ndarray) -> bool:
    """Chi-square: counts [outcomes] may have come from p, at one in a million."""
    expected = p * counts.sum()
    likely = expected >= 5
    counts = np.append(counts[likely], counts[~likely].sum())
    expected = np.append(expected[likely], expected[~likely].sum() + 1e-9)
    chance = chi2.sf(((counts - expected) ** 2 / expected).sum(), likely.sum())
    return bool(chance > 1e-6)
