"""The gateway as an object: its options, its connections to IonQ, its server."""

from __future__ import annotations

import os
import random
import secrets
import ssl
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pennylane_qstore.compat.python import also_unmade
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.gateway.access import TokenAccess
from pennylane_qstore.gateway.relay import relay_routes
from pennylane_qstore.gateway.service import GatewayService, note_answer
from pennylane_qstore.gateway.store import Limits, Store
from pennylane_qstore.gateway.tokens import Tokens
from pennylane_qstore.ionq.base_client import find_endpoint
from pennylane_qstore.ionq.http.api import Api
from pennylane_qstore.ionq.http.api_key import find_key
from pennylane_qstore.ionq.http.endpoint import Connection
from pennylane_qstore.ionq.http.retry import Clock, RetryPolicy
from pennylane_qstore.ionq.http.transport import Traffic, Transport
from pennylane_qstore.ionq.jobs.decisions import ON_AMBIGUOUS
from pennylane_qstore.ionq.ledger.database import default_path
from pennylane_qstore.ionq.ledger.ledger import Ledger
from pennylane_qstore.secret import ProxyUrl, Secret
from pennylane_qstore.server.access import is_loopback
from pennylane_qstore.server.host import HttpHost
from pennylane_qstore.validation import check_count, check_number, check_one_of

if TYPE_CHECKING:
    from aiohttp import web
    from aiohttp.typedefs import Middleware

    from pennylane_qstore.gateway.jobs import GatewayJob


def gateway_path() -> Path:
    """Return where a gateway's ledger lies by default: beside everybody's own."""
    return default_path().with_name("gateway.sqlite3")


