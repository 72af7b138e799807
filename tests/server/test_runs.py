"""Jobs by run: sums, filters."""

from __future__ import annotations

import pytest

from pennylane_qstore.server.runs import JobFilter, PageJob, totals_of

JOB = PageJob(
    "id-1", 1, 1, "vqe", {"vqe": 1.0}, "ann", "qpu.forte-1", None, "completed", True, 3, 100,
    4.0, 5.0, 10.0,
)  # fmt: skip
WAITS = JOB._replace(
    id="id-2", status="ready", is_over=False, cost_usd=None, submitted_at=20.0, starts_at=50.0
)


def test_sums_of_runs_are_their_shares_the_newest_first() -> None:
    shared = JOB._replace(runs={"vqe": 0.25, "qaoa": 0.75}, user=None, submitted_at=30.0)
    vqe, qaoa = totals_of([shared, WAITS, JOB, JOB._replace(runs={})])
    assert (vqe.name, vqe.jobs, vqe.circuits, vqe.open) == ("vqe", 3, 9, 1)
    assert (vqe.billed_usd, vqe.reserved_usd) == (5.0, 5.0)
    assert (vqe.submitted_at, vqe.waits_since, vqe.starts_at) == (30.0, 20.0, 50.0)
    assert vqe.as_dict()["users"] == ["ann"]
    assert (qaoa.jobs, qaoa.billed_usd, qaoa.open, qaoa.starts_at) == (1, 3.0, 0, None)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, 2), ({"run": "vqe"}, 2), ({"run": "vq"}, 0), ({"state": "completed"}, 1),
        ({"state": "open"}, 1), ({"state": "open", "user": "bob"}, 0), ({"user": "ann"}, 2),
        ({"text": "FORTE"}, 2), ({"text": "id-2"}, 1), ({"text": "aria"}, 0),
    ],
)  # fmt: skip
def test_filters_choose_jobs(wanted: dict[str, str], found: int) -> None:
    assert sum(map(JobFilter(**wanted).admits, (JOB, WAITS))) == found
