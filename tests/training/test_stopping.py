"""Stopping: patience, the best step, and Ctrl-C once and twice."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
from support.training_runs import X, Y, make, outcomes


def test_it_stops_when_the_validation_loss_no_longer_improves(tmp_path):
    options = {
        "validation": (X[:4], Y[:4]), "validate_every": 2, "patience": 2, "min_delta": 10.0,
        "checkpoint": tmp_path / "a",
    }  # fmt: skip
    run = make(**options).train(50)
    assert (run.stopped, run.step, run.best.step) == ("patience", 6, 2)
    again = make(**options, resume=True).train(50)
    assert (again.stopped, again.step) == ("patience", 6)


def test_best_parameters_are_those_of_the_least_validation_loss():
    run = make(validation=(X, Y)).train(8)
    losses = run.table()["val_loss"]
    assert run.best.step == 1 + int(np.argmin(losses))
    assert run.evaluate((X, Y), run.best_params)["loss"] == pytest.approx(min(losses), abs=0.3)


def test_ctrl_c_ends_the_run_after_the_step():
    def interrupt(record):
        if record.step == 2:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    run = make(callbacks=[interrupt]).train(9)
    assert (run.stopped, run.step) == ("interrupt", 2)
    assert signal.getsignal(signal.SIGINT) is before
    assert run.train(3).step == 3


def test_a_second_ctrl_c_ends_it_at_once_and_the_step_can_be_repeated():
    whole = make().train(3)
    pressed = []

    def interrupt(record):
        if record.step == 2 and not pressed:
            pressed.append(True)
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    run = make(callbacks=[interrupt])
    with pytest.raises(KeyboardInterrupt):
        run.train(9)
    assert run.step == 1
    assert outcomes(run.train(3)) == outcomes(whole)
