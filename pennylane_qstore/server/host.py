"""A server as an object: its thread, its event loop, its address."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pennylane_qstore.compat.python import forget_applications
from pennylane_qstore.errors import QStoreError
from pennylane_qstore.server.access import Access, RequestLog
from pennylane_qstore.server.histories import Histories

if TYPE_CHECKING:
    import ssl

    from aiohttp import web

_LOG = logging.getLogger(__name__)
_CLOSE_S = 5.0
_ACCEPT_TURNS = 5
"""Turns of the loop, more than asyncio needs between a connection and aiohttp's knowing of it."""


class HttpHost(ABC):
    """Serves an application on a daemon thread of its own. A context manager.

    Args:
        host: address to listen on.
        port: port, 0 for a free one.
        access: the requests that are answered.
        tls: certificate and key, for HTTPS; ``None``: HTTP.
        runs: folders of checkpoints, whose loss curves the page shows.
    """

    def __init__(
        self,
        host: str,
        port: int,
        access: Access,
        tls: ssl.SSLContext | None = None,
        runs: Iterable[str | os.PathLike[str]] = (),
    ) -> None:
        self._host, self._port = host, port
        self._histories = Histories([Path(folder).expanduser() for folder in runs])
        self._access, self._log = access, RequestLog()
        self._tls = tls
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_running(self) -> bool:
        """True between :meth:`start` and :meth:`close`."""
        return self._thread is not None

    @property
    def url(self) -> str:
        """The base URL for clients, ends in ``/v0.4``."""
        return f"{self.address}/v0.4"

    @property
    def address(self) -> str:
        """Scheme, host and port.

        Raises:
            QStoreError: the server is not running.
        """
        if self._thread is None:
            name = type(self).__name__.lower()
            raise QStoreError(f"The {name} is not running: call start(), or use it in a with.")
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host)  # noqa: S104
        host = f"[{host}]" if ":" in host else host
        return f"{'http' if self._tls is None else 'https'}://{host}:{self._port}"

    def start(self) -> Self:
        """Listen, on an own daemon thread. Returns itself.

        Raises:
            QStoreError: the address cannot be listened on.
        """
        if self._thread is not None:
            return self
        ready: Future[None] = Future()
        name = type(self).__name__.lower()
        self._thread = threading.Thread(
            target=self._live, args=(ready,), name=f"qstore-{name}", daemon=True
        )
        self._thread.start()
        problem = ready.exception()
        if problem is None:
            return self
        self._thread.join()
        self._thread = None
        if isinstance(problem, QStoreError):
            raise problem
        raise QStoreError(
            f"The {name} cannot listen on {self._host}:{self._port}: {problem}"
        ) from problem

    def close(self) -> None:
        """Stop listening and end the thread. :meth:`start` takes up the same port."""
        thread, loop = self._thread, self._loop
        if thread is None or loop is None:
            return
        self._thread = self._loop = None
        loop.call_soon_threadsafe(self._stop.set)
        thread.join(_CLOSE_S)

    @abstractmethod
    def _application(self) -> web.Application:
        """Return the application; called in the context of :meth:`_running`."""

    @abstractmethod
    def _running(self) -> AbstractAsyncContextManager[None]:
        """Return the context in which the service behind the application works."""

    def _live(self, ready: Future[None]) -> None:
        try:
            with asyncio.Runner() as runner:  # may fail: no file descriptors are left
                runner.run(self._serve(ready))
        except Exception as error:
            if ready.done():
                raise
            ready.set_exception(error)  # raised by start(), in the caller's thread

    async def _serve(self, ready: Future[None]) -> None:
        """Listen until :meth:`close`, and tell once clients can connect."""
        from aiohttp import web

        from pennylane_qstore.server.header_timeout import HeaderTimeout

        async with self._running():
            app = self._application()
            headers = HeaderTimeout()
            app.middlewares.insert(0, headers.middleware())
            runner = web.AppRunner(
                app,
                handler_cancellation=False,  # a job is accepted even if its client has gone
                access_log=None,
                keepalive_timeout=75.0,
                shutdown_timeout=0.2,
            )
            try:
                await runner.setup()
                assert runner.server is not None  # noqa: S101  (for the type checker)
                sweeping = asyncio.ensure_future(headers.run(runner.server))
                self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
                listener = await self._loop.create_server(
                    runner.server, self._host, self._port, ssl=self._tls
                )
                self._port = listener.sockets[0].getsockname()[1]
                self._access.listen_on(self._host, self._port)
                _LOG.info("%s listens on %s:%s", type(self).__name__, self._host, self._port)
                ready.set_result(None)
                await self._stop.wait()
                sweeping.cancel()
                await _stop_listening(listener)
            finally:
                await runner.cleanup()
                forget_applications()


async def _stop_listening(listener: asyncio.Server) -> None:
    """Close a listener so that aiohttp learns of all its connections, and closes them later.

    A connection that is between asyncio's accepting it and its transport when a listener is closed
    stays open and unknown (up to Python 3.13).
    """
    for sock in listener.sockets:
        asyncio.get_running_loop().remove_reader(sock)
    for _ in range(_ACCEPT_TURNS):
        await asyncio.sleep(0)
    listener.close()
