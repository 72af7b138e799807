"""Second jobs of a row: what is reserved before a POST is sent again, and what frees it."""

from __future__ import annotations

import pytest
from support.ledgers import intent

from pennylane_qstore.errors import BudgetExceeded
from pennylane_qstore.ionq.ledger.ledger import Account, Ledger, State

DEVICE = Account(("device",), 25.0)


class Time:
    t = 1_790_000_000.0


@pytest.fixture
def ledger():
    made = Ledger(now=lambda: Time.t)
    yield made
    made.close()


@pytest.fixture
def row(ledger):
    ((row, _),) = ledger.begin([intent(estimated_usd=10.0, accounts=(DEVICE,))])
    ledger.ambiguous(row.id, "lost")
    return row.id


def usd(ledger):
    return ledger.account_usd(DEVICE.names)


def test_every_post_of_a_row_has_a_reservation_of_its_own(ledger, row):
    ledger.expect_duplicate(row, [DEVICE])
    assert usd(ledger) == ledger.spent_usd() == 20.0
    assert ledger.expected_duplicates(row) == 1
    assert [r.id for r in ledger.with_expected_duplicates()] == [row]


def test_a_budget_that_does_not_hold_both_refuses_the_second(ledger, row):
    ledger.expect_duplicate(row, [DEVICE])
    with pytest.raises(BudgetExceeded, match=r"\$5.00"):
        ledger.expect_duplicate(row, [DEVICE])
    assert usd(ledger) == 20.0


def test_the_budget_of_the_ledger_holds_too(row, ledger):
    with ledger.changing("budget") as db:
        db.execute("INSERT INTO accounts (name, budget_usd) VALUES ('', 15)")
    with pytest.raises(BudgetExceeded, match=r"\$15.00"):
        ledger.expect_duplicate(row, [])


def test_a_second_job_that_is_found_takes_the_reservation(ledger, row):
    ledger.submitted(row, "job-1")
    ledger.expect_duplicate(row, [DEVICE])
    ledger.duplicate(row, "job-2")
    assert usd(ledger) == 20.0
    assert ledger.expected_duplicates(row) == 0
    ledger.billed(ledger.find("job-2").id, 0.0)
    assert usd(ledger) == 10.0


def test_a_look_that_finds_none_frees_what_has_waited_long_enough(ledger, row):
    ledger.expect_duplicate(row, [DEVICE])
    ledger.no_duplicate(row, 75.0)
    assert usd(ledger) == 20.0
    Time.t += 80.0
    ledger.no_duplicate(row, 75.0)
    assert usd(ledger) == 10.0
    assert ledger.with_expected_duplicates() == []
    assert [r.state for r in ledger.submissions()] == [State.AMBIGUOUS, State.REJECTED]


def test_a_refused_post_frees_its_own_reservation_only(ledger, row):
    account = Account(DEVICE.names)
    ledger.expect_duplicate(row, [account])
    ledger.expect_duplicate(row, [account])
    ledger.not_sent_again(row)
    assert usd(ledger) == 20.0


def test_what_costs_nothing_is_not_reserved_for(ledger):
    ((row, _),) = ledger.begin([intent(estimated_usd=0.0)])
    ledger.expect_duplicate(row.id, [DEVICE])
    assert len(ledger.submissions()) == 1
