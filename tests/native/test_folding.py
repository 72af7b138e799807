"""Folded circuits have the same outcomes and more gates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.circuits import outcome_probabilities
from support.emulator_circuits import native_skeletons

from pennylane_qstore.gateset import NATIVE
from pennylane_qstore.native.folding import fold
from pennylane_qstore.native.template.batch import NativeBlock


def block_of(skeleton: Any, seed: int = 0, rows: int = 2) -> NativeBlock:
    gates = tuple((name, tuple(wires)) for name, wires in skeleton)
    slots = sum(NATIVE[name].slots for name, _ in gates)
    params = np.random.default_rng(seed).uniform(-0.25, 0.25, (rows, slots))
    return NativeBlock(np.arange(rows), gates, params)


@settings(deadline=None, max_examples=40)
@given(native_skeletons(), st.integers(0, 2**32), st.sampled_from([1, 1.4, 2, 3, 4.3, 5]))
def test_folded_circuits_have_the_same_outcomes(skeleton: Any, seed: int, scale: float) -> None:
    block = block_of(skeleton, seed)
    folded = fold(block, scale)
    assert folded.rows is block.rows
    assert folded.gates[: len(block.gates)] == block.gates
    for row in range(2):
        np.testing.assert_allclose(
            outcome_probabilities(folded.gates, folded.params[row], 4),
            outcome_probabilities(block.gates, block.params[row], 4),
            atol=1e-9,
        )


@pytest.mark.parametrize(
    ("scale", "entanglers"), [(1, 4), (1.2, 4), (1.5, 6), (2, 8), (3, 12), (4.5, 18), (5, 20)]
)
def test_entanglers_are_multiplied(scale: float, entanglers: int) -> None:
    skeleton = [("gpi2", [0]), *[("zz", [k, k + 1]) for k in range(3)], ("ms", [0, 2])]
    folded = fold(block_of(skeleton), scale)
    assert sum(name in ("zz", "ms") for name, _ in folded.gates) == entanglers


def test_pulses_are_multiplied_where_there_are_no_entanglers() -> None:
    assert len(fold(block_of([("gpi2", [0]), ("gpi", [0])]), 2).gates) == 4
    assert fold(block_of([]), 3).gates == ()
