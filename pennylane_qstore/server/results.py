"""Routes of results and artifacts."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from pennylane_qstore.server.errors import not_found
from pennylane_qstore.server.inputs.contents import MULTI
from pennylane_qstore.server.render import AGGREGATE, ARTIFACTS, PROBABILITIES
from pennylane_qstore.server.responses import send
from pennylane_qstore.server.service import Service


def add_result_routes(app: web.Application, service: Service) -> None:
    """Add the routes.

    Args:
        app: the application.
        service: the service behind it.
    """
    routes = _ResultRoutes(service)
    base = "/v0.4/jobs/{id}"
    probabilities = base + "/results/probabilities"
    app.add_routes(
        [
            web.get(probabilities, routes.probabilities, allow_head=False),
            web.get(probabilities + "/aggregated", routes.aggregated, allow_head=False),
            web.get(base + "/results/{alias:histogram|shots}", routes.alias, allow_head=False),
            web.get(base + "/artifacts/{alias}", routes.alias, allow_head=False),
        ]
    )


class _ResultRoutes:
    """The handlers."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def probabilities(self, request: web.Request) -> web.StreamResponse:
        return await self._send(request, PROBABILITIES, vote=_wants_vote(request.query))

    async def aggregated(self, request: web.Request) -> web.StreamResponse:
        return await self._send(request, AGGREGATE, vote=_wants_vote(request.query))

    async def alias(self, request: web.Request) -> web.StreamResponse:
        alias = request.match_info["alias"]
        return await self._send(request, ARTIFACTS.get(alias, alias))

    async def _send(
        self, request: web.Request, artifact: str, *, vote: bool = False
    ) -> web.StreamResponse:
        job_id = request.match_info["id"]
        job, child = self._service.find(job_id)
        if not artifact.startswith(("aggregation-", "variant-")):
            of_children = job.type == MULTI and child is None
            if artifact not in ARTIFACTS.values() or (artifact == AGGREGATE) != of_children:
                raise not_found()
        return await send(request, await self._service.result(job_id, artifact, vote=vote))


def _wants_vote(query: Mapping[str, str]) -> bool:
    """Return whether a query asks for voting, as two generations of clients do."""
    return query.get("sharpen", "").lower() == "true" or query.get("aggregation") == "voting"