class Gateway(HttpHost):
    """IonQ's v0.4 API for many clients, with one key, one ledger and one budget.

    A context manager. One gateway at a time may have a ledger.

    Args:
        api_key: IonQ's; by default from the environment, as for the client.
        base_url: of the service; by default ``IONQ_API_URL``, then IonQ's.
        ledger: a :class:`~pennylane_qstore.ionq.ledger.ledger.Ledger` in a file, or its path.
        host: address to listen on. Anything but loopback needs ``tls_cert`` and ``tls_key``.
        port: port, 0 for a free one.
        tls_cert: file of the certificate and its chain (PEM).
        tls_key: file of the certificate's key (PEM).
        limits: on what jobs may cost, in US dollars.
        window_s: how long paid jobs wait for others to be merged with, in seconds; 0: not at all.
        retry_window_s: how long an equal request may be a retry, in seconds; 0: never. Of clients
            that mark their submissions (ours) it always is.
        max_open: jobs on their way; beyond them clients are asked to wait (429).
        on_ambiguous: ``"raise"``: a job that may exist unseen fails; ``"resubmit"``: it is sent
            again, even if it could be paid twice.
        connections: to IonQ, at most.
        retry_policy: number and delays of further tries of requests to IonQ.
        ca_bundle: file of own certificate authorities, for IonQ's certificate.
        proxy: URL of an HTTP proxy on the way to IonQ.
        runs: folders of checkpoints of training runs, whose loss curves the page shows to users
            with jobs of these runs.
        clock: source of time, for tests.

    Raises:
        ConfigurationError: no key, or an option that is not allowed.
        LedgerError: the ledger cannot be opened.
        QStoreError: the address cannot be listened on, or another gateway has the ledger (on
            :meth:`start`).
    """

    def __init__(
        self,
        api_key: str | Secret | None = None,
        *,
        base_url: str | None = None,
        ledger: Ledger | str | os.PathLike[str] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        tls_cert: str | Path | None = None,
        tls_key: str | Path | None = None,
        limits: Limits | None = None,
        window_s: float = 0.25,
        retry_window_s: float = 60.0,
        max_open: int = 2000,
        on_ambiguous: str = "raise",
        connections: int = 8,
        retry_policy: RetryPolicy | None = None,
        ca_bundle: str | None = None,
        proxy: str | ProxyUrl | None = None,
        runs: Iterable[str | os.PathLike[str]] = (),
        clock: Clock | None = None,
    ) -> None:
        api_key = Secret.hold(api_key)  # before anything can raise
        proxy = http_proxy = ProxyUrl.hold(proxy)
        tls = _tls(tls_cert, tls_key)
        if not is_loopback(host) and tls is None:
            raise ConfigurationError(
                f"host={host!r} is reachable from other machines, and tokens would travel in the "
                "clear: give tls_cert=... and tls_key=..., or listen on 127.0.0.1 behind a "
                "reverse proxy that speaks HTTPS."
            )
        self._limits = limits or Limits()
        for name, limit in self._limits._asdict().items():
            check_number(name, limit, least=0, unit="US dollars", optional=True)
        self._options: dict[str, Any] = {
            "window_s": check_number("window_s", window_s, least=0, unit="seconds"),
            "retry_window_s": check_number("retry_window_s", retry_window_s, least=0),
            "max_open": check_count("max_open", max_open),
            "on_ambiguous": check_one_of("on_ambiguous", on_ambiguous, ON_AMBIGUOUS),
        }
        self._key = find_key(api_key)
        self._connection = Connection(
            find_endpoint(base_url),
            check_count("connections", connections),
            ca_bundle=ca_bundle,
            proxy=http_proxy,
        )
        self._policy, self._clock = retry_policy or RetryPolicy(), clock or Clock()
        self.ledger = ledger if isinstance(ledger, Ledger) else Ledger(ledger or gateway_path())
        if self.ledger.path is None:
            raise ConfigurationError("A gateway needs a ledger in a file: it must outlive it.")
        self.tokens = Tokens(self.ledger)
        self._own_token = Secret(secrets.token_urlsafe(32))
        super().__init__(host, port, TokenAccess(self.tokens, self._own_token), tls, runs)
        self._service: GatewayService | None = None
        self._api: Api | None = None

    @also_unmade
    def __repr__(self) -> str:
        where = self.url if self.is_running else "not started"
        return f"<Gateway {where} to {self._connection.endpoint.base_url}>"

    @property
    def page(self) -> str:
        """URL of the page with the jobs of all users, with a token of this start of the gateway.

        Whoever has it sees and cancels them; it sends no jobs.
        """
        return f"{self.address}/?token={self._own_token.reveal()}"

    @property
    def jobs(self) -> list[GatewayJob]:
        """All users' jobs, in the order in which they were accepted."""
        return [] if self._service is None else self._service.all_jobs()

    def _application(self, middlewares: Sequence[Middleware] = ()) -> web.Application:
        from pennylane_qstore.server.server import make_app

        assert self._service is not None  # noqa: S101  (made by _running)
        assert self._api is not None  # noqa: S101  (as above)
        routes = relay_routes(self._api, Traffic())
        app = make_app(self._service, self._access, self._log, middlewares, routes, self._histories)

        async def note(_: web.Request, response: web.StreamResponse) -> None:
            note_answer(response.status)

        app.on_response_prepare.append(note)
        return app

    @asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        transport = Transport(self._connection, self._key)
        rng = random.Random()  # noqa: S311  (jitter, no secret)
        self._api = Api(transport, self._policy, self._clock, rng)
        store = Store(self.ledger, self._limits)
        self._service = GatewayService(self._api, store, **self._options)
        try:
            with store.held():
                try:
                    await self._service.open()
                    yield
                finally:
                    await self._service.close()
        finally:
            await transport.close()
            self.ledger.close()


def _tls(cert: str | Path | None, key: str | Path | None) -> ssl.SSLContext | None:
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        raise ConfigurationError("tls_cert and tls_key belong together: give both files.")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"The certificate {str(cert)!r} with key {str(key)!r} cannot be used: {error}."
        ) from None
    return context
