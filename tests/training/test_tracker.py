"""The base of trackers: rows, and evaluations while a run trains and after it."""

from __future__ import annotations

import math

import numpy as np
from support.training_runs import X, Y, make

from pennylane_qstore.training.tracker import Tracker, row_of


class Notes(Tracker):
    """Notes what is asked of it."""

    def __init__(self):
        super().__init__()
        self.notes = []

    def _open(self, run):
        self.notes.append("open")

    def _write(self, run, step, row):
        self.notes.append((step, row))

    def _close(self):
        self.notes.append("close")


def test_values_of_a_row_are_numbers():
    row = row_of(make().train(2).history[-1])
    assert all(isinstance(value, int | float | np.number) for value in row.values())
    assert all(math.isfinite(value) for value in row.values())


def test_an_evaluation_opens_and_closes_what_is_not_open():
    notes = Notes()
    runs = []
    run = make(callbacks=[notes, lambda record: runs[0].evaluate(exact=True)])
    runs.append(run)
    run.train(1)
    opened, (step, row), (_, inside) = notes.notes
    assert (opened, step) == ("open", 1)
    assert row == row_of(run.history[0])
    assert inside["evaluation/samples"] == len(X)
    found = run.evaluate((X[:3], Y[:3]), exact=True)
    before, (step, figures), after = notes.notes[3:]
    assert (before, step, after) == ("open", 1, "close")
    assert figures["evaluation/loss"] == found["loss"]
    assert figures["evaluation/samples"] == 3
