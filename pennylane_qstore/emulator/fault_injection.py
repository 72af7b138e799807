"""Fault injection: a middleware that fails requests and spoils answers by the plan.

Kept apart from the plan because it needs aiohttp, which is imported when a server starts.
"""

from __future__ import annotations

import logging
import socket
import struct
import zlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import orjson
from aiohttp import web
from aiohttp.typedefs import Middleware

from pennylane_qstore.emulator.faults import Fault, Faults
from pennylane_qstore.emulator.service.clock import Clock
from pennylane_qstore.server.jobs import FIRST_PAGE
from pennylane_qstore.server.render import timestamp
from pennylane_qstore.server.responses import error_response

HOSTILE: Mapping[str, bytes] = MappingProxyType(
    {
        "empty": b"",
        "null": b"null",
        "array": b"[]",
        "not_json": b"\x00\xff{]",
        "html": b"<!DOCTYPE html><html><body><h1>Bad gateway</h1></body></html>",
        "nan": b'{"0": NaN, "1": 0.5}',
        "infinity": b'{"0": 1e999}',
        "negative": b'{"0": 1.5, "1": -0.5}',
        "sum": b'{"0": 0.5, "1": 0.1}',
        "key": b'{"spam": 1.0}',
        "range": b'{"340282366920938463463374607431768211456": 1.0}',
        "types": b'{"0": "1.0"}',
        "nested": b'{"0": {"0": 1.0}}',
        "surrogate": b'{"\\ud800": 1.0}',
        "duplicate": b'{"0": 0.5, "0": 1.0}',
        "deep": b"[" * 100_000 + b"]" * 100_000,
        "huge": b'{"0": 1.0, "x": "' + b"a" * 1_000_000 + b'"}',
    }
)
"""Bodies by name; ``gzip_bomb`` (a gigabyte of zeros in one megabyte) is made when asked for."""
_LOG = logging.getLogger(__name__)
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def fault_middleware(faults: Faults, clock: Clock) -> Middleware:
    """Return the middleware that lets faults happen to requests below ``/v0.4``.

    Args:
        faults: the plan.
        clock: the clock on which delays pass.

    Returns:
        The middleware.
    """

    @web.middleware
    async def inject(request: web.Request, handler: _Handler) -> web.StreamResponse:
        if not request.path.startswith("/v0.4"):
            return await handler(request)

        async def handle(request: web.Request) -> web.StreamResponse:
            return _spoil_content(faults, request, await handler(request))

        fault = faults.transport(route_of(request.method, request.path))
        if fault is None:
            return await handle(request)
        _LOG.info("Fault %s at %s %s", fault.kind, request.method, request.path)
        return await _spoil_transport(fault, clock, request, handle)

    return inject


def route_of(method: str, path: str) -> str:
    """Return the name of a route in a plan of faults.

    Args:
        method: HTTP method.
        path: path of the request.

    Returns:
        One of :data:`~pennylane_qstore.emulator.faults.ROUTES`.
    """
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


def _spoil_content(
    faults: Faults, request: web.Request, response: web.StreamResponse
) -> web.StreamResponse:
    """Let faults of the content happen to jobs and lists of jobs."""
    readable = request.method == "GET" and response.status == 200
    if not (readable and isinstance(response, web.Response) and faults.pending()):
        return response
    if request.path.rstrip("/").endswith("/jobs"):
        data = _spoil_list(faults, _json(response), request.query.get("next"))
    elif route_of("GET", request.path) == "job":
        data = _spoil_job(faults, _json(response), "job")
    else:
        return response
    response.body = orjson.dumps(data)
    return response


def _json(response: web.Response) -> dict[str, Any]:
    data: dict[str, Any] = orjson.loads(response.body)  # type: ignore[arg-type]
    return data


