"""The emulator as an object: its thread, its event loop, its counters."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pennylane_qstore.backends import backend as known_backend
from pennylane_qstore.backends import noise_model as known_noise_model
from pennylane_qstore.emulator.faults import Fault, Faults, read_faults
from pennylane_qstore.emulator.service.billing import RateCard
from pennylane_qstore.emulator.service.clock import Clock, RealClock
from pennylane_qstore.emulator.service.jobs import StoredJob
from pennylane_qstore.emulator.service.latency import LatencyProfile, latency_profile
from pennylane_qstore.emulator.service.service import EmulatedService
from pennylane_qstore.emulator.service.state import StateFile
from pennylane_qstore.emulator.simulation.workers import SimulationPool
from pennylane_qstore.errors import ConfigurationError, QStoreError
from pennylane_qstore.secret import Secret, hide_secrets
from pennylane_qstore.server.access import Access, RequestLog, RequestRecord, is_loopback
from pennylane_qstore.server.service import ServiceBehaviour
from pennylane_qstore.validation import check_count, check_number

if TYPE_CHECKING:
    from aiohttp import web

_LOG = logging.getLogger(__name__)
_CLOSE_S = 5.0
_KEPT_REQUESTS = 100_000
"""The newest requests that are surely kept (up to twice as many are)."""
_LOCK = threading.Lock()
_EMBEDDED: dict[tuple[Any, ...], Emulator] = {}


class Emulator:
    """IonQ's v0.4 API over HTTP on this machine. A context manager.

    Args:
        host: address to listen on. Anything but loopback needs a ``token``.
        port: port, 0 for a free one.
        profile: latency: ``"none"``, ``"q-store"``, ``"ionq-simulator"``, ``"qpu"``, seconds of
            execution per job, a mapping of
            :class:`~pennylane_qstore.emulator.service.latency.LatencyProfile` fields, or a profile.
        seed: of ids, latencies, faults and of noisy jobs without a seed of their own.
        noise_model: noise of ``simulator`` jobs that name none (``None``: ideal).
        faults: what goes wrong: a plan, faults, or a file (TOML, JSON); see
            :mod:`pennylane_qstore.emulator.faults`.
        simulator: PennyLane device for ideal circuits (``"lightning.gpu"``,
            ``"lightning.kokkos"``, ...); ``None``: the built-in choice.
        clock: a :class:`~pennylane_qstore.emulator.service.clock.VirtualClock` that tests advance.
        concurrency: jobs that run at once per backend, instead of the profile's number.
        behaviour: where the service's behaviour is uncertain.
        rate_cards: prices by backend, over the list prices.
        budget_usd: jobs beyond it fail as ``QuotaExhaustedError``.
        token: the only API key admitted (``None``: any).
        state: a file that keeps jobs over a restart.
        workers: threads that simulate (``None``: one per core).
        processes: processes that large jobs are divided over (``None``: one per core, 0:
            none); they start when the first such job comes.
        keep: jobs kept; beyond that the oldest finished ones are forgotten.

    Raises:
        ConfigurationError: an option that is not allowed.
        QStoreError: the address cannot be listened on (on :meth:`start`).

    **Example**

    >>> with Emulator() as emulator:
    ...     emulator.url.endswith("/v0.4")
    True
    """

    _sweeping: asyncio.Task[None] | None = None

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        profile: str | float | Mapping[str, float] | LatencyProfile = "none",
        seed: int | None = None,
        noise_model: str | None = None,
        faults: Faults | Iterable[Fault | Mapping[str, Any]] | str | Path | None = None,
        simulator: str | None = None,
        clock: Clock | None = None,
        concurrency: int | None = None,
        behaviour: ServiceBehaviour | None = None,
        rate_cards: Mapping[str, RateCard] | None = None,
        budget_usd: float | None = None,
        token: str | Secret | None = None,
        state: str | Path | None = None,
        workers: int | None = None,
        processes: int | None = None,
        keep: int = 100_000,
    ) -> None:
        token = Secret.hold(token)  # before anything can raise
        if not is_loopback(host) and not token:
            raise ConfigurationError(
                f"host={host!r} is reachable from other machines: give token=..., the API key "
                "that clients must present, or listen on 127.0.0.1."
            )
        check_number("budget_usd", budget_usd, least=0, unit="US dollars", optional=True)
        check_count("workers", workers, optional=True)
        check_count("processes", processes, least=0, optional=True)
        check_count("seed", seed, least=0, optional=True)
        check_count("keep", keep)
        for backend in rate_cards or {}:
            known_backend(backend)
        if noise_model is not None:
            known_noise_model(noise_model)
        if simulator is not None:
            _check_simulator(simulator)
        self._host, self._port = host, port
        self._state = state
        self._access, self._log = Access(token), RequestLog()
        self.clock: Clock = RealClock() if clock is None else clock
        self.faults = _faults(faults, seed)
        self._pool = (workers, processes)
        self._simulators: SimulationPool | None = None
        self.service = EmulatedService(
            clock=self.clock,
            profile=latency_profile(profile, concurrency=concurrency),
            faults=self.faults,
            behaviour=behaviour or ServiceBehaviour(),
            seed=seed,
            noise_model=noise_model,
            simulator=simulator,
            rate_cards=rate_cards or {},
            budget_usd=budget_usd,
            keep=keep,
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._runner: web.AppRunner | None = None

    def __repr__(self) -> str:
        where = self.url if self._thread is not None else "not started"
        return f"<Emulator {where}, {len(self.service.jobs)} jobs>"

    def __enter__(self) -> Emulator:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The base URL for clients, ends in ``/v0.4``."""
        return f"{self.address}/v0.4"

    @property
    def address(self) -> str:
        """Scheme, host and port.

        Raises:
            QStoreError: the emulator is not running.
        """
        if self._thread is None:
            raise QStoreError("The emulator is not running: call start(), or use it in a with.")
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host)  # noqa: S104
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{self._port}"

    @property
    def requests(self) -> list[RequestRecord]:
        """The newest requests below ``/v0.4``, in the order they came."""
        return self._log.records

    @property
    def jobs(self) -> list[StoredJob]:
        """All jobs kept, in the order they were accepted (children are inside parents)."""
        return self.service.jobs.all()

    @property
    def billed_jobs(self) -> int:
        """Jobs accepted that a service would bill: all parents and singles but dry runs."""
        return self.service.bill.jobs

    def stats(self) -> dict[str, Any]:
        """Counters: requests, connections, posts, circuits, jobs, bill, faults that happened."""
        return self._log.stats() | self.service.stats()

    def start(self) -> Emulator:
        """Listen, on an own daemon thread. Returns itself.

        Raises:
            QStoreError: the address cannot be listened on.
        """
        if self._thread is not None:
            return self
        ready = threading.Event()
        problem: list[BaseException] = []
        self._thread = threading.Thread(
            target=self._live, args=(ready, problem), name="qstore-emulator", daemon=True
        )
        self._thread.start()
        ready.wait()
        if problem:
            self._thread.join()
            self._thread = None
            if isinstance(problem[0], QStoreError):
                raise problem[0]
            raise QStoreError(
                f"The emulator cannot listen on {self._host}:{self._port}: {problem[0]}"
            ) from problem[0]
        return self

    def close(self) -> None:
        """Stop listening and end the thread. Jobs stay; :meth:`start` takes up the same port."""
        thread, loop = self._thread, self._loop
        if thread is None or loop is None:
            return
        self._thread = self._loop = None
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_CLOSE_S)

    def _live(self, ready: threading.Event, problem: list[BaseException]) -> None:
        try:
            loop = asyncio.new_event_loop()
        except OSError as error:  # no file descriptors are left
            problem.append(error)
            ready.set()
            return
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(self._listen())
        except Exception as error:  # noqa: BLE001 - raised by start(), in the caller's thread
            problem.append(error)
            loop.run_until_complete(self._unlisten())
            loop.close()
            ready.set()
            return
        self._loop = loop
        ready.set()
        try:
            loop.run_forever()
        finally:
            loop.run_until_complete(self._unlisten())
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    async def _listen(self) -> None:
        from aiohttp import web

        from pennylane_qstore.emulator.admin import add_admin_routes
        from pennylane_qstore.emulator.fault_injection import fault_middleware
        from pennylane_qstore.server.header_timeout import HeaderTimeout
        from pennylane_qstore.server.server import make_app

        inject = fault_middleware(self.faults, self.clock)
        app = make_app(self.service, self._access, self._log, [inject])
        add_admin_routes(app, self.faults, self.clock)
        headers = HeaderTimeout()
        app.middlewares.insert(0, headers.middleware())
        self._runner = web.AppRunner(
            app,
            handler_cancellation=False,  # a job is accepted even if its client has gone
            access_log=None,
            keepalive_timeout=75.0,
            shutdown_timeout=0.2,
        )
        state = None if self._state is None else StateFile(self._state)
        self._simulators = SimulationPool(*self._pool)
        self.service.start(self._simulators, state)
        await self._runner.setup()
        assert self._runner.server is not None  # noqa: S101  (for the type checker: setup sets it)
        self._sweeping = asyncio.ensure_future(headers.run(self._runner.server))
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self._access.listen_on(self._host, self._port)
        _LOG.info("Emulator listens on http://%s:%s", self._host, self._port)

    async def _unlisten(self) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        await self.service.close()
        if self._simulators is not None:
            self._simulators.close()


