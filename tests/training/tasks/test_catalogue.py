"""The catalogue: every task makes a run, and has figures and lines for its result."""

from __future__ import annotations

import pennylane as qml
import pytest

from pennylane_qstore.training.tasks.catalogue import TASKS, averaged, nearest_centroid

pytest.importorskip("sklearn")


@pytest.mark.parametrize("name", TASKS)
def test_a_task_runs_and_tells_its_figures_beside_classical_ones(name):
    task = TASKS[name]
    device = qml.device("qstore.ionq", wires=4, seed=1)
    run = task.make(device, seed=1, steps=2, batch_size=20, shots=100, progress=False).train(2)
    figures = task.figures(run, 1, 100)
    lines = task.lines(figures)
    assert len(figures) >= 3
    assert all(isinstance(value, float) for value in figures.values())
    assert "Constant guess" in lines
    assert averaged(run).keys() == run.params.keys()


def test_the_task_without_training_has_figures_too():
    figures = nearest_centroid(qml.device("qstore.ionq", wires=4, seed=1), 500)
    assert figures["test_accuracy"] >= 0.9
    assert figures["constant_accuracy"] == pytest.approx(1 / 3)
    assert figures["kept"] == pytest.approx(1.0)
