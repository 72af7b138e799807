"""TrainingRun: what a step sees and records, when it stops, and that it goes on bit for bit."""

from __future__ import annotations

import threading

import numpy as np
import pennylane as qml
import pytest
from support.training_runs import X, Y, make, outcomes

from pennylane_qstore import SPSAOptimizer
from pennylane_qstore.emulator import Emulator
from pennylane_qstore.errors import BudgetExceeded, ConfigurationError
from pennylane_qstore.training.callbacks import Callback
from pennylane_qstore.training.run import TrainingRun


def test_a_step_is_one_post_and_is_recorded_as_the_emulator_saw_it():
    with Emulator() as emulator:
        run = make(device=qml.device("qstore.ionq", wires=2, seed=3, emulator=emulator)).train(5)
        served = emulator.stats()
    assert [record.step for record in run.history] == [1, 2, 3, 4, 5]
    assert [record.epoch for record in run.history] == [1] * 5
    assert all(record.posts == 1 and record.circuits == 8 for record in run.history)
    assert served["posts"] == 5
    assert served["requests"] == sum(record.requests for record in run.history)
    assert all(0 <= record.metrics["accuracy"] <= 1 for record in run.history)
    assert run.stopped == "steps"


def test_a_qnode_without_data_is_a_cost():
    device = qml.device("qstore.ionq", wires=1, seed=0)

    @qml.qnode(device, diff_method=None)
    def energy(angle):
        qml.RY(angle, 0)
        return qml.expval(qml.Z(0))

    run = TrainingRun(
        energy, np.array(0.3), SPSAOptimizer(maxiter=60, seed=1, a=2.0), progress=False
    )
    assert run.train(60).history[-1].loss < -0.9


@pytest.mark.parametrize("noise", [None, "forte-1"])
@pytest.mark.parametrize(
    "optimizer", ["spsa", "stock spsa", "adam", "momentum", "gradient descent"]
)
def test_a_resumed_run_is_the_uninterrupted_one(optimizer, noise, tmp_path):
    options = {"noise": noise, "validation": (X[:3], Y[:3]), "validate_every": 2}
    np.random.seed(5)  # noqa: NPY002 - what stock SPSA draws from
    whole = make(optimizer, **options).train(6)
    np.random.seed(5)  # noqa: NPY002
    make(optimizer, **options, checkpoint=tmp_path / "run.json").train(3)
    np.random.seed(99)  # noqa: NPY002
    rest = make(optimizer, **options, checkpoint=tmp_path / "run.json", resume=True).train(6)
    assert outcomes(rest) == outcomes(whole)
    np.testing.assert_array_equal(rest.params, whole.params)
    np.testing.assert_array_equal(rest.best_params, whole.best_params)
    assert rest.best == whole.history[rest.best.step - 1] or rest.best.step == whole.best.step


def test_a_job_in_flight_is_adopted_and_the_failed_step_repeated_exactly(tmp_path):
    """It breaks after the job was paid for; the same process goes on, and then another."""
    whole = make().train(4)
    with Emulator(seed=0) as emulator:

        def device():
            return qml.device(
                "qstore.ionq", wires=2, seed=3, backend="simulator", api_key="key",
                base_url=emulator.url, ledger=tmp_path / "ledger",
            )  # fmt: skip

        class Break(Callback):
            def on_step(self, run, record):
                if record.step == 3:
                    raise RuntimeError("killed before the checkpoint")

        run = make(device=device(), checkpoint=tmp_path / "a", callbacks=[Break()])
        with pytest.raises(RuntimeError, match="killed"):
            run.train(4)
        assert run.step == 2
        assert emulator.billed_jobs == 3
        run._observers.callbacks[:] = [Callback()]
        run.train(3)
        assert emulator.billed_jobs == 3  # the third was found, not sent again
        rest = make(device=device(), checkpoint=tmp_path / "a", resume=True).train(4)
        assert emulator.billed_jobs == 4
    assert outcomes(rest) == outcomes(whole)


def test_it_stops_before_the_budget_is_exceeded(tmp_path):
    def device(budget_usd=None):
        return qml.device(
            "qstore.ionq", wires=2, seed=3, backend="qpu.forte-1", api_key="key",
            base_url=emulator.url, ledger=tmp_path / "ledger", budget_usd=budget_usd,
        )  # fmt: skip

    with Emulator(profile="none") as emulator:
        once = make(device=device()).train(1).history[0].cost_usd
        assert once > 0
        paid = emulator.stats()["billed_usd"]
        options = {"checkpoint": tmp_path / "a", "budget_usd": 2.5 * once}
        run = make(device=device(), **options).train(9)
        assert (run.stopped, run.step) == ("budget", 2)
        assert run.left_usd == pytest.approx(0.5 * once)
        assert emulator.stats()["billed_usd"] - paid == pytest.approx(2 * once)
        more = {**options, "budget_usd": 3.5 * once}
        rest = make(device=device(), **more, resume=True).train(9)
        assert (rest.stopped, rest.step) == ("budget", 3)
        assert emulator.stats()["billed_usd"] - paid == pytest.approx(3 * once)


@pytest.mark.parametrize("name", [None, "mine"])
def test_evaluations_count_in_the_budget_and_do_not_disturb_the_run(name, tmp_path):
    def device(budget_usd):
        return qml.device(
            "qstore.ionq", wires=2, seed=3, backend="qpu.forte-1", api_key="key",
            base_url=emulator.url, ledger=tmp_path / "ledger", budget_usd=budget_usd, run=name,
        )  # fmt: skip

    def look(record):
        if record.step == 2:
            seen.append(run.evaluate())

    with Emulator(profile="none") as emulator:
        seen, run = [], make(device=device(None), checkpoint=tmp_path / "a", callbacks=[look])
        run.train(3)
        once, paid = run.history[0].cost_usd, emulator.stats()["billed_usd"]
        seen.append(run.evaluate())
        assert emulator.stats()["billed_usd"] > paid
        assert run.spent_usd == pytest.approx(emulator.stats()["billed_usd"])
        assert run.history[2].spent_usd == pytest.approx(paid)
        budget = emulator.stats()["billed_usd"] + 1.5 * once
        run = make(device=device(budget), checkpoint=tmp_path / "a", resume=True).train(9)
        assert (run.stopped, run.step) == ("budget", 4)
        assert run.spent_usd == pytest.approx(emulator.stats()["billed_usd"])
        with pytest.raises(BudgetExceeded):
            run.evaluate()
        assert emulator.stats()["billed_usd"] <= budget


@pytest.mark.parametrize("total", [{}, {"steps": 1, "epochs": 1}, {"steps": 0}])
def test_how_far_to_train_has_to_be_said(total):
    with pytest.raises(ConfigurationError, match="steps"):
        make().train(**total)


def test_it_runs_in_a_thread_too():
    found = []
    thread = threading.Thread(target=lambda: found.append(make().train(2).step))
    thread.start()
    thread.join()
    assert found == [2]
