"""Jobs by id, by the id of a child, and by age."""

from __future__ import annotations

import pytest
from support.stored_jobs import make_job

from pennylane_qstore.emulator.service.jobs import StoredJob
from pennylane_qstore.server.errors import BadRequest
from pennylane_qstore.server.job_index import JobIndex


def test_jobs_are_found_by_id_by_child_and_by_age() -> None:
    index: JobIndex[StoredJob] = JobIndex()
    jobs = [make_job(sequence=k, id=f"j{k}", child_ids=[f"j{k}a", f"j{k}b"]) for k in range(4)]
    for job in jobs:
        index.insert(job)
    assert index.find("j2") == (jobs[2], None)
    assert index.find("j2b") == (jobs[2], 1)
    assert list(index.newest_first(before=2)) == [jobs[1], jobs[0]]
    index.discard(jobs[1])
    assert list(index.newest_first()) == [jobs[3], jobs[2], jobs[0]]
    assert index.known(["j1", "j1a", "j0a", "j3"]) == {"j0a": jobs[0], "j3": jobs[3]}
    with pytest.raises(BadRequest):
        index.find("j1a")
    assert (len(index), index.next_sequence) == (3, 4)


def test_every_change_has_a_version_of_its_own() -> None:
    index: JobIndex[StoredJob] = JobIndex()
    job = make_job()
    index.insert(job)
    before = job.version
    index.touch(job)
    assert job.version > before
