"""Rules for rotations that move through entanglers: pulses by what they leave."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pennylane_qstore.native.su2 import first_column
from pennylane_qstore.native.template.gate_phases import codes_of, pulses_of, tilts_of
from pennylane_qstore.native.template.pushed_runs import PushPlan
from pennylane_qstore.native.template.pushing import PushRule, chain, plan_ms, plan_zz


def pulses(runs, rules):
    """Pulses of a wire's runs after the rules."""
    columns = np.array([first_column(u) for u in runs], dtype=complex).T[:, :, None].copy()
    PushPlan([rules], [list(range(len(runs)))]).apply(*columns)
    return pulses_of(codes_of(tilts_of(columns)))[:, 0].tolist()


def nothing(k):
    return [PushRule("const", 0.0)] * (k + 2)


def generic(count, seed=0):
    rng = np.random.default_rng(seed)
    return [qml.Rot.compute_matrix(*rng.uniform(0.3, 2.8, 3)) for _ in range(count)]


@pytest.mark.parametrize("k", [1, 2, 5])
def test_generic_runs_are_left_with_k_plus_two_pulses(k):
    runs = generic(k + 1)
    assert sum(pulses(runs, nothing(k))) == 2 * (k + 1)
    assert sum(pulses(runs, plan_ms(runs, [False] * (k + 1)))) == k + 2
    assert sum(pulses(runs, chain(k))) == k + 2


special = st.sampled_from([0.0, np.pi / 2, np.pi, np.pi / 4])


@settings(max_examples=60)
@given(st.lists(st.tuples(special, special, special), min_size=2, max_size=5))
def test_a_plan_for_ms_never_costs_more_than_none_or_the_chain(angles):
    runs = [qml.Rot.compute_matrix(*a) for a in angles]
    k = len(runs) - 1
    planned = sum(pulses(runs, plan_ms(runs, [True] * (k + 1))))
    assert planned <= min(sum(pulses(runs, nothing(k))), sum(pulses(runs, chain(k))))


@settings(max_examples=60)
@given(st.lists(st.tuples(special, special, special), min_size=2, max_size=5))
def test_a_plan_for_zz_moves_half_turns_only_and_never_costs_more(angles):
    runs = [qml.Rot.compute_matrix(*a) for a in angles]
    rules = plan_zz(runs)
    assert rules[0] == rules[-1] == PushRule("const", 0.0)
    assert {rule.offset for rule in rules} <= {0.0, np.pi}
    assert sum(pulses(runs, rules)) <= sum(pulses(runs, nothing(len(runs) - 1)))


def test_two_half_turns_around_a_zz_cost_nothing():
    x = qml.X.compute_matrix()
    assert sum(pulses([x, x], nothing(1))) == 2
    assert sum(pulses([x, x], plan_zz([x, x]))) == 0


def test_a_plan_holds_at_other_parameters():
    runs, others = generic(4, seed=1), generic(4, seed=2)
    rules = plan_ms(runs, [False] * 4)
    assert sum(pulses(others, rules)) == sum(pulses(runs, rules))
