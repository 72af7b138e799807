"""Sweeps: a table, a best trial, failures, pruning, estimates and resumption."""

from __future__ import annotations

import json

import pytest
from support.swept_runs import make_run, on, outcomes

import pennylane_qstore as qstore
from pennylane_qstore.emulator import Emulator
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.sweeps.sweep import Sweep


def test_a_sweep_is_its_runs_and_tells_the_best():
    found = qstore.sweep(make_run, seeds=2, grid={"lr": [0.1, 0.4]}, steps=3)
    assert [t.params for t in found.trials] == [
        {"lr": 0.1, "seed": 1}, {"lr": 0.1, "seed": 2},
        {"lr": 0.4, "seed": 1}, {"lr": 0.4, "seed": 2},
    ]  # fmt: skip
    for trial in found.trials:
        assert trial.state == "complete"
        assert outcomes(trial.run) == outcomes(make_run(**trial.params).train(3))
    assert found.best.value == min(trial.value for trial in found.trials)
    assert found.jobs == 3
    table = found.table()
    assert table["lr"] == [0.1, 0.1, 0.4, 0.4]
    assert table["steps"] == [3] * 4
    assert {name: len(trials) for name, trials in found.groups().items()} == {
        "lr 0.1": 2, "lr 0.4": 2
    }  # fmt: skip
    assert "4 complete" in repr(found)


def test_results_are_drawn_and_written(tmp_path):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    found = qstore.sweep(make_run, seeds=2, grid={"lr": [0.1, 0.4]}, steps=2)
    axes = found.draw()
    assert len(axes.collections) == 2  # a band for each point
    pyplot.close(axes.figure)
    found.to_json(tmp_path / "found.json")
    read = json.loads((tmp_path / "found.json").read_text())
    assert read["best"] == found.best.number
    assert [one["seed"] for one in read["trials"]] == [1, 2, 1, 2]


def test_an_objective_may_evaluate_circuits_and_be_maximized():
    sent = []

    def objective(run):
        sent.append(run.evaluate()["loss"])
        return -sent[-1]

    found = qstore.sweep(make_run, seeds=3, steps=1, objective=objective, direction="maximize")
    assert [trial.value for trial in found.trials] == [-loss for loss in sent]
    assert found.best.value == max(trial.value for trial in found.trials)
    assert found.jobs == 2


def test_a_run_that_fails_does_not_stop_the_others():
    def make(seed):
        def fail(record):
            raise RuntimeError("mine alone")

        return make_run(seed, callbacks=[fail] if seed == 2 else [])

    found = qstore.sweep(make, seeds=3, steps=2)
    assert [trial.state for trial in found.trials] == ["complete", "failed", "complete"]
    assert found.table()["error"] == [None, "RuntimeError: mine alone", None]


def test_bad_trials_are_pruned_and_stay_so(tmp_path):
    def prune(trial, trials):
        return trial.params["seed"] == 2 and trial.run.step == 2

    options = {"seeds": 3, "folder": tmp_path, "prune": prune}
    found = qstore.sweep(make_run, steps=3, **options)
    assert [(t.state, t.run.step) for t in found.trials] == [
        ("complete", 3), ("pruned", 2), ("complete", 3)
    ]  # fmt: skip
    assert found.best.params["seed"] in (1, 3)
    again = qstore.sweep(make_run, steps=4, resume=True, seeds=4, folder=tmp_path)
    assert [(t.state, t.run.step) for t in again.trials] == [
        ("complete", 4), ("pruned", 2), ("complete", 4), ("complete", 4)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"grid": {"rate": [1]}}, "cannot be called with rate"),
        ({}, "nothing to try"),
        ({"seeds": 1, "direction": "up"}, "direction"),
        ({"seeds": 1, "prune": 3}, "prune"),
        ({"seeds": 1, "budget_usd": -1}, "budget_usd"),
    ],
)
def test_what_cannot_be_swept_is_refused(options, said):
    def make(seed=1, lr=0.1):
        return make_run(seed, lr)

    with pytest.raises(ConfigurationError, match=said):
        Sweep(make, **options)


def test_runs_on_one_device_are_refused():
    import pennylane as qml

    device = qml.device("qstore.ionq", wires=2)

    def make(seed):
        run = make_run(seed)
        run._devices = type(run._devices)([device])
        return run

    with pytest.raises(ConfigurationError, match="inside make_run"):
        Sweep(make, seeds=2)


def test_a_sweep_bills_what_its_estimate_tells_and_keeps_its_budget(tmp_path):
    with Emulator(seed=1, profile="none") as emulator:

        def make(seed):
            return make_run(seed, device=on(emulator, tmp_path / "ledger.sqlite"))

        planned = Sweep(make, seeds=3)
        told = planned.estimate(steps=2)
        assert emulator.stats()["posts"] == 0
        alone = make(9).estimate(2)
        assert told.jobs == 2
        assert told.usd < 3 * alone.usd
        planned.train(2)
        billed = emulator.stats()["billed_usd"]
        assert told.low_usd - 0.01 <= billed <= told.high_usd + 0.01
        assert planned.spent_usd == pytest.approx(billed)
        options = {"seeds": [4, 5], "folder": tmp_path / "kept"}
        small = Sweep(make, budget_usd=0.8 * billed, **options).train(3)
        assert [trial.state for trial in small.trials] == ["stopped", "stopped"]
        assert [trial.run.step for trial in small.trials] == [1, 1]
        more = Sweep(make, budget_usd=2 * billed, resume=True, **options).train(3)
        assert [trial.state for trial in more.trials] == ["complete", "complete"]
        assert emulator.stats()["posts"] == 2 + 3
