"""Routes below ``/v0.4/jobs``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from aiohttp import web

from pennylane_qstore.backends import BACKENDS, MAX_SHOTS
from pennylane_qstore.server.errors import BadRequest, invalid
from pennylane_qstore.server.identity import ORGANIZATION, PROJECT, SUBMITTER, timestamp
from pennylane_qstore.server.inputs.contents import SINGLE
from pennylane_qstore.server.inputs.submission import parse_json
from pennylane_qstore.server.query import read_count
from pennylane_qstore.server.render import job_json
from pennylane_qstore.server.responses import answer
from pennylane_qstore.server.service import TERMINAL, JobView, Service

FIRST_PAGE = "first"
"""The cursor of the first page."""
_STATUSES = ("submitted", "ready", "started", *TERMINAL)
_Entry = tuple[JobView, int | None]
"""A job, and the position of one of its circuits where the entry is a child."""


def add_job_routes(app: web.Application, service: Service) -> None:
    """Add the routes; fixed paths come before ``{id}``.

    Args:
        app: the application.
        service: the service behind it.
    """
    routes = _JobRoutes(service)
    base = "/v0.4/jobs"
    app.add_routes(
        [
            web.post(base, routes.create),
            web.get(base, routes.listing, allow_head=False),
            web.delete(base, routes.delete_many),
            web.get(base + "/estimate", routes.estimate, allow_head=False),
            web.put(base + "/status/cancel", routes.cancel_many),
            web.get(base + "/{id}", routes.show, allow_head=False),
            web.delete(base + "/{id}", routes.delete_one),
            web.post(base + "/{id}/clone", routes.clone),
            web.post(base + "/{id}/move", routes.move),
            web.get(base + "/{id}/cost", routes.cost, allow_head=False),
            web.put(base + "/{id}/status/cancel", routes.cancel_one),
            web.get("/v0.4/sessions/{session}/jobs", routes.listing, allow_head=False),
        ]
    )


class _JobRoutes:
    """The handlers."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def create(self, request: web.Request) -> web.Response:
        return _accepted(await self._service.submit(await request.read()))

    async def clone(self, request: web.Request) -> web.Response:
        body = await request.read()
        changes = parse_json(body) if body else {}
        return _accepted(await self._service.clone(request.match_info["id"], changes))

    async def move(self, request: web.Request) -> web.Response:
        """Clone a job; the original is cancelled if it has not ended."""
        response = await self.clone(request)
        self._service.cancel(request.match_info["id"])
        return response

    async def show(self, request: web.Request) -> web.Response:
        await self._service.refresh(request.match_info["id"])
        job, child = self._service.find(request.match_info["id"])
        return answer(self._render(job, child, listed=False))

    async def listing(self, request: web.Request) -> web.Response:
        service, query = self._service, request.query
        cursor = query.get("next")
        most = service.behaviour.page_limit
        size = min(most, max(1, read_count(query.get("limit"), "limit", most)))
        after = None if cursor in (None, FIRST_PAGE) else read_count(cursor, "next", 0)
        keep = self._filter(request)
        page: list[tuple[int, _Entry]] = []
        for position, entry in self._entries(request, after):
            if keep(entry[0]):
                page.append((position, entry))
                if len(page) > size:
                    break
        jobs = [self._render(*entry, listed=True) for _, entry in page[:size]]
        return answer({"jobs": jobs, "next": str(page[size - 1][0]) if len(page) > size else None})

    async def cost(self, request: web.Request) -> web.Response:
        job, child = self._service.find(request.match_info["id"])
        out: dict[str, Any] = {"dry_run": job.dry_run}
        if BACKENDS[job.backend].is_qpu:
            parts = 1 if child is None else len(job.circuits)
            out["estimated_cost"] = {"value": job.cost_usd / parts, "unit": "usd"}
            if job.status(self._service.now()) in TERMINAL and not job.dry_run:
                out["cost"] = {"value": job.billed_usd / parts, "unit": "usd"}
        return answer(out)

    async def estimate(self, request: web.Request) -> web.Response:
        query = request.query
        backend = query.get("backend", "")
        if backend not in BACKENDS:
            raise invalid("backend", f"must be one of [{', '.join(BACKENDS)}]")
        qubits = read_count(query.get("qubits"), "qubits", 25, least=1)
        shots = read_count(query.get("shots"), "shots", 1000, least=1, most=MAX_SHOTS)
        n_1q = read_count(query.get("1q_gates"), "1q_gates", 0)
        n_2q = read_count(query.get("2q_gates"), "2q_gates", 0)
        circuits = read_count(query.get("circuits"), "circuits", 1, least=1)
        mitigated = query.get("error_mitigation", "false").lower() == "true"
        estimate = self._service.estimate(backend, n_1q, n_2q, circuits, shots, mitigated=mitigated)
        context = {
            "backend": backend,
            "type": query.get("type", SINGLE),
            "qubits": qubits,
            "shots": shots,
            "1q_gates": n_1q,
            "2q_gates": n_2q,
            "error_mitigation": mitigated,
            "organization": ORGANIZATION,
            "project": PROJECT,
        }
        return answer(
            {
                "estimate_context": context,
                "estimated_at": timestamp(self._service.now()),
                "estimated_unit": "usd",
                "estimated_total_cost": estimate.cost_usd,
                "rate_card": {"id": ORGANIZATION, "rates": estimate.rates},
                "estimated_execution_time": round(estimate.execution_s * 1000),
                "estimated_quantum_compute_time_us": round(estimate.compute_s * 1e6),
                "current_predicted_queue_time": round(estimate.queue_s * 1000),
            }
        )

    async def cancel_one(self, request: web.Request) -> web.Response:
        job_id = request.match_info["id"]
        self._service.find(job_id)
        self._service.cancel(job_id)
        return answer({"id": job_id, "status": "canceled"})

    async def cancel_many(self, request: web.Request) -> web.Response:
        job_ids = self._service.cancel(*_read_ids(await request.read()))
        return answer({"ids": job_ids, "status": "canceled"})

    async def delete_one(self, request: web.Request) -> web.Response:
        job_id = request.match_info["id"]
        self._service.find(job_id)
        self._service.delete(job_id)
        return answer({"id": job_id, "status": "deleted"})

    async def delete_many(self, request: web.Request) -> web.Response:
        job_ids = self._service.delete(*_read_ids(await request.read()))
        return answer({"ids": job_ids, "status": "deleted"})

    def _render(self, job: JobView, child: int | None, *, listed: bool) -> dict[str, Any]:
        named = self._service.behaviour.named_children
        return job_json(job, self._service.now(), child=child, listed=listed, named=named)

    def _entries(self, request: web.Request, after: int | None) -> Iterator[tuple[int, _Entry]]:
        """Yield the cursor and the entry of a list, from behind a cursor on.

        All jobs come newest first with the job's sequence number as cursor, so that jobs
        accepted or deleted meanwhile do not shift the pages; other lists are numbered.
        """
        service, query = self._service, request.query
        entries: list[_Entry] = []
        if "parent_job_id" in query:
            for job, child in self._known([query["parent_job_id"]]):
                if child is None:
                    entries = _children(job)
        elif "ids" in query:
            wanted = [i for value in query.getall("ids") for i in value.split(",")]
            entries = list(self._known(wanted))
        elif service.lists_children():
            for job in service.newest_first():
                entries += [*_children(job), (job, None)]
        else:
            for job in service.newest_first(after):
                yield job.sequence, (job, None)
        for i, entry in enumerate(entries):
            if after is None or i > after:
                yield i, entry

    def _known(self, job_ids: list[str]) -> Iterator[_Entry]:
        for job_id in job_ids:
            with suppress(BadRequest):
                yield self._service.find(job_id)

    def _filter(self, request: web.Request) -> Callable[[JobView], bool]:
        """Return the test whether a job belongs in the list asked for."""
        service, query = self._service, request.query
        now = service.now()
        session = request.match_info.get("session")
        if session is not None:
            service.show_session(session)  # 404 where there is none
        else:
            session = query.get("session_id")
        status, target = query.get("status"), query.get("target")
        targets = None if target is None else target.split(",")
        if status is not None and status not in (*_STATUSES, "queued"):
            raise invalid("status", f"must be one of [{', '.join(_STATUSES)}]")
        ours = query.get("submitter_id", SUBMITTER) == SUBMITTER

        def keep(job: JobView) -> bool:
            return (
                ours
                and job.hidden_until <= now
                and (status is None or job.status(now) == status)
                and (targets is None or job.backend in targets)
                and (session is None or job.session_id == session)
            )

        return keep


def _accepted(job: JobView) -> web.Response:
    return answer({"id": job.id, "status": "submitted", "session_id": job.session_id}, 201)


def _children(job: JobView) -> list[_Entry]:
    return [(job, k) for k in range(len(job.child_ids))]


def _read_ids(body: bytes) -> list[str]:
    data = parse_json(body)
    job_ids = data.get("ids") if isinstance(data, dict) else None
    if not isinstance(job_ids, list) or not all(isinstance(i, str) for i in job_ids):
        raise invalid("ids", "is required and must be an array of job ids")
    return job_ids
