"""The ways to train: their circuits and shots, and that what is equal is equal."""

from __future__ import annotations

import pytest

from pennylane_qstore.bench.cost_cells import Key, run_cell
from pennylane_qstore.bench.cost_methods import METHODS

pytest.importorskip("sklearn")

FREE = {name for name in METHODS if name.partition("/")[0] in ("shot-adaptive", "qnspsa")}


def steps_of(task, method, steps=2):
    """Jobs of the steps alone: a calibration has more circuits."""
    cell = run_cell(Key(task, method, 1, steps))
    return [
        (size.circuits, size.shots)
        for size, count in cell.jobs
        for _ in range(count)
        if size.circuits < 1000
    ]


def test_the_stock_optimizer_sends_forty_circuits_a_step():
    for shots in (500, 100, 20):
        assert steps_of("iris", f"spsa-{shots}") == [(40, shots)] * 2


def test_shared_and_per_sample_send_as_many_perturbed_circuits():
    assert steps_of("wine", "per-sample") == [(200, 20)] * 2
    (first, shots), *_ = steps_of("wine", "shared")
    assert shots == 20
    assert 200 <= min(first, *(c for c, _ in steps_of("wine", "shared"))) <= 210


def test_another_price_list_gives_steps_of_another_shape():
    """Below a floor per job, circuits are free; with one per circuit, shots are."""
    (circuits, shots), _ = steps_of("wine", "auto")
    (others, more), _ = steps_of("wine", "auto-circuit")
    assert circuits > others
    assert shots < more


def test_parameter_shift_is_one_job_a_step():
    rows, angles = 4, 24
    assert steps_of("wine", "adam") == [(rows * (2 * angles + 1), 20)] * 2


@pytest.mark.parametrize("method", ["shot-adaptive", "qnspsa", "adam", "auto", "shared"])
def test_a_cut_is_looked_for_in_every_way(method):
    assert steps_of("maxcut", method, 1)


def test_methods_of_one_qnode_are_for_such_tasks_only():
    assert {name for name, method in METHODS.items() if method.tasks} == FREE
    assert all(METHODS[name].tasks == ("h2", "maxcut") for name in FREE)


def test_a_family_has_three_step_sizes():
    for family in ("spsa-500", "spsa-100", "spsa-20", "adam", "shot-adaptive", "qnspsa"):
        members = [name for name, method in METHODS.items() if method.family == family]
        assert len(members) == 3
        assert family in members


def test_the_outcome_is_the_mean_of_the_last_quarter():
    import numpy as np
    import pennylane as qml

    from pennylane_qstore.bench.cost_methods import Training, _Problem
    from pennylane_qstore.training.tasks.catalogue import TASKS

    device = qml.device("default.qubit", wires=6)
    problem = _Problem(Training(TASKS["maxcut"], device, 1, lambda: 0), 10)
    seen = []

    def step(cost, values):
        seen.append(values)
        return values + 1.0

    found = problem.minimised(step, 8)
    start = TASKS["maxcut"].model.initial_params(1)
    np.testing.assert_allclose(seen[-1], start + 7)
    np.testing.assert_allclose(found, start + 7.5)
    short = problem.minimised(step, 8, is_over=lambda: len(seen) >= 10)
    np.testing.assert_allclose(short, start + 2)
