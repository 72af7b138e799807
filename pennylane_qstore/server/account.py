"""Routes beside the jobs, and outside ``/v0.4`` the admin endpoints."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from aiohttp import web

from pennylane_qstore.backends import BACKENDS, Backend
from pennylane_qstore.emulator.service.clock import VirtualClock
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.server.backends import backend_json, characterizations
from pennylane_qstore.server.errors import BadRequest, not_found
from pennylane_qstore.server.identity import KEY_ID, ORGANIZATION, PROJECT
from pennylane_qstore.server.inputs.submission import parse_json
from pennylane_qstore.server.openapi import document, format_schemas
from pennylane_qstore.server.responses import answer
from pennylane_qstore.server.usage import GROUPS, MODALITIES, usage_json

if TYPE_CHECKING:
    from pennylane_qstore.emulator.emulator import Emulator


def add_other_routes(app: web.Application, emulator: Emulator) -> None:
    """Add the routes."""
    routes = _OtherRoutes(emulator)
    v = "/v0.4"
    app.add_routes(
        [
            web.get(v + "/health", routes.health, allow_head=False),
            web.get(v + "/api-docs", routes.api_docs, allow_head=False),
            web.get(v + "/whoami", routes.whoami, allow_head=False),
            web.get(v + "/backends", routes.backends, allow_head=False),
            web.get(v + "/backends/{backend}", routes.backend, allow_head=False),
            web.get(v + "/backends/{backend}/characterizations", routes.history, allow_head=False),
            web.get(
                v + "/backends/{backend}/characterizations/{id}", routes.record, allow_head=False
            ),
            web.get(v + "/schemas/formats/{format}", routes.schema, allow_head=False),
            web.get(v + "/organizations/{org}/usage", routes.usage, allow_head=False),
            web.post(v + "/sessions", routes.open_session),
            web.get(v + "/sessions", routes.sessions, allow_head=False),
            web.get(v + "/sessions/{session}", routes.session, allow_head=False),
            web.post(v + "/sessions/{session}/end", routes.end_session),
            web.get("/admin/stats", routes.stats, allow_head=False),
            web.get("/admin/faults", routes.faults, allow_head=False),
            web.post("/admin/faults", routes.add_faults),
            web.delete("/admin/faults", routes.clear_faults),
            web.post("/admin/clock", routes.advance),
        ]
    )


class _OtherRoutes:
    """The handlers, over one emulator."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._service = emulator.service

    async def health(self, _: web.Request) -> web.Response:
        return answer({"status": "pass"})

    async def api_docs(self, _: web.Request) -> web.Response:
        return answer(document())

    async def whoami(self, _: web.Request) -> web.Response:
        return answer({"key_id": KEY_ID, "key_name": "Emulator", "project_id": PROJECT})

    async def backends(self, _: web.Request) -> web.Response:
        return answer([self._backend_json(b) for b in BACKENDS.values()])

    async def backend(self, request: web.Request) -> web.Response:
        return answer(self._backend_json(_known(request)))

    async def history(self, request: web.Request) -> web.Response:
        known, query = _known(request), request.query
        size = _number(query.get("limit"), "limit", 10, 1, 10)
        page = _number(query.get("page"), "page", 1, 1, 10**6)
        start, end = _date(query.get("start"), "start"), _date(query.get("end"), "end")
        found = [
            record
            for record in characterizations(known, self._service.clock.now())
            if (start is None or record["date"][:10] >= start)
            and (end is None or record["date"][:10] <= end)
        ]
        rest = max(0, -(-len(found) // size) - page)
        return answer({"characterizations": found[size * (page - 1) : size * page], "pages": rest})

    async def record(self, request: web.Request) -> web.Response:
        for record in characterizations(_known(request), self._service.clock.now()):
            if record["id"] == request.match_info["id"]:
                return answer(record)
        raise not_found()

    async def schema(self, request: web.Request) -> web.Response:
        found = format_schemas().get(request.match_info["format"])
        if found is None:
            raise not_found()
        return answer(found)

    async def usage(self, request: web.Request) -> web.Response:
        if request.match_info["org"] != ORGANIZATION:
            raise not_found()
        query = request.query
        today = dt.datetime.fromtimestamp(self._service.clock.now(), dt.UTC).date()
        start = _date(query.get("start_date"), "start_date") or str(today.replace(day=1))
        end = _date(query.get("end_date"), "end_date") or str(today + dt.timedelta(days=1))
        return answer(
            usage_json(
                self._service.book.all(),
                dt.date.fromisoformat(start),
                dt.date.fromisoformat(end),
                _choice(query.get("group_by"), "group_by", GROUPS),
                _choice(query.get("modality"), "modality", MODALITIES),
            )
        )

    async def open_session(self, request: web.Request) -> web.Response:
        session = self._service.open_session(parse_json(await request.read()))
        return answer(session.as_json(self._service.clock.now()), 201)

    async def sessions(self, request: web.Request) -> web.Response:
        now = self._service.clock.now()
        found = [s.as_json(now) for s in self._service.sessions.values()]
        active = request.query.get("active")
        if active is not None:
            found = [s for s in found if s["active"] == (active.lower() == "true")]
        return answer({"organization_id": ORGANIZATION, "sessions": found})

    async def session(self, request: web.Request) -> web.Response:
        session = self._service.session(request.match_info["session"])
        return answer(session.as_json(self._service.clock.now()))

    async def end_session(self, request: web.Request) -> web.Response:
        session = self._service.session(request.match_info["session"])
        self._service.end_session(session)
        return answer(session.as_json(self._service.clock.now()))

    async def stats(self, _: web.Request) -> web.Response:
        return answer(self._emulator.stats())

    async def faults(self, _: web.Request) -> web.Response:
        return answer(self._emulator.faults.as_json())

    async def add_faults(self, request: web.Request) -> web.Response:
        data = parse_json(await request.read())
        try:
            self._emulator.faults.add(*(data if isinstance(data, list) else [data]))
        except ConfigurationError as error:
            raise BadRequest(str(error), keys=["faults"]) from error
        return answer(self._emulator.faults.as_json(), 201)

    async def clear_faults(self, _: web.Request) -> web.Response:
        self._emulator.faults.clear()
        return answer([])

    async def advance(self, request: web.Request) -> web.Response:
        data = parse_json(await request.read())
        seconds = data.get("advance") if isinstance(data, dict) else None
        clock = self._service.clock
        if not isinstance(clock, VirtualClock):
            raise BadRequest("This emulator runs on the machine's clock.", status=409)
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise BadRequest('"advance" must be a number of seconds.', keys=["advance"])
        try:
            clock.advance(seconds)
        except ValueError as error:
            raise BadRequest(str(error), keys=["advance"]) from error
        return answer({"now": clock.now()})

    def _backend_json(self, known: Backend) -> dict[str, Any]:
        service = self._service
        return backend_json(known, service.clock.now(), service.profile.mean(1, 100).queue_s)


def _known(request: web.Request) -> Backend:
    known = BACKENDS.get(request.match_info["backend"])
    if known is None:
        raise not_found()
    return known


def _number(text: str | None, name: str, default: int, low: int, high: int) -> int:
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and low <= int(text) <= high):
        raise BadRequest(f'"{name}" must be an integer from {low} to {high}.', keys=[name])
    return int(text)


def _choice(text: str | None, name: str, allowed: tuple[str, ...]) -> str:
    """One of the allowed values; the first by default."""
    if text is not None and text not in allowed:
        raise BadRequest(f'"{name}" must be one of [{", ".join(allowed)}].', keys=[name])
    return text or allowed[0]


def _date(text: str | None, name: str) -> str | None:
    if text is None:
        return None
    try:
        return str(dt.date.fromisoformat(text[:10]))
    except ValueError:
        raise BadRequest(f'"{name}" must be a date (YYYY-MM-DD).', keys=[name]) from None
