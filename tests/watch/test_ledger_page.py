"""A ledger as the page shows it: rows, runs, money, events, cancelling."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.ledgers import intent
from support.paid_jobs import killed

from pennylane_qstore.emulator import Emulator
from pennylane_qstore.ionq.jobs.packing import pack
from pennylane_qstore.ionq.ledger.ledger import JobKey, Ledger
from pennylane_qstore.ionq.ledger.rows import Share
from pennylane_qstore.ionq.messages.histograms import Histogram
from pennylane_qstore.server.errors import BadRequest
from pennylane_qstore.server.runs import PageJob, totals_of
from pennylane_qstore.watch.ledger_page import LedgerPage

RUN = "mine-0123abcd"
ONE = Histogram(np.array([1, 2], dtype=np.uint64), np.array([0.25, 0.75]))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    yield ledger
    ledger.close()


def shown(page: LedgerPage) -> list[PageJob]:
    page._read_at = float("-inf")
    asyncio.run(page.summary())
    return list(page.newest_first())


def stats_of(page: LedgerPage) -> dict[str, Any]:
    return asyncio.run(page.summary())["stats"]


def begin(ledger: Ledger, step: int = 0, run: str = RUN, **more: Any) -> int:
    more = {"key": JobKey(run, step, 0), "estimated_usd": 5.0, **more}
    [(row, _)] = ledger.begin([intent(**more)])
    return row.id


def test_rows_are_shown_as_they_change(ledger: Ledger) -> None:
    page = LedgerPage(ledger)
    assert shown(page) == []
    row = begin(ledger)
    begin(ledger, 1, run=f"{RUN}.1#evaluation")
    second, first = shown(page)
    assert (first.id, first.name, first.status) == (f"submission-{row}", f"{RUN} 1", "intent")
    assert list(second.runs) == [RUN]  # a part, on its second device
    assert stats_of(page) | {"circuits": 0} == {
        "jobs": 2, "open": 2, "circuits": 0, "billed_usd": 0.0, "reserved_usd": 10.0,
    }  # fmt: skip
    ledger.submitted(row, "job-1")
    ledger.done(row, pack([ONE]))
    ledger.billed(row, 4.0)
    (first,) = [job for job in shown(page) if job.id == "job-1"]
    assert (first.status, first.is_over, first.cost_usd) == ("done", True, 4.0)
    assert (stats_of(page)["billed_usd"], stats_of(page)["reserved_usd"]) == (4.0, 5.0)
    assert len(shown(page)) == 2
    found = asyncio.run(page.detail("job-1", 0))
    assert found["probabilities"] == {"2": 0.75, "1": 0.25}
    assert [event for _, event, _ in found["events"]] == ["intent", "submitted", "done", "billed"]
    for job_id, k in (("job-1", 99), (f"submission-{row}", 0)):
        with pytest.raises(BadRequest):
            asyncio.run(page.detail(job_id, k))


def test_runs_that_share_a_job_have_their_parts_of_its_bill(ledger: Ledger) -> None:
    shares = (
        Share(JobKey("a-0123abcd", 0, 0), "x", 0, 1, 0.25),
        Share(JobKey("b-0123abcd", 0, 0), "y", 1, 4, 0.75),
    )
    row = begin(ledger, run="shared-1", shares=shares)
    ledger.submitted(row, "job-1")
    ledger.billed(row, 4.0)
    page = LedgerPage(ledger)
    (job,) = shown(page)
    assert job.name == "a-0123abcd, b-0123abcd"
    assert dict(job.runs) == {"a-0123abcd": 0.25, "b-0123abcd": 0.75}
    assert [(run.name, run.billed_usd) for run in totals_of([job])] == [
        ("a-0123abcd", 1.0), ("b-0123abcd", 3.0),
    ]  # fmt: skip


def test_a_budget_and_refused_jobs(ledger: Ledger) -> None:
    Ledger(ledger.path, budget_usd=20.0).close()
    ledger.rejected(begin(ledger), "no")
    begin(ledger, 1)
    page = LedgerPage(ledger)
    waits, refused = shown(page)
    assert (refused.status, refused.cost_usd, waits.cost_usd) == ("rejected", 0.0, None)
    assert stats_of(page)["left_usd"] == 15.0


def test_cancelling_is_the_clients(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Emulator(profile={"queue_s": 3600.0, "execution_s": 5.0}) as emulator:
        job_id = killed(emulator, tmp_path / "ledger.sqlite3", run="mine")
        page = LedgerPage(ledger)
        (job,) = shown(page)
        assert (job.id, job.name, job.is_over) == (job_id, "mine 1", False)
        for name in ("IONQ_API_KEY", "PENNYLANE_IONQ_API_KEY"):
            monkeypatch.delenv(name, raising=False)
        with pytest.raises(BadRequest, match="IONQ_API_KEY"):
            asyncio.run(page.cancel([job_id]))
        monkeypatch.setenv("IONQ_API_KEY", "k")
        assert asyncio.run(page.cancel([job_id])) == {job_id: "canceled"}
        assert [job.status for job in shown(page)] == ["canceled"]
        assert emulator.jobs[0].canceled_at is not None


def test_what_has_no_job_is_not_cancelled(ledger: Ledger) -> None:
    page = LedgerPage(ledger)
    row = begin(ledger)
    with pytest.raises(BadRequest, match="No job is known"):
        asyncio.run(page.cancel([f"submission-{row}"]))
