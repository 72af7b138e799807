"""The catalogue: every task makes a run, and has figures and lines for its result."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest

from pennylane_qstore.training.tasks.catalogue import TASKS, averaged, nearest_centroid

pytest.importorskip("sklearn")


@pytest.mark.parametrize("name", TASKS)
def test_a_task_runs_and_tells_its_figures_beside_others(name):
    task = TASKS[name]
    device = qml.device("qstore.ionq", wires=task.wires, seed=1)
    run = task.make(device, seed=1, steps=1, batch_size=5, shots=100, progress=False).train(1)
    figures = task.figures(run, 1, 100)
    assert list(figures) == [task.figure, *(r.name for r in task.references)]
    assert all(isinstance(value, float) for value in figures.values())
    assert list(task.lines(figures)) == [task.score.label, *(r.label for r in task.references)]
    assert np.isfinite(task.quality(averaged(run), 1))
    assert all(np.isfinite(value) for value in run.history[0].metrics.values())


COUNTS = {"iris": 26, "wine": 30, "cancer": 28, "bas": 14, "h2": 24, "deep": 114, "parity": 76}


def test_the_tasks_have_the_sizes_that_their_names_promise():
    for name, count in COUNTS.items():
        params = TASKS[name].model.initial_params(0)
        leaves = params.values() if isinstance(params, dict) else [params]
        assert sum(leaf.size for leaf in leaves) == count
    assert {name: TASKS[name].wires for name in ("moons", "digits", "parity")} == {
        "moons": 2,
        "digits": 6,
        "parity": 8,
    }


def test_the_task_without_training_has_figures_too():
    figures = nearest_centroid(qml.device("qstore.ionq", wires=4, seed=1), 500)
    assert figures["test_accuracy"] >= 0.9
    assert figures["constant_accuracy"] == pytest.approx(1 / 3)
    assert figures["kept"] == pytest.approx(1.0)
