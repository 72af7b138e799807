"""The page at ``/`` and what feeds it: server-sent events and one circuit at a time."""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import suppress
from importlib import resources
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

from pennylane_qstore.emulator.service.jobs import TERMINAL, Job
from pennylane_qstore.server.errors import BadRequest, not_found
from pennylane_qstore.server.identity import timestamp
from pennylane_qstore.server.render import job_json
from pennylane_qstore.server.responses import answer

if TYPE_CHECKING:
    from pennylane_qstore.emulator.emulator import Emulator

_TICK_S = 0.25
_SHOWN = 200
_SECONDS = 60
_BARS = 32


def add_page_routes(app: web.Application, emulator: Emulator) -> None:
    """Add the routes."""
    routes = _PageRoutes(emulator)
    app.add_routes(
        [
            web.get("/", routes.page, allow_head=False),
            web.get("/admin/events", routes.events, allow_head=False),
            web.get("/admin/jobs/{id}/{k:[0-9]{1,5}}", routes.circuit, allow_head=False),
        ]
    )


class _PageRoutes:
    """The handlers, over one emulator."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._service = emulator.service
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

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Whatever has changed, four times a second."""
        stream = web.StreamResponse(headers={"Cache-Control": "no-store"})
        stream.content_type = "text/event-stream"
        await stream.prepare(request)
        sent: dict[str, tuple[int, str]] = {}
        while True:
            data = orjson.dumps(self._news(sent))
            try:
                await stream.write(b"data: " + data + b"\n\n")
            except ConnectionResetError:
                return stream
            await asyncio.sleep(_TICK_S)

    async def circuit(self, request: web.Request) -> web.Response:
        job, _ = self._service.find(request.match_info["id"])
        k = int(request.match_info["k"])
        if k >= len(job.circuits):
            raise not_found()
        failure, circuit = job.failure, job.circuits[k]
        now = self._service.clock.now()
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
            out["circuit"] = await self._service.off_loop(lambda: self._service.source(job, k))
        with suppress(BadRequest):  # not completed yet
            one = self._service.distribution(job, k).first(circuit.qubits)
            out["outcomes"] = len(one.states)
            out["probabilities"] = one.likeliest(_BARS).probabilities()
        return answer(out)

    def _news(self, sent: dict[str, tuple[int, str]]) -> dict[str, Any]:
        """Statistics, and the jobs that differ from what was sent."""
        now = self._service.clock.now()
        changed = []
        newest: list[Job] = []
        for job in self._service.book.newest_first():
            newest.append(job)
            if len(newest) == _SHOWN:
                break
        for job in newest:
            known = sent.get(job.id)
            if known is not None and known[0] == job.version and known[1] in TERMINAL:
                continue
            status = job.status(now)
            if known != (job.version, status):
                sent[job.id] = (job.version, status)
                changed.append(self._summary(job, status))
        kept = {job.id for job in newest}
        gone = [job_id for job_id in sent if job_id not in kept]
        for job_id in gone:
            del sent[job_id]
        return {
            "stats": self._emulator.stats(),
            "profile": self._service.profile.name,
            "per_second": self._per_second(),
            "changed": changed,
            "gone": gone,
        }

    def _summary(self, job: Job, status: str) -> dict[str, Any]:
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

    def _per_second(self) -> list[int]:
        """Requests in each of the last seconds, oldest first."""
        now = time.monotonic()
        counts = [0] * _SECONDS
        for at in reversed(self._emulator.times):
            age = int(now - at)
            if age >= _SECONDS:
                break
            counts[_SECONDS - 1 - age] += 1
        return counts
