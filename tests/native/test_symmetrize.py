"""Rows on qubits and in frames of their own have the same outcomes, and no more entanglers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support.circuits import distribution
from support.emulator_circuits import native_skeletons

from pennylane_qstore.gateset import NATIVE
from pennylane_qstore.native.symmetrize import Assignment
from pennylane_qstore.native.template.batch import Readout


class Read(NamedTuple):
    qubits: int
    measured: tuple[int, ...]
    readout: Readout


@settings(deadline=None, max_examples=60)
@given(native_skeletons(), st.integers(0, 2**32), st.booleans())
def test_outcomes_stay_and_no_entangler_comes(skeleton: Any, seed: int, full: bool) -> None:
    rng = np.random.default_rng(seed)
    gates = [(name, tuple(wires)) for name, wires in skeleton]
    params = rng.uniform(-0.25, 0.25, sum(NATIVE[name].slots for name, _ in gates))
    if full:
        params = np.where(params > 0, 0.25, params)
    template = Read(4, (0, 2, 3), Readout(rng.integers(0, 2, (2, 3)).astype(np.uint8),
                                       rng.integers(0, 2, 2).astype(np.uint8)))  # fmt: skip
    assignment = Assignment.draw(4, 5, (seed, 1))
    own, numbers = assignment.apply(gates, params)
    found = distribution(Read(5, *assignment.reading(template)), own, numbers)
    expected = distribution(template, gates, params)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    counts = [sum(len(wires) > 1 for _, wires in some) for some in (gates, own)]
    assert counts[0] == counts[1]
    assert len(own) <= len(gates) + 4


def test_a_full_zz_keeps_its_sign_so_that_its_excess_changes_sign_in_the_frame() -> None:
    assignment = Assignment((0, 1), np.array([True, False]))
    gates = [("gpi2", (0,)), ("gpi2", (1,)), ("zz", (0, 1)), ("gpi2", (1,))]
    own, numbers = assignment.apply(gates, np.array([0.0, 0.0, 0.25, 0.1]))
    assert own == gates
    assert numbers.tolist() == [0.5, 0.0, 0.25, 0.6]
    _, partial = assignment.apply(gates, np.array([0.0, 0.0, 0.2, 0.1]))
    assert partial.tolist() == [0.5, 0.0, -0.2, 0.1]


def test_phases_stay_within_a_turn() -> None:
    """IonQ refuses others; those of a folded gate are up to 1 already."""
    gates = [("zz", (0, 1)), ("gpi2", (0,)), ("gpi2", (1,))]
    for flipped in ([True, False], [False, True], [True, True]):
        assignment = Assignment((0, 1), np.array(flipped))
        _, numbers = assignment.apply(gates, np.array([0.25, 1.0, -1.0]))
        assert np.abs(numbers).max() <= 1


def test_a_pulse_comes_only_where_a_qubit_starts_with_an_entangler() -> None:
    assignment = Assignment((2, 0, 1), np.array([True, True, True]))
    own, numbers = assignment.apply([("zz", (0, 1)), ("gpi", (2,))], np.array([0.1, 0.3]))
    assert own == [("gpi", (2,)), ("gpi", (0,)), ("zz", (2, 0))]
    assert numbers.tolist() == [0.0, 0.0, 0.1]


def test_assignments_follow_from_their_seed() -> None:
    one, same, other = (Assignment.draw(6, 9, (seed, 0)) for seed in (1, 1, 2))
    assert one.qubits == same.qubits != other.qubits
    assert (one.flipped == same.flipped).all()
    assert len(set(one.qubits)) == 6
