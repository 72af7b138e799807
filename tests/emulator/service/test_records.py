"""Jobs, sessions and the bill: ids, what is forgotten, and what the file takes up again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.stored_jobs import make_job, make_records

from pennylane_qstore.emulator.service.sessions import ServiceSession
from pennylane_qstore.emulator.service.state import StateFile
from pennylane_qstore.emulator.simulation.run import Distribution
from pennylane_qstore.server.errors import BadRequest


def test_what_was_recorded_is_taken_up_from_the_file(tmp_path: Path) -> None:
    records = make_records()
    assert records.open(StateFile(tmp_path / "jobs.db"), 0.0) == []
    records.save_session(ServiceSession("s", "qpu.forte-1", 0.0))
    jobs = []
    for k in range(3):
        jobs.append(make_job(records, billed_usd=10.0, session_id="s" if k else None))
        records.add(jobs[-1], 5.0)
    records.refund(jobs[1])
    records.save(jobs[1])
    records.remove(jobs[0])
    records.close()

    again = make_records()
    restored = again.open(StateFile(tmp_path / "jobs.db"), 0.0)
    assert [job.id for job in restored] == [jobs[1].id, jobs[2].id]
    assert [job.billed_usd for job in restored] == [0.0, 10.0]
    assert (again.bill.usd, again.bill.jobs) == (20.0, 3)
    session = again.session("s")
    assert (session.jobs, session.spent_usd) == ([jobs[1].id, jobs[2].id], 10.0)
    again.close()


def test_dry_runs_are_not_on_the_bill() -> None:
    records = make_records()
    records.add(make_job(records, dry_run=True), 0.0)
    assert (records.bill.usd, records.bill.jobs) == (0.0, 0)


def test_what_is_not_there_is_404() -> None:
    records = make_records()
    for look_up in (records.find, records.session):
        with pytest.raises(BadRequest) as missing:
            look_up("nonsense")
        assert missing.value.status == 404
    assert records.known(["nonsense"]) == {}


def outcomes(count: int) -> list[Distribution]:
    states = np.arange(count, dtype=np.uint64)
    return [Distribution(states, np.full(count, 1 / count), None, 1, 0)]


def test_what_was_sent_is_forgotten_before_the_results() -> None:
    records = make_records(keep_requests=2)
    jobs = [make_job(records)]
    for _ in range(3):
        records.add(jobs[-1], 0.0)
        jobs.append(make_job(records))
    assert [job.request is None for job in jobs[:3]] == [True, False, False]
    assert len(records) == 3


def test_too_many_outcomes_push_the_oldest_jobs_out() -> None:
    records = make_records(keep_outcomes=100)
    for _ in range(5):
        job = make_job(records, results=outcomes(40))
        records.add(job, 99.0)
    assert [job.id for job in records.all()] == ["job 3", "job 4"]
    assert records.known(["job 0"]) == {}


def test_unfinished_jobs_are_never_pushed_out() -> None:
    records = make_records(keep=2, keep_outcomes=1)
    for _ in range(4):
        records.add(make_job(records), 0.0)
    assert len(records) == 4
