"""A service that is no emulator: jobs that are finished when they are made."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from pennylane_qstore.prices import JobSize
from pennylane_qstore.server.errors import not_found
from pennylane_qstore.server.service import (
    Body,
    CircuitInfo,
    Estimate,
    ServiceBehaviour,
    ServiceJob,
)


@dataclass(kw_only=True)
class StubJob(ServiceJob):
    """A job; its status and times are given, not lived."""

    id: str = "job"
    sequence: int = 0
    type: str = "ionq.circuit.v1"
    backend: str = "simulator"
    shots: int = 100
    circuits: list[CircuitInfo] = field(default_factory=lambda: [CircuitInfo("c", 2, 3, 1, None)])
    submitted_at: float = 1.0
    start_at: float = 2.0
    cost_usd: float = 5.0
    billed_usd: float = 4.0
    cost_model: str = "QCT"
    compute_us: int = 7
    state: str = "completed"
    sampled: bool | None = False
    duration_s: float = 3.0

    def status(self, now: float) -> str:
        return self.state

    def started_at(self, now: float) -> float | None:
        return self.start_at if self.state not in ("submitted", "ready") else None

    def ended_at(self) -> float:
        return self.start_at + self.duration_s

    def output(self, child: int | None) -> dict[str, Any]:
        return {"child": child}


class StubService:
    """Keeps jobs in a dictionary; one result for all of them."""

    behaviour = ServiceBehaviour(page_limit=2)
    title, name, label, shows_all = "A stub", "Stub", "a stub", True

    def __init__(self) -> None:
        self.jobs: dict[str, StubJob] = {}
        self.refreshed: list[str] = []
        self.results = self

    def now(self) -> float:
        return 10.0

    def queue_s(self) -> float:
        return 1.5

    def stats(self) -> dict[str, Any]:
        return {"jobs": len(self.jobs)}

    async def submit(self, body: bytes) -> StubJob:
        count = len(self.jobs)
        job = StubJob(id=f"job-{count}", sequence=count, name=orjson.loads(body).get("name"))
        self.jobs[job.id] = job
        return job

    async def clone(self, job_id: str, changes: Any) -> StubJob:
        job = replace(self.find(job_id)[0], id=f"{job_id}-clone", **changes)
        self.jobs[job.id] = job
        return job

    async def refresh(self, job_id: str) -> None:
        self.refreshed.append(job_id)

    def find(self, job_id: str) -> tuple[StubJob, int | None]:
        if job_id not in self.jobs:
            raise not_found()
        return self.jobs[job_id], None

    def newest_first(self, before: int | None = None) -> Iterator[StubJob]:
        for job in reversed(self.jobs.values()):
            if before is None or job.sequence < before:
                yield job

    def lists_children(self) -> bool:
        return False

    def cancel(self, *job_ids: str) -> list[str]:
        known = [job_id for job_id in job_ids if job_id in self.jobs]
        for job_id in known:
            self.jobs[job_id].state = "canceled"
        return known

    def delete(self, *job_ids: str) -> list[str]:
        return [job_id for job_id in job_ids if self.jobs.pop(job_id, None) is not None]

    async def write(self, job_id: str, artifact: str, *, vote: bool) -> Body:
        if artifact.endswith("v2"):
            return self._pieces()
        return orjson.dumps({"artifact": artifact, "vote": vote})

    async def _pieces(self) -> AsyncIterator[bytes]:
        for piece in (b'{"pie', b'ces": ', b"2}"):
            yield piece

    async def source(self, job_id: str, k: int) -> list[dict[str, Any]]:
        raise not_found()

    def likeliest(self, job_id: str, k: int, count: int) -> tuple[int, dict[str, float]]:
        return 2, {"0": 0.5, "3": 0.5}

    def estimate(self, backend: str, job: JobSize) -> Estimate:
        return Estimate(float(job.n_1q + job.n_2q), [], 1.0, 2.0, 3.0)

    def open_session(self, data: Any) -> dict[str, Any]:
        return {"id": "session", "active": True}

    def list_sessions(self) -> list[dict[str, Any]]:
        return [self.open_session(None)]

    def show_session(self, session_id: str) -> dict[str, Any]:
        return {"id": session_id, "active": True}

    def end_session(self, session_id: str) -> dict[str, Any]:
        return {"id": session_id, "active": False}
