"""The lease of a row: one sender at a time, others wait, nothing is sent by who lost it."""

from __future__ import annotations

import asyncio

import pytest
from support.ledgers import intent

from pennylane_qstore.errors import LedgerError
from pennylane_qstore.ionq.jobs.row_lease import RowLease
from pennylane_qstore.ionq.ledger.ledger import Ledger, State


@pytest.fixture
def ledger(fake_clock):
    return Ledger(now=fake_clock.clock().now)


def test_whoever_wants_a_row_waits_for_its_holder(ledger, fake_clock):
    ((row, _),) = ledger.begin([intent(lease_s=60)])

    async def scenario():
        other = asyncio.create_task(RowLease(ledger, row.id).wait(10, fake_clock.clock()))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not other.done()
        ledger.submitted(row.id, "job-1")
        await RowLease(ledger, row.id, row.owner).release()
        return await other

    seen = asyncio.run(scenario())
    # Looked at after the lease was taken: it is as its former holder left it.
    assert (seen.state, seen.job_id) == (State.SUBMITTED, "job-1")


def test_a_row_is_still_held_within_its_lease(ledger):
    ((row, _),) = ledger.begin([intent(lease_s=60)])
    assert asyncio.run(RowLease(ledger, row.id, row.owner).is_still_held(10))


def test_a_row_that_another_took_is_not_held_any_more(ledger, fake_clock):
    ((row, _),) = ledger.begin([intent(lease_s=60)])
    fake_clock.ahead += 61
    assert asyncio.run(RowLease(ledger, row.id).claim(60))
    assert not asyncio.run(RowLease(ledger, row.id, row.owner).is_still_held(10))


def test_a_row_that_has_its_job_is_given_back(ledger):
    ((row, _),) = ledger.begin([intent(lease_s=60)])
    ledger.submitted(row.id, "job-1")  # which gives the lease back
    assert not asyncio.run(RowLease(ledger, row.id, row.owner).is_still_held(10))
    assert ledger.get(row.id).owner is None


def test_a_lease_that_cannot_be_given_back_runs_out_by_itself(ledger, caplog):
    ((row, _),) = ledger.begin([intent(lease_s=60)])

    def fail(moment):
        raise LedgerError("The disk is full.")

    ledger.observer = fail
    asyncio.run(RowLease(ledger, row.id, row.owner).release())
    assert "is not given back: The disk is full." in caplog.text
