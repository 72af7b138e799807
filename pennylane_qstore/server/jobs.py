"""Routes below ``/v0.4/jobs``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from aiohttp import web

from pennylane_qstore.backends import is_qpu
from pennylane_qstore.server.errors import BadRequest, invalid, not_found
from pennylane_qstore.server.inputs.contents import MULTI
from pennylane_qstore.server.inputs.submission import parse_json
from pennylane_qstore.server.query import read_count
from pennylane_qstore.server.render import (
    AGGREGATE,
    ARTIFACTS,
    PROBABILITIES,
    SUBMITTER,
    job_json,
)
from pennylane_qstore.server.responses import SERVICE, answer, send
from pennylane_qstore.server.service import TERMINAL, JobService, ServiceJob

FIRST_PAGE = "first"
"""The cursor of the first page."""
_STATUSES = ("submitted", "ready", "started", *TERMINAL)
_Entry = tuple[ServiceJob, int | None]
"""A job, and the position of one of its circuits where the entry is a child."""
routes = web.RouteTableDef()


@routes.post("/v0.4/jobs")
async def create(request: web.Request) -> web.Response:
    """Accept a job."""
    return _accepted(await request.app[SERVICE].submit(await request.read()))


@routes.post("/v0.4/jobs/{id}/clone")
async def clone(request: web.Request) -> web.Response:
    """Accept a job like another one."""
    body = await request.read()
    changes = parse_json(body) if body else {}
    return _accepted(await request.app[SERVICE].clone(request.match_info["id"], changes))


@routes.post("/v0.4/jobs/{id}/move")
async def move(request: web.Request) -> web.StreamResponse:
    """Clone a job; the original is cancelled if it has not ended."""
    response = await clone(request)
    request.app[SERVICE].cancel(request.match_info["id"])
    return response


@routes.get("/v0.4/jobs", allow_head=False)
@routes.get("/v0.4/sessions/{session}/jobs", allow_head=False)
async def listing(request: web.Request) -> web.Response:
    """List jobs, in pages."""
    service, query = request.app[SERVICE], request.query
    cursor = query.get("next")
    most = service.behaviour.page_limit
    size = min(most, max(1, read_count(query.get("limit"), "limit", most)))
    after = None if cursor in (None, FIRST_PAGE) else read_count(cursor, "next", 0)
    keep = _filter(request)
    page: list[tuple[int, _Entry]] = []
    for position, entry in _entries(request, after):
        if keep(entry[0]):
            page.append((position, entry))
            if len(page) > size:
                break
    jobs = [_render(request, *entry, listed=True) for _, entry in page[:size]]
    return answer({"jobs": jobs, "next": str(page[size - 1][0]) if len(page) > size else None})


@routes.get("/v0.4/jobs/{id}/cost", allow_head=False)
async def cost(request: web.Request) -> web.Response:
    """Show the price of a job."""
    job, child = request.app[SERVICE].find(request.match_info["id"])
    out: dict[str, Any] = {"dry_run": job.dry_run}
    if is_qpu(job.backend):
        parts = 1 if child is None else len(job.circuits)
        out["estimated_cost"] = {"value": job.cost_usd / parts, "unit": "usd"}
        if job.status(request.app[SERVICE].now()) in TERMINAL and not job.dry_run:
            out["cost"] = {"value": job.billed_usd / parts, "unit": "usd"}
    return answer(out)


@routes.get("/v0.4/jobs/{id}", allow_head=False)
async def show(request: web.Request) -> web.Response:
    """Show a job."""
    job_id, service = request.match_info["id"], request.app[SERVICE]
    await service.refresh(job_id)
    job, child = service.find(job_id)
    return answer(_render(request, job, child))


@routes.put("/v0.4/jobs/{id}/status/cancel")
@routes.put("/v0.4/jobs/status/cancel")
async def cancel(request: web.Request) -> web.Response:
    """Cancel jobs."""
    return await _end(request, request.app[SERVICE].cancel, "canceled")


@routes.delete("/v0.4/jobs/{id}")
@routes.delete("/v0.4/jobs")
async def delete(request: web.Request) -> web.Response:
    """Forget jobs."""
    return await _end(request, request.app[SERVICE].delete, "deleted")


async def _end(request: web.Request, end: Callable[..., list[str]], status: str) -> web.Response:
    """Answer with the job that the path names, or with those in the body that exist."""
    job_id = request.match_info.get("id")
    if job_id is None:
        return answer({"ids": end(*read_ids(await request.read())), "status": status})
    request.app[SERVICE].find(job_id)  # 404 where there is none
    end(job_id)
    return answer({"id": job_id, "status": status})


def _render(
    request: web.Request, job: ServiceJob, child: int | None, *, listed: bool = False
) -> dict[str, Any]:
    service = request.app[SERVICE]
    named = service.behaviour.named_children
    return job_json(job, service.now(), child=child, listed=listed, named=named)


def _entries(request: web.Request, after: int | None) -> Iterator[tuple[int, _Entry]]:
    """Yield the cursor and the entry of a list, from behind a cursor on.

    All jobs come newest first with the job's sequence number as cursor, so that jobs
    accepted or deleted meanwhile do not shift the pages; other lists are numbered.
    """
    service, query = request.app[SERVICE], request.query
    entries: list[_Entry] = []
    if "parent_job_id" in query:
        for job, child in _known(service, [query["parent_job_id"]]):
            if child is None:
                entries = _children(job)
    elif "ids" in query:
        wanted = [i for value in query.getall("ids") for i in value.split(",")]
        entries = list(_known(service, wanted))
    elif service.lists_children():
        for job in service.newest_first():
            entries += [*_children(job), (job, None)]
    else:
        for job in service.newest_first(after):
            yield job.sequence, (job, None)
    for i, entry in enumerate(entries):
        if after is None or i > after:
            yield i, entry


def _known(service: JobService, job_ids: list[str]) -> Iterator[_Entry]:
    for job_id in job_ids:
        with suppress(BadRequest):
            yield service.find(job_id)


def _filter(request: web.Request) -> Callable[[ServiceJob], bool]:
    """Return the test whether a job belongs in the list asked for."""
    service, query = request.app[SERVICE], request.query
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

    def keep(job: ServiceJob) -> bool:
        return (
            ours
            and job.hidden_until <= now
            and (status is None or job.status(now) == status)
            and (targets is None or job.backend in targets)
            and (session is None or job.session_id == session)
        )

    return keep


@routes.get("/v0.4/jobs/{id}/results/probabilities", allow_head=False)
async def probabilities(request: web.Request) -> web.StreamResponse:
    """Send the probabilities of a circuit."""
    return await _send(request, PROBABILITIES, vote=_wants_vote(request.query))


@routes.get("/v0.4/jobs/{id}/results/probabilities/aggregated", allow_head=False)
async def aggregated(request: web.Request) -> web.StreamResponse:
    """Send the probabilities of all circuits of a job."""
    return await _send(request, AGGREGATE, vote=_wants_vote(request.query))


@routes.get("/v0.4/jobs/{id}/results/{alias:histogram|shots}", allow_head=False)
@routes.get("/v0.4/jobs/{id}/artifacts/{alias}", allow_head=False)
async def alias(request: web.Request) -> web.StreamResponse:
    """Send a result in one of its formats."""
    name = request.match_info["alias"]
    return await _send(request, ARTIFACTS.get(name, name))


async def _send(request: web.Request, artifact: str, *, vote: bool = False) -> web.StreamResponse:
    job_id = request.match_info["id"]
    service = request.app[SERVICE]
    job, child = service.find(job_id)
    if not artifact.startswith(("aggregation-", "variant-")):
        of_children = job.type == MULTI and child is None
        if artifact not in ARTIFACTS.values() or (artifact == AGGREGATE) != of_children:
            raise not_found()
    return await send(request, await service.results.write(job_id, artifact, vote=vote))


def _accepted(job: ServiceJob) -> web.Response:
    return answer({"id": job.id, "status": "submitted", "session_id": job.session_id}, 201)


def _children(job: ServiceJob) -> list[_Entry]:
    return [(job, k) for k in range(len(job.child_ids))]


def read_ids(body: bytes) -> list[str]:
    """Return the job ids in the body of a request.

    Raises:
        BadRequest: it names none.
    """
    data = parse_json(body)
    job_ids = data.get("ids") if isinstance(data, dict) else None
    if not isinstance(job_ids, list) or not all(isinstance(i, str) for i in job_ids):
        raise invalid("ids", "is required and must be an array of job ids")
    return job_ids


def _wants_vote(query: Mapping[str, str]) -> bool:
    """Return whether a query asks for voting, as two generations of clients do."""
    return query.get("sharpen", "").lower() == "true" or query.get("aggregation") == "voting"
