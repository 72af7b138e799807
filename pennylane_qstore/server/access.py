"""Access to the server, and the log of the requests that it has answered."""

from __future__ import annotations

import hmac
import ipaddress
import time
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from pennylane_qstore.secret import Secret

if TYPE_CHECKING:
    from aiohttp import web

_KEPT_REQUESTS = 100_000
"""The newest requests that are surely kept (up to twice as many are)."""
_KEPT_TIMES = 50_000
_PUBLIC = ("/v0.4/health", "/v0.4/api-docs")


class RequestRecord(NamedTuple):
    """One request below ``/v0.4``: its method, its path with the query, bytes of its body."""

    method: str
    path: str
    bytes: int


class Access:
    """Decides which requests are answered.

    Args:
        token: the only API key admitted (``None``: any).
    """

    refusal = (
        "Invalid key provided. See https://docs.ionq.com/#authentication for details, "
        "or email support@ionq.co for help."
    )
    """Message of the 401 for a request without a valid key."""

    def __init__(self, token: str | Secret | None = None) -> None:
        self._token: Secret | None = Secret.hold(token)
        self._hosts: frozenset[str] = frozenset()  # empty: any (the token protects)

    def listen_on(self, host: str, port: int) -> None:
        """Set the ``Host`` names to accept: on loopback its own, elsewhere any.

        Args:
            host: address listened on.
            port: port listened on.
        """
        names = ("127.0.0.1", "localhost", "[::1]", host) if is_loopback(host) else ()
        self._hosts = frozenset(f"{name}:{port}" for name in names)

    def admits(self, key: str) -> bool:
        """Return whether an API key is the right one."""
        sent = key.encode(errors="surrogateescape")  # headers may hold any bytes
        return self._token is None or hmac.compare_digest(sent, self._token.reveal().encode())

    def authorize(self, request: web.Request) -> bool:
        """Return whether a request carries the key it needs.

        The API takes any key, or the token if there is one. The page and the admin endpoints
        need no key, or the token, which a browser may give in the query.
        """
        path = request.path
        if path.startswith("/v0.4/backends") or path in _PUBLIC:
            return True
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        key = key.strip() if scheme.lower() == "apikey" else ""
        if not path.startswith("/v0.4"):
            return self.admits(key or request.query.get("token", ""))
        return bool(key) and self.admits(key)

    def check_origin(self, request: web.Request) -> bool:
        """Return whether ``Host`` and ``Origin`` name this server.

        Protects against DNS rebinding and cross-site requests.
        """
        host = request.headers.get("Host", "").lower()
        if self._hosts and host not in self._hosts:
            return False
        origin = request.headers.get("Origin")
        return origin is None or origin.lower() in (f"http://{host}", f"https://{host}")


class RequestLog:
    """Counts requests and keeps the newest. Written on the event loop, read anywhere."""

    def __init__(self) -> None:
        self.records: list[RequestRecord] = []
        self._times: deque[float] = deque(maxlen=_KEPT_TIMES)
        self._counts = dict.fromkeys(("requests", "connections", "posts", "bytes"), 0)
        self._transports: weakref.WeakSet[Any] = weakref.WeakSet()

    def add(self, request: web.Request, size: int) -> None:
        """Note a request.

        Args:
            request: the request.
            size: bytes of its body.
        """
        if request.transport is not None and request.transport not in self._transports:
            self._transports.add(request.transport)
            self._counts["connections"] += 1
        self._counts["requests"] += 1
        self._counts["bytes"] += size
        self._counts["posts"] += request.method == "POST" and request.path_qs == "/v0.4/jobs"
        self._times.append(time.monotonic())
        self.records.append(RequestRecord(request.method, request.path_qs, size))
        if len(self.records) > 2 * _KEPT_REQUESTS:
            del self.records[:_KEPT_REQUESTS]

    def stats(self) -> dict[str, int]:
        """Return the numbers of requests, connections, job submissions and body bytes."""
        return self._counts.copy()

    def per_second(self, seconds: int) -> list[int]:
        """Return the number of requests in each of the last seconds, oldest first."""
        now = time.monotonic()
        counts = [0] * seconds
        for moment in reversed(self._times):
            age = int(now - moment)
            if age >= seconds:
                break
            counts[seconds - 1 - age] += 1
        return counts


def is_loopback(host: str) -> bool:
    """Return whether an address or name means this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
