"""A machine that takes OpenQASM 3 alone: results, jobs, bills, estimates and resumption."""

from __future__ import annotations

import warnings

import numpy as np
import pennylane as qml
import pytest
from support.renamed_machine import QASM, TEMPO
from support.swept_runs import make_run, on

from pennylane_qstore.errors import BudgetExceeded
from pennylane_qstore.ionq.ledger.ledger import Ledger
from pennylane_qstore.sweeps.lockstep import Lockstep

pytest.importorskip("openqasm3")


@pytest.fixture
def tempo(renamed_machine):
    renamed_machine.name = TEMPO
    renamed_machine.entry = {"supported_native_gates": [], "supported_gates": []}
    return renamed_machine


def device(service, **options):
    return qml.device("qstore.ionq", wires=3, **on(service, None, TEMPO, seed=1), **options)


@pytest.fixture
def known(tempo):
    """The service, whose machine this process knows already."""
    with pytest.warns(UserWarning, match="OpenQASM 3 only"):
        device(tempo)
    return tempo


def circuit(dev, shots=500):
    @qml.set_shots(shots)
    @qml.qnode(dev)
    def node(x):
        qml.RY(x, 0)
        qml.PauliX(1)
        qml.IsingXX(0.3, [1, 2])
        qml.CNOT([0, 2])
        return qml.probs(wires=[0, 1, 2]), qml.expval(qml.X(0) @ qml.Y(2))

    return node


def test_it_is_said_once_and_every_circuit_is_a_job_with_its_bill(tempo):
    with pytest.warns(UserWarning, match="Said once") as seen:
        dev = device(tempo)
    assert "each circuit is a job of its own" in str(seen[0].message)
    assert len(seen) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        device(tempo)
        probs, product = circuit(dev)(np.array([0.4, 2.9]))
    assert {job["type"] for job in tempo.posted} == {QASM}
    assert len(tempo.posted) == 4 == dev.stats["jobs"]
    exact = qml.device("default.qubit", wires=3)
    right_probs, right_product = circuit(exact, None)(np.array([0.4, 2.9]))
    np.testing.assert_allclose(probs, right_probs, atol=0.1)
    np.testing.assert_allclose(product, right_product, atol=0.2)
    assert dev.job_limits.circuits == 1
    assert dev.spent_usd == pytest.approx(tempo.emulator.stats()["billed_usd"])
    assert dev.spent_usd > 4 * 10  # floor prices


def test_its_estimate_has_a_floor_for_each_circuit_and_budgets_hold(known):
    dev = device(known)
    tape = qml.workflow.construct_tape(circuit(dev))(np.array([0.4, 2.9]))
    quote = dev.estimate([tape])
    assert quote.jobs == 4
    circuit(dev)(np.array([0.4, 2.9]))
    assert dev.spent_usd == pytest.approx(quote.cost_usd)
    poor = device(known, budget_usd=0.9 * quote.cost_usd)
    with pytest.raises(BudgetExceeded):
        circuit(poor)(np.array([0.4, 2.9]))
    assert len(known.posted) == 4


@pytest.mark.parametrize("size", ["adaptive", 50, None])
def test_no_option_makes_jobs_of_many_circuits(known, size):
    dev = device(known, max_circuits_per_job=size)
    circuit(dev)(np.array([0.4, 2.9, 1.1]))
    assert len(known.posted) == 6


def test_a_named_run_that_starts_again_pays_nothing(known, tmp_path):
    def start():
        dev = qml.device("qstore.ionq", wires=3, **on(known, tmp_path / "l", TEMPO, run="mine"))
        return circuit(dev)(np.array([0.4, 2.9]))

    first, jobs = start(), len(known.posted)
    second = start()
    assert len(known.posted) == jobs == 4
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_batch_that_is_submitted_is_fetched_later(known, tmp_path):
    dev = qml.device("qstore.ionq", wires=3, **on(known, tmp_path / "l", TEMPO))
    tape = qml.workflow.construct_tape(circuit(dev))(np.array([0.4, 2.9]))
    handle = dev.submit([tape])
    assert len(handle.job_ids) == 4
    ((probs, _),) = handle.results()
    assert probs.shape == (2, 8)


def test_runs_side_by_side_train_and_share_no_job(known, tmp_path):
    def runs():
        return [
            make_run(
                seed,
                device=on(known, tmp_path / "ledger", TEMPO),
                shots=20,
                prices="qpu.forte-1",
                checkpoint=tmp_path / f"{seed}.json",
                resume=True,
            )
            for seed in (1, 2)
        ]

    first = runs()
    planned = first[0].estimate(1)
    ends = Lockstep("all").call([lambda run=run: run.train(1) for run in first])
    assert ends == first
    circuits = [run.history[0].circuits for run in first]
    assert len(known.posted) == sum(circuits)
    assert planned.jobs == pytest.approx(circuits[0], rel=0.5)
    billed = known.emulator.stats()["billed_usd"]
    assert sum(run.spent_usd for run in first) == pytest.approx(billed)
    ledger = Ledger(tmp_path / "ledger")
    assert {row.circuits for row in ledger.submissions()} == {1}
    ledger.close()
    again = runs()
    Lockstep("all").call([lambda run=run: run.train(1) for run in again])
    assert len(known.posted) == sum(circuits)
