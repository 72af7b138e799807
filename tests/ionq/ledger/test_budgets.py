"""Accounts in one ledger: what counts, what is refused, what an old ledger brings along."""

from __future__ import annotations

import os
import sqlite3

import pytest
from support.ledgers import intent

from pennylane_qstore.errors import BudgetExceeded, ConfigurationError, LedgerError
from pennylane_qstore.ionq.ledger import database
from pennylane_qstore.ionq.ledger.budgets import budget_error
from pennylane_qstore.ionq.ledger.ledger import Account, JobKey, Ledger

DEVICE, RUN = Account(("device",), 25.0), Account(("run",), 15.0)


@pytest.fixture
def ledger():
    made = Ledger()
    yield made
    made.close()


def begin(ledger, *accounts, usd=10.0, key=None):
    ((row, _),) = ledger.begin([intent(key, estimated_usd=usd, accounts=accounts)])
    return row.id


def test_what_does_not_fit_leaves_no_row_and_no_charge(ledger):
    begin(ledger, DEVICE)
    two = [intent(estimated_usd=10.0, accounts=(DEVICE,)) for _ in range(2)]
    with pytest.raises(BudgetExceeded, match=r"\$20.00, and \$15.00 .* \$25.00") as refused:
        ledger.begin(two)
    assert refused.value.details == {"estimate_usd": 20.0, "left_usd": 15.0}
    assert len(ledger.submissions()) == 1
    assert ledger.account_usd(DEVICE.names) == 10.0


def test_bills_replace_reservations_and_refusals_give_them_back(ledger):
    first, second = begin(ledger, DEVICE), begin(ledger, DEVICE)
    with pytest.raises(BudgetExceeded):
        begin(ledger, DEVICE)
    ledger.submitted(first, "job-1")
    ledger.billed(first, 2.5)
    assert ledger.account_usd(DEVICE.names) == 12.5
    ledger.rejected(second, "no")
    assert ledger.account_usd(DEVICE.names) == 2.5


def test_of_several_budgets_all_apply(ledger):
    begin(ledger, DEVICE, RUN)
    with pytest.raises(BudgetExceeded, match=r"\$15.00"):
        begin(ledger, DEVICE, RUN)
    begin(ledger, DEVICE)
    both = Account(("device", "run"))
    assert ledger.account_usd(both.names) == 20.0, "a row of two accounts counts once"


def test_a_row_that_is_there_is_not_charged_again(ledger):
    key = JobKey("r", 0, 0)
    assert begin(ledger, RUN, key=key) == begin(ledger, RUN, key=key)
    assert ledger.account_usd(RUN.names) == 10.0


def test_what_costs_nothing_is_not_looked_at(ledger):
    begin(ledger, Account(("device",), 0.0), usd=0.0)
    assert ledger.account_usd(["device"]) == 0.0


def test_a_duplicate_counts_until_its_bill_is_known(ledger):
    row = begin(ledger, DEVICE)
    ledger.submitted(row, "job-1")
    ledger.duplicate(row, "job-2")
    assert ledger.account_usd(DEVICE.names) == 20.0
    ledger.billed(ledger.find("job-2").id, 0.0)
    assert ledger.account_usd(DEVICE.names) == ledger.spent_usd() == 10.0


def test_a_ledger_that_does_not_know_an_account_takes_its_spending_over_once(ledger):
    for spent_usd in (20.0, 30.0):
        ledger.open_account("device", spent_usd)
    assert ledger.account_usd(DEVICE.names) == 20.0
    with pytest.raises(BudgetExceeded):
        begin(ledger, DEVICE)
    begin(ledger, RUN)
    ledger.open_account("run", 5.0)
    assert ledger.account_usd(RUN.names) == 10.0
    with pytest.raises(ConfigurationError, match="spent_usd"):
        ledger.open_account("other", -1.0)


