"""The price of a run before it starts: what is billed afterwards, and nothing sent or changed."""

from __future__ import annotations

import json
from datetime import date

import numpy as np
import pennylane as qml
import pytest
from support.training_runs import WEIGHTS, X, Y, make, outcomes

from pennylane_qstore import SPSAOptimizer, TrainingRun, deferred, value_and_grad
from pennylane_qstore.emulator import Emulator, Fault
from pennylane_qstore.errors import BudgetExceeded, ConfigurationError
from pennylane_qstore.training.callbacks import Calibrate
from pennylane_qstore.training.run_estimate import estimate_calls


def paid(emulator, **options):
    settings = {"backend": "qpu.forte-1", "base_url": emulator.url, "api_key": "k", "seed": 3}
    return qml.device("qstore.ionq", wires=2, **settings, **options)


def test_a_run_costs_its_estimate(emulator, tmp_path) -> None:
    called = []
    options = {"checkpoint": tmp_path / "a", "batch_size": 8, "callbacks": [called.append]}
    options["callbacks"] += [Calibrate(0.1)]
    run = make(**options, validation=(X, Y), validate_every=2, device=paid(emulator))
    estimate = run.estimate(4, evaluate=[(X, Y)])
    assert emulator.stats()["posts"] == 0
    assert called == run.history == []
    assert list(tmp_path.iterdir()) == []
    run.train(4)
    run.evaluate((X, Y))
    billed_usd = emulator.stats()["billed_usd"]
    assert estimate.usd == estimate.low_usd == estimate.high_usd
    assert estimate.usd == pytest.approx(billed_usd, abs=0.01)
    assert estimate.jobs == emulator.stats()["posts"] == 1 + 4 + 2 + 1
    assert estimate.circuits == emulator.stats()["circuits"]
    assert (estimate.prices, estimate.paid) == ("the service's estimate", True)
    assert f"USD (the service's estimate, {estimate.published})" in str(estimate)
    assert date.fromisoformat(estimate.published)
    rest = run.estimate(5)
    assert (rest.steps, rest.first_usd) == (1, 0)
    json.dumps(rest.as_dict())


def test_the_circuits_of_gradients_count_in_the_estimate_and_in_the_bill(emulator) -> None:
    run = make("adam", batch_size=4, device=paid(emulator))
    estimate = run.estimate(2)
    assert emulator.stats()["posts"] == 0
    run.train(2)
    stats = emulator.stats()
    assert estimate.jobs == stats["posts"] == 2
    assert estimate.circuits == stats["circuits"] == 2 * 4 * (1 + 2 * WEIGHTS.size)
    assert estimate.usd == pytest.approx(stats["billed_usd"], abs=0.01)
    assert [step.circuits for step in run.history] == [4 * (1 + 2 * WEIGHTS.size)] * 2


def test_a_budget_that_values_fit_in_and_gradients_do_not_sends_neither(emulator) -> None:
    def cost(w):
        return sum((circuit(x, w) - y) ** 2 for x, y in zip(X[:4], Y, strict=False))

    def circuit_on(device):
        @qml.set_shots(2000)  # jobs of few shots have one price, the least
        @qml.qnode(device)
        def circuit(x, w):
            qml.AngleEmbedding(x, wires=range(2))
            qml.StronglyEntanglingLayers(w, wires=range(2))
            return qml.expval(qml.Z(0))

        return circuit

    circuit = circuit_on(paid(emulator))
    with deferred():
        float(cost(WEIGHTS))
    of_values = emulator.stats()["billed_usd"]
    device = paid(emulator, budget_usd=of_values + 1)
    circuit = circuit_on(device)
    with pytest.raises(BudgetExceeded):
        value_and_grad(cost)(WEIGHTS)
    with pytest.raises(BudgetExceeded), deferred():
        qml.AdamOptimizer().step(cost, qml.numpy.array(WEIGHTS, requires_grad=True))
    assert emulator.stats()["posts"] == 1
    assert device.spent_usd == 0
    with deferred():
        float(cost(WEIGHTS))
    assert device.spent_usd == pytest.approx(of_values)


@pytest.mark.parametrize("optimizer", ["spsa", "adam", "stock spsa"])
def test_an_estimate_changes_nothing(optimizer) -> None:
    np.random.seed(4)  # noqa: NPY002 - the stock optimizer's source
    run = make(optimizer, noise="forte-1").train(1)
    run.estimate(6)
    assert run.step == 1
    run.train(3)
    np.random.seed(4)  # noqa: NPY002
    assert outcomes(make(optimizer, noise="forte-1").train(3)) == outcomes(run)


