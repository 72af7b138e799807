"""One row in Python's numbers, beside the arrays."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore.native.frontend.affine_fit import affine_program
from pennylane_qstore.native.frontend.structure import extract_structure
from pennylane_qstore.native.passes.lower import lower
from pennylane_qstore.native.template.planning import make_plan
from pennylane_qstore.native.template.run_evaluator import EPS, RunEvaluator
from pennylane_qstore.native.template.runs import runs_of
from pennylane_qstore.native.template.single_row import SingleRow


def evaluator(family, ops, wires=3):
    labels = {i: i for i in range(wires)}
    tape = qml.tape.QuantumScript(ops)
    piece, program = affine_program(extract_structure(tape, labels)[0], labels)
    return piece, RunEvaluator(runs_of(lower(program), family), family, program.parameters)


@pytest.mark.parametrize("family", ["ms", "zz"])
def test_a_row_has_the_columns_and_angles_that_arrays_give(family):
    rng = np.random.default_rng(4)
    ops = [
        qml.StronglyEntanglingLayers(rng.uniform(-3, 3, (9, 2, 3, 3)), range(3)),
        qml.IsingXX(rng.uniform(-9, 9, 9), [0, 2]),
        qml.IsingYY(np.array([0.0, np.pi, 2 * np.pi] * 3), [1, 2]),
        qml.Rot(*rng.uniform(-3, 3, (3, 9)), 1),
    ]
    piece, runs = evaluator(family, ops)
    plan = make_plan(runs, commute_rotations=True)
    single = SingleRow(runs, plan.push, plan.signs)
    angles, columns = runs.evaluate(piece.parameters)
    plan.push.apply(*columns)
    turns = (angles * plan.signs[:, None])[runs.turning]
    for k in range(9):
        alone, alone_turns, zero = single.evaluate(piece.parameters[k : k + 1])
        assert np.allclose(alone, columns[:, :, k].T, atol=1e-9)
        assert alone_turns == turns[:, k].tolist()
        assert list(zero) == (np.abs(angles[:, k]) < EPS).tolist()


def test_it_pays_for_few_runs_only():
    _, few = evaluator("zz", [qml.RX(0.1, 0)])
    _, many = evaluator("zz", [qml.StronglyEntanglingLayers(np.ones((9, 3, 3)), range(3))])
    assert SingleRow.pays_for(few)
    assert not SingleRow.pays_for(many)
