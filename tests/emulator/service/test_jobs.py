"""A stored job: its status by the time, and what it says of itself."""

from __future__ import annotations

import numpy as np
import pytest
from support.stored_jobs import make_job

from pennylane_qstore.emulator.simulation.run import Distribution
from pennylane_qstore.server.errors import BadRequest
from pennylane_qstore.server.service import Failure


def outcomes(count: int) -> list[Distribution]:
    states = np.arange(count, dtype=np.uint64)
    return [Distribution(states, np.full(count, 1 / count), None, 1, 0)]


def test_a_status_is_a_function_of_the_time() -> None:
    job = make_job()
    assert [job.status(t) for t in (0, 1, 2, 3, 99)] == ["submitted", "ready"] + ["started"] * 3
    job.results = outcomes(1)
    assert [job.status(t) for t in (0, 1, 2, 2.9, 3)] == [
        "submitted", "ready", "started", "started", "completed"
    ]  # fmt: skip
    job.failure = Failure("X", "y")
    assert [job.status(t) for t in (0, 1, 9)] == ["submitted", "failed", "failed"]
    job.canceled_at = 0.5
    assert job.status(0.5) == "canceled"


def test_a_cancelled_job_started_only_if_it_was_cancelled_later() -> None:
    job = make_job(canceled_at=1.5)
    assert (job.started_at(9.0), job.ended_at()) == (None, 1.5)
    job.canceled_at = 2.5
    assert job.started_at(9.0) == 2.0


def test_a_job_ends_with_its_schedule_or_its_simulation_whichever_is_later() -> None:
    job = make_job(results=outcomes(1), finished_at=1.0)
    assert (job.ended_at(), job.duration_s) == (3.0, 1.0)
    job.finished_at, job.simulated_s = 8.0, 5.0
    assert (job.ended_at(), job.duration_s) == (8.0, 6.0)
    assert make_job(dry_run=True).ended_at() == 1.0


def test_results_are_there_once_the_job_is_completed() -> None:
    job = make_job(results=outcomes(2))
    with pytest.raises(BadRequest) as early:
        job.distribution(None, 2.5)
    assert early.value.status == 404
    assert len(job.distribution(None, 3.0).states) == 2
    parent = make_job(child_ids=["a", "b"], results=outcomes(2))
    with pytest.raises(BadRequest):
        parent.distribution(None, 3.0)
    assert parent.distribution(0, 3.0) is (parent.results or [])[0]