def test_a_round_that_depends_on_values_gives_a_range(emulator) -> None:
    dev = paid(emulator)

    @qml.qnode(dev, shots=1, diff_method=None)
    def node(w):
        qml.RX(w[0], 0)
        return qml.expval(qml.Z(0))

    def cost(w):
        value = float(node(w))
        return value + (node(w) if value > 0 else 0.0)

    optimizer = SPSAOptimizer(maxiter=10, seed=1, mode="serial", a=0.1)
    run = TrainingRun(cost, np.array([np.pi / 2]), optimizer, device=dev)
    estimate = run.estimate(10)
    assert estimate.low_usd < estimate.usd < estimate.high_usd
    assert emulator.stats()["posts"] == 0
    assert " to $" in str(estimate)


def test_chosen_shapes_have_a_range_and_the_dearer_list_stands_beside() -> None:
    optimizer = SPSAOptimizer(maxiter=10, seed=1, resamplings="auto")
    options = {"shots": "auto", "batch_size": None, "noise": "forte-1"}
    run = make(optimizer_object=optimizer, prices="braket.forte-1", **options)
    estimate = run.estimate(10)
    assert 0 < estimate.low_usd <= estimate.usd <= estimate.high_usd
    assert not estimate.paid
    run.train(10)
    spent = run.would_cost_usd("braket.forte-1")
    assert estimate.low_usd <= spent * 1.001
    assert spent <= estimate.high_usd * 1.001
    plain = make().estimate(3)
    assert plain.dearer == "qpu.forte-1/circuit"
    assert plain.dearer_usd == pytest.approx(plain.circuits * 25.79, abs=0.05)
    assert "every circuit" in str(plain)
    assert "2026-05-25" in str(plain)
    assert make().estimate(3, prices="braket.forte-1").dearer == ""


def test_patience_may_end_the_run_early() -> None:
    estimate = make(patience=2).estimate(30)
    assert estimate.low_usd == pytest.approx(estimate.high_usd / 10, rel=0.01)


def test_a_service_that_tells_no_price_leaves_the_list() -> None:
    faults = [Fault("status", route="cost", status=404, times=None)]
    with Emulator(faults=faults) as emulator:
        estimate = make(device=paid(emulator)).estimate(2)
    assert estimate.paid
    assert "qpu.forte-1" in estimate.prices
    assert estimate.usd > 0


def test_debiased_jobs_are_priced_as_such(emulator) -> None:
    dev = paid(emulator, error_mitigation={"debiasing": True})
    node = qml.QNode(lambda w: (qml.RX(w, 0), qml.expval(qml.Z(0)))[1], dev, diff_method=None)
    optimizer = SPSAOptimizer(maxiter=2, seed=1)
    run = TrainingRun(qml.set_shots(node, 500), np.array(0.3), optimizer)
    estimate = run.estimate(1)
    assert estimate.usd == pytest.approx(168.195, abs=0.01)


def test_a_checkpoint_of_another_run_is_refused(tmp_path) -> None:
    make(checkpoint=tmp_path / "a").train(1)
    with pytest.raises(ConfigurationError, match="resume=True"):
        make(checkpoint=tmp_path / "a").estimate(3)
    again = make(checkpoint=tmp_path / "a", resume=True).estimate(3)
    assert again.steps == 2


def test_machines_predict_the_fidelity_of_a_mean_circuit():
    with Emulator(seed=1) as emulator:
        paid = {"backend": "qpu.forte-1", "base_url": emulator.url, "api_key": "k"}
        device = qml.device("qstore.ionq", wires=2, **paid)
        tape = qml.tape.QuantumScript(
            [qml.RX(0.3, 0), qml.CNOT([0, 1])], [qml.expval(qml.X(0) @ qml.X(1))], shots=100
        )
        found = estimate_calls(device, lambda: device.execute([tape]))
        (size,) = (request.size for request in device.executor.requests([tape]))
        figures = device.characterization()
        before = len(emulator.requests)
        listed = estimate_calls(device, lambda: device.execute([tape]), "qpu.forte-1")
        assert len(emulator.requests) == before, "with a price list nobody is asked"
        assert listed.characterized == "published"
    assert found.gate_fidelity == pytest.approx(figures.fidelity(size.n_1q, size.n_2q))
    assert found.characterized == figures.date
    assert found.lines()["Fidelity"].startswith(f"{found.gate_fidelity:.3f}, predicted")
    free = qml.device("qstore.ionq", wires=2)
    elsewhere = estimate_calls(free, lambda: free.execute([tape]), "braket.forte-1")
    assert elsewhere.characterized == "published"
    assert 0.9 < elsewhere.gate_fidelity < 1
