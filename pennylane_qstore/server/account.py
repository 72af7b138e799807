"""Routes of the account: backends, estimates and sessions."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from pennylane_qstore.backends import BACKENDS, MAX_SHOTS, Backend
from pennylane_qstore.prices import JobSize
from pennylane_qstore.server.backends import backend_json, characterizations
from pennylane_qstore.server.errors import invalid, not_found
from pennylane_qstore.server.inputs.contents import SINGLE
from pennylane_qstore.server.inputs.submission import parse_json
from pennylane_qstore.server.query import read_count, read_date
from pennylane_qstore.server.render import ORGANIZATION, PROJECT, timestamp
from pennylane_qstore.server.responses import ACCOUNT, answer

routes = web.RouteTableDef()


@routes.get("/v0.4/backends", allow_head=False)
async def backends(request: web.Request) -> web.Response:
    """List the backends."""
    return answer([_backend_json(request, b) for b in BACKENDS.values()])


@routes.get("/v0.4/backends/{backend}", allow_head=False)
async def backend(request: web.Request) -> web.Response:
    """Show a backend."""
    return answer(_backend_json(request, _known(request)))


@routes.get("/v0.4/backends/{backend}/characterizations", allow_head=False)
async def history(request: web.Request) -> web.Response:
    """List a backend's characterizations, newest first, in pages."""
    backend, query = _known(request), request.query
    size = read_count(query.get("limit"), "limit", 10, 1, 10)
    page = read_count(query.get("page"), "page", 1, 1, 10**6)
    start, end = read_date(query.get("start"), "start"), read_date(query.get("end"), "end")
    records = [
        record
        for record in characterizations(backend, request.app[ACCOUNT].now())
        if (start is None or record["date"][:10] >= str(start))
        and (end is None or record["date"][:10] <= str(end))
    ]
    rest = max(0, -(-len(records) // size) - page)
    shown = records[size * (page - 1) : size * page]
    return answer({"characterizations": shown, "pages": rest})


@routes.get("/v0.4/backends/{backend}/characterizations/{id}", allow_head=False)
async def record(request: web.Request) -> web.Response:
    """Show a characterization.

    Raises:
        BadRequest: 404, there is no such one.
    """
    for one in characterizations(_known(request), request.app[ACCOUNT].now()):
        if one["id"] == request.match_info["id"]:
            return answer(one)
    raise not_found()


@routes.get("/v0.4/jobs/estimate", allow_head=False)
async def estimate(request: web.Request) -> web.Response:
    """Estimate price and times of a job that is not sent.

    Raises:
        BadRequest: the query is not valid.
    """
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
    service = request.app[ACCOUNT]
    found = service.estimate(backend, JobSize(n_1q, n_2q, circuits, shots, mitigated))
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
            "estimated_at": timestamp(service.now()),
            "estimated_unit": "usd",
            "estimated_total_cost": found.cost_usd,
            "rate_card": {"id": ORGANIZATION, "rates": found.rates},
            "estimated_execution_time": round(found.execution_s * 1000),
            "estimated_quantum_compute_time_us": round(found.compute_s * 1e6),
            "current_predicted_queue_time": round(found.queue_s * 1000),
        }
    )


@routes.post("/v0.4/sessions")
async def open_session(request: web.Request) -> web.Response:
    """Open a session."""
    return answer(request.app[ACCOUNT].open_session(parse_json(await request.read())), 201)


@routes.get("/v0.4/sessions", allow_head=False)
async def sessions(request: web.Request) -> web.Response:
    """List the sessions."""
    shown = request.app[ACCOUNT].list_sessions()
    active = request.query.get("active")
    if active is not None:
        shown = [s for s in shown if s["active"] == (active.lower() == "true")]
    return answer({"organization_id": ORGANIZATION, "sessions": shown})


@routes.get("/v0.4/sessions/{session}", allow_head=False)
async def session(request: web.Request) -> web.Response:
    """Show a session."""
    return answer(request.app[ACCOUNT].show_session(request.match_info["session"]))


@routes.post("/v0.4/sessions/{session}/end")
async def end_session(request: web.Request) -> web.Response:
    """End a session."""
    return answer(request.app[ACCOUNT].end_session(request.match_info["session"]))


def _backend_json(request: web.Request, backend: Backend) -> dict[str, Any]:
    service = request.app[ACCOUNT]
    return backend_json(backend, service.now(), service.queue_s())


def _known(request: web.Request) -> Backend:
    backend = BACKENDS.get(request.match_info["backend"])
    if backend is None:
        raise not_found()
    return backend
