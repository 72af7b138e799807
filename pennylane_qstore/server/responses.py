"""JSON responses: data, errors, and results of any size."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import orjson
from aiohttp import web

from pennylane_qstore.server.access import RequestLog
from pennylane_qstore.server.errors import error_body
from pennylane_qstore.server.service import Body, JobService, Service

SERVICE: web.AppKey[JobService] = web.AppKey("service")
"""The service behind an application."""
ACCOUNT: web.AppKey[Service] = web.AppKey("account")
"""The same, where it answers for the account."""
LOG: web.AppKey[RequestLog] = web.AppKey("log")
"""The requests that an application has answered."""


def answer(data: Any, status: int = 200) -> web.Response:
    """Return a JSON response.

    Args:
        data: what orjson can write.
        status: HTTP status code.

    Returns:
        The response.
    """
    return web.Response(status=status, body=orjson.dumps(data), content_type="application/json")


def error_response(status: int, message: str, keys: Sequence[str] = ()) -> web.Response:
    """Return IonQ's error body as a response.

    Args:
        status: HTTP status code.
        message: description of the error.
        keys: members of the request that are wrong.

    Returns:
        The response, with an ``x-request-id``.
    """
    response = answer(error_body(status, message, keys), status)
    response.headers["x-request-id"] = str(uuid.uuid4())
    return response


async def send(request: web.Request, body: Body) -> web.StreamResponse:
    """Send JSON, whole or piece by piece.

    Args:
        request: the request that is answered.
        body: the JSON; pieces are never whole in memory.

    Returns:
        The response.
    """
    if isinstance(body, bytes):
        return web.Response(body=body, content_type="application/json")
    stream = web.StreamResponse()
    stream.content_type = "application/json"
    await stream.prepare(request)
    with suppress(ConnectionResetError):  # the client has gone
        async for piece in body:
            await stream.write(piece)
        await stream.write_eof()
    return stream
