"""HTTP to one service: one session, one pool, capped bodies, no redirects.

It knows requests and responses, nothing of jobs. aiohttp's exceptions stay in this module: some
of them hold the request's headers, and with them the API key.
"""

from __future__ import annotations

import asyncio
import errno
import io
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import aiohttp
from yarl import URL

from pennylane_qstore._version import __version__
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.ionq.http.endpoint import Connection
from pennylane_qstore.ionq.http.event_loop import background_loop
from pennylane_qstore.ionq.http.retry import NotSent, ResponseLost
from pennylane_qstore.secret import ProxyUrl, Secret

MAX_ERROR_BYTES = 64 * 1024
"""Decoded bytes read of a response with an error status."""
MAX_STATUS_BYTES = 4 * 1024 * 1024
"""Decoded bytes read of a job state or a job list."""
MAX_RESULT_BYTES = 256 * 1024 * 1024
"""Decoded bytes read of results."""

_CONNECT_S = 10.0
# A response that trickles in never exceeds the time limit between two bytes, so it would hold
# its connection for ever. Generous: large results may come slowly.
_READ_TOTAL_S = 30.0
_READ_TOTAL_S_PER_MB = 2.0
_POST_S = 60.0
_POST_S_PER_MB = 2.0
_KEEP_ALIVE_S = 60.0  # below the idle limit of Cloudflare, in front of the service
_CHUNK_BYTES = 64 * 1024
_STREAMED_BYTES = 512 * 1024


@dataclass(frozen=True, slots=True)
class Response:
    """Status, body and the two headers that matter."""

    status: int
    body: bytes
    retry_after: str | None = None
    request_id: str | None = None


