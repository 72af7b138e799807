"""Routes that tell about the server: health, documents, whose key it is, and its use."""

from __future__ import annotations

import datetime as dt

from aiohttp import web

from pennylane_qstore.server.errors import not_found
from pennylane_qstore.server.openapi import document, format_schemas
from pennylane_qstore.server.query import read_choice, read_date
from pennylane_qstore.server.render import KEY_ID, ORGANIZATION, PROJECT
from pennylane_qstore.server.responses import SERVICE, answer
from pennylane_qstore.server.usage import GROUPS, MODALITIES, usage_json

routes = web.RouteTableDef()


@routes.get("/v0.4/health", allow_head=False)
async def health(_: web.Request) -> web.Response:
    """Answer that the server is up."""
    return answer({"status": "pass"})


@routes.get("/v0.4/api-docs", allow_head=False)
async def api_docs(_: web.Request) -> web.Response:
    """Show the OpenAPI document."""
    return answer(document())


@routes.get("/v0.4/whoami", allow_head=False)
async def whoami(request: web.Request) -> web.Response:
    """Tell whose key this is."""
    return answer({"key_id": KEY_ID, "key_name": request.app[SERVICE].name, "project_id": PROJECT})


@routes.get("/v0.4/schemas/formats/{format}", allow_head=False)
async def schema(request: web.Request) -> web.Response:
    """Show the JSON Schema of a format of results.

    Raises:
        BadRequest: 404, there is no such format.
    """
    schemas, name = format_schemas(), request.match_info["format"]
    if name not in schemas:
        raise not_found()
    return answer(schemas[name])


@routes.get("/v0.4/organizations/{org}/usage", allow_head=False)
async def usage(request: web.Request) -> web.Response:
    """Sum up the jobs of a time.

    Raises:
        BadRequest: 404, it is another organization.
    """
    if request.match_info["org"] != ORGANIZATION:
        raise not_found()
    query = request.query
    today = dt.datetime.fromtimestamp(request.app[SERVICE].now(), dt.UTC).date()
    start = read_date(query.get("start_date"), "start_date") or today.replace(day=1)
    end = read_date(query.get("end_date"), "end_date") or today + dt.timedelta(days=1)
    group_by = read_choice(query.get("group_by"), "group_by", GROUPS)
    modality = read_choice(query.get("modality"), "modality", MODALITIES)
    jobs = list(request.app[SERVICE].newest_first())[::-1]
    return answer(usage_json(jobs, start, end, group_by, modality))
