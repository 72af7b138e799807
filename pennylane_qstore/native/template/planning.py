"""The plan of a template: rotations that move through entanglers, and the pulses left then.

A plan is made for generic parameters, from one sample, and checked at a second one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pennylane_qstore.native.frontend.program import FloatArray
from pennylane_qstore.native.su2 import from_first_column
from pennylane_qstore.native.template.gate_phases import Codes, codes_of, pulses_of, tilts_of
from pennylane_qstore.native.template.pushed_runs import PushPlan
from pennylane_qstore.native.template.pushing import PushRule, chain, plan_ms, plan_zz
from pennylane_qstore.native.template.run_evaluator import RunEvaluator

_Rules = list[list[PushRule]]
_SPECIAL = np.array([0.0, np.pi / 2, np.pi])
"""Angles at which a generic plan may leave more pulses than needed."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The decisions that are made before parameters are known.

    Args:
        push: rotations that move through entanglers.
        signs: ±1 for each entangler, (entanglers,): its angle's sign after the half turns
            that move through it.
        codes: pulses of each run at generic parameters, (runs,).
        fallbacks: wires whose plan did not hold at the second sample.
    """

    push: PushPlan
    signs: FloatArray
    codes: Codes
    fallbacks: int = 0

    @property
    def pulses(self) -> int:
        """GPi and GPi2 pulses of a generic row."""
        return int(pulses_of(self.codes).sum())


def make_plan(runs: RunEvaluator, *, commute_rotations: bool) -> Plan:
    """Plan the pulses of generic parameters.

    Args:
        runs: the runs.
        commute_rotations: whether rotations may move through entanglers.

    Returns:
        The plan.
    """
    rng = np.random.default_rng(20)
    sample = random_rows(rng, 1, runs.parameters)
    rules = _best_rules(runs, sample) if commute_rotations else _no_rules(runs)
    fallbacks = 0
    if commute_rotations and runs.family == "ms" and runs.parameters:
        fallbacks = _verify(runs, rules, sample, random_rows(rng, 1, runs.parameters))
    push = PushPlan(rules, runs.index)
    zz = runs.family == "zz"
    signs = push.signs(runs.entanglers) if zz else np.ones(len(runs.entanglers))
    codes = np.ascontiguousarray(_codes_at(runs, push, sample)[:, 0])
    return Plan(push, signs, codes, fallbacks)


def alternative_pushes(runs: RunEvaluator) -> tuple[PushPlan, ...]:
    """Return other plans: one that fits any runs, nothing moved, some made for special angles."""
    rng = np.random.default_rng(21)
    rows = np.repeat(_SPECIAL[:, None], runs.parameters, axis=1)
    rows = np.concatenate([rows, rng.choice(_SPECIAL, (1, runs.parameters))])
    plans = [
        [chain(len(index) - 1) for index in runs.index],
        _no_rules(runs),
        *(_best_rules(runs, row[None]) for row in rows),
    ]
    return tuple(PushPlan(plan, runs.index) for plan in plans)


def random_rows(rng: np.random.Generator, rows: int, parameters: int) -> FloatArray:
    """Return generic parameters (rows, parameters), in radians: none is special.

    Args:
        rng: where they come from.
        rows: number of rows.
        parameters: number of parameters P.

    Returns:
        Numbers of size 0.2 to 2.9, of either sign.
    """
    shape = rows, parameters
    return np.asarray(rng.uniform(0.2, 2.9, shape) * rng.choice([-1.0, 1.0], shape))


def _best_rules(runs: RunEvaluator, row: FloatArray) -> _Rules:
    """The rules that leave the fewest pulses at one row of parameters."""
    _, (alpha, beta) = runs.evaluate(row)
    rules = _no_rules(runs)
    for q, index in enumerate(runs.index):
        samples = [from_first_column(alpha[r, 0], beta[r, 0]) for r in index]
        if len(index) > 1 and runs.family == "ms":
            rules[q] = plan_ms(samples, [runs.is_constant(r) for r in index])
        elif len(index) > 1:
            rules[q] = plan_zz(samples)
    return rules


def _no_rules(runs: RunEvaluator) -> _Rules:
    return [[PushRule("const", 0.0)] * (len(index) + 1) for index in runs.index]


def _verify(runs: RunEvaluator, rules: _Rules, sample: FloatArray, check: FloatArray) -> int:
    """Put the plain chain where a wire's plan costs more at a second sample; count these."""
    push = PushPlan(rules, runs.index)
    first, second = (pulses_of(_codes_at(runs, push, row)[:, 0]) for row in (sample, check))
    worse = [q for q, index in enumerate(runs.index) if second[index].sum() > first[index].sum()]
    for q in worse:
        rules[q] = chain(len(runs.index[q]) - 1)
    return len(worse)


def _codes_at(runs: RunEvaluator, push: PushPlan, parameters: FloatArray) -> Codes:
    _, columns = runs.evaluate(parameters)
    push.apply(*columns)
    return codes_of(tilts_of(columns))


def depth_of(runs: RunEvaluator, pulses: Sequence[int]) -> int:
    """Return the number of gates on the longest path.

    Args:
        runs: the runs.
        pulses: pulses of each run.

    Returns:
        The depth.
    """
    at = [pulses[index[0]] for index in runs.index]
    for e, (after_a, after_b) in zip(runs.entanglers, runs.after.T.tolist(), strict=True):
        end = max(at[e.a], at[e.b]) + 1
        at[e.a], at[e.b] = end + pulses[after_a], end + pulses[after_b]
    return max(at, default=0)
