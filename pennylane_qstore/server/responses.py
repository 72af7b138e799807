"""Responses of any size: at once, from a worker thread, or piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import orjson
from aiohttp import web

from pennylane_qstore.emulator.service.service import Service

INLINE_ENTRIES = 20_000
"""Results of up to so many entries (some milliseconds) are made on the event loop."""


def answer(data: Any, status: int = 200) -> web.Response:
    """A JSON response."""
    return web.Response(status=status, body=orjson.dumps(data), content_type="application/json")


async def large(service: Service, size: int, make: Callable[[], Any]) -> web.Response:
    """A JSON response of so many entries; large ones are made off the event loop."""
    if size <= INLINE_ENTRIES:
        return answer(make())
    body = await service.off_loop(lambda: orjson.dumps(make()))
    return web.Response(body=body, content_type="application/json")


async def streamed(
    service: Service, request: web.Request, pieces: Iterator[bytes]
) -> web.StreamResponse:
    """A JSON response that is never whole in memory."""
    stream = web.StreamResponse()
    stream.content_type = "application/json"
    await stream.prepare(request)
    with suppress(ConnectionResetError):  # the client has gone
        while piece := await service.off_loop(lambda: next(pieces, b"")):
            await stream.write(piece)
        await stream.write_eof()
    return stream
