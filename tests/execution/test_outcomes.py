"""From histograms and single shots to a tape's outcomes in one basis."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pennylane_qstore.execution.outcomes import Rows, agree, gather_outcomes
from pennylane_qstore.ionq.messages.histograms import Histogram
from pennylane_qstore.measurement.recipes import Plan

PLAN = Plan((), ())


class Readout:
    """Passes the measured bits on."""

    def apply(self, bits):
        return bits


def histogram(probabilities):
    states = np.array(list(probabilities), dtype=np.uint64)
    return Histogram(states, np.array(list(probabilities.values()), dtype=float))


def rows(*histograms, measured=(0, 1), shots=None):
    return Rows(measured, Readout(), [histogram(h) for h in histograms], shots)


def gathered(*parts, plan=PLAN, shots=None, exact=True, seed=1):
    rng = np.random.default_rng(seed)
    return gather_outcomes(plan, (0, 1), parts, shots=shots, exact=exact, rng=rng)


def test_bits_are_those_of_the_measured_qubits():
    outcomes = gathered(rows({0b01: 0.25, 0b10: 0.75}, measured=(1, 0)))
    assert outcomes.bits.tolist() == [[0, 1], [1, 0]]
    assert outcomes.weight.tolist() == [0.25, 0.75]


def test_rows_go_on_over_parts_with_readouts_of_their_own():
    outcomes = gathered(rows({0: 1.0}, {3: 1.0}), rows({1: 0.5, 2: 0.5}))
    assert outcomes.rows == 3
    assert outcomes.row.tolist() == [0, 1, 2, 2]


def test_rows_that_share_their_outcomes_are_known_to_repeat_them():
    states = np.array([0, 2, 3], dtype=np.uint64)
    part = Rows((0, 1), Readout(), [Histogram(states, np.ones(3) / 3)] * 2)
    outcomes = gathered(part)
    assert outcomes.period == 3
    assert outcomes.of_bits(lambda bits: bits[:, 1]).tolist() == [0, 1, 1] * 2
    assert outcomes.bits[:, 1].tolist() == [0, 1, 1] * 2
    # not behind another part, nor among shots, where some outcomes are left out
    assert gathered(part, part).period is None
    assert gathered(part, shots=2).period is None
    assert gathered(rows({0: 1.0}, {3: 1.0})).period is None


@given(st.integers(1, 5000), st.lists(st.floats(0.01, 1), min_size=1, max_size=4))
def test_shots_drawn_from_exact_probabilities_add_up(shots, weights):
    chances = dict(enumerate(np.array(weights) / sum(weights)))
    outcomes = gathered(rows(chances), shots=shots)
    assert outcomes.weight.sum() == shots
    assert np.all(outcomes.weight > 0)


@given(st.integers(1, 2000), st.lists(st.integers(1, 50), min_size=2, max_size=4))
def test_sampled_probabilities_are_read_off_as_whole_counts(scale, counts):
    shots = sum(counts)
    chances = {i: round(n / shots, 12) for i, n in enumerate(counts)}
    outcomes = gathered(rows(chances), shots=shots, exact=False)
    assert outcomes.weight.tolist() == counts


def test_only_what_is_selected_fills_the_shots():
    plan = Plan((), (), selected=((0, 1),), fill=True)
    outcomes = gathered(rows({0b00: 0.9, 0b01: 0.1}), plan=plan, shots=40)
    assert outcomes.bits.tolist() == [[1, 0]]
    assert outcomes.weight.tolist() == [40.0]


def test_single_shots_come_in_their_order():
    taken = [np.array([2, 0, 3], dtype=np.uint64)]
    outcomes = gathered(rows({0: 1 / 3, 2: 1 / 3, 3: 1 / 3}, shots=taken), shots=3, exact=False)
    assert outcomes.samples().tolist() == [[[0, 1], [0, 0], [1, 1]]]


@pytest.mark.parametrize(
    ("taken", "same"), [([0, 0, 3], True), ([0, 3, 3], False), ([0, 0], False), ([0, 0, 1], False)]
)
def test_shots_that_are_not_the_histograms_are_noticed(taken, same):
    there = histogram({0: 2 / 3, 3: 1 / 3})
    assert agree(np.array(taken, dtype=np.uint64), there, 3) is same
