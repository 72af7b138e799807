"""Estimates, budgets, named runs, sessions, and the commands about them."""

import json
import time
from types import SimpleNamespace

import numpy as np
import pennylane as qml
import pytest
from typer.testing import CliRunner

import pennylane_qstore as qstore
from pennylane_qstore.cli.main import app
from pennylane_qstore.emulator import Emulator, Fault, VirtualClock
from pennylane_qstore.errors import BudgetExceeded, JobTimeout, LedgerError, ServiceError
from pennylane_qstore.ionq.http import transport
from pennylane_qstore.ionq.ledger.ledger import Ledger

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


def test_a_session_that_cannot_be_ended_does_not_hide_what_went_wrong_in_it(emulator, monkeypatch):
    dev = device(emulator)

    def refuse(session_id):
        raise ServiceError("no such session", status=404)

    monkeypatch.setattr(dev.client, "end_session", refuse)
    with pytest.raises(JobTimeout), qstore.session(dev, job_limit=5):
        raise JobTimeout("late", job_ids=["a"])
    assert dev.executor.job_settings.session_id is None
    with pytest.raises(ServiceError), qstore.session(dev, job_limit=5):
        circuit(dev)(0.1)


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
    (job_id,) = dev.executor.stats.last.job_ids
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


# ---- what a user may do wrong, or may have been unlucky with --------------------------------


def ask(*arguments, code=0):
    result = run(app, list(map(str, arguments)))
    assert result.exit_code == code, result.output
    return json.loads(result.stdout) if "--json" in arguments else result.output


def killed(emulator, path, **options):
    """A ledger as a process leaves it that died while its job was in flight."""
    dev = device(emulator, ledger=path, max_wait=0.01, **options)
    with pytest.raises(JobTimeout, match="qstore resume --ledger"):
        circuit(dev)(0.4)
    (row,) = dev.client.ledger.submissions()
    return row.job_id


@pytest.fixture
def slow():
    """Its jobs run until its clock is told to advance."""
    with Emulator(seed=1, profile=60.0, clock=VirtualClock()) as running:
        yield running


def test_resume_finds_the_service_in_the_ledger_and_reads_the_bill(slow, tmp_path, monkeypatch):
    path = tmp_path / "ledger.sqlite3"
    job_id = killed(slow, path)
    slow.clock.advance(60.0)
    monkeypatch.setenv("IONQ_API_KEY", "k")
    (row,) = ask("resume", "--ledger", path, "--json")
    assert (row["job_id"], row["state"]) == (job_id, "done")
    assert row["billed_usd"] == slow.jobs[0].billed_usd > 0
    assert ask("resume", "--ledger", path, "--json") == []
    assert len(ask("jobs", "results", "1", "--ledger", path, "--json")["probabilities"]) == 1


def test_results_wait_for_the_job_that_is_asked_for_and_no_other(slow, tmp_path, monkeypatch):
    path = tmp_path / "ledger.sqlite3"
    job_id = killed(slow, path)
    other = killed(slow, tmp_path / "other.sqlite3")
    slow.clock.advance(60.0)
    assert other != job_id
    monkeypatch.setenv("IONQ_API_KEY", "k")
    assert ask("jobs", "results", job_id, "--ledger", path, "--json")["job_id"] == job_id
    assert not [path for _, path, _ in slow.requests if f"{other}/results" in path]


def test_cancel_cancels_what_runs_and_keeps_what_is_done(slow, tmp_path, monkeypatch):
    path = tmp_path / "ledger.sqlite3"
    monkeypatch.setenv("IONQ_API_KEY", "k")
    running = killed(slow, path)
    assert ask("jobs", "cancel", running, "--ledger", path, "--json")["state"] == "canceled"
    (row,) = ask("jobs", "list", "--ledger", path, "--json")
    assert row["state"] == "canceled"
    ask("jobs", "results", running, "--ledger", path, code=1)
    with Emulator(seed=1, profile=0.01) as quick:
        path = tmp_path / "quick.sqlite3"
        dev = device(quick, ledger=path)
        circuit(dev)(0.4)
        done = quick.jobs[0].id
        cancelled = ask("jobs", "cancel", done, "--ledger", path, "--json", code=1)
        assert cancelled["state"] == "completed"
        assert quick.jobs[0].canceled_at is None


def test_a_job_the_service_does_not_know_cannot_be_cancelled(emulator, monkeypatch):
    monkeypatch.setenv("IONQ_API_KEY", "k")
    unknown = "00000000-0000-7000-8000-000000000000"
    told = ask("jobs", "cancel", unknown, "--base-url", emulator.url, code=1)
    assert "does not know" in told
    assert "Not a job id" in ask("jobs", "cancel", "../x", "--base-url", emulator.url, code=1)


def test_looking_makes_no_ledger(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert ask("jobs", "list", "--json") == []
    assert list(tmp_path.iterdir()) == []
    missing = tmp_path / "typo.sqlite3"
    assert "There is no ledger" in ask("jobs", "list", "--ledger", missing, code=1)
    assert not missing.exists()


def test_an_export_that_cannot_be_written_is_one_line(tmp_path):
    Ledger(tmp_path / "l").close()
    told = ask("jobs", "export", tmp_path / "no" / "x.json", "--ledger", tmp_path / "l", code=1)
    assert told.startswith("qstore: ")
    assert told.count("\n") == 1


def test_resume_names_a_service_that_is_gone_and_goes_on(slow, tmp_path, monkeypatch):
    path = tmp_path / "ledger.sqlite3"
    with Emulator(seed=1, profile=60.0) as gone:
        killed(gone, path)
        kept = killed_second(slow, path)
        gone.close()
        slow.clock.advance(60.0)
        monkeypatch.setenv("IONQ_API_KEY", "k")
        rows = ask("resume", "--ledger", path, "--max-wait", "3", "--json")
    states = {row["job_id"]: row["state"] for row in rows}
    assert states[kept] == "done"
    assert sorted(states.values()) == ["done", "submitted"]


def killed_second(emulator, path):
    dev = device(emulator, ledger=path, max_wait=0.01)
    with pytest.raises(JobTimeout):
        circuit(dev)(0.5)
    return emulator.jobs[0].id


def test_doctor_tells_a_clock_that_is_wrong_and_a_missing_key(emulator, tmp_path, monkeypatch):
    for name in ("IONQ_API_KEY", "PENNYLANE_IONQ_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    where = ["--ledger", tmp_path / "l", "--base-url", emulator.url, "--json"]
    told = ask("doctor", *where, code=1)
    assert {name: entry["ok"] for name, entry in told.items()} == {
        "versions": True, "ledger": True, "key": False, "service": True, "clock": True,
    }  # fmt: skip
    monkeypatch.setenv("IONQ_API_KEY", "k")
    fast = SimpleNamespace(time=lambda: time.time() + 3600)
    monkeypatch.setattr(transport, "time", fast)
    told = ask("doctor", *where, code=1)
    assert told["key"]["ok"]
    assert not told["clock"]["ok"]
    assert "clock is +3,60" in told["clock"]["detail"]


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
