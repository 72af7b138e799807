"""Plans of templates: pulses and depth of generic rows, alternatives for special ones."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore.native.frontend.affine_fit import affine_program
from pennylane_qstore.native.frontend.structure import extract_structure
from pennylane_qstore.native.passes.lower import lower
from pennylane_qstore.native.template.gate_phases import codes_of, pulses_of, tilts_of
from pennylane_qstore.native.template.planning import (
    alternative_pushes,
    depth_of,
    make_plan,
    random_rows,
)
from pennylane_qstore.native.template.run_evaluator import RunEvaluator
from pennylane_qstore.native.template.runs import runs_of


def evaluator(family, layers=2, wires=3):
    labels = {i: i for i in range(wires)}
    op = qml.BasicEntanglerLayers(np.ones((layers, wires)), range(wires))
    tape = qml.tape.QuantumScript([op])
    _, program = affine_program(extract_structure(tape, labels)[0], labels)
    return RunEvaluator(runs_of(lower(program), family), family, program.parameters)


def pulses(runs, push, rows):
    _, columns = runs.evaluate(rows)
    push.apply(*columns)
    return pulses_of(codes_of(tilts_of(columns))).sum(axis=0)


@pytest.mark.parametrize("family", ["ms", "zz"])
def test_a_plan_s_pulses_hold_at_any_generic_row(family):
    runs = evaluator(family)
    plan = make_plan(runs, commute_rotations=True)
    rows = random_rows(np.random.default_rng(1), 5, runs.parameters)
    assert (pulses(runs, plan.push, rows) == plan.pulses).all()
    assert plan.pulses <= make_plan(runs, commute_rotations=False).pulses


def test_moving_rotations_saves_pulses_on_ms():
    runs = evaluator("ms")
    unmoved = make_plan(runs, commute_rotations=False)
    assert make_plan(runs, commute_rotations=True).pulses < unmoved.pulses
    assert (unmoved.signs == 1).all()


def test_some_alternative_serves_each_special_row():
    runs = evaluator("ms")
    plan = make_plan(runs, commute_rotations=True)
    for value in (0.0, np.pi / 2, np.pi):
        rows = np.full((1, runs.parameters), value)
        best = min(pulses(runs, push, rows)[0] for push in alternative_pushes(runs))
        assert best <= plan.pulses


def test_depth_is_the_longest_path():
    runs = evaluator("zz", layers=1, wires=2)
    ones = [1] * runs.size
    (count,) = {len(index) - 1 for index in runs.index}
    assert depth_of(runs, ones) == count + (count + 1)
    assert depth_of(runs, [0] * runs.size) == count


def test_random_rows_avoid_special_angles():
    rows = random_rows(np.random.default_rng(0), 50, 4)
    assert rows.shape == (50, 4)
    assert np.abs(rows).min() >= 0.2
    assert np.abs(rows).max() <= 2.9
    assert (rows < 0).any()
