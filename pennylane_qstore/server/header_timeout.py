"""Connections whose request does not come: aiohttp would keep them for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from aiohttp import web

_HEADERS_S = 10.0
"""Seconds in which the headers of a request must have arrived."""
_SWEEP_S = 1.0


class HeaderTimeout:
    """Closes connections on which no request has arrived in time, or only a part of one.

    Between requests aiohttp's own limit for idle connections counts.

    Args:
        limit_s: seconds that a new connection has, and one from the first byte of a request on.
    """

    def __init__(self, limit_s: float = _HEADERS_S) -> None:
        self._limit_s = limit_s
        self._spoken: set[Any] = set()
        self._served: set[Any] = set()
        self._since: dict[Any, float] = {}

    def middleware(self) -> Any:
        """Return the middleware that notes whose headers have arrived; it has to be the first."""

        @web.middleware
        async def note(
            request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
        ) -> web.StreamResponse:
            protocol, transport = request.protocol, request.transport
            if transport is not None and transport.get_protocol() is protocol:
                transport.set_protocol(_Listener(protocol, self._hear))
            self._spoken.add(protocol)
            # Of a client that asks without a pause, every sweep may find the next request begun.
            self._since.pop(protocol, None)
            self._served.add(protocol)
            try:
                return await handler(request)
            finally:
                self._served.discard(protocol)

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

    def _hear(self, connection: Any) -> None:
        if connection not in self._served:  # else it is the body of the request
            self._spoken.discard(connection)

    async def run(self, server: web.Server) -> None:
        """Sweep the connections of a server until cancelled."""
        # Sweeps are counted instead of seconds: while a loaded machine keeps this loop waiting,
        # requests have arrived that it has not read yet.
        seconds = 0.0
        while True:
            await asyncio.sleep(_SWEEP_S)
            seconds += _SWEEP_S
            self.sweep(server.connections, seconds)


class _Listener(asyncio.Protocol):
    """Passes everything on to aiohttp's protocol, and tells of bytes.

    Args:
        protocol: aiohttp's.
        hear: called with the protocol before it gets bytes.
    """

    def __init__(self, protocol: Any, hear: Callable[[Any], None]) -> None:
        self._hear = hear
        self._protocol = protocol
        for name in ("eof_received", "connection_lost", "pause_writing", "resume_writing"):
            setattr(self, name, getattr(protocol, name))

    def data_received(self, data: bytes) -> None:
        self._hear(self._protocol)
        self._protocol.data_received(data)
