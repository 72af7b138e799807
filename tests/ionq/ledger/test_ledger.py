"""The ledger's contract: states, keys, money, an audit trail that only grows."""

from __future__ import annotations

import pickle

import pytest
from support.ledgers import intent

from pennylane_qstore.errors import LedgerError
from pennylane_qstore.ionq.ledger.ledger import JobKey, Ledger, State, part_of


def test_the_life_of_a_submission(ledger):
    ((row, fresh),) = ledger.begin([intent(estimated_usd=2.0)])
    assert fresh
    assert row == ledger.get(row.id)
    assert row.state is State.INTENT
    assert len(row.token) == 32
    ledger.submitted(row.id, "job-1")
    ledger.done(row.id, b"[]")
    ledger.billed(row.id, 1.5)
    ledger.consumed([row.id])
    row = ledger.get(row.id)
    assert (row.state, row.job_id, row.results, row.billed_usd) == (
        State.CONSUMED,
        "job-1",
        b"[]",
        1.5,
    )
    assert row.owner is None
    assert [event.event for event in ledger.events(row.id)] == [
        "intent",
        "submitted",
        "done",
        "billed",
        "consumed",
    ]
    assert ledger.find("job-1") == row
    assert ledger.find("job-2") is None


def test_many_intents_are_one_transaction_with_tokens_of_their_own(ledger):
    rows = [row for row, _ in ledger.begin([intent() for _ in range(20)])]
    assert len({row.token for row in rows}) == 20
    assert ledger.submissions() == rows


def test_a_key_is_found_again_and_keeps_its_payload(ledger):
    key = JobKey("run", 1, 0)
    ((row, _),) = ledger.begin([intent(key)])
    ((again, fresh),) = ledger.begin([intent(key)])
    assert (again, fresh) == (row, False)
    with pytest.raises(LedgerError, match="another payload"):
        ledger.begin([intent(key, sha="b" * 64)])
    ((_, fresh),) = ledger.begin([intent(key, attempt=1, part=(2, 0))])
    assert fresh
    assert [r.part for r in ledger.history(key)] == [None, (2, 0)]
    assert ledger.history(JobKey("run", 2, 0)) == []


def test_a_refused_batch_of_intents_leaves_nothing_behind(ledger):
    key = JobKey("run", 1, 0)
    ledger.begin([intent(key)])
    with pytest.raises(LedgerError):
        ledger.begin([intent(), intent(key, sha="b" * 64)])
    assert len(ledger.submissions()) == 1
    assert len(ledger.events()) == 1


def test_states_can_be_selected(ledger):
    rows = [row for row, _ in ledger.begin([intent() for _ in range(4)])]
    ledger.rejected(rows[0].id, "400")
    ledger.ambiguous(rows[1].id, "cut")
    ledger.canceled(rows[2].id, "by hand")
    found = ledger.submissions([State.REJECTED, State.CANCELED])
    assert [row.id for row in found] == [rows[0].id, rows[2].id]
    assert ledger.get(rows[1].id).failure == "cut"


def test_consumed_takes_only_what_is_done(ledger):
    ((row, _),) = ledger.begin([intent()])
    ledger.failed(row.id, "InternalError: x", b"[null]")
    ledger.consumed([row.id])
    assert ledger.get(row.id).state is State.FAILED


def test_a_duplicate_is_recorded_once(ledger):
    ((row, _),) = ledger.begin([intent()])
    ledger.submitted(row.id, "job-1")
    ledger.duplicate(row.id, "job-2")
    ledger.duplicate(row.id, "job-2")
    (copy,) = ledger.submissions([State.DUPLICATE])
    assert (copy.job_id, copy.token) == ("job-2", None)


def test_what_was_spent_is_the_bill_or_else_the_estimate(ledger):
    keyed = intent(JobKey("a", 0, 0), estimated_usd=1.0)
    rows = [row for row, _ in ledger.begin([keyed, intent(estimated_usd=2.0), intent()])]
    ledger.billed(rows[0].id, 1.25)
    assert ledger.spent_usd() == 3.25
    assert ledger.spent_usd("a") == 1.25
    ledger.rejected(rows[1].id, "no")
    assert ledger.spent_usd() == 1.25


def test_parts_of_a_run_are_its_spending_and_other_runs_are_not(ledger):
    names = ("a", part_of("a", "evaluation"), "ab", "a.1", part_of("ab", "x"))
    ledger.begin([intent(JobKey(n, 0, 0), estimated_usd=10.0**i) for i, n in enumerate(names)])
    assert ledger.spent_usd("a") == 11.0
    assert ledger.spent_usd("ab") == 10_100.0
    assert part_of("a", "") == "a"


def test_what_is_written_is_there_for_the_next_process(path):
    ledger = Ledger(path)
    ((row, _),) = ledger.begin([intent(JobKey("run", 0, 0), aggregation="voting")])
    ledger.close()
    again = Ledger(path)
    assert again.history(JobKey("run", 0, 0)) == [row]
    again.close()


def test_a_ledger_travels_as_its_path(path):
    ledger = Ledger(path)
    ledger.begin([intent()])
    copy = pickle.loads(pickle.dumps(ledger))
    assert len(copy.submissions()) == 1
    ledger.close()
    copy.close()


def test_a_ledger_in_memory_forgets_what_nobody_will_ask_for():
    ledger = Ledger()
    for number in range(1200):
        key = JobKey("run", number, 0) if number % 100 == 0 else None
        ((row, _),) = ledger.begin([intent(key)])
        ledger.done(row.id, b"[]")
        ledger.consumed([row.id])
    assert 1000 <= len(ledger.submissions()) <= 1012
    assert len(ledger.history(JobKey("run", 0, 0))) == 1
    assert len(ledger.events()) <= 3 * 1012
    steps = []
    ledger.database.set_progress_handler(lambda: steps.append(1), 10)  # instructions of SQLite
    ledger.consumed([row.id])
    assert len(steps) < 100  # by an index: 1,000 rows would be looked at in thousands
    ledger.close()
