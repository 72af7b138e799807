"""The compiled kernel equals default.qubit and the NumPy engine, errors included."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.emulator_circuits import (
    native_skeletons,
    qis_circuits,
    random_program,
    random_qis_program,
    read,
    reference,
)
from support.native_bodies import native_gates

from pennylane_qstore.emulator.simulation.draws import shot_keys
from pennylane_qstore.emulator.simulation.fusion import fuse
from pennylane_qstore.emulator.simulation.rows import load, run_rows
from pennylane_qstore.emulator.simulation.trajectories import draw_errors, run_columns
from pennylane_qstore.server.inputs.circuits import read_circuits

needs_numba = pytest.mark.skipif(load() is None, reason="needs Numba")


@needs_numba
@settings(deadline=None, max_examples=60)
@given(qis_circuits())
def test_qis_circuits_agree_with_default_qubit(gates: list[dict[str, Any]]) -> None:
    found = run_rows(fuse(read(gates, "qis", 4)), 4, np.zeros(1, np.int64))
    np.testing.assert_allclose(found[0], reference(gates, 4), atol=1e-10)


@needs_numba
@settings(deadline=None, max_examples=30)
@given(native_skeletons(), st.integers(0, 2**32), st.integers(1, 40))
def test_rows_of_native_circuits_agree_with_default_qubit(
    skeleton: Any, seed: int, count: int
) -> None:
    rng = np.random.default_rng(seed)
    circuits = [native_gates(skeleton, rng) for _ in range(count)]
    (program,) = read_circuits([{"circuit": c} for c in circuits], gateset="native", qubits=4)
    found = run_rows(fuse(program), 4, np.arange(count))
    for k in {0, count // 2, count - 1}:
        np.testing.assert_allclose(found[k], reference(circuits[k], 4), atol=1e-10)


@needs_numba
@settings(deadline=None, max_examples=30)
@given(st.sampled_from([random_program, random_qis_program]), st.integers(0, 2**32))
def test_errors_do_what_they_do_in_the_numpy_engine(make: Any, seed: int) -> None:
    fused = fuse(make(seed, 4, 3))
    rates = np.full(len(fused), 0.2)
    columns, _ = draw_errors([g.qubits for g in fused], rates, shot_keys(seed, np.arange(3), 20))
    found = run_rows(fused, 4, columns.row, columns.errors)
    np.testing.assert_allclose(found, run_columns(fused, 4, columns), atol=1e-10)


@needs_numba
@given(st.floats(-1e3, 1e3) | st.integers(-80, 80).map(lambda eighths: eighths / 8))
def test_cosine_and_sine_are_those_of_the_angle(turns: float) -> None:
    cosine, sine = load()._cosine_and_sine(turns)  # type: ignore[union-attr]
    angle = 2 * math.pi * math.fmod(turns, 1.0)
    np.testing.assert_allclose([cosine, sine], [math.cos(angle), math.sin(angle)], atol=1e-15)
