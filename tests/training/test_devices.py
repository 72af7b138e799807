"""Devices of a run: found or named, isolated while evaluating, sizes and budgets."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest
from support.training_runs import X, Y, make, outcomes

from pennylane_qstore import SPSAOptimizer
from pennylane_qstore.backends import JobLimits
from pennylane_qstore.emulator import Emulator
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.devices import Devices
from pennylane_qstore.training.run import TrainingRun


def test_use_of_the_device_between_two_calls_changes_nothing():
    whole = make().train(4)
    device = qml.device("qstore.ionq", wires=2, seed=3)
    parts = make(device=device).train(2)
    other = make(device=device)
    other.train(1)
    first = parts.evaluate((X, Y))
    assert parts.evaluate((X, Y)) == first
    assert outcomes(parts.train(4)) == outcomes(whole)


def test_two_runs_of_one_name_do_not_meet_in_the_ledger(tmp_path):
    with Emulator() as emulator:
        for seed in (1, 2):
            device = qml.device(
                "qstore.ionq", wires=2, seed=seed, backend="simulator", api_key="key",
                base_url=emulator.url, ledger=tmp_path / "ledger",
            )  # fmt: skip
            make(device=device, name="same").train(2)
        assert emulator.billed_jobs == 4


def test_what_a_device_spent_before_counts_in_its_budget(tmp_path):
    with Emulator(profile="none") as emulator:
        dev = qml.device(
            "qstore.ionq", wires=2, seed=3, backend="qpu.forte-1", api_key="key",
            base_url=emulator.url, ledger=tmp_path / "ledger", budget_usd=100.0,
        )  # fmt: skip
        tape = qml.tape.QuantumScript([qml.RX(0.1, 0)], [qml.expval(qml.Z(0))], shots=100)
        qml.execute([tape], dev, diff_method=None)
        assert dev.spent_usd > 0
        run = make(device=dev).train(2)
        run.train(99)
        assert run.stopped == "budget"
        assert dev.spent_usd == pytest.approx(emulator.stats()["billed_usd"])
        assert dev.spent_usd <= 100.0


def test_a_function_needs_its_device_named():
    with pytest.raises(ConfigurationError, match="device= is missing"):
        TrainingRun(lambda w: w, np.ones(1), SPSAOptimizer(maxiter=1))


def test_sizes_that_follow_the_queue_do_not_go_with_a_checkpoint(tmp_path):
    device = qml.device(
        "qstore.ionq", wires=2, max_circuits_per_job="adaptive", ledger=tmp_path / "ledger"
    )
    with pytest.raises(ConfigurationError, match="fixed max_circuits_per_job"):
        make(device=device, checkpoint=tmp_path / "a").train(1)


def test_the_circuits_of_a_cost_are_looked_at_and_not_sent():
    run = make(noise="forte-1")
    devices = run._devices
    (size,) = devices.look(run.cost_of(1), run.params)
    assert (size.circuits, size.shots) == (4, 100)
    assert size.n_1q > 0
    assert devices.sent() == [0]
    assert devices.look(lambda params: params.undefined, run.params) == ()
    run.train(1)
    assert devices.sizes([0]) == run.history[0].sizes
    assert devices.sizes(devices.sent()) == ()


def test_limits_of_jobs_are_those_of_all_devices():
    limits = Devices([qml.device("qstore.ionq", wires=1)]).limits()
    assert limits == JobLimits(5000, 1, False)
    options = {"backend": "qpu.forte-1", "api_key": "key", "ledger": ":memory:"}
    debiased = {**options, "error_mitigation": {"debiasing": True}, "max_circuits_per_job": 7}
    mixed = [qml.device("qstore.ionq", wires=1), qml.device("qstore.ionq", wires=1, **debiased)]
    assert Devices(mixed).limits() == JobLimits(7, 500, True)
    assert Devices(mixed).backends == ["simulator", "qpu.forte-1"]
    single = qml.device("qstore.ionq", wires=1, batch=False)
    assert Devices([single]).limits().circuits == 1
    assert Devices([]).limits() == JobLimits(5000, 1, False)


def test_a_device_that_the_model_does_not_run_on_is_refused():
    mine, other = (qml.device("qstore.ionq", wires=1) for _ in range(2))

    @qml.qnode(mine, shots=10)
    def node(w):
        qml.RX(w, 0)
        return qml.expval(qml.Z(0))

    def cost(w):
        return node(w) ** 2

    for model in (node, cost):
        with pytest.raises(ConfigurationError, match="not the device that the model runs on"):
            Devices.of(model, other)
        assert Devices.of(model, mine).all == (mine,)
        assert Devices.of(model, [other, mine]).all == (other, mine)
