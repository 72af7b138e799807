"""Estimates, budgets, named runs, sessions, and the commands about them."""

import json

import numpy as np
import pennylane as qml
import pytest
from typer.testing import CliRunner

import pennylane_qstore as qstore
from pennylane_qstore.cli import app
from pennylane_qstore.emulator import Emulator
from pennylane_qstore.errors import BudgetExceeded, LedgerError
from pennylane_qstore.ionq.ledger import Ledger

run = CliRunner().invoke


@pytest.fixture
def emulator():
    with Emulator(seed=1) as running:
        yield running


def device(emulator, **options):
    options = {"backend": "qpu.forte-1", "seed": 3, **options}
    return qml.device("qstore.ionq", wires=2, base_url=emulator.url, api_key="k", **options)


def circuit(dev, shots=100):
    @qml.qnode(dev, shots=shots)
    def node(x):
        qml.RX(x, 0)
        qml.CRY(x, [0, 1])
        return qml.expval(qml.X(1)), qml.expval(qml.Z(0))

    return node


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


def test_jobs_join_a_session_while_it_lasts(emulator):
    dev = device(emulator)
    with qstore.session(dev, job_limit=5, minutes=10, cost_limit=1000) as opened:
        circuit(dev)(0.1)
        assert opened.active
    circuit(dev)(0.2)
    inside, outside = (job.session_id for job in emulator.jobs)
    assert {inside, outside} == {opened.id, None}


@pytest.mark.parametrize("progress", [True, "callback"])
def test_progress_is_told(emulator, progress):
    seen = []
    dev = device(emulator, progress=True if progress is True else seen.append)
    circuit(dev)(0.1)
    assert progress is True or seen[-1].state == "completed"


def test_the_commands_show_what_the_ledger_knows(emulator, tmp_path, monkeypatch):
    path = tmp_path / "ledger.sqlite3"
    monkeypatch.setenv("IONQ_API_KEY", "k")
    circuit(device(emulator, ledger=path))(0.4)
    where = ["--ledger", str(path), "--json"]

    def answer(*arguments):
        result = run(app, list(arguments))
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    (row,) = answer("jobs", "list", *where)
    assert row["state"] == "consumed"
    assert row["circuits"] == 1
    shown = answer("jobs", "show", row["job_id"], *where)
    assert shown["events"][0]["event"] == "intent"
    assert len(answer("jobs", "export", "--ledger", str(path))) == 1
    service = ["--base-url", emulator.url]
    assert answer("resume", *where, *service) == []
    assert answer("jobs", "reconcile", *where, *service) == []
    assert answer("estimate", "--json", *service)["cost_usd"] > 0
    checked = answer("doctor", *where, *service)
    assert all(entry["ok"] for entry in checked.values())
    assert "k" not in checked["key"]["detail"].split()


def test_results_come_from_the_ledger_once_they_are_there(emulator, tmp_path, monkeypatch):
    path = tmp_path / "ledger.sqlite3"
    monkeypatch.setenv("IONQ_API_KEY", "k")
    dev = device(emulator, ledger=path, run="kept")
    circuit(dev)(0.4)
    (job_id,) = dev._stats.job_ids
    result = run(app, ["jobs", "results", job_id, "--ledger", str(path), "--json"])
    assert result.exit_code == 0, result.output
    circuits = json.loads(result.stdout)["probabilities"]
    assert len(circuits) == 1
    assert all(sum(c.values()) == pytest.approx(1) for c in circuits)


def test_an_unknown_job_is_named(tmp_path):
    Ledger(tmp_path / "l.sqlite3").close()
    result = run(app, ["jobs", "show", "nope", "--ledger", str(tmp_path / "l.sqlite3")])
    assert result.exit_code == 1
    assert "'nope'" in result.stderr
