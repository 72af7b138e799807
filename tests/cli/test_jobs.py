"""``qstore jobs``, ``resume`` and ``estimate``: what the ledger knows, and what services answer."""

import json

import pytest
from support.paid_jobs import ask, circuit, device, killed, run

from pennylane_qstore.cli.main import app
from pennylane_qstore.emulator import Emulator, VirtualClock
from pennylane_qstore.ionq.ledger.ledger import Ledger


@pytest.fixture
def emulator():
    with Emulator(seed=1) as running:
        yield running


@pytest.fixture
def slow():
    """Its jobs run until its clock is told to advance."""
    with Emulator(seed=1, profile=60.0, clock=VirtualClock()) as running:
        yield running


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
        kept = killed(slow, path, 0.5)
        gone.close()
        slow.clock.advance(60.0)
        monkeypatch.setenv("IONQ_API_KEY", "k")
        rows = ask("resume", "--ledger", path, "--max-wait", "3", "--json")
    states = {row["job_id"]: row["state"] for row in rows}
    assert states[kept] == "done"
    assert sorted(states.values()) == ["done", "submitted"]


def test_jobs_are_listed_and_shown_for_people(emulator, tmp_path, monkeypatch):
    monkeypatch.setenv("IONQ_API_KEY", "k")
    path = tmp_path / "ledger.sqlite3"
    circuit(device(emulator, ledger=path))(0.4)
    (job,) = emulator.jobs
    row, count = ask("jobs", "list", "--ledger", path).splitlines()
    number, _day, _time, state, job_id, backend, *words, billed = row.split()
    assert (number, state, job_id, backend) == ("1", "consumed", job.id, "qpu.forte-1")
    assert words == ["1", "circuits", "x", "100", "shots"]
    assert billed == f"${job.billed_usd:,.2f}"
    assert count == "1 submission(s)."
    shown = ask("jobs", "show", job.id, "--ledger", path).splitlines()
    assert ["state", "consumed"] in [line.split() for line in shown]
    assert "  intent" in next(line for line in shown if "intent" in line)
    results = ask("jobs", "results", job.id, "--ledger", path).splitlines()
    assert results[0].startswith("circuit 0  0: 0.")


def test_an_empty_ledger_is_listed_in_one_line(tmp_path):
    Ledger(tmp_path / "l").close()
    assert ask("jobs", "list", "--ledger", tmp_path / "l") == "0 submission(s).\n"


def test_an_estimate_for_people_names_what_it_is_for(emulator, monkeypatch):
    monkeypatch.setenv("IONQ_API_KEY", "k")
    text = ask("estimate", "--circuits", "3", "--base-url", emulator.url)
    assert text.startswith("qpu.forte-1: $")
    assert "for 3 circuit(s) x 500 shots\n" in text
