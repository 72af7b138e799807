"""The client's base: options, shared connections, counters, opening and closing."""

from __future__ import annotations

import asyncio
import functools
import os
import random
import threading
import weakref
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass, field, replace
from typing import Any, Concatenate, NamedTuple, ParamSpec, Self, TypeVar

from pennylane_qstore.compat.python import also_unmade, keep_forever
from pennylane_qstore.ionq.http.api import Api
from pennylane_qstore.ionq.http.api_key import find_key
from pennylane_qstore.ionq.http.blocking import BlockingCall
from pennylane_qstore.ionq.http.endpoint import READ_S, Connection, Endpoint
from pennylane_qstore.ionq.http.event_loop import background_loop
from pennylane_qstore.ionq.http.retry import Clock, RetryPolicy
from pennylane_qstore.ionq.http.transport import Traffic, Transport
from pennylane_qstore.ionq.jobs.decisions import ON_AMBIGUOUS
from pennylane_qstore.ionq.jobs.poller import Poller
from pennylane_qstore.ionq.jobs.request_runner import PendingRequest
from pennylane_qstore.ionq.jobs.runner import JobRunner
from pennylane_qstore.ionq.ledger.database import default_path
from pennylane_qstore.ionq.ledger.ledger import Ledger
from pennylane_qstore.secret import ProxyUrl, Secret
from pennylane_qstore.validation import check_count, check_number, check_one_of

BASE_URL = "https://api.ionq.co/v0.4"
"""IonQ's service."""
URL_VARIABLE = "IONQ_API_URL"
"""Environment variable that names another one."""

_T = TypeVar("_T")
_P = ParamSpec("_P")
_C = TypeVar("_C", bound="BaseClient")


def find_endpoint(base_url: str | None) -> Endpoint:
    """Return the service of this URL; by default of the environment's, then IonQ's.

    Raises:
        ConfigurationError: the URL is not allowed.
    """
    return Endpoint(base_url or os.environ.get(URL_VARIABLE) or BASE_URL)


class Address(NamedTuple):
    """All that two clients must have in common to share connections."""

    connection: Connection
    key: Secret
    retry_policy: RetryPolicy
    clock: Clock
    rng: random.Random | None


@dataclass(frozen=True, eq=False)
class SharedService:
    """One service: its endpoints and the poller of its jobs.

    Clients hold it; its connections are closed when the last of them lets it go.
    """

    api: Api
    poller: Poller
    pid: int = field(default_factory=os.getpid)


