"""The page at ``/`` and its data: server-sent events, and one circuit at a time."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from importlib import resources
from itertools import islice
from typing import Any

import orjson
from aiohttp import web

from pennylane_qstore.server.access import RequestLog
from pennylane_qstore.server.errors import BadRequest, not_found
from pennylane_qstore.server.identity import timestamp
from pennylane_qstore.server.render import job_json
from pennylane_qstore.server.responses import answer
from pennylane_qstore.server.service import TERMINAL, JobView, Service

_TICK_S = 0.25
_SHOWN = 200
_SECONDS = 60
_BARS = 32


def add_dashboard_routes(app: web.Application, service: Service, log: RequestLog) -> None:
    """Add the routes.

    Args:
        app: the application.
        service: the service behind it.
        log: the requests answered.
    """
    routes = _DashboardRoutes(service, log)
    app.add_routes(
        [
            web.get("/", routes.page, allow_head=False),
            web.get("/admin/stats", routes.stats, allow_head=False),
            web.get("/admin/events", routes.events, allow_head=False),
            web.get("/admin/jobs/{id}/{k:[0-9]{1,5}}", routes.circuit, allow_head=False),
        ]
    )


class _DashboardRoutes:
    """The handlers."""

    def __init__(self, service: Service, log: RequestLog) -> None:
        self._service = service
        self._log = log
        self._html = resources.files(__package__).joinpath("page.html").read_text(encoding="utf-8")

    async def page(self, _: web.Request) -> web.Response:
        nonce = secrets.token_urlsafe(12)
        policy = (
            f"default-src 'none'; connect-src 'self'; img-src data:; script-src 'nonce-{nonce}'; "
            f"style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        )
        return web.Response(
            text=self._html.replace("NONCE", nonce),
            content_type="text/html",
            headers={"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"},
        )

    async def stats(self, _: web.Request) -> web.Response:
        return answer(self._stats())

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Send the changes four times a second."""
        stream = web.StreamResponse(headers={"Cache-Control": "no-store"})
        stream.content_type = "text/event-stream"
        await stream.prepare(request)
        sent: dict[str, tuple[int, str]] = {}
        while True:
            data = orjson.dumps(self._changes(sent))
            try:
                await stream.write(b"data: " + data + b"\n\n")
            except ConnectionResetError:
                return stream
            await asyncio.sleep(_TICK_S)

    async def circuit(self, request: web.Request) -> web.Response:
        job_id, k = request.match_info["id"], int(request.match_info["k"])
        job, _ = self._service.find(job_id)
        if k >= len(job.circuits):
            raise not_found()
        failure, circuit = job.failure, job.circuits[k]
        now = self._service.now()
        shown, waits = job_json(job, now), job.status(now) in ("submitted", "ready")
        out: dict[str, Any] = {
            "qubits": circuit.qubits,
            "name": circuit.name,
            "gates": [circuit.n_1q, circuit.n_2q],
            **{key: shown[key] for key in ("submitted_at", "started_at", "completed_at")},
            "starts_at": timestamp(job.start_at) if waits else None,
            "circuit": None,
            "probabilities": None,
            "outcomes": 0,
            "outcome": job.outcome,
            "failure": None if failure is None else failure._asdict(),
        }
        with suppress(BadRequest):  # not kept any more, or a program that cannot be read
            out["circuit"] = await self._service.source(job_id, k)
        with suppress(BadRequest):  # not completed yet
            out["outcomes"], out["probabilities"] = self._service.likeliest(job_id, k, _BARS)
        return answer(out)

    def _stats(self) -> dict[str, Any]:
        return self._log.stats() | self._service.stats()

    def _changes(self, sent: dict[str, tuple[int, str]]) -> dict[str, Any]:
        """Return statistics, and the jobs that differ from what was sent; note them as sent."""
        now = self._service.now()
        changed = []
        newest = list(islice(self._service.newest_first(), _SHOWN))
        for job in newest:
            known = sent.get(job.id)
            if known is not None and known[0] == job.version and known[1] in TERMINAL:
                continue
            status = job.status(now)
            if known != (job.version, status):
                sent[job.id] = (job.version, status)
                changed.append(_summary(job, status))
        gone = sent.keys() - {job.id for job in newest}
        for job_id in gone:
            del sent[job_id]
        return {
            "stats": self._stats(),
            "label": self._service.label,
            "per_second": self._log.per_second(_SECONDS),
            "changed": changed,
            "gone": list(gone),
        }


def _summary(job: JobView, status: str) -> dict[str, Any]:
    return {
        "id": job.id,
        "sequence": job.sequence,
        "version": job.version,
        "name": job.name,
        "status": status,
        "backend": job.backend,
        "noise": (job.noise or {}).get("model"),
        "circuits": len(job.circuits),
        "shots": job.shots,
        "cost": job.billed_usd,
    }