def _spoil_list(faults: Faults, data: dict[str, Any], cursor: str | None) -> dict[str, Any]:
    follow, jobs = data["next"], data["jobs"]
    if faults.content("list_repeat", "list"):
        follow = cursor or FIRST_PAGE
    jobs = [_spoil_job(faults, job, "list") for job in jobs]
    if faults.content("list_duplicates", "list"):
        jobs = [job for job in jobs for _ in range(2)]
    if faults.content("list_shuffle", "list"):
        jobs = [jobs[i] for i in faults.rng.permutation(len(jobs))]
    return {"jobs": jobs, "next": follow}


def _spoil_job(faults: Faults, job: dict[str, Any], route: str) -> dict[str, Any]:
    if job["parent_job_id"] is not None and faults.content("unnamed_children", route):
        job["name"] = None
    if skew := faults.content("clock_skew", route):
        for key in ("submitted_at", "started_at", "completed_at"):
            if job[key] is not None:
                moment = datetime.fromisoformat(job[key]).timestamp()
                job[key] = timestamp(moment + skew.delay_s)
    if job["status"] == "completed":
        if faults.content("regress", route):
            job |= {"status": "started", "completed_at": None, "results": None}
        elif faults.content("null_results", route):
            job["results"] = None
    if odd := faults.content("job_status", route):
        job["status"] = odd.value
    return job


async def _spoil_transport(
    fault: Fault, clock: Clock, request: web.Request, handler: _Handler
) -> web.StreamResponse:
    kind, before = fault.kind, fault.when == "before"
    if kind == "delay" and before:
        await clock.sleep(fault.delay_s)
    response: web.StreamResponse
    if before and kind != "delay":
        response = error_response(502, "Bad gateway on purpose.")
    else:
        response = await handler(request)
    if kind == "delay" and not before:
        await clock.sleep(fault.delay_s)
    if kind == "status":
        return _status(fault)
    if kind == "redirect":
        return web.Response(status=307, headers={"Location": fault.location})
    if kind == "hostile":
        headers = {"Content-Encoding": "gzip"} if fault.body == "gzip_bomb" else {}
        return web.Response(
            body=hostile_body(fault.body), content_type="application/json", headers=headers
        )
    if kind in ("close", "reset"):
        _drop(request, reset=kind == "reset")
    elif kind == "content_type" and not response.prepared:
        response.content_type = "text/html"
    elif kind in ("truncate", "trickle") and not response.prepared:
        return await _send_partly(fault, clock, request, response)
    return response  # one that is sent piece by piece is gone already


def _status(fault: Fault) -> web.Response:
    if 520 <= fault.status <= 529:
        response = web.Response(
            status=fault.status,
            text=f"<!DOCTYPE html><html><title>{fault.status}: Web server is returning an unknown "
            "error</title><body>cloudflare</body></html>",
            content_type="text/html",
        )
    else:
        response = error_response(fault.status, f"Status {fault.status} on purpose.")
    if fault.retry_after is not None:
        response.headers["Retry-After"] = str(fault.retry_after)
    return response


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


async def _send_partly(
    fault: Fault, clock: Clock, request: web.Request, response: web.StreamResponse
) -> web.StreamResponse:
    body = response.body if isinstance(response, web.Response) else None
    body = body if isinstance(body, bytes) else b""
    stream = web.StreamResponse(status=response.status)
    stream.content_type = response.content_type
    stream.content_length = len(body)
    await stream.prepare(request)
    if fault.kind == "truncate":
        await stream.write(body[: len(body) // 2])
        _drop(request, reset=False)
        return stream
    for k in range(len(body)):
        await clock.sleep(fault.delay_s)
        await stream.write(body[k : k + 1])
    return stream


def hostile_body(name: str) -> bytes:
    """Return the body of a name, or the text itself where no body has this name."""
    return _bomb() if name == "gzip_bomb" else HOSTILE.get(name, name.encode())


@lru_cache(maxsize=1)
def _bomb() -> bytes:
    zeros, count = bytes(1 << 20), 1 << 10
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)  # may follow itself
    check = 0
    for _ in range(count):
        check = zlib.crc32(zeros, check)
    head = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    return head + block * count + packer.flush() + struct.pack("<II", check, len(zeros) * count)
