"""Rehearsals train whole runs with a machine's noise, and send and touch nothing."""

from __future__ import annotations

import signal

import pennylane as qml
import pytest
from pennylane import numpy as pnp

import pennylane_qstore as qstore
from pennylane_qstore.emulator import Emulator
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.prices import PRICES


def run_on(device, seed, shots=100, optimizer=None, **options):
    @qml.qnode(device, shots=shots)
    def model(w):
        qml.RX(w[0], 0)
        qml.CNOT([0, 1])
        qml.RY(w[1], 1)
        return qml.expval(qml.Z(0) @ qml.Z(1))

    optimizer = optimizer or qstore.SPSAOptimizer(maxiter=6, seed=seed, a=0.5, c=0.2)
    return qstore.TrainingRun(
        model, pnp.array([0.4, 0.3 + 0.01 * seed]), optimizer, seed=seed, progress=False, **options
    )


def make_run(seed):
    return run_on(qml.device("qstore.ionq", wires=2, seed=seed), seed)


def test_a_machine_is_paid_nothing_and_files_and_callbacks_are_off(tmp_path):
    called = []
    with Emulator() as service:
        paid = qml.device(
            "qstore.ionq", wires=2, backend="qpu.forte-1", api_key="k", base_url=service.url,
            ledger=tmp_path / "ledger", budget_usd=1.0,
        )  # fmt: skip
        path = tmp_path / "run.json"
        found = qstore.rehearse(
            lambda seed: run_on(
                paid, seed, checkpoint=path, callbacks=[called.append], budget_usd=1.0
            ),
            seeds=2,
        )
        assert service.requests == []
    assert called == []
    assert not list(tmp_path.glob("run.json*"))
    assert found.jobs == 6
    assert found.usd["qpu.forte-1"] == pytest.approx(6 * 25.79)


def test_the_figures_are_those_of_the_jobs():
    found = qstore.rehearse(make_run, seeds=[3, 4])
    plan, fewer, more, eighth, quarter, half = found.outcomes
    assert found.seeds == (3, 4)
    assert found.shots == 100 * found.circuits
    # A circuit has a CNOT, and one-qubit gates that count as the part that they cost.
    forte = PRICES["qpu.forte-1"]
    assert found.gates_2qe > found.shots
    assert found.queue_h == {"qpu": pytest.approx(6 * 1181 / 3600)}
    assert set(found.usd) == {"qpu.forte-1", "qpu.forte-1/circuit", "braket.forte-1"}
    assert found.usd["braket.forte-1"] == pytest.approx(6 * 0.30 + 0.08 * found.shots)
    assert (plan.steps, half.steps, quarter.steps, eighth.steps) == (6, 3, 1, 1)
    assert half.usd == pytest.approx(plan.usd / 2)
    assert plan.usd == found.usd["qpu.forte-1"] == pytest.approx(6 * forte.floor_usd)
    assert plan.low < plan.quality < plan.high
    assert len({plan.qualities, fewer.qualities, more.qualities, half.qualities}) == 4
    assert quarter.qualities == eighth.qualities != half.qualities
    assert qstore.rehearse(make_run, seeds=[3, 4]) == found


def test_a_part_of_the_budget_brings_what_as_few_steps_do():
    found = qstore.rehearse(make_run, seeds=[3])
    for part, steps in zip(found.outcomes[3:], (1, 1, 3), strict=True):
        alone = qstore.rehearse(make_run, seeds=[3], steps=steps).outcomes[0]
        assert (part.qualities, part.usd, part.steps) == (alone.qualities, alone.usd, alone.steps)


def test_shots_are_half_and_double_whoever_chooses_them():
    seen = {}

    for name, options in {"qnode": {}, "run": {"shots": 40}}.items():
        runs = []

        def make(seed, options=options, runs=runs):
            device = qml.device("qstore.ionq", wires=2, seed=seed)
            run = run_on(device, seed) if not options else with_shots(device, seed)
            runs.append(run)
            return run

        qstore.rehearse(make, seeds=1)
        seen[name] = [run.history[-1].sizes[0].shots for run in runs]
    assert seen == {"qnode": [100, 50, 200, 100], "run": [40, 20, 80, 40]}


def with_shots(device, seed):
    @qml.qnode(device, shots=7)
    def model(w):
        qml.RX(w[0], 0)
        return qml.expval(qml.Z(0))

    optimizer = qstore.SPSAOptimizer(maxiter=2, seed=seed, a=0.5, c=0.2)
    return qstore.TrainingRun(
        model, pnp.array([0.4]), optimizer, seed=seed, progress=False, shots=40
    )


def test_the_noise_is_the_machines_and_the_device_is_as_before():
    device = qml.device("qstore.ionq", wires=2, seed=1)
    seen = []

    def quality(run, seed):
        options = device.executor.options
        seen.append((device.target.noise, options.noise_model, seed))
        return run.history[-1].loss

    for backend, noise in {"qpu.forte-1": "forte-1", "qpu.aria-1": "aria-1"}.items():
        qstore.rehearse(lambda seed: run_on(device, seed), backend, seeds=1, quality=quality)
        assert set(seen) == {(noise, noise, 1)}
        seen.clear()
    assert device.target.noise is None
    assert len(device.job_sizes()) == 0


def test_what_cannot_be_rehearsed_is_refused():
    with pytest.raises(ConfigurationError, match="backend='simulator' is not allowed"):
        qstore.rehearse(make_run, "simulator")
    with pytest.raises(ConfigurationError, match="seeds"):
        qstore.rehearse(make_run, seeds=0)
    with pytest.raises(ConfigurationError, match="list of them"):
        qstore.rehearse(make_run, seeds=[])
    with pytest.raises(ConfigurationError, match="TrainingRun"):
        qstore.rehearse(lambda seed: seed, seeds=1)
    stock = qml.device("default.qubit", wires=2)
    with pytest.raises(ConfigurationError, match="device of qstore"):
        qstore.rehearse(lambda seed: run_on(stock, seed), seeds=1)

    def without_end(seed):
        device = qml.device("qstore.ionq", wires=2, seed=seed)
        return run_on(device, seed, optimizer=qml.GradientDescentOptimizer(0.1))

    with pytest.raises(ConfigurationError, match=r"rehearse\(steps=\)"):
        qstore.rehearse(without_end, seeds=1)
    assert qstore.rehearse(without_end, seeds=1, steps=2).outcomes[0].steps == 2


def test_ctrl_c_ends_the_rehearsal():
    trainings = []
    interrupts = iter([signal.SIGINT])  # a second one would end everything at once

    def make(seed):
        trainings.append(seed)
        device = qml.device("qstore.ionq", wires=1, seed=seed)

        @qml.qnode(device, shots=10)
        def circuit(w):
            qml.RX(w[0], 0)
            return qml.expval(qml.Z(0))

        def cost(w):
            for number in interrupts:
                signal.raise_signal(number)
            return circuit(w)

        optimizer = qstore.SPSAOptimizer(maxiter=2, seed=seed, a=0.5, c=0.2)
        return qstore.TrainingRun(cost, pnp.array([0.4]), optimizer, seed=seed, device=device)

    with pytest.raises(KeyboardInterrupt, match="nothing was sent to a machine"):
        qstore.rehearse(make, seeds=3)
    assert trainings == [1]
