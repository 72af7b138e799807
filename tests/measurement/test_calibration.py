"""Words without misread bits: exact where it is claimed, refused where nothing is left of them."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pennylane_qstore.measurement.calibration import (
    Calibration,
    Correction,
    UnreliableCalibration,
)
from pennylane_qstore.measurement.outcomes import Outcomes, product_of
from pennylane_qstore.measurement.recipes import Factor, Term
from pennylane_qstore.native.template.batch import Readout

QUBITS, WIRES = 4, 3
STATES = np.array(list(product((0, 1), repeat=QUBITS)), dtype=np.uint8)
INDEX = 1 << np.arange(QUBITS)[::-1]


def independent(rng: Any) -> np.ndarray:
    """Probabilities that a state is read as another, (read, true): each bit by itself."""
    out = np.ones((1, 1))
    for _ in range(QUBITS):
        zero, one = rng.uniform(0, 0.3, 2)
        out = np.kron(out, [[1 - zero, one], [zero, 1 - one]])
    return out


def correlated(rng: Any) -> np.ndarray:
    """The same of any kind."""
    out = rng.dirichlet(np.full(2**QUBITS, 0.3), 2**QUBITS).T
    return 0.3 * out + 0.7 * np.eye(2**QUBITS)


def calibration(misread: np.ndarray, flipped: np.ndarray, shots: int = 10**9) -> Calibration:
    """Infinitely many shots of circuits that flip qubits."""
    read = np.tile(STATES, (len(flipped), 1))
    prepared = np.repeat(flipped, len(STATES), axis=0)
    weight = misread[:, flipped @ INDEX].T.ravel() / len(flipped)
    return Calibration(1.0 - 2 * prepared, 1.0 - 2 * read, weight, shots)


def corrected(
    misread: np.ndarray, chances: np.ndarray, frames: np.ndarray, readout: Readout, known: Any
) -> np.ndarray:
    """Values of all words of three tape wires in rows of one circuit, (words, rows)."""
    weight = np.concatenate([misread @ chances[(STATES ^ f) @ INDEX] for f in frames])
    row = np.repeat(np.arange(len(frames)), len(STATES))
    bits = np.tile(STATES, (len(frames), 1))
    where = Outcomes(tuple(range(WIRES)), len(frames), row, bits, weight, None)
    own = [
        ((3, 0, 2), Readout(readout.matrix, readout.apply(f[None, [3, 0, 2]])[0]), 1)
        for f in frames
    ]
    where.correction = Correction(known, own)
    return np.array(
        [where.mean(product_of(Term(1.0, 0, (Factor(word),)), where)) for word in words()]
    )


def words() -> list[tuple[int, ...]]:
    masks = list(product((0, 1), repeat=WIRES))[1:]
    return [tuple(np.flatnonzero(mask).tolist()) for mask in masks]


def wanted(chances: np.ndarray, readout: Readout) -> np.ndarray:
    signs = 1.0 - 2 * readout.apply(STATES[:, [3, 0, 2]])
    return np.array([signs[:, list(word)].prod(axis=1) @ chances for word in words()])


def drawn(seed: int) -> tuple[Any, np.ndarray, Readout]:
    rng = np.random.default_rng(seed)
    matrix = rng.integers(0, 2, (WIRES, 3)).astype(np.uint8)
    readout = Readout(matrix, rng.integers(0, 2, WIRES).astype(np.uint8))
    return rng, rng.dirichlet(np.ones(len(STATES))), readout


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32))
def test_bits_that_are_misread_independently_are_undone_in_every_frame(seed: int) -> None:
    rng, chances, readout = drawn(seed)
    misread = independent(rng)
    flipped = rng.integers(0, 2, (1, QUBITS))
    known = calibration(misread, np.concatenate([flipped, 1 - flipped]))
    frames = np.concatenate([np.zeros((1, QUBITS), int), rng.integers(0, 2, (2, QUBITS))])
    found = corrected(misread, chances, frames.astype(np.uint8), readout, known)
    expected = np.repeat(wanted(chances, readout)[:, None], len(frames), axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-9)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32))
def test_any_misreading_is_undone_on_average_over_frames(seed: int) -> None:
    rng, chances, readout = drawn(seed)
    misread = correlated(rng)
    found = corrected(misread, chances, STATES, readout, calibration(misread, STATES))
    np.testing.assert_allclose(found.mean(axis=1), wanted(chances, readout), atol=1e-9)


def test_a_word_of_which_nothing_is_left_is_refused() -> None:
    misread = np.full((2**QUBITS, 2**QUBITS), 2.0**-QUBITS)
    known = calibration(0.98 * misread + 0.02 * np.eye(2**QUBITS), STATES, shots=100)
    with pytest.raises(UnreliableCalibration, match=r"0\.020 ± 0\.100 of .* 1 qubits"):
        known.factor(np.array([1, 0, 0, 0], dtype=np.uint8))
    assert known.factor(np.zeros(QUBITS, dtype=np.uint8)) == 1.0
