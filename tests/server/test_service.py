"""The server in front of a service that is no emulator."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from support.stub_service import StubService

from pennylane_qstore.server.access import Access, RequestLog
from pennylane_qstore.server.server import make_app

KEY = {"Authorization": "apiKey key"}


class Front:
    """Requests, one after another, to the server of a stub."""

    def __init__(self) -> None:
        self.service, self.log = StubService(), RequestLog()

    def __call__(self, *requests: tuple[str, str, Any]) -> list[tuple[int, Any]]:
        return asyncio.run(self._ask(requests))

    async def _ask(self, requests: Any) -> list[tuple[int, Any]]:
        app = make_app(self.service, Access("key"), self.log)
        async with TestClient(TestServer(app)) as client:
            answers = []
            for method, path, body in requests:
                async with client.request(method, path, json=body, headers=KEY) as response:
                    answers.append((response.status, await response.json()))
            return answers


@pytest.fixture
def front() -> Front:
    return Front()


def test_jobs_are_submitted_shown_cloned_and_deleted(front: Front) -> None:
    answers = front(
        ("POST", "/v0.4/jobs", {"name": "first"}),
        ("GET", "/v0.4/jobs/job-0", None),
        ("POST", "/v0.4/jobs/job-0/clone", {"name": "second"}),
        ("POST", "/v0.4/jobs/job-0/move", {"name": "third"}),
        ("DELETE", "/v0.4/jobs/job-0", None),
        ("GET", "/v0.4/jobs/job-0", None),
    )
    assert [status for status, _ in answers] == [201, 200, 201, 201, 200, 404]
    assert answers[0][1] == {"id": "job-0", "status": "submitted", "session_id": None}
    assert (answers[1][1]["name"], answers[1][1]["output"]) == ("first", {"child": None})
    assert front.service.refreshed[0] == "job-0"
    assert front.service.jobs["job-0-clone"].name == "third"


def test_lists_are_paged_and_filtered_by_the_server(front: Front) -> None:
    for k in range(5):
        asyncio.run(front.service.submit(b"{}"))
        front.service.jobs[f"job-{k}"].state = "failed" if k == 3 else "completed"
    first, failed, cancelled = front(
        ("GET", "/v0.4/jobs", None),
        ("GET", "/v0.4/jobs?status=failed", None),
        ("PUT", "/v0.4/jobs/status/cancel", {"ids": ["job-1", "nonsense"]}),
    )
    assert [job["id"] for job in first[1]["jobs"]] == ["job-4", "job-3"]
    assert [job["id"] for job in failed[1]["jobs"]] == ["job-3"]
    assert cancelled[1] == {"ids": ["job-1"], "status": "canceled"}
    ((_, second),) = front(("GET", f"/v0.4/jobs?next={first[1]['next']}", None))
    assert [job["id"] for job in second["jobs"]] == ["job-2", "job-1"]


def test_results_come_as_the_service_gives_them(front: Front) -> None:
    asyncio.run(front.service.submit(b"{}"))
    whole, voted, pieces, unknown, aggregate = front(
        ("GET", "/v0.4/jobs/job-0/results/probabilities", None),
        ("GET", "/v0.4/jobs/job-0/results/probabilities?sharpen=true", None),
        ("GET", "/v0.4/jobs/job-0/artifacts/histogram-v2", None),
        ("GET", "/v0.4/jobs/job-0/artifacts/nonsense", None),
        ("GET", "/v0.4/jobs/job-0/results/probabilities/aggregated", None),
    )
    name = "ionq.result.probabilities.json.v1"
    assert whole == (200, {"artifact": name, "vote": False})
    assert voted == (200, {"artifact": name, "vote": True})
    assert pieces == (200, {"pieces": 2})
    assert (unknown[0], aggregate[0]) == (404, 404)


def test_account_money_and_page_need_nothing_of_an_emulator(front: Front) -> None:
    asyncio.run(front.service.submit(b"{}"))
    ((_, key),) = front(("GET", "/v0.4/whoami", None))
    assert key["key_name"] == "Stub"
    estimate, cost, sessions, ended, stats, circuit = front(
        ("GET", "/v0.4/jobs/estimate?backend=qpu.forte-1&1q_gates=3&2q_gates=4", None),
        ("GET", "/v0.4/jobs/job-0/cost", None),
        ("GET", "/v0.4/sessions?active=true", None),
        ("POST", "/v0.4/sessions/session/end", None),
        ("GET", "/admin/stats", None),
        ("GET", "/admin/jobs/job-0/0", None),
    )
    assert estimate[1]["estimated_total_cost"] == 7.0
    assert estimate[1]["current_predicted_queue_time"] == 2000
    assert cost == (200, {"dry_run": False})
    assert [session["id"] for session in sessions[1]["sessions"]] == ["session"]
    assert ended[1]["active"] is False
    assert (stats[1]["jobs"], stats[1]["requests"]) == (1, 5)
    assert (circuit[1]["circuit"], circuit[1]["outcomes"]) == (None, 2)


def test_an_error_in_the_service_is_ionqs_500(
    front: Front, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> float:
        raise RuntimeError("out of order")

    monkeypatch.setattr(front.service, "now", broken)
    asyncio.run(front.service.submit(b"{}"))
    ((status, body),) = front(("GET", "/v0.4/jobs/job-0", None))
    assert (status, body["statusCode"]) == (500, 500)
    assert "out of order" not in str(body)
    assert "out of order" in caplog.text
