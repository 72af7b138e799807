"""Routes of the account, which are IonQ's to answer: backends, estimates and sessions."""

from __future__ import annotations

import re

from aiohttp import web

from pennylane_qstore.ionq.http.api import Api
from pennylane_qstore.ionq.http.retry import NotSent, ResponseLost
from pennylane_qstore.ionq.http.transport import Traffic
from pennylane_qstore.server.errors import BadRequest, not_found

_PLAIN = re.compile(r"(/[A-Za-z0-9][A-Za-z0-9._-]*)+")
"""Paths that mean the same to everybody: no dots that lead upwards, nothing quoted."""
_RETRY_S = 5


def relay_routes(api: Api, traffic: Traffic) -> web.RouteTableDef:
    """Return routes that pass a request on with the gateway's key, once, and its answer back.

    Args:
        api: IonQ.
        traffic: counters.

    Returns:
        The routes.
    """
    routes = web.RouteTableDef()

    @routes.get("/v0.4/jobs/estimate", allow_head=False)
    @routes.get("/v0.4/backends", allow_head=False)
    @routes.get("/v0.4/backends/{backend}", allow_head=False)
    @routes.get("/v0.4/backends/{backend}/characterizations", allow_head=False)
    @routes.get("/v0.4/backends/{backend}/characterizations/{id}", allow_head=False)
    @routes.get("/v0.4/sessions", allow_head=False)
    @routes.post("/v0.4/sessions")
    @routes.get("/v0.4/sessions/{session}", allow_head=False)
    @routes.post("/v0.4/sessions/{session}/end")
    async def forward(request: web.Request) -> web.Response:
        path = request.path.removeprefix("/v0.4")
        if not _PLAIN.fullmatch(path):
            raise not_found()
        query = request.rel_url.raw_query_string
        body = await request.read() or None
        try:
            response = await api.transport.request(
                request.method, f"{path}?{query}" if query else path, traffic, body=body
            )
        except NotSent as problem:
            message = f"IonQ cannot be reached: {problem}."
            raise BadRequest(message, status=503, retry_after_s=_RETRY_S) from None
        except ResponseLost as problem:
            raise BadRequest(f"IonQ's answer is lost: {problem}.", status=502) from None
        headers = {"Retry-After": response.retry_after} if response.retry_after else None
        return web.Response(
            status=response.status, body=response.body, content_type="application/json",
            headers=headers,
        )  # fmt: skip

    return routes
