"""The emulated service without HTTP, on a virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import orjson
from support.emulator_wire import single

from pennylane_qstore.emulator import Faults, VirtualClock
from pennylane_qstore.emulator.service.jobs import StoredJob
from pennylane_qstore.emulator.service.latency import latency_profile
from pennylane_qstore.emulator.service.service import EmulatedService
from pennylane_qstore.emulator.service.state import StateFile
from pennylane_qstore.emulator.simulation.workers import SimulationPool
from pennylane_qstore.server.service import ServiceBehaviour

_T = TypeVar("_T")


def make_service(profile: Any = "none", **changes: Any) -> EmulatedService:
    settings: dict[str, Any] = {
        "clock": VirtualClock(1_790_000_000.0),
        "profile": latency_profile(profile),
        "faults": Faults(seed=1),
        "behaviour": ServiceBehaviour(),
        "seed": 1,
        "keep": 100,
    }
    return EmulatedService(**settings | changes)


@asynccontextmanager
async def started(service: EmulatedService, state: Any = None) -> AsyncIterator[EmulatedService]:
    pool = SimulationPool(threads=1, processes=0)
    service.start(pool, None if state is None else StateFile(state))
    try:
        yield service
    finally:
        await service.close()
        pool.close()


def with_service(
    use: Callable[[EmulatedService], Awaitable[_T]], profile: Any = "none", **changes: Any
) -> _T:
    """Run a coroutine function with a service that has been started."""

    async def run() -> _T:
        async with started(make_service(profile, **changes)) as service:
            return await use(service)

    return asyncio.run(run())


async def submit(service: EmulatedService, circuit: Any = None, **more: Any) -> StoredJob:
    return await service.submit(orjson.dumps(single(circuit, **more)))


def advance(service: EmulatedService, seconds: float) -> None:
    assert isinstance(service.clock, VirtualClock)
    service.clock.advance(seconds)
