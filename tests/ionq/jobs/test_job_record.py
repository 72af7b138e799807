"""Money of a request's jobs: unknown until a bill is known, then their sum."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pennylane_qstore.ionq.jobs.job_record import JobRecord


def test_without_a_bill_the_cost_is_not_known():
    record = JobRecord()
    record.add_cost(None)
    assert record.cost_usd is None


@given(st.lists(st.one_of(st.none(), st.integers(0, 1000))))
def test_bills_are_added_up(bills):
    record = JobRecord()
    for bill in bills:
        record.add_cost(bill)
    known = [bill for bill in bills if bill is not None]
    assert record.cost_usd == (sum(known) if known else None)


def test_each_record_counts_for_itself():
    one, other = JobRecord(), JobRecord()
    one.job_ids.append("a")
    one.traffic.requests += 1
    assert other.job_ids == []
    assert other.traffic.requests == 0
