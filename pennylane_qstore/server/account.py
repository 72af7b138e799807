"""Routes of account, backends and sessions."""

from __future__ import annotations

import datetime as dt
from typing import Any

from aiohttp import web

from pennylane_qstore.backends import BACKENDS, Backend
from pennylane_qstore.server.backends import backend_json, characterizations
from pennylane_qstore.server.errors import not_found
from pennylane_qstore.server.identity import KEY_ID, ORGANIZATION, PROJECT
from pennylane_qstore.server.inputs.submission import parse_json
from pennylane_qstore.server.openapi import document, format_schemas
from pennylane_qstore.server.query import read_choice, read_count, read_date
from pennylane_qstore.server.responses import answer
from pennylane_qstore.server.service import Service
from pennylane_qstore.server.usage import GROUPS, MODALITIES, usage_json


def add_account_routes(app: web.Application, service: Service) -> None:
    """Add the routes.

    Args:
        app: the application.
        service: the service behind it.
    """
    routes = _AccountRoutes(service)
    v = "/v0.4"
    characterizations_path = v + "/backends/{backend}/characterizations"
    app.add_routes(
        [
            web.get(v + "/health", routes.health, allow_head=False),
            web.get(v + "/api-docs", routes.api_docs, allow_head=False),
            web.get(v + "/whoami", routes.whoami, allow_head=False),
            web.get(v + "/backends", routes.backends, allow_head=False),
            web.get(v + "/backends/{backend}", routes.backend, allow_head=False),
            web.get(characterizations_path, routes.history, allow_head=False),
            web.get(characterizations_path + "/{id}", routes.record, allow_head=False),
            web.get(v + "/schemas/formats/{format}", routes.schema, allow_head=False),
            web.get(v + "/organizations/{org}/usage", routes.usage, allow_head=False),
            web.post(v + "/sessions", routes.open_session),
            web.get(v + "/sessions", routes.sessions, allow_head=False),
            web.get(v + "/sessions/{session}", routes.session, allow_head=False),
            web.post(v + "/sessions/{session}/end", routes.end_session),
        ]
    )


class _AccountRoutes:
    """The handlers."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def health(self, _: web.Request) -> web.Response:
        return answer({"status": "pass"})

    async def api_docs(self, _: web.Request) -> web.Response:
        return answer(document())

    async def whoami(self, _: web.Request) -> web.Response:
        return answer({"key_id": KEY_ID, "key_name": self._service.name, "project_id": PROJECT})

    async def backends(self, _: web.Request) -> web.Response:
        return answer([self._backend_json(b) for b in BACKENDS.values()])

    async def backend(self, request: web.Request) -> web.Response:
        return answer(self._backend_json(_known(request)))

    async def history(self, request: web.Request) -> web.Response:
        backend, query = _known(request), request.query
        size = read_count(query.get("limit"), "limit", 10, 1, 10)
        page = read_count(query.get("page"), "page", 1, 1, 10**6)
        start, end = read_date(query.get("start"), "start"), read_date(query.get("end"), "end")
        records = [
            record
            for record in characterizations(backend, self._service.now())
            if (start is None or record["date"][:10] >= str(start))
            and (end is None or record["date"][:10] <= str(end))
        ]
        rest = max(0, -(-len(records) // size) - page)
        shown = records[size * (page - 1) : size * page]
        return answer({"characterizations": shown, "pages": rest})

    async def record(self, request: web.Request) -> web.Response:
        for record in characterizations(_known(request), self._service.now()):
            if record["id"] == request.match_info["id"]:
                return answer(record)
        raise not_found()

    async def schema(self, request: web.Request) -> web.Response:
        schema = format_schemas().get(request.match_info["format"])
        if schema is None:
            raise not_found()
        return answer(schema)

    async def usage(self, request: web.Request) -> web.Response:
        if request.match_info["org"] != ORGANIZATION:
            raise not_found()
        query = request.query
        today = dt.datetime.fromtimestamp(self._service.now(), dt.UTC).date()
        start = read_date(query.get("start_date"), "start_date") or today.replace(day=1)
        end = read_date(query.get("end_date"), "end_date") or today + dt.timedelta(days=1)
        group_by = read_choice(query.get("group_by"), "group_by", GROUPS)
        modality = read_choice(query.get("modality"), "modality", MODALITIES)
        jobs = list(self._service.newest_first())[::-1]
        return answer(usage_json(jobs, start, end, group_by, modality))

    async def open_session(self, request: web.Request) -> web.Response:
        return answer(self._service.open_session(parse_json(await request.read())), 201)

    async def sessions(self, request: web.Request) -> web.Response:
        sessions = self._service.list_sessions()
        active = request.query.get("active")
        if active is not None:
            sessions = [s for s in sessions if s["active"] == (active.lower() == "true")]
        return answer({"organization_id": ORGANIZATION, "sessions": sessions})

    async def session(self, request: web.Request) -> web.Response:
        return answer(self._service.show_session(request.match_info["session"]))

    async def end_session(self, request: web.Request) -> web.Response:
        return answer(self._service.end_session(request.match_info["session"]))

    def _backend_json(self, backend: Backend) -> dict[str, Any]:
        return backend_json(backend, self._service.now(), self._service.queue_s())


def _known(request: web.Request) -> Backend:
    backend = BACKENDS.get(request.match_info["backend"])
    if backend is None:
        raise not_found()
    return backend
