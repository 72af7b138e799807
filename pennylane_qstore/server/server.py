"""The HTTP side: routes, authentication, IonQ's error bodies, faults of the transport.

Imported only when an emulator starts, because aiohttp is.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import uuid
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

from pennylane_qstore.backends import MAX_BODY_BYTES
from pennylane_qstore.emulator.faults import Fault
from pennylane_qstore.server.account import add_other_routes
from pennylane_qstore.server.dashboard import add_page_routes
from pennylane_qstore.server.errors import BadRequest
from pennylane_qstore.server.jobs import add_job_routes
from pennylane_qstore.server.results import add_result_routes

if TYPE_CHECKING:
    from pennylane_qstore.emulator.emulator import Emulator

_LOG = logging.getLogger(__name__)
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_READ_S = 60.0
"""Seconds in which a request's body must have arrived."""
_TITLES = {
    400: "Bad Request",
    401: "Unauthorized Error",
    403: "Forbidden Error",
    404: "Not Found Error",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Request Entity Too Large",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


def make_app(emulator: Emulator) -> web.Application:
    """The application that serves an emulator."""

    @web.middleware
    async def front(request: web.Request, handler: _Handler) -> web.StreamResponse:
        return await _front(emulator, request, handler)

    app = web.Application(middlewares=[front], client_max_size=MAX_BODY_BYTES)
    add_job_routes(app, emulator)
    add_result_routes(app, emulator)
    add_other_routes(app, emulator)
    add_page_routes(app, emulator)
    return app


async def _front(emulator: Emulator, request: web.Request, handler: _Handler) -> web.StreamResponse:
    if not _is_ours(emulator, request):
        return error_response(403, "This emulator answers to its own address only.")
    if not request.path.startswith("/v0.4"):
        return await _guarded(emulator, request, handler)
    try:
        body = await asyncio.wait_for(request.read(), _READ_S)
    except TimeoutError:
        return error_response(408, f"The body did not arrive within {_READ_S:g} s.")
    except (web.RequestPayloadError, ConnectionError):  # in the second case nobody reads this
        return error_response(400, "The body cannot be decoded, or is not whole.")
    except web.HTTPRequestEntityTooLarge:
        emulator.count(request.method, request.path_qs, request.content_length or 0, request)
        return error_response(413, f"The body is larger than {MAX_BODY_BYTES} bytes.")
    emulator.count(request.method, request.path_qs, len(body), request)
    route = route_of(request.method, request.path)
    fault = emulator.faults.transport(route)
    if fault is None:
        return await _guarded(emulator, request, handler)
    _LOG.info("Fault %s at %s %s", fault.kind, request.method, request.path)
    return await _faulty(emulator, fault, request, handler)


async def _guarded(
    emulator: Emulator, request: web.Request, handler: _Handler
) -> web.StreamResponse:
    """Authenticate, handle, and turn what is wrong into IonQ's error bodies."""
    try:
        if not _may(emulator, request):
            return error_response(
                401,
                "Invalid key provided. See https://docs.ionq.com/#authentication for details, "
                "or email support@ionq.co for help.",
            )
        response = await handler(request)
    except BadRequest as error:
        return error_response(error.status, error.message, error.keys)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return error_response(error.status, error.reason)
    except Exception:  # noqa: BLE001 - a service answers 500
        _LOG.exception("Error while serving %s %s", request.method, request.path)
        return error_response(500, "Internal service outage. Please email support@ionq.co.")
    if not response.prepared:
        response.headers.setdefault("x-request-id", str(uuid.uuid4()))
    return response


def error_response(
    status: int, message: str, keys: tuple[str, ...] | list[str] = ()
) -> web.Response:
    """IonQ's error body."""
    body: dict[str, Any] = {
        "statusCode": status,
        "error": _TITLES.get(status, "Error"),
        "message": message,
    }
    if status == 400 and keys:
        body["validation"] = {"keys": list(keys), "source": "payload"}
    return web.Response(
        status=status,
        body=orjson.dumps(body),
        content_type="application/json",
        headers={"x-request-id": str(uuid.uuid4())},
    )


def route_of(method: str, path: str) -> str:
    """The route's name, as faults know it."""
    parts = path.removeprefix("/v0.4").strip("/").split("/")
    if parts[0] in ("sessions", "backends"):
        return {"sessions": "session", "backends": "backends"}[parts[0]]
    if parts[0] != "jobs":
        return "other"
    last = parts[-1]
    if last == "cancel":
        return "cancel"
    if method == "DELETE":
        return "delete"
    if method == "POST":
        return "submit"
    if last in ("cost", "estimate"):
        return "cost"
    if len(parts) == 1:
        return "list"
    return "job" if len(parts) == 2 else "results"


def _may(emulator: Emulator, request: web.Request) -> bool:
    """Whether a request carries the key it needs.

    The API takes any key, or the emulator's token if it has one. The page and the admin
    endpoints need no key, or the token, which a browser may give in the query.
    """
    path = request.path
    if path.startswith("/v0.4/backends") or path in ("/v0.4/health", "/v0.4/api-docs"):
        return True
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    key = key.strip() if scheme.lower() == "apikey" else ""
    if not path.startswith("/v0.4"):
        return emulator.admits(key or request.query.get("token", ""))
    return bool(key) and emulator.admits(key)


def _is_ours(emulator: Emulator, request: web.Request) -> bool:
    """Against DNS rebinding and cross-site requests: Host and Origin must be this server."""
    host = request.headers.get("Host", "").lower()
    if emulator.hosts and host not in emulator.hosts:
        return False
    origin = request.headers.get("Origin")
    return origin is None or origin.lower().removeprefix("http://") == host


async def _faulty(
    emulator: Emulator, fault: Fault, request: web.Request, handler: _Handler
) -> web.StreamResponse:
    kind, before = fault.kind, fault.when == "before"
    if kind == "delay" and before:
        await emulator.clock.sleep(fault.delay_s)
    answer: web.StreamResponse
    if before and kind != "delay":
        answer = error_response(502, "Bad gateway on purpose.")
    else:
        answer = await _guarded(emulator, request, handler)
    if kind == "delay" and not before:
        await emulator.clock.sleep(fault.delay_s)
    if kind == "status":
        return _status(fault)
    if kind == "redirect":
        return web.Response(status=307, headers={"Location": fault.location})
    if kind == "hostile":
        headers = {"Content-Encoding": "gzip"} if fault.body == "gzip_bomb" else {}
        return web.Response(body=fault.payload(), content_type="application/json", headers=headers)
    if kind in ("close", "reset"):
        _drop(request, reset=kind == "reset")
        return answer
    if answer.prepared:  # sent piece by piece: too late to spoil it
        return answer
    if kind == "content_type":
        answer.content_type = "text/html"
    if kind in ("truncate", "trickle"):
        return await _partly(emulator, fault, request, answer)
    return answer


def _status(fault: Fault) -> web.Response:
    if 520 <= fault.status <= 529:
        answer = web.Response(
            status=fault.status,
            text=f"<!DOCTYPE html><html><title>{fault.status}: Web server is returning an unknown "
            "error</title><body>cloudflare</body></html>",
            content_type="text/html",
        )
    else:
        answer = error_response(fault.status, f"Status {fault.status} on purpose.")
    if fault.retry_after is not None:
        answer.headers["Retry-After"] = str(fault.retry_after)
    return answer


def _drop(request: web.Request, *, reset: bool) -> None:
    transport = request.transport
    if transport is None:
        return
    if reset:
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    else:
        transport.close()


async def _partly(
    emulator: Emulator, fault: Fault, request: web.Request, answer: web.StreamResponse
) -> web.StreamResponse:
    body = answer.body if isinstance(answer, web.Response) else None
    body = body if isinstance(body, bytes) else b""
    stream = web.StreamResponse(status=answer.status)
    stream.content_type = answer.content_type
    stream.content_length = len(body)
    await stream.prepare(request)
    if fault.kind == "truncate":
        await stream.write(body[: len(body) // 2])
        _drop(request, reset=False)
        return stream
    for k in range(len(body)):
        await emulator.clock.sleep(fault.delay_s)
        await stream.write(body[k : k + 1])
    return stream
