"""Gateways in front of an emulator, for tests: users over the wire, a window that tests close."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from support.emulator_wire import Wire, multi, single
from support.waiting import wait_until

from pennylane_qstore.emulator import Emulator, Fault
from pennylane_qstore.emulator.fault_injection import fault_middleware
from pennylane_qstore.emulator.faults import Faults
from pennylane_qstore.emulator.service.clock import RealClock
from pennylane_qstore.gateway.gateway import Gateway
from pennylane_qstore.gateway.jobs import GatewayJob
from pennylane_qstore.ionq.http.retry import Clock, RetryPolicy
from pennylane_qstore.server.service import CircuitInfo

KEY = "the-key-of-the-gateway"
WINDOW_S = 7200.0
LONG_S = 10.0
PLAIN = {"error_mitigation": {"debiasing": False}}


class Window:
    """A window that closes when a test says so; long pauses are short."""

    def __init__(self) -> None:
        self.clock = Clock(sleep=self.sleep)
        self._open: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def sleep(self, seconds: float) -> None:
        if seconds != WINDOW_S:
            await asyncio.sleep(0.01 if seconds >= LONG_S else seconds)
            return
        entry = (asyncio.get_running_loop(), asyncio.Event())
        self._open.append(entry)
        try:
            await entry[1].wait()
        finally:
            self._open.remove(entry)

    def close(self, count: int = 1) -> None:
        """Close all windows, once there are so many."""
        wait_until(lambda: len(self._open) >= count)
        for loop, closed in list(self._open):
            loop.call_soon_threadsafe(closed.set)


class FaultyGateway(Gateway):
    """A gateway whose own answers go wrong as planned."""

    faults: ClassVar[list[Fault]] = []

    def _application(self, middlewares: Any = ()) -> Any:
        inject = fault_middleware(Faults(self.faults, seed=1), RealClock())
        return super()._application([inject, *middlewares])


class Site:
    """A gateway in front of an emulator, and its users."""

    def __init__(self, path: Path, window: Window, emulator: Emulator, **options: Any) -> None:
        self.emulator, self.window = emulator, window
        self.wires: list[Wire] = []
        policy = RetryPolicy(settle_s=0.3, base_s=0.01, throttle_base_s=0.01)
        options = {
            "window_s": WINDOW_S, "clock": window.clock, "ledger": path, "retry_policy": policy,
            "faults": [], **options,
        }  # fmt: skip
        faults = options.pop("faults")
        self.gateway = FaultyGateway(KEY, base_url=emulator.url, **options)
        self.gateway.faults = faults  # type: ignore[misc]
        self.gateway.start()

    def user(self, name: str = "ann", budget_usd: float | None = None) -> Wire:
        token = self.gateway.tokens.create(name, budget_usd)
        self.gateway.tokens._read_at = float("-inf")  # a new token is known at once
        self.wires.append(Wire(self.gateway, f"apiKey {token}"))
        return self.wires[-1]

    def close(self) -> None:
        for wire in self.wires:
            wire.connection.close()
        self.gateway.close()
        self.emulator.close()


def paid(circuit: Any = None, **more: Any) -> dict[str, Any]:
    """A job of one circuit on a QPU."""
    return single(circuit, **{"backend": "qpu.forte-1", "shots": 200, "settings": PLAIN, **more})


def paid_multi(circuits: list[Any], **more: Any) -> dict[str, Any]:
    return multi(circuits, **{"backend": "qpu.forte-1", "shots": 200, "settings": PLAIN, **more})


def make_job(**changes: Any) -> GatewayJob:
    fields: dict[str, Any] = {
        "id": "j", "sequence": 0, "user": "ann", "run": None, "digest": "d", "shots": 100,
        "type": "ionq.circuit.v1", "backend": "qpu.forte-1", "submitted_at": 1.0, "start_at": 1.0,
        "circuits": [CircuitInfo(None, 1, 1, 0, None)], "cost_usd": 2.0, "billed_usd": 0.0,
        "cost_model": "2QGE_operations",
    }  # fmt: skip
    return GatewayJob(**fields | changes)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """A function that starts a gateway in front of an emulator, with options of both."""
    started: list[Site] = []

    def start(upstream: dict[str, Any] | None = None, **options: Any) -> Site:
        emulator = Emulator(**{"seed": 1, **(upstream or {})}).start()
        path = tmp_path / f"gateway{len(started)}.sqlite3"
        started.append(Site(path, Window(), emulator, **options))
        return started[-1]

    yield start
    for one in started:
        one.close()
