"""Trajectories have the density matrix's distribution, and are run once for what is the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.chi_square import fits, keys_of, seen
from support.emulator_circuits import noisy_probabilities, random_program, random_qis_program

from pennylane_qstore.emulator.simulation.engines import LIGHTNING, NUMPY
from pennylane_qstore.emulator.simulation.noise import NoiseConfig, noisy_gates, sample
from pennylane_qstore.emulator.simulation.trajectories import draw_errors, sample_trajectories
from pennylane_qstore.server.inputs.program import Program


@pytest.mark.parametrize("engine", [NUMPY, LIGHTNING])
def test_trajectories_have_the_distribution_of_the_density_matrix(engine: str) -> None:
    program, rates = random_program(5), NoiseConfig(0.03, 0.1)
    expected = noisy_probabilities(program, rates)
    shots = 40_000 if engine == NUMPY else 600
    found, ran = sample(program, rates, keys_of(2, shots), engine)
    assert ran == engine
    for outcomes, p in zip(found, expected, strict=True):
        assert fits(seen(outcomes, 3), p)


@settings(deadline=None, max_examples=25)
@given(
    st.sampled_from([random_program, random_qis_program]),
    st.integers(2, 6),
    st.integers(0, 2**32),
    st.floats(0, 0.1),
    st.floats(0, 0.3),
)
def test_shots_fit_the_density_matrix(
    make: Callable[..., Program], qubits: int, seed: int, one: float, two: float
) -> None:
    program, rates = make(seed, qubits), NoiseConfig(one, two)
    expected = noisy_probabilities(program, rates)
    fused, depolarizing = noisy_gates(program, rates)
    found = sample_trajectories(fused, qubits, depolarizing, keys_of(2, 2_000, seed), NUMPY)
    for outcomes, p in zip(found, expected, strict=True):
        assert fits(seen(outcomes, qubits), p)


def test_a_single_error_is_run_once_for_all_shots_that_have_it() -> None:
    columns, column_of = draw_errors([(0,), (1,)], np.array([0.4, 0.0]), keys_of(3, 1_000))
    assert columns.row.tolist() == [0] * 4 + [1] * 4 + [2] * 4  # no error, X, Y, Z
    assert columns.errors.flips.tolist() == [1, 1, 0] * 3
    assert columns.errors.signs.tolist() == [0, 1, 1] * 3
    assert (np.bincount(column_of)[[0, 4, 8]] > 600).all()
