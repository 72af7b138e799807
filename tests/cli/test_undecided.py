"""A job on a machine, killed between its intent and its answer: shown, looked for, decided."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from support.paid_jobs import run

from pennylane_qstore.cli import undecided
from pennylane_qstore.cli.main import app
from pennylane_qstore.emulator import Emulator, Fault
from pennylane_qstore.errors import AmbiguousSubmission
from pennylane_qstore.ionq.http.requester import Requester
from pennylane_qstore.ionq.ledger.ledger import Ledger, State

pytest.importorskip("sklearn")
LOST = Fault("close", route="submit", when="before", times=1, skip=2)


@pytest.fixture
def emulator(monkeypatch):
    settled = property(lambda api: 0.05, lambda api, value: None)
    monkeypatch.setattr(Requester, "settle_s", settled, raising=False)
    with Emulator(profile="none", seed=1) as running:
        monkeypatch.setenv("IONQ_API_URL", running.url)
        monkeypatch.setenv("IONQ_API_KEY", "key")
        yield running


@pytest.fixture
def train(tmp_path):
    def start(*options, typed=None):
        paths = ["--out", str(tmp_path), "--ledger", str(tmp_path / "ledger")]
        plan = ["--task", "iris", "--backend", "qpu.forte-1", "--steps", "3", "--seed", "1"]
        return run(app, ["train", *plan, "--yes", "--resume", *paths, *options], input=typed)

    return start


@pytest.fixture
def spent_usd(tmp_path):
    def read():
        ledger = Ledger(tmp_path / "ledger")
        usd = ledger.spent_usd()
        ledger.close()
        return usd

    return read


@pytest.fixture
def rows(tmp_path):
    def read(*states):
        ledger = Ledger(tmp_path / "ledger")
        found = ledger.submissions(states or None)
        ledger.close()
        return found

    return read


def shown(result, row):
    text = result.stderr
    for part in (row.token, f"{row.circuits} circuits x {row.shots} shots on qpu.forte-1"):
        assert part in text
    assert f"${row.estimated_usd:,.2f}" in text


def test_without_a_terminal_it_is_a_clear_error_and_nothing_is_sent(emulator, train, rows):
    emulator.faults.add(LOST)
    for command in (train, lambda: train()):
        result = command()
        assert result.exit_code == 2, result.output
        (row,) = rows(State.AMBIGUOUS)
        shown(result, row)
        assert "qstore jobs reconcile --ledger" in result.stderr
        assert "--on-ambiguous resubmit" in result.stderr
    assert emulator.billed_jobs == 2
    again = train("--on-ambiguous", "resubmit")
    assert again.exit_code == 0, again.output
    assert rows(State.AMBIGUOUS) == []
    assert emulator.billed_jobs == len(rows(State.CONSUMED))


@pytest.mark.parametrize("answer", ["stop", "resubmit", "absent"])
def test_at_a_terminal_it_is_asked(emulator, train, rows, monkeypatch, answer):
    monkeypatch.setattr(undecided, "is_terminal", lambda: True)
    emulator.faults.add(LOST)
    result = train(typed=f"what?\nlook\n{answer}\n")
    assert "Type look" in result.stderr
    assert "ambiguous." in result.stderr
    if answer == "stop":
        assert result.exit_code == 2
        assert emulator.billed_jobs == 2
    else:
        assert result.exit_code == 0, result.output
        assert rows(State.AMBIGUOUS) == []
        declared = [row for row in rows(State.REJECTED) if row.token is not None]
        assert len(declared) == (answer == "absent")
        assert emulator.billed_jobs == len(rows(State.CONSUMED))


def test_of_a_job_that_runs_share_it_is_asked_once(emulator, tmp_path, rows, monkeypatch):
    emulator.faults.add(Fault("close", route="submit", when="before", times=1))
    paths = ["--out", str(tmp_path), "--ledger", str(tmp_path / "ledger"), "--resume", "--yes"]
    plan = ["train", "--task", "iris", "--backend", "qpu.forte-1", "--steps", "1", "--seeds", "1-2"]
    first = run(app, [*plan, *paths])
    assert first.exit_code == 2, first.output
    assert first.stderr.count("a job may exist unseen") == 1
    assert first.stderr.count("looks again and sends nothing") == 1
    (lost,) = rows(State.AMBIGUOUS)
    assert emulator.billed_jobs == 0

    monkeypatch.setattr(undecided, "is_terminal", lambda: True)
    again = run(app, [*plan, *paths], input="look\nresubmit\n")
    assert again.exit_code == 0, again.output
    assert again.stderr.count("a job may exist unseen") == 1
    assert again.stderr.count("Type look") == 2
    shown(again, lost)
    assert emulator.billed_jobs == len(rows(State.CONSUMED)) == 2


class Doubtful:
    """A client with one submission in doubt."""

    on_ambiguous = "raise"

    def __init__(self):
        self.ledger, self.path, self.state = self, None, State.AMBIGUOUS

    def get(self, number):
        fields = {"token": "t", "circuits": 1, "shots": 1, "backend": "qpu.forte-1"}
        times = {"created_at": 0.0, "estimated_usd": None}
        return SimpleNamespace(id=number, state=self.state, **fields, **times)

    def declare_absent(self, number):
        self.state = State.REJECTED


@pytest.mark.parametrize("typed", ["resubmit", "absent", "stop"])
def test_the_answer_is_used_by_each_run_once(monkeypatch, typed):
    asked = []
    monkeypatch.setattr(undecided, "is_terminal", lambda: True)
    monkeypatch.setattr(undecided.typer, "prompt", lambda *_, **__: asked.append(1) or typed)
    clients, answers = [Doubtful() for _ in range(2)], {}
    runs = [undecided.Decisions(client, "again", answers) for client in clients]

    def ask(of):
        doubts = [AmbiguousSubmission("Nobody knows.", submission=1)]

        def call():
            if doubts:
                raise doubts.pop()

        try:
            of.settle(call)
        except undecided.typer.Exit:
            return "stop"
        return of._client.on_ambiguous

    outcome = {"absent": "raise"}.get(typed, typed)
    assert [ask(of) for of in runs] == [outcome] * 2
    assert len(asked) == 1
    clients[0].state = State.AMBIGUOUS
    assert [ask(of) for of in runs] == [outcome] * 2
    assert len(asked) == 2


def test_a_decision_is_for_one_job_only(emulator, train, rows, monkeypatch):
    monkeypatch.setattr(undecided, "is_terminal", lambda: True)
    for skip in (2, 3):
        emulator.faults.add(Fault("close", route="submit", when="before", times=1, skip=skip))
    result = train(typed="resubmit\nstop\n")
    assert result.exit_code == 2, result.output
    assert result.stderr.count("Type look") == 2


def test_a_look_that_finds_the_job_goes_on(emulator, train, rows, monkeypatch):
    monkeypatch.setattr(undecided, "is_terminal", lambda: True)
    emulator.faults.add(
        Fault("close", route="submit", when="after", skip=2), Fault("list_lag", delay_s=0.5, skip=2)
    )
    result = train(typed="look\n" * 100)
    assert result.exit_code == 0, result.output
    assert "Submission 3: submitted." in result.stderr
    assert emulator.billed_jobs == len(rows(State.CONSUMED))


def test_resume_shows_what_it_cannot_find(emulator, train, rows, tmp_path):
    emulator.faults.add(LOST)
    train()
    (row,) = rows(State.AMBIGUOUS)
    for command in (["resume"], ["jobs", "reconcile"]):
        result = run(app, [*command, "--ledger", str(tmp_path / "ledger")])
        assert result.exit_code == 2, result.output
        shown(result, row)
        assert "on_ambiguous='resubmit'" in result.stderr
    assert emulator.billed_jobs == 2


@pytest.fixture
def reconcile(tmp_path):
    def look(*options, typed=None):
        command = ["jobs", "reconcile", "--ledger", str(tmp_path / "ledger"), *options]
        return run(app, command, input=typed)

    return look


def test_what_ionqs_page_does_not_show_is_declared_absent(
    emulator, train, rows, spent_usd, reconcile, monkeypatch
):
    emulator.faults.add(LOST)
    assert train().exit_code == 2
    (row,) = rows(State.AMBIGUOUS)
    named = ("--absent", str(row.id))
    assert f"reconcile --absent {row.id}`" in train().stderr

    asked = [reconcile(*named)]
    monkeypatch.setattr(undecided, "is_terminal", lambda: True)
    asked += [reconcile(*named, typed=typed) for typed in ("\n", "yes\n")]
    for result in asked:
        assert result.exit_code == 2, result.output
        shown(result, row)
        assert "was left as it is: it needs a typed absent, or --yes" in result.stderr
    assert rows(State.AMBIGUOUS) == [row]

    before_usd = spent_usd()
    result = reconcile(*named, typed="absent\n")
    assert result.exit_code == 0, result.output
    assert "is rejected: no job, and its price is free" in result.stderr
    assert spent_usd() == pytest.approx(before_usd - row.estimated_usd)
    (freed,) = rows(State.REJECTED)
    assert (freed.id, freed.failure) == (row.id, "declared absent by the user")

    assert train().exit_code == 0
    assert emulator.billed_jobs == len(rows(State.CONSUMED))
    again = reconcile(*named, "--yes")
    assert again.exit_code == 1
    assert "rejected: only one of which no job is known can be absent" in again.stderr


def test_a_job_that_is_found_after_all_is_not_declared_absent(emulator, train, rows, reconcile):
    emulator.faults.add(
        Fault("close", route="submit", when="after", times=1),
        Fault("status", route="list", status=404, times=None),
    )
    assert train().exit_code == 2
    (row,) = rows(State.AMBIGUOUS)
    emulator.faults.clear()
    result = reconcile("--absent", str(row.id), "--yes")
    assert result.exit_code == 0, result.output
    (found,) = rows(State.SUBMITTED)
    assert (
        f"Submission {row.id} is submitted, job {found.job_id}; nothing was freed" in result.stderr
    )