class BaseClient:
    """Connections, ledger and counters of a client; arguments as for ``IonQClient``."""

    _shared: SharedService | None

    def __init__(
        self,
        api_key: str | Secret | None = None,
        *,
        base_url: str | None = None,
        pool_size: int = 5,
        max_connections: int | None = None,
        timeout: float | None = None,
        retry_policy: RetryPolicy | None = None,
        retry_attempts: int | None = None,
        ledger: Ledger | str | os.PathLike[str] | None = None,
        on_ambiguous: str = "raise",
        retry_failed: bool = True,
        ca_bundle: str | None = None,
        proxy: str | ProxyUrl | None = None,
        clock: Clock | None = None,
        rng: random.Random | None = None,
    ) -> None:
        api_key = Secret.hold(api_key)  # before anything can raise
        proxy = http_proxy = ProxyUrl.hold(proxy)
        self._key: Secret | None = find_key(api_key)
        policy = retry_policy or RetryPolicy()
        if retry_attempts is not None:
            policy = replace(policy, attempts=retry_attempts)
        self.retry_policy = policy
        self._connection = Connection(
            find_endpoint(base_url),
            check_count("pool_size", pool_size if max_connections is None else max_connections),
            check_number("timeout", timeout, above=0, unit="seconds", optional=True) or READ_S,
            ca_bundle,
            http_proxy,
        )
        self.on_ambiguous = on_ambiguous
        self._retry_failed = bool(retry_failed)
        self._clock = clock or Clock()
        self._rng = rng
        self.ledger = _open_ledger(ledger, self._connection.endpoint, self._clock)
        self._prepare()

    @also_unmade
    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_url!r}, ledger={self.ledger!r})"

    @property
    def base_url(self) -> str:
        """URL of the service."""
        return self._connection.endpoint.base_url

    @property
    def service_key(self) -> Hashable:
        """A value that clients have in common which may send each other's jobs."""
        return id(self._service()), self._retry_failed

    @property
    def on_ambiguous(self) -> str:
        """``"raise"`` or ``"resubmit"``, for the calls that begin from now on."""
        return self._on_ambiguous

    @on_ambiguous.setter
    def on_ambiguous(self, value: str) -> None:
        self._on_ambiguous: str = check_one_of("on_ambiguous", value, ON_AMBIGUOUS)

    @property
    def stats(self) -> dict[str, float]:
        """Counters of this client; see :meth:`get_stats`."""
        return self.get_stats()

    def get_stats(self) -> dict[str, float]:
        """Return counters of this client since it was made, by name.

        Bytes are those of bodies. ``api_calls_saved`` is the number of further POSTs that one
        job per circuit would have taken.
        """
        traffic = {name: getattr(self._traffic, name) for name in Traffic.__slots__}
        opened, reused = self._traffic.connections_opened, self._traffic.connections_reused
        sent, posts = self._circuits, self._traffic.posts
        return {
            **traffic,
            "jobs": self._jobs,
            "circuits": sent,
            "adopted": self._adopted,
            "billed_usd": self._billed_usd,
            "api_calls_saved": max(sent - self._jobs, 0),
            "connection_reuse_rate": reused / (opened + reused) if opened + reused else 0.0,
            "avg_submission_ms": 1e3 * self._submit_s / self._jobs if self._jobs else 0.0,
            "total_api_calls": posts,
            "total_circuits_submitted": sent,
            "avg_circuits_per_call": sent / posts if posts else 0.0,
        }

    def close(self) -> None:
        """Give the connections back. Jobs in flight stay in the ledger."""
        self._shared = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        # Neither the key nor connections travel to another process.
        names = ("retry_policy", "_connection", "_on_ambiguous", "_retry_failed", "ledger")
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._key = None  # read from the environment when first needed
        self._clock, self._rng = Clock(), None
        self._prepare()

    async def on_loop(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine on the background loop; await its result on the caller's loop."""
        return await asyncio.wrap_future(background_loop().submit(coroutine))

    def call(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine on the background loop; block this thread until it has ended."""
        return BlockingCall().wait(coroutine)

    def count(self, requests: list[PendingRequest]) -> None:
        """Add the counts of these requests."""
        with self._counting:
            for pending in requests:
                record = pending.record
                self._traffic.add(record.traffic)
                self._adopted += not pending.own_rows and bool(record.job_ids)
                if record.posted:
                    self._jobs += record.posted
                    self._circuits += record.circuits
                    self._submit_s += record.submit_s or 0.0
                    self._billed_usd += record.cost_usd or 0.0

    def _prepare(self) -> None:
        self._traffic = Traffic()
        self._jobs = self._circuits = self._adopted = 0
        self._billed_usd = self._submit_s = 0.0
        self._counting = threading.Lock()
        self._shared = None

    def _api(self) -> Api:
        """Return the shared service's API."""
        return self._service().api

    def _service(self) -> SharedService:
        """Return the shared service; a new one after a fork."""
        service = self._shared
        if service is None or service.pid != os.getpid():
            if self._key is None:
                self._key = find_key()
            service = self._shared = shared_service(
                Address(self._connection, self._key, self.retry_policy, self._clock, self._rng)
            )
        return service

    def _runner(self, **options: Any) -> JobRunner:
        """Return a runner of jobs; ``options`` as for :class:`JobRunner`."""
        service = self._service()
        return JobRunner(
            service.api, self.ledger, service.poller, on_ambiguous=self._on_ambiguous,
            retry_failed=self._retry_failed, **options,
        )  # fmt: skip


def blocking(
    method: Callable[Concatenate[_C, _P], Coroutine[Any, Any, _T]],
) -> Callable[Concatenate[_C, _P], _T]:
    """Make a blocking method of a coroutine method; it runs on the background loop.

    Signature, types and docstring stay those of the method.
    """

    @functools.wraps(method)
    def wait(client: _C, /, *args: _P.args, **options: _P.kwargs) -> _T:
        client._service()  # its errors (no key, say) come before the loop begins anything
        return client.call(method(client, *args, **options))

    return wait


def _open_ledger(
    ledger: Ledger | str | os.PathLike[str] | None, endpoint: Endpoint, clock: Clock
) -> Ledger:
    if isinstance(ledger, Ledger):
        return ledger
    if ledger is not None:
        return Ledger(ledger, now=clock.now)
    # A service on this machine is a simulator that costs nothing and ends with its process.
    return Ledger(now=clock.now) if endpoint.is_loopback else Ledger(default_path(), now=clock.now)


_lock = threading.Lock()
_services: weakref.WeakValueDictionary[Address, SharedService] = weakref.WeakValueDictionary()


def shared_service(address: Address) -> SharedService:
    """Return the service of this address, a new one if no client of this process holds it."""
    with _lock:
        service = _services.get(address)
        if service is None:
            transport = Transport(address.connection, address.key)
            rng = address.rng or random.Random()  # noqa: S311  (jitter, no secret)
            api = Api(transport, address.retry_policy, address.clock, rng)
            service = _services[address] = SharedService(api, Poller(api))
            closing = weakref.finalize(service, _close, transport, service.pid)
            closing.atexit = False  # by then the loop has closed everything
        return service


def _close(transport: Transport, pid: int) -> None:
    # A forked child has no part in the parent's connections.
    if pid == os.getpid() and transport.is_open:
        background_loop().submit(transport.close())


def _forget_after_fork() -> None:
    global _lock, _services
    _lock = threading.Lock()
    for service in _services.values():
        # Its sockets are the parent's, and the loop's thread may have been in the midst of a
        # task: nothing of it may be closed, destroyed or complained about here.
        keep_forever(service)
    _services = weakref.WeakValueDictionary()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
