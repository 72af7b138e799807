"""The emulator as an object: its options, its counters."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pennylane_qstore.backends import backend as known_backend
from pennylane_qstore.backends import noise_model as known_noise_model
from pennylane_qstore.compat.python import also_unmade
from pennylane_qstore.emulator.faults import Fault, Faults, read_faults
from pennylane_qstore.emulator.service.clock import Clock, RealClock
from pennylane_qstore.emulator.service.jobs import StoredJob
from pennylane_qstore.emulator.service.latency import LatencyProfile, latency_profile
from pennylane_qstore.emulator.service.service import EmulatedService
from pennylane_qstore.emulator.service.state import StateFile
from pennylane_qstore.emulator.simulation.machine import MachineNoise
from pennylane_qstore.emulator.simulation.workers import SimulationPool
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.prices import PriceModel
from pennylane_qstore.secret import Secret, hide_secrets
from pennylane_qstore.server.access import Access, RequestRecord, is_loopback
from pennylane_qstore.server.host import HttpHost
from pennylane_qstore.server.service import ServiceBehaviour
from pennylane_qstore.validation import check_count, check_number

if TYPE_CHECKING:
    from aiohttp import web

_LOCK = threading.Lock()
_EMBEDDED: dict[tuple[Any, ...], Emulator] = {}


class Emulator(HttpHost):
    """IonQ's v0.4 API over HTTP on this machine. A context manager.

    Args:
        host: address to listen on. Anything but loopback needs a ``token``.
        port: port, 0 for a free one.
        profile: latency: ``"none"``, ``"q-store"``, ``"ionq-simulator"``, ``"qpu"``, seconds of
            execution per job, a mapping of
            :class:`~pennylane_qstore.emulator.service.latency.LatencyProfile` fields, or a profile.
        seed: of ids, latencies, faults and of noisy jobs without a seed of their own.
        noise_model: noise of ``simulator`` jobs that name none (``None``: ideal).
        machine_noise: errors by qubit and pair of noisy jobs, beside the published rates: misread
            bits, over-rotation, uneven rates, crosstalk; a
            :class:`~pennylane_qstore.emulator.MachineNoise` or a mapping of its settings. Jobs
            without a noise model stay ideal.
        faults: what goes wrong: a plan, faults, or a file (TOML, JSON); see
            :mod:`pennylane_qstore.emulator.faults`.
        simulator: ``"rows"`` (compiled, needs Numba) or ``"numpy"``; for ideal circuits any
            PennyLane device as well (``"lightning.qubit"``, ``"lightning.gpu"``, ...); ``None``:
            the fastest.
        clock: a :class:`~pennylane_qstore.emulator.service.clock.VirtualClock` that tests advance.
        concurrency: jobs that run at once per backend, instead of the profile's number.
        behaviour: where the service's behaviour is uncertain.
        prices: by backend, over the list prices: a :class:`~pennylane_qstore.prices.PriceModel`,
            or the name of one.
        budget_usd: jobs beyond it fail as ``QuotaExhaustedError``.
        token: the only API key admitted (``None``: any).
        state: a file that keeps jobs over a restart.
        workers: threads that simulate (``None``: one per core).
        processes: processes that large jobs are divided over (``None``: one per core, 0:
            none); they start when the first such job comes.
        keep: jobs kept; beyond that the oldest finished ones are forgotten.
        runs: folders of checkpoints of training runs, whose loss curves the page shows.

    Raises:
        ConfigurationError: an option that is not allowed.
        QStoreError: the address cannot be listened on (on :meth:`start`).

    **Example**

    >>> with Emulator() as emulator:
    ...     emulator.url.endswith("/v0.4")
    True
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        profile: str | float | Mapping[str, float] | LatencyProfile = "none",
        seed: int | None = None,
        noise_model: str | None = None,
        machine_noise: MachineNoise | Mapping[str, Any] | None = None,
        faults: Faults | Iterable[Fault | Mapping[str, Any]] | str | Path | None = None,
        simulator: str | None = None,
        clock: Clock | None = None,
        concurrency: int | None = None,
        behaviour: ServiceBehaviour | None = None,
        prices: Mapping[str, str | PriceModel] | None = None,
        budget_usd: float | None = None,
        token: str | Secret | None = None,
        state: str | Path | None = None,
        workers: int | None = None,
        processes: int | None = None,
        keep: int = 100_000,
        runs: Iterable[str | Path] = (),
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
        for backend in prices or {}:
            known_backend(backend)
        if noise_model is not None:
            known_noise_model(noise_model)
        if simulator is not None:
            _check_simulator(simulator)
        super().__init__(host, port, Access(token), runs=runs)
        self._state = state
        self.clock: Clock = RealClock() if clock is None else clock
        self.faults = _faults(faults, seed)
        self._pool = (workers, processes)
        self.service = EmulatedService(
            clock=self.clock,
            profile=latency_profile(profile, concurrency=concurrency),
            faults=self.faults,
            behaviour=behaviour or ServiceBehaviour(),
            seed=seed,
            noise_model=noise_model,
            machine_noise=MachineNoise.of(machine_noise),
            simulator=simulator,
            prices=prices,
            budget_usd=budget_usd,
            keep=keep,
        )

    @also_unmade
    def __repr__(self) -> str:
        where = self.url if self.is_running else "not started"
        return f"<Emulator {where}, {len(self.service.records)} jobs>"

    @property
    def requests(self) -> list[RequestRecord]:
        """The newest requests below ``/v0.4``, in the order they came."""
        return self._log.records

    @property
    def jobs(self) -> list[StoredJob]:
        """All jobs kept, in the order they were accepted (children are inside parents)."""
        return self.service.records.all()

    @property
    def billed_jobs(self) -> int:
        """Jobs accepted that a service would bill: all parents and singles but dry runs."""
        return self.service.bill.jobs

    def stats(self) -> dict[str, Any]:
        """Counters: requests, connections, posts, circuits, jobs, bill, faults that happened."""
        return self._log.stats() | self.service.stats()

    def _application(self) -> web.Application:
        from pennylane_qstore.emulator.admin import add_admin_routes
        from pennylane_qstore.emulator.fault_injection import fault_middleware
        from pennylane_qstore.server.server import make_app

        inject = fault_middleware(self.faults, self.clock)
        app = make_app(self.service, self._access, self._log, [inject], histories=self._histories)
        add_admin_routes(app, self.faults, self.clock)
        return app

    @asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        simulators = SimulationPool(*self._pool)
        try:
            self.service.start(simulators, None if self._state is None else StateFile(self._state))
            yield
        finally:
            await self.service.close()
            simulators.close()


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
        if emulator is None or not emulator.is_running:
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

    from pennylane_qstore.emulator.simulation.engines import NUMPY, ROWS
    from pennylane_qstore.emulator.simulation.rows import load

    if name == NUMPY or (name == ROWS and load()):
        return
    try:
        qml.device(name, wires=1)
    except Exception as error:
        raise ConfigurationError(
            f"simulator={name!r} is not a PennyLane device that works here: {error}"
        ) from error
