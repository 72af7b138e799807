"""``qstore jobs``, ``resume`` and ``estimate``: what the ledger knows, and what services answer."""

import json
from datetime import UTC, datetime

import pytest
from support.paid_jobs import ask, circuit, device, killed, run

from pennylane_qstore.cli.main import app
from pennylane_qstore.emulator import Emulator
from pennylane_qstore.ionq.ledger.ledger import Ledger
from pennylane_qstore.ionq.ledger.rows import Intent, JobKey, Share


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


def test_a_job_the_service_does_not_know_cannot_be_cancelled(emulator, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
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
    assert count == f"1 submission(s). {billed} billed or reserved."
    Ledger(path, budget_usd=50.0).close()
    told = ask("jobs", "list", "--ledger", path).splitlines()[-1]
    assert told == f"{count.removesuffix('.')}, of the ledger's budget of $50.00."
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


@pytest.fixture
def many(tmp_path):
    """A ledger of three runs: two of one name, and one that shares a job with the second."""
    now = [datetime(2026, 5, 24, 12, tzinfo=UTC).timestamp()]
    path = tmp_path / "many.sqlite3"
    ledger = Ledger(path, now=lambda: now[0])
    about = {"service": "http://127.0.0.1:1", "backend": "simulator", "shots": 100, "circuits": 2}
    for number, run_id in enumerate(["iris-00aa", "iris-00bb", "iris-00bb", "other-00cc"]):
        key = JobKey(f"{run_id}#evaluation" if number == 2 else run_id, number, 0)
        intent = Intent(**about, qubits=1, payload_sha256=f"{number}", key=key)
        ((row, _),) = ledger.begin([intent])
        if number != 1:
            ledger.submitted(row.id, f"00000000-0000-7000-8000-00000000000{number}")
        now[0] += 86_400.0
    parts = [Share(JobKey("wine-00dd", 0, 0), "x", 0, 1, 0.5)]
    parts.append(Share(JobKey("iris-00ee", 0, 0), "y", 1, 2, 0.5))
    key = JobKey("together", 0, 0)
    ledger.begin([Intent(**about, qubits=1, payload_sha256="z", key=key, shares=tuple(parts))])
    ledger.close()
    return path


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ([], [1, 2, 3, 4, 5]),
        (["--run", "iris"], [1, 2, 3, 5]),
        (["--run", "iris-00bb"], [2, 3]),
        (["--run", "wine"], [5]),
        (["--run", "ir"], []),
        (["--state", "submitted"], [1, 3, 4]),
        (["--state", "submitted", "--state", "intent"], [1, 2, 3, 4, 5]),
        (["--since", "2026-05-26"], [3, 4, 5]),
        (["--until", "2026-05-25"], [1, 2]),
        (["--since", "2026-05-25 12:00", "--until", "2026-05-26 12:00"], [2]),
        (["--limit", "2"], [4, 5]),
        (["--run", "iris", "--state", "submitted", "--limit", "1"], [3]),
    ],
)
def test_the_list_has_filters(many, options, numbers):
    rows = ask("jobs", "list", "--ledger", many, "--json", *options)
    assert [row["id"] for row in rows] == numbers
    told = run(app, ["jobs", "list", "--ledger", str(many), *options]).stdout
    assert f"{len(numbers)}{'' if len(numbers) == 5 else ' of 5'} submission(s)." in told


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--state", "gone"], "Unknown state 'gone'"), (["--since", "noon"], "is no time")],
)
def test_a_filter_that_is_none_is_refused(many, options, said):
    assert said in ask("jobs", "list", "--ledger", many, *options, code=1)


def test_numbers_and_ids_that_the_list_prints_are_taken_by_all(slow, tmp_path, monkeypatch):
    path = tmp_path / "ledger.sqlite3"
    job_id = killed(slow, path)
    monkeypatch.setenv("IONQ_API_KEY", "k")
    (row,) = ask("jobs", "list", "--ledger", path, "--json")
    for name in (str(row["id"]), job_id, row["token"]):
        assert ask("jobs", "show", name, "--ledger", path, "--json")["job_id"] == job_id
    cancelled = ask("jobs", "cancel", str(row["id"]), "--ledger", path, "--json")
    assert cancelled == {"job_id": job_id, "state": "canceled"}
    assert "no results" in ask("jobs", "results", str(row["id"]), "--ledger", path, code=1)


def test_a_run_has_the_jobs_of_all_its_devices(tmp_path):
    path = tmp_path / "ledger.sqlite3"
    ledger = Ledger(path)
    about = {"service": "http://127.0.0.1:1", "backend": "simulator", "shots": 100, "circuits": 2}
    for number, run_id in enumerate(["vqe-0123abcd", "vqe-0123abcd.1", "vqe-0123abce.1"]):
        key = JobKey(run_id, 0, 0)
        ledger.begin([Intent(**about, qubits=1, payload_sha256=f"{number}", key=key)])
    ledger.close()
    for name, numbers in {"vqe-0123abcd": [1, 2], "vqe": [1, 2, 3]}.items():
        rows = ask("jobs", "list", "--ledger", path, "--json", "--run", name)
        assert [row["id"] for row in rows] == numbers


def test_a_submission_without_a_job_is_not_cancelled(many):
    assert "no job of it is known" in ask("jobs", "cancel", "2", "--ledger", many, code=1)
