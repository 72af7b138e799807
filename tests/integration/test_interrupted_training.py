"""Ctrl-C at any moment of a paid training: nothing is sent afterwards, and nothing paid is lost."""

from __future__ import annotations

import os
import signal

import numpy as np
import pennylane as qml
import pytest
from support.training_runs import make

from pennylane_qstore import SPSAOptimizer, Sweep
from pennylane_qstore.emulator import Emulator
from pennylane_qstore.execution.executor import Executor
from pennylane_qstore.ionq.ledger.ledger import Ledger
from pennylane_qstore.training.callbacks import Calibrate, Callback
from pennylane_qstore.training.fingerprint import CircuitCheck
from pennylane_qstore.training.run_state import RunState
from pennylane_qstore.training.stopping import Interrupt

STEPS = 3
POSTS = 1 + 2 * STEPS  # calibration, and two rounds a step


class Moments:
    """Moments of the main thread, counted; at one of them Ctrl-C is pressed."""

    def __init__(self, monkeypatch):
        self.count, self.at, self.press = 0, None, None
        for owner, name in (
            *((CircuitCheck, "__call__"), (Ledger, "begin"), (Executor, "_results")),
            *((RunState, "save"), (Interrupt, "saw"), (Interrupt, "begin_batch")),
        ):
            monkeypatch.setattr(owner, name, self._counted(getattr(owner, name), name))

    def _counted(self, function, name):
        def call(*args, **options):
            # While a POST is on its way, it is chance whether it is counted before the signal.
            if name != "saw" or args[1].job_id is not None:
                self.count += 1
                if self.count == self.at:
                    self.press()
            return function(*args, **options)

        return call


def start(emulator, folder, blocking=True, seed=3, **options):
    dev = qml.device(
        "qstore.ionq", wires=2, backend="qpu.forte-1", base_url=emulator.url, api_key="k",
        seed=seed, ledger=folder / "ledger",
    )  # fmt: skip
    optimizer = SPSAOptimizer(maxiter=20, seed=1, blocking=blocking)
    settings = {"callbacks": [Calibrate(0.1)], "checkpoint": folder / "run.json", **options}
    return make(optimizer_object=optimizer, device=dev, **settings)


def alone(emulator, folder, resume=None):
    return [start(emulator, folder, resume=resume).train(STEPS)]


def together(emulator, folder, resume=None):
    def make_run(seed):
        return start(emulator, folder, seed=seed, checkpoint=None)

    found = Sweep(make_run, seeds=2, folder=folder / "sweep", resume=resume).train(STEPS)
    assert [trial.error for trial in found.trials] == [None, None]
    return [trial.run for trial in found.trials]


@pytest.fixture
def moments(monkeypatch):
    return Moments(monkeypatch)


@pytest.mark.parametrize(
    ("train", "times"),
    [
        (alone, 5),
        (together, 2),
        pytest.param(alone, 20, marks=pytest.mark.soak),
        pytest.param(together, 10, marks=pytest.mark.soak),
    ],
)
def test_nothing_is_sent_after_ctrl_c_and_a_resumed_run_pays_nothing_twice(
    train, times, moments, tmp_path
):
    with Emulator(seed=1) as emulator:
        train(emulator, tmp_path)
        assert emulator.stats()["posts"] == POSTS
    total, stopped = moments.count, []
    for number, at in enumerate(np.random.default_rng(5).choice(total, times, replace=False) + 1):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        with Emulator(seed=1) as emulator:
            sent = []

            def press(emulator=emulator, sent=sent):
                sent.append(emulator.stats()["posts"])
                os.kill(os.getpid(), signal.SIGINT)

            moments.count, moments.at, moments.press = 0, int(at), press
            try:
                runs = train(emulator, folder)
                stopped.append(runs[0].stopped)
                assert len({run.step for run in runs}) == 1
            except KeyboardInterrupt:  # before or after the run, as any program
                stopped.append("outside")
            assert emulator.stats()["posts"] == sent[0]
            moments.at = None
            runs = train(emulator, folder, resume=True)
            assert {run.step for run in runs} == {STEPS}
            assert emulator.stats()["posts"] == POSTS
            spent_usd = sum(run.spent_usd for run in runs)
            assert spent_usd == pytest.approx(emulator.stats()["billed_usd"])
    assert stopped.count("interrupt") >= times // 2  # some moments are outside of the run


@pytest.mark.parametrize(("blocking", "steps", "posts"), [(False, 2, 3), (True, 1, 4)])
def test_a_step_whose_jobs_are_all_sent_is_finished(blocking, steps, posts, tmp_path):
    """With another round to come it is not."""
    pressed = []

    class Press(Callback):
        def on_wait(self, run, progress):
            if run.step == 1 and progress.job_id is not None and not pressed:
                pressed.append(True)
                os.kill(os.getpid(), signal.SIGINT)

    with Emulator(seed=1) as emulator:
        callbacks = [Calibrate(0.1), Press()]
        run = start(emulator, tmp_path, blocking=blocking, callbacks=callbacks).train(STEPS)
        assert (run.stopped, run.step) == ("interrupt", steps)
        assert emulator.stats()["posts"] == posts
