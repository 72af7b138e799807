"""Jobs, sessions and the bill are written through to the file, and taken up again."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.stored_jobs import make_job

from pennylane_qstore.emulator.service.billing import Bill
from pennylane_qstore.emulator.service.job_store import JobStore
from pennylane_qstore.emulator.service.records import Records
from pennylane_qstore.emulator.service.sessions import ServiceSession
from pennylane_qstore.emulator.service.state import StateFile
from pennylane_qstore.server.errors import BadRequest


def make_records() -> Records:
    return Records(JobStore(), Bill({}, None))


def test_what_was_recorded_is_taken_up_from_the_file(tmp_path: Path) -> None:
    records = make_records()
    assert records.open(StateFile(tmp_path / "jobs.db"), 0.0) == []
    records.save_session(ServiceSession("s", "qpu.forte-1", 0.0))
    jobs = []
    for k in range(3):
        jobs.append(make_job(records.jobs, billed_usd=10.0, session_id="s" if k else None))
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
    records.add(make_job(records.jobs, dry_run=True), 0.0)
    assert (records.bill.usd, records.bill.jobs) == (0.0, 0)


def test_what_is_not_there_is_404() -> None:
    records = make_records()
    for look_up in (records.find, records.session):
        with pytest.raises(BadRequest) as missing:
            look_up("nonsense")
        assert missing.value.status == 404
    assert records.known(["nonsense"]) == {}
