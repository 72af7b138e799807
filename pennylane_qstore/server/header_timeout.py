"""Connections whose request does not come: aiohttp would keep them for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from aiohttp import web

_HEADERS_S = 10.0
"""Seconds in which the headers of a connection's first request must have arrived."""
_SWEEP_S = 1.0


class HeaderTimeout:
    """Closes connections on which no request has arrived in time.

    After the first request aiohttp's own limit for idle connections counts.

    Args:
        limit_s: seconds that a new connection has.
    """

    def __init__(self, limit_s: float = _HEADERS_S) -> None:
        self._limit_s = limit_s
        self._spoken: set[Any] = set()
        self._since: dict[Any, float] = {}

    def middleware(self) -> Any:
        """Return the middleware that notes whose headers have arrived; it has to be the first."""

        @web.middleware
        async def note(
            request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
        ) -> web.StreamResponse:
            self._spoken.add(request.protocol)
            return await handler(request)

        return note

    def sweep(self, connections: Collection[Any], now: float) -> None:
        """Close the connections that have been silent for too long.

        Args:
            connections: aiohttp's protocols that are open.
            now: seconds on any clock that is never set back.
        """
        self._spoken.intersection_update(connections)
        silent = [c for c in connections if c not in self._spoken]
        self._since = {c: self._since.get(c, now) for c in silent}
        for connection, since in self._since.items():
            if now - since >= self._limit_s:
                connection.force_close()

    async def run(self, server: web.Server) -> None:
        """Sweep the connections of a server until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_SWEEP_S)
            self.sweep(server.connections, loop.time())
