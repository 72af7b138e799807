"""A service's jobs as the page shows them."""

from __future__ import annotations

import asyncio

import pytest
from support.stub_service import StubJob, StubService

from pennylane_qstore.server.access import RequestLog
from pennylane_qstore.server.errors import BadRequest
from pennylane_qstore.server.page import ServicePage


def test_jobs_have_the_name_of_their_run_and_what_they_cost() -> None:
    service = StubService()
    service.jobs = {
        "a": StubJob(id="a", name="vqe " + "0a" * 16),
        "b": StubJob(id="b", state="ready"),
    }
    page = ServicePage(service, RequestLog())
    waits, done = page.newest_first()
    assert (done.name, dict(done.runs), done.cost_usd, done.is_over) == (
        "vqe", {"vqe": 1.0}, 4.0, True,
    )  # fmt: skip
    assert (waits.name, dict(waits.runs), waits.cost_usd, waits.starts_at) == ("", {}, None, 2.0)
    assert waits.expected_usd == 5.0
    assert asyncio.run(page.summary())["stats"]["jobs"] == 2
    assert asyncio.run(page.cancel(["b", "gone"])) == {"b": "canceled"}


def test_there_is_no_detail_of_what_is_not_there() -> None:
    service = StubService()
    service.jobs = {"a": StubJob(id="a")}
    page = ServicePage(service, RequestLog())
    found = asyncio.run(page.detail("a", 0))
    assert (found["gates"], found["circuit"]) == ([3, 1], None)
    assert found["probabilities"] == {"0": 0.5, "3": 0.5}
    for job_id, k in (("a", 1), ("b", 0)):
        with pytest.raises(BadRequest):
            asyncio.run(page.detail(job_id, k))