@dataclass(slots=True)
class Traffic:
    """Counters of one client's requests; bytes are those of bodies."""

    requests: int = 0
    posts: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    connections_opened: int = 0
    connections_reused: int = 0
    polls: int = 0
    retries: int = 0
    reconciled: int = 0

    def add(self, other: Traffic) -> None:
        """Add the counts of ``other``."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Transport:
    """One session of one service. Its methods run on the background loop.

    Args:
        connection: how the service is reached.
        key: the API key.

    Raises:
        ConfigurationError: the file of certificate authorities cannot be read.
    """

    def __init__(self, connection: Connection, key: Secret) -> None:
        self.endpoint = connection.endpoint
        self._connection = connection
        self._key = key
        self._proxy = connection.proxy
        encrypted = self.endpoint.base_url.startswith("https:")
        self._tls = _tls_context(connection.ca_bundle) if encrypted else True
        self.last_date: tuple[str, float] | None = None  # the service's Date, and our time then
        self._session: aiohttp.ClientSession | None = None
        self._slots: asyncio.Semaphore | None = None

    async def request(
        self,
        method: str,
        path: str,
        traffic: Traffic,
        *,
        body: bytes | None = None,
        max_bytes: int = MAX_STATUS_BYTES,
        before: Callable[[], Awaitable[None]] | None = None,
    ) -> Response:
        """Send one request, once.

        Args:
            method: HTTP method.
            path: path and query below the base URL, already quoted.
            traffic: counters to write to.
            body: JSON, or nothing.
            max_bytes: decoded bytes to read of a response with a good status.
            before: awaited when a connection is free, just before the request goes out.

        Returns:
            The response, of any status, without the API key.

        Raises:
            NotSent: the service was not reached.
            ResponseLost: the request went out and no valid response came back.
        """
        session = self._session or self._open()
        assert self._slots is not None  # noqa: S101  (for the type checker: _open sets it)
        url = URL(self.endpoint.base_url + path, encoded=True)
        headers = None if body is None else {"Content-Type": "application/json"}
        # aiohttp writes a stream piece by piece.
        data = io.BytesIO(body) if body is not None and len(body) > _STREAMED_BYTES else body
        # Own slots rather than the pool's: waiting for a connection is not the service's
        # slowness, so it must not use up the time limit.
        async with self._slots:
            if before is not None:
                await before()
            if session.closed:  # by another thread, while this one waited in line
                raise NotSent("the connections were closed before it was sent")
            traffic.requests += 1
            traffic.posts += method == "POST"
            traffic.bytes_sent += len(body) if body else 0
            try:
                async with session.request(
                    method, url, data=data, headers=headers, allow_redirects=False,
                    timeout=self._timeout(method, body, max_bytes),
                    proxy=None if self._proxy is None else self._proxy.public,
                    proxy_auth=_proxy_auth(self._proxy),
                    trace_request_ctx=traffic,
                ) as response:  # fmt: skip
                    return await self._read(response, max_bytes, traffic)
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
                failure = _failure(error, self._key)
        raise failure

    @property
    def is_open(self) -> bool:
        """True where there is a session to close."""
        return self._session is not None

    def redact(self, text: str) -> str:
        """Return ``text`` without the API key, should the service have echoed it."""
        return self._key.redact(text)

    async def close(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            background_loop().closed(self.close)
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=self._connection.pool_size,
            keepalive_timeout=_KEEP_ALIVE_S,
            ssl=self._tls,
        )
        trace = aiohttp.TraceConfig()
        trace.on_connection_create_end.append(_count_opened)
        trace.on_connection_reuseconn.append(_count_reused)
        self._slots = asyncio.Semaphore(self._connection.pool_size)
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            # Here, and not with each request: no frame of a traceback has the key as a local.
            headers={
                "User-Agent": f"pennylane-qstore/{__version__}",
                "Authorization": f"apiKey {self._key.reveal()}",
            },
            trace_configs=[trace],
        )
        background_loop().at_exit(self.close)
        return self._session

    async def _read(
        self, response: aiohttp.ClientResponse, max_bytes: int, traffic: Traffic
    ) -> Response:
        good = 200 <= response.status < 300
        limit = max_bytes if good else MAX_ERROR_BYTES
        chunks: list[bytes] = []
        size = 0
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            size += len(chunk)
            chunks.append(chunk)
            if size > limit:
                response.close()
                if good:
                    raise ValueError(f"the response is larger than {limit:,} bytes")
                break  # the start of an error page is enough
        body = b"".join(chunks)[:limit]
        traffic.bytes_received += len(body)
        if (date := self._header(response, "Date")) is not None:
            self.last_date = date, time.time()
        return Response(
            response.status,
            # A captive portal's page, say, shows the headers that it was sent. Redacted here and
            # nowhere later: errors and the ledger quote the body.
            self._key.redact_bytes(body),
            self._header(response, "Retry-After"),
            self._header(response, "x-request-id"),
        )

    def _header(self, response: aiohttp.ClientResponse, name: str) -> str | None:
        value = response.headers.get(name)
        return None if value is None else self._key.redact(value)

    def _timeout(self, method: str, body: bytes | None, max_bytes: int) -> aiohttp.ClientTimeout:
        read = self._connection.timeout_s
        total = max(read, read_timeout_s(max_bytes))
        if method == "POST":
            total = read = post_timeout_s(len(body or b""))
        return aiohttp.ClientTimeout(total=total, sock_connect=_CONNECT_S, sock_read=read)


def post_timeout_s(size_bytes: int) -> float:
    """Return the longest wait for the response to a POST of this size, in seconds."""
    return _POST_S + _POST_S_PER_MB * size_bytes / 1e6


def read_timeout_s(max_bytes: int) -> float:
    """Return the longest time in all for a read of at most this many bytes, in seconds."""
    return _READ_TOTAL_S + _READ_TOTAL_S_PER_MB * max_bytes / 1e6


def _proxy_auth(proxy: ProxyUrl | None) -> aiohttp.BasicAuth | None:
    # Apart from the URL, which aiohttp's errors show.
    return None if proxy is None else aiohttp.BasicAuth.from_url(URL(proxy.reveal()))


def _failure(error: Exception, key: Secret) -> NotSent | ResponseLost:
    reason = key.redact(f"{type(error).__name__}: {error}")[:300]  # cut last: no half of a key
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return NotSent("no file descriptors are left (close devices, or raise `ulimit -n`)")
    certificate = (
        aiohttp.ClientConnectorCertificateError,
        aiohttp.ServerFingerprintMismatch,
        aiohttp.InvalidURL,
    )
    if isinstance(error, certificate):
        return NotSent(reason, permanent=True)
    not_connected = (
        aiohttp.ClientConnectorError,
        aiohttp.ConnectionTimeoutError,
        aiohttp.ClientHttpProxyError,
    )
    # Closed, by another thread, while it was connecting; aiohttp has no type of its own for that.
    closed = type(error) is aiohttp.ClientConnectionError and "Connector is closed" in reason
    if closed or isinstance(error, not_connected):
        return NotSent(reason)
    return ResponseLost(reason)


async def _count_opened(_session: Any, context: SimpleNamespace, _params: Any) -> None:
    context.trace_request_ctx.connections_opened += 1


async def _count_reused(_session: Any, context: SimpleNamespace, _params: Any) -> None:
    context.trace_request_ctx.connections_reused += 1


def _tls_context(ca_bundle: str | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_bundle)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"ca_bundle {ca_bundle!r} cannot be read: {error}.") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
