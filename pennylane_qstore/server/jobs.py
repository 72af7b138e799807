"""Routes below ``/v0.4/jobs``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from aiohttp import web

from pennylane_qstore.backends import BACKENDS, MAX_SHOTS
from pennylane_qstore.emulator.service.clock import VirtualClock
from pennylane_qstore.emulator.service.jobs import TERMINAL, Job
from pennylane_qstore.emulator.service.service import Service, is_qpu
from pennylane_qstore.server.errors import BadRequest
from pennylane_qstore.server.identity import ORGANIZATION, PROJECT, SUBMITTER, timestamp
from pennylane_qstore.server.inputs.submission import SINGLE, parse_json
from pennylane_qstore.server.render import job_json
from pennylane_qstore.server.responses import answer

if TYPE_CHECKING:
    from pennylane_qstore.emulator.emulator import Emulator

_SETTLE_S = 0.05
"""A POST waits so long for its simulation where jobs complete as fast as they are simulated:
the first GET then finds small jobs completed."""
_VIRTUAL_SETTLE_S = 30.0
"""Under a virtual clock a job whose time has come is waited for: the clock, not the machine
this runs on, decides when it is done."""
_FIRST_PAGE = "first"
"""The cursor that leads to the first page again, for the fault ``list_repeat``."""
_STATUSES = ("submitted", "ready", "started", "completed", "failed", "canceled")


def add_job_routes(app: web.Application, emulator: Emulator) -> None:
    """Add the routes; fixed paths come before ``{id}``."""
    routes = _JobRoutes(emulator)
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
    """The handlers, over one emulator's service."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._service: Service = emulator.service

    async def create(self, request: web.Request) -> web.Response:
        submission = await self._service.read(await request.read())
        await self._take_time()
        return await self._accepted(self._service.accept(submission))

    async def clone(self, request: web.Request) -> web.Response:
        job, child = self._service.find(request.match_info["id"])
        body = await request.read()
        data = self._service.clone_request(job, child, parse_json(body) if body else None)
        await self._take_time()
        return await self._accepted(self._service.accept(await self._service.read(data)))

    async def move(self, request: web.Request) -> web.Response:
        """A clone that takes the original's place: the original is cancelled if unfinished."""
        job, _ = self._service.find(request.match_info["id"])
        response = await self.clone(request)
        self._service.cancel(job)
        return response

    async def show(self, request: web.Request) -> web.Response:
        job, child = self._service.find(request.match_info["id"])
        now = self._service.clock.now()
        if isinstance(self._service.clock, VirtualClock) and job.end_at <= now:
            await self._service.settle(job, _VIRTUAL_SETTLE_S)
        return answer(self._render(job, child, listed=False))

    async def listing(self, request: web.Request) -> web.Response:
        service, faults = self._service, self._emulator.faults
        query = request.query
        cursor = query.get("next")
        limit = query.get("limit")
        size = service.behaviour.page_limit
        if limit is not None:
            size = min(size, max(1, _count(limit, "limit", size)))
        after = None if cursor in (None, _FIRST_PAGE) else _count(cursor, "next", 0)
        keep = self._filter(request)
        page: list[tuple[int, Job, int | None]] = []
        for entry in self._entries(request, after):
            if keep(entry[1]):
                page.append(entry)
                if len(page) > size:
                    break
        follow = str(page[size - 1][0]) if len(page) > size else None
        if faults.content("list_repeat", "list"):
            follow = cursor or _FIRST_PAGE
        jobs = [self._render(job, k, listed=True) for _, job, k in page[:size]]
        if faults.content("list_duplicates", "list"):
            jobs = [job for job in jobs for _ in range(2)]
        if faults.content("list_shuffle", "list"):
            jobs = [jobs[i] for i in faults.rng.permutation(len(jobs))]
        return answer({"jobs": jobs, "next": follow})

    async def cost(self, request: web.Request) -> web.Response:
        job, child = self._service.find(request.match_info["id"])
        out: dict[str, Any] = {"dry_run": job.dry_run}
        if is_qpu(job.backend):
            parts = 1 if child is None else len(job.circuits)
            out["estimated_cost"] = {"value": job.cost_usd / parts, "unit": "usd"}
            if job.status(self._service.clock.now()) in TERMINAL and not job.dry_run:
                out["cost"] = {"value": job.billed_usd / parts, "unit": "usd"}
        return answer(out)

    async def estimate(self, request: web.Request) -> web.Response:
        query = request.query
        backend = query.get("backend", "")
        if backend not in BACKENDS:
            raise BadRequest(f'"backend" must be one of [{", ".join(BACKENDS)}].', keys=["backend"])
        kind = query.get("type", SINGLE)
        qubits = _count(query.get("qubits"), "qubits", 25, least=1)
        shots = _count(query.get("shots"), "shots", 1000, least=1, most=MAX_SHOTS)
        n_1q = _count(query.get("1q_gates"), "1q_gates", 0)
        n_2q = _count(query.get("2q_gates"), "2q_gates", 0)
        circuits = _count(query.get("circuits"), "circuits", 1, least=1)
        mitigated = query.get("error_mitigation", "false").lower() == "true"
        card = self._service.rate_cards[backend]
        mean = self._service.profile.mean(circuits, shots)
        now = self._service.clock.now()
        seconds = card.compute_seconds(n_1q, n_2q, circuits, shots)
        return answer(
            {
                "estimate_context": {
                    "backend": backend,
                    "type": kind,
                    "qubits": qubits,
                    "shots": shots,
                    "1q_gates": n_1q,
                    "2q_gates": n_2q,
                    "error_mitigation": mitigated,
                    "organization": ORGANIZATION,
                    "project": PROJECT,
                },
                "estimated_at": timestamp(now),
                "estimated_unit": "usd",
                "estimated_total_cost": card.price(
                    n_1q, n_2q, circuits, shots, mitigated=mitigated
                ),
                "rate_card": {"id": ORGANIZATION, "rates": card.rates(backend)},
                "estimated_execution_time": round(mean.execution_s * 1000),
                "estimated_quantum_compute_time_us": round(seconds * 1e6),
                "current_predicted_queue_time": round(mean.queue_s * 1000),
            }
        )

    async def cancel_one(self, request: web.Request) -> web.Response:
        job, _ = self._service.find(request.match_info["id"])
        self._service.cancel(job)
        return answer({"id": request.match_info["id"], "status": "canceled"})

    async def cancel_many(self, request: web.Request) -> web.Response:
        found = self._bulk(await request.read())
        self._service.cancel(*(job for job, _ in found.values()))
        return answer({"ids": list(found), "status": "canceled"})

    async def delete_one(self, request: web.Request) -> web.Response:
        job, _ = self._service.find(request.match_info["id"])
        self._service.delete(job)
        return answer({"id": request.match_info["id"], "status": "deleted"})

    async def delete_many(self, request: web.Request) -> web.Response:
        found = self._bulk(await request.read())
        self._service.delete(*(job for job, _ in found.values()))
        return answer({"ids": list(found), "status": "deleted"})

    async def _take_time(self) -> None:
        """The time the request itself takes, by the latency profile."""
        service = self._service
        if service.profile.request_s:
            await service.clock.sleep(service.profile.draw(1, 1, service.rng).request_s)

    async def _accepted(self, job: Job) -> web.Response:
        if self._service.profile.instant:
            await self._service.settle(job, _SETTLE_S)
        return answer({"id": job.id, "status": "submitted", "session_id": job.session_id}, 201)

    def _render(self, job: Job, child: int | None, *, listed: bool) -> dict[str, Any]:
        faults = self._emulator.faults
        route = "list" if listed else "job"
        named = self._service.behaviour.named_children
        if child is not None and faults.content("unnamed_children", route):
            named = False
        now = self._service.clock.now()
        out = job_json(job, now, child=child, listed=listed, named=named)
        if skew := faults.content("clock_skew", route):
            for key, at in (
                ("submitted_at", job.submitted_at),
                ("started_at", job.start_at),
                ("completed_at", job.ended_at()),
            ):
                if out[key] is not None:
                    out[key] = timestamp(at + skew.delay_s)
        if out["status"] == "completed":
            if faults.content("regress", route):
                out |= {"status": "started", "completed_at": None, "results": None}
            elif faults.content("null_results", route):
                out["results"] = None
        if odd := faults.content("job_status", route):
            out["status"] = odd.value
        return out

    def _bulk(self, body: bytes) -> dict[str, tuple[Job, int | None]]:
        data = parse_json(body)
        ids = data.get("ids") if isinstance(data, dict) else None
        if not isinstance(ids, list) or not all(isinstance(i, str) for i in ids):
            raise BadRequest('"ids" is required and must be an array of job ids.', keys=["ids"])
        found = {i: self._service.book.find(i) for i in ids}
        return {i: entry for i, entry in found.items() if entry is not None}

    def _entries(
        self, request: web.Request, after: int | None
    ) -> Iterator[tuple[int, Job, int | None]]:
        """(cursor, job, child) of a list, from behind a cursor on.

        All jobs come newest first with the job's sequence number as cursor, so that jobs
        accepted or deleted meanwhile do not shift the pages; other lists are numbered.
        """
        service, query = self._service, request.query
        parent, children = query.get("parent_job_id"), service.behaviour.list_children
        entries: list[tuple[Job, int | None]] = []
        if parent is not None:
            found = service.book.find(parent)
            if found is not None and found[1] is None:
                entries = [(found[0], k) for k in range(len(found[0].child_ids))]
        elif "ids" in query:
            wanted = [i for value in query.getall("ids") for i in value.split(",")]
            entries = [e for e in map(service.book.find, wanted) if e is not None]
        elif children or self._emulator.faults.content("list_children", "list"):
            for job in service.book.newest_first():
                entries.extend((job, k) for k in range(len(job.child_ids)))
                entries.append((job, None))
        else:
            for job in service.book.newest_first(after):
                yield job.sequence, job, None
        for i, (job, child) in enumerate(entries):
            if after is None or i > after:
                yield i, job, child

    def _filter(self, request: web.Request) -> Callable[[Job], bool]:
        """Whether a job belongs in the list asked for."""
        service, query = self._service, request.query
        now = service.clock.now()
        session = request.match_info.get("session")
        if session is not None:
            service.session(session)
        else:
            session = query.get("session_id")
        status, target = query.get("status"), query.get("target")
        targets = None if target is None else target.split(",")
        if status is not None and status not in (*_STATUSES, "queued"):
            raise BadRequest(f'"status" must be one of [{", ".join(_STATUSES)}].', keys=["status"])
        strange = query.get("submitter_id", SUBMITTER) != SUBMITTER

        def keep(job: Job) -> bool:
            return (
                not strange
                and job.hidden_until <= now
                and (status is None or job.status(now) == status)
                and (targets is None or job.backend in targets)
                and (session is None or job.session_id == session)
            )

        return keep


def _count(
    text: str | None, name: str, default: int, *, least: int = 0, most: int = 999_999_999
) -> int:
    if text is None:
        return default
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
    if not least <= number <= most:
        raise BadRequest(f'"{name}" must be an integer from {least} to {most}.', keys=[name])
    return number