def embedded(**settings: Any) -> Emulator:
    """Return the emulator of this process with these settings; start it when first asked for.

    Args:
        settings: as :class:`Emulator` takes them.
    """
    settings = hide_secrets(settings)  # before anything can raise
    # Secrets as they are: their reprs are all the same.
    parts = [(k, v if isinstance(v, Secret) else repr(v)) for k, v in sorted(settings.items())]
    key = (os.getpid(), *parts)
    with _LOCK:
        emulator = _EMBEDDED.get(key)
        if emulator is None or emulator._thread is None:
            emulator = Emulator(**settings).start()
            _EMBEDDED[key] = emulator
            atexit.register(_close_at_exit, os.getpid(), weakref.ref(emulator))
    return emulator


def _close_at_exit(pid: int, ref: weakref.ref[Emulator]) -> None:
    emulator = ref()
    if emulator is not None and os.getpid() == pid:
        emulator.close()


def _faults(value: Any, seed: int | None) -> Faults:
    if value is None:
        return Faults(seed=seed)
    if isinstance(value, Faults):
        return value
    if isinstance(value, str | Path):
        return read_faults(value)
    return Faults(value, seed=seed)


def _check_simulator(name: str) -> None:
    import pennylane as qml

    try:
        qml.device(name, wires=1)
    except Exception as error:
        raise ConfigurationError(
            f"simulator={name!r} is not a PennyLane device that works here: {error}"
        ) from error