def test_ledgers_of_one_account_are_added_up():
    first, second = Ledger(), Ledger()
    names = ("run",)
    begin(first, Account(names, 15.0, (second,)))
    with pytest.raises(BudgetExceeded, match=r"\$5.00"):
        begin(second, Account(names, 15.0, (first,)))


def test_a_budget_of_the_ledger_is_kept_in_its_file(tmp_path):
    Ledger(tmp_path / "l", budget_usd=15.0).close()
    ledger = Ledger(tmp_path / "l")
    assert ledger.budget_usd == 15.0
    begin(ledger)
    with pytest.raises(BudgetExceeded):
        begin(ledger)
    with pytest.raises(ConfigurationError, match="no price"):
        begin(ledger, usd=None)
    ledger.close()


def test_a_budget_of_another_process_needs_a_file(ledger):
    with pytest.raises(ConfigurationError, match="ledger in a file"):
        begin(ledger, Account(("device",), 25.0, process=os.getpid() + 1))


def test_a_ledger_in_memory_forgets_no_money(ledger):
    for number in range(1100):
        row = begin(ledger, Account(("device",)), usd=1.0 if number < 3 else 0.0)
        ledger.done(row, b"[]")
        ledger.consumed([row])
    assert ledger.account_usd(["device"]) == ledger.spent_usd() == 3.0


def test_an_old_ledger_is_charged_to_its_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "_MIGRATIONS", database._MIGRATIONS[:1])
    db = database.open_database(tmp_path / "l", "WAL")
    names = ["mine", "mine#eval", "run-0a1b2c3d", "run-0a1b2c3d.1", "run-0a1b2c3d.1#x", "mine.1"]
    for step, run in enumerate(names):
        db.execute(
            "INSERT INTO submissions (state, service, backend, shots, circuits, qubits, "
            "payload_sha256, run, step, chunk, attempt, estimated_usd, created_at, updated_at) "
            "VALUES ('done', 's', 'qpu.forte-1', 1, 1, 1, 'a', ?, ?, 0, 0, 1.0, 0, 0)",
            (run, step),
        )
    db.close()
    monkeypatch.undo()
    ledger = Ledger(tmp_path / "l")
    spent = {run: ledger.account_usd([f"run:{run}"]) for run in ("mine", "run-0a1b2c3d", "mine.1")}
    assert spent == {"mine": 2.0, "run-0a1b2c3d": 3.0, "mine.1": 1.0}
    ledger.close()
    with sqlite3.connect(tmp_path / "l") as db:
        assert db.execute("PRAGMA user_version").fetchone() == (3,)
    db.close()


def test_the_error_tells_what_is_left():
    assert "$4.00 of the budget of $9.00 is left" in str(budget_error(1, 5.0, 4.0, 9.0))


@pytest.mark.parametrize("usd", ["a lot", b"10", -5.0, float("inf"), 1e300])
@pytest.mark.parametrize("column", ["estimated_usd", "billed_usd"])
def test_money_that_is_damaged_does_not_widen_a_budget(ledger, column, usd):
    begin(ledger, DEVICE)
    with ledger.changing("damage") as db:
        db.execute(f"UPDATE submissions SET {column} = ?", (usd,))
    for ask in (ledger.spent_usd, lambda: begin(ledger, DEVICE)):
        with pytest.raises(LedgerError, match="Submission 1 in the ledger is damaged"):
            ask()
    ledger.rejected(1, "no")
    assert ledger.account_usd(DEVICE.names) == 0.0


@pytest.mark.parametrize("column", ["opening_usd", "budget_usd"])
def test_an_account_that_is_damaged_is_told(column):
    ledger = Ledger(budget_usd=20.0)
    ledger.open_account("device", 5.0)
    with ledger.changing("damage") as db:
        db.execute(f"UPDATE accounts SET {column} = -1.0")
    with pytest.raises(LedgerError, match=f"{column} is damaged"):
        begin(ledger, DEVICE)
    ledger.close()
