"""Answers of a service about jobs are read, or refused."""

from __future__ import annotations

import orjson
import pytest

from pennylane_qstore.errors import InvalidResponse
from pennylane_qstore.ionq.messages.responses import (
    ascending_uuid7,
    check_id,
    parse_created,
    parse_job,
    parse_jobs,
)

JOB = {
    "id": "0198097d-3888-72ad-a9dd-9ace842cf181",
    "status": "completed",
    "name": "x",
    "backend": "simulator",
    "metadata": {"qstore_token": "abc"},
    "parent_job_id": None,
    "child_job_ids": ["06a2099c-f845-7208-8000-000000000001"],
    "submitted_at": "2026-09-09T12:00:00.000Z",
    "started_at": "2026-09-09T12:00:01.000Z",
    "completed_at": "2026-09-09T12:00:01.200Z",
    "predicted_wait_time_ms": 1500,
    "failure": None,
    "results": {
        "probabilities": {"url": "/v0.4/jobs/x/results/probabilities"},
        "ionq.result.probabilities.json.v1": {"id": "probabilities"},
    },
}


def test_a_job_state_is_read():
    job = parse_job(orjson.dumps(JOB))
    assert job.is_terminal
    assert job.token == "abc"
    assert job.completed_at - job.submitted_at == pytest.approx(1.2)
    assert job.predicted_wait_ms == 1500
    assert (job.artifact_id, job.results_url) == (
        "probabilities",
        "/v0.4/jobs/x/results/probabilities",
    )


def test_what_is_only_a_hint_does_not_break_a_job_state():
    odd = {"predicted_wait_time_ms": -1, "submitted_at": "yesterday", "metadata": 7, "results": 3}
    job = parse_job({**JOB, **odd})
    assert (job.predicted_wait_ms, job.submitted_at, job.token) == (None, None, None)


def test_failure_is_read_in_both_spellings():
    new = parse_job({**JOB, "failure": {"code": "InternalError", "message": "m"}})
    old = parse_job({**JOB, "failure": {"code": "InternalError", "error": "m"}})
    assert (new.failure_code, new.failure_message) == ("InternalError", "m")
    assert old.failure_message == "m"


def test_states_of_v03_mean_the_same():
    assert parse_job({**JOB, "status": "running"}).status == "started"


@pytest.mark.parametrize("bad", ["..", "a/b", "", "a" * 129, None, 7, "x?y", "x%2e", "é"])
def test_ids_that_could_lead_elsewhere_are_refused(bad):
    with pytest.raises(InvalidResponse):
        check_id(bad)
    with pytest.raises(InvalidResponse):
        parse_job({**JOB, "id": bad})
    with pytest.raises(InvalidResponse):
        parse_created(orjson.dumps({"id": bad}))


def test_only_ascending_uuid7_prove_an_order():
    a, b = "06a2099c-f845-7208-8000-000000000001", "06a2099c-f845-7208-8000-000000000002"
    assert ascending_uuid7([a, b])
    assert not ascending_uuid7([b, a])
    assert not ascending_uuid7([a, a])
    assert not ascending_uuid7([a, b.replace("-7", "-4")])


@pytest.mark.parametrize(
    "page",
    [[], {}, {"jobs": None}, {"jobs": [1], "next": None}, {"jobs": [], "next": 5},
     {"jobs": [], "next": ""}],
)  # fmt: skip
def test_pages_that_are_none_are_refused(page):
    with pytest.raises(InvalidResponse):
        parse_jobs(orjson.dumps(page))
