"""Questions to the ledger change nothing, and money is counted by run and its parts."""

from __future__ import annotations

import pytest
from support.ledgers import intent

from pennylane_qstore.errors import LedgerError
from pennylane_qstore.ionq.ledger.ledger import JobKey, Ledger, State, part_of


@pytest.fixture
def rows():
    """A ledger with a job of a run, one of a part of it, one of a run of nearly its name."""
    ledger = Ledger()
    names = ("run", part_of("run", "evaluation"), "run2")
    intents = [intent(JobKey(name, 0, 0), estimated_usd=2.0**i) for i, name in enumerate(names)]
    made = [row for row, _ in ledger.begin(intents)]
    yield ledger, made
    ledger.close()


def test_a_row_that_is_not_there_is_named(rows):
    ledger, _ = rows
    with pytest.raises(LedgerError, match="no submission 99"):
        ledger.get(99)


def test_a_run_counts_its_parts_and_no_run_whose_name_begins_alike(rows):
    ledger, _ = rows
    assert ledger.spent_usd("run") == 3.0
    assert ledger.spent_usd("run2") == 4.0
    assert ledger.spent_usd("ru") == 0.0
    assert ledger.spent_usd() == 7.0


def test_a_bill_takes_the_place_of_the_estimate(rows):
    ledger, made = rows
    ledger.submitted(made[0].id, "job")
    ledger.billed(made[0].id, 0.25)
    assert ledger.spent_usd("run") == 2.25


def test_jobs_that_would_be_found_again_are_counted_by_key(rows):
    ledger, made = rows
    ledger.begin([intent(JobKey("run", 0, 0), attempt=1), intent(JobKey("run", 2, 1))])
    assert (ledger.paid_jobs("run"), ledger.paid_jobs("run2"), ledger.paid_jobs("ru")) == (2, 1, 0)
    ledger.rejected(made[2].id, "no")
    ledger.failed(made[1].id, "broken")
    assert ledger.paid_jobs("run2") == ledger.paid_jobs(part_of("run", "evaluation")) == 0


def test_rows_by_state(rows):
    ledger, made = rows
    ledger.submitted(made[1].id, "job")
    assert [row.id for row in ledger.submissions([State.SUBMITTED])] == [made[1].id]
    assert [row.id for row in ledger.submissions([State.INTENT])] == [made[0].id, made[2].id]
    assert ledger.submissions([]) == []
    assert [row.id for row in ledger.submissions()] == [row.id for row in made]


def test_events_of_one_row_or_of_all(rows):
    ledger, made = rows
    ledger.note(made[2].id, "looked", "at it")
    assert [event.event for event in ledger.events(made[2].id)] == ["intent", "looked"]
    assert len(ledger.events()) == 4
