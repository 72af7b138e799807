"""A task's record: its run, its quality, and its figures."""

from __future__ import annotations

from dataclasses import replace

import pennylane as qml
import pytest

from pennylane_qstore.training.tasks import bars
from pennylane_qstore.training.tasks.catalogue import TASKS, averaged

pytest.importorskip("sklearn")


def test_other_data_are_trained_on_where_they_are_given():
    task = TASKS["wine"]
    few = TASKS["few"].load(1)
    task = replace(task, model=TASKS["few"].model)
    device = qml.device("qstore.ionq", wires=4, seed=1)
    run = task.make(device, data=few, steps=1, shots=10, progress=False).train(1)
    (size,) = run.history[0].sizes
    assert size.shots == 10
    assert size.circuits % (2 * len(few.train_y)) == 0


def test_samples_directions_and_shots_are_chosen_by_their_price():
    task = TASKS["cancer"]
    device = qml.device("qstore.ionq", wires=4, seed=1)
    shapes = []
    for prices in ("qpu.forte-1", "qpu.forte-1/circuit"):
        run = task.make(device, steps=30, prices=prices, progress=False).train(1)
        shapes.append(run.history[0].shape)
        assert run.history[0].posts == 1
        assert run.history[0].circuits == 2 * run.history[0].shape.pairs
    assert shapes[0].rows >= shapes[1].rows
    assert shapes[0].shots < shapes[1].shots


def test_another_model_takes_the_place_of_the_task_s_own():
    star = replace(TASKS["bas"], model=bars.BornMachine("star"))
    params = star.model.initial_params(0)
    exact = star.model.make(qml.device("default.qubit", wires=4), None)(params)
    assert star.quality(params, 1) == pytest.approx(float(bars.divergence(exact)))


def test_the_score_has_its_place_in_reports():
    assert TASKS["wine"].figure == "test_accuracy"
    assert TASKS["h2"].figure == "energy_error"


def test_the_quality_is_that_of_the_run_without_shots():
    task = TASKS["wine"]
    device = qml.device("qstore.ionq", wires=4, seed=1)
    run = task.make(device, seed=1, steps=2, shots=None, progress=False).train(2)
    assert task.quality(averaged(run), 1) == task.figures(run, 1, 100)["test_accuracy"]
