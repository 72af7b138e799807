"""Estimates, budgets, named runs and sessions."""

import numpy as np
import pennylane as qml
import pytest
from support.paid_jobs import circuit, device

import pennylane_qstore as qstore
from pennylane_qstore.emulator import Emulator, Fault
from pennylane_qstore.errors import BudgetExceeded, JobTimeout, LedgerError, ServiceError


def posts(emulator):
    return [path for method, path, _ in emulator.requests if method == "POST"]


def test_an_estimate_submits_nothing_and_grows_with_the_shots(emulator):
    dev = device(emulator)
    tapes = qml.workflow.construct_batch(circuit(dev, 1000), level="top")(0.3)[0]
    few = dev.estimate(tapes)
    many = dev.estimate(qml.workflow.construct_batch(circuit(dev, 100_000), level="top")(0.3)[0])
    assert posts(emulator) == []
    assert (few.jobs, few.circuits, few.shots) == (1, 1, 1000)
    assert 0 < few.cost_usd < many.cost_usd


def test_an_emulated_device_prices_a_qpu():
    dev = qml.device("qstore.ionq", wires=2)
    tapes = qml.workflow.construct_batch(circuit(dev), level="top")(0.3)[0]
    assert dev.estimate(tapes, backend="qpu.forte-1").cost_usd > 0


def test_a_budget_stops_the_batch_before_it_is_sent(emulator):
    dev = device(emulator, budget_usd=1e-3)
    with pytest.raises(BudgetExceeded, match="Nothing was sent"):
        circuit(dev)(0.3)
    assert posts(emulator) == []
    assert emulator.billed_jobs == 0 or len(np.atleast_1d(emulator.billed_jobs)) == 0


def test_what_was_billed_leaves_the_budget(emulator):
    dev = device(emulator, budget_usd=10_000)
    circuit(dev)(0.3)
    assert dev.spent_usd > 0
    assert dev.left_usd == pytest.approx(10_000 - dev.spent_usd)
    assert dev.stats["cost_usd"] == pytest.approx(dev.spent_usd)


def test_a_batch_that_is_not_confirmed_is_not_sent(emulator):
    asked = []

    def confirm(quote):
        asked.append(quote)
        return len(asked) > 1

    node = circuit(device(emulator, confirm=confirm))
    with pytest.raises(BudgetExceeded, match="not confirmed"):
        node(0.3)
    assert posts(emulator) == []
    node(0.3)
    assert len(posts(emulator)) == 1
    assert asked[1].cost_usd > 0


def test_a_restarted_run_pays_nothing_and_gets_the_same(emulator, tmp_path):
    def start():
        dev = device(emulator, ledger=tmp_path / "ledger.sqlite3", run="mine")
        return [circuit(dev)(x) for x in (0.1, 0.7)]

    first = start()
    paid = len(posts(emulator))
    assert start() == first
    assert len(posts(emulator)) == paid == 2


def test_another_run_of_the_same_name_is_refused(emulator, tmp_path):
    options = {"ledger": tmp_path / "ledger.sqlite3", "run": "mine"}
    circuit(device(emulator, **options))(0.1)
    with pytest.raises(LedgerError, match="mine"):
        circuit(device(emulator, **options))(0.2)
    assert len(posts(emulator)) == 1


@pytest.mark.parametrize("progress", [True, "callback"])
def test_progress_is_told(emulator, progress):
    seen = []
    dev = device(emulator, progress=True if progress is True else seen.append)
    circuit(dev)(0.1)
    assert progress is True or seen[-1].state == "completed"


def test_an_error_in_a_progress_callback_loses_nothing(emulator, caplog):
    called = []

    def broken(progress):
        called.append(progress)
        raise ZeroDivisionError("in the callback")

    node = circuit(device(emulator, progress=broken))
    assert len(node(0.1)) == 2
    assert len(emulator.jobs) == 1
    assert len(called) == 1
    assert "in the callback" in caplog.text
    node(0.2)  # another batch, another try
    assert len(called) == 2


# ---- money ------------------------------------------------------------------------------


def test_a_restarted_run_is_not_stopped_by_what_it_has_spent(emulator, tmp_path):
    def start(budget_usd, asked):
        dev = device(
            emulator, ledger=tmp_path / "l", run="mine", budget_usd=budget_usd,
            confirm=lambda quote: asked.append(quote) is None,
        )  # fmt: skip
        results = [circuit(dev)(x) for x in (0.1, 0.7)]
        return dev, results

    first, again = [], []
    dev, results = start(1000, first)
    assert len(first) == 2
    restarted, same = start(dev.spent_usd * 1.1, again)
    assert same == results
    assert again == []  # what is paid is neither asked for again
    assert restarted.spent_usd == pytest.approx(dev.spent_usd)  # nor counted again
    with pytest.raises(BudgetExceeded):
        circuit(restarted)(0.9)
    assert len(posts(emulator)) == 2


def test_a_job_that_is_late_or_failed_leaves_the_budget_too(slow):
    dev = device(slow, budget_usd=1000, max_wait=0.01)
    with pytest.raises(JobTimeout):
        circuit(dev)(0.3)
    assert dev.left_usd < 1000


def test_the_ledger_keeps_estimate_and_bill(emulator, tmp_path):
    dev = device(emulator, ledger=tmp_path / "l")
    circuit(dev)(0.3)
    (row,) = dev.client.ledger.submissions()
    assert row.estimated_usd > 0
    assert row.billed_usd == emulator.jobs[0].billed_usd
    assert dev.spent_usd == row.billed_usd


def test_a_missing_estimate_stops_only_who_has_a_budget(tmp_path):
    faults = [Fault("status", route="cost", status=404, times=None)]
    with Emulator(seed=1, faults=faults) as emulator:
        circuit(device(emulator))(0.3)
        with pytest.raises(ServiceError):
            circuit(device(emulator, budget_usd=100))(0.3)
        assert len(posts(emulator)) == 1


def test_a_run_on_a_service_of_this_machine_is_found_again(emulator, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))

    def start():
        dev = device(emulator, backend="simulator", run="mine")
        return circuit(dev)(0.1)

    assert start() == start()
    assert len(posts(emulator)) == 1


def test_a_run_may_go_on_in_another_session(emulator, tmp_path):
    for _ in range(2):
        dev = device(emulator, ledger=tmp_path / "l", run="mine")
        with qstore.session(dev, job_limit=5):
            circuit(dev)(0.1)
    assert len([path for path in posts(emulator) if path.endswith("/jobs")]) == 1
