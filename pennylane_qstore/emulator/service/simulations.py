"""Simulations under way: one task per job, on the emulator's event loop."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import TypeVar

from pennylane_qstore.emulator.service.clock import Clock
from pennylane_qstore.emulator.service.jobs import StoredJob
from pennylane_qstore.emulator.simulation.machine import MachineNoise
from pennylane_qstore.emulator.simulation.noise import noise_config
from pennylane_qstore.emulator.simulation.run import Distribution, SimulationOptions
from pennylane_qstore.emulator.simulation.workers import SimulationPool
from pennylane_qstore.server.inputs.submission import Submission
from pennylane_qstore.server.service import Failure

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")


def count_engines(results: Iterable[Distribution]) -> Counter[str]:
    """Return how many results each engine gave, where it is known."""
    engines = Counter(map(attrgetter("engine"), results))
    del engines[""]
    return engines


class Simulations:
    """Runs jobs on a pool and writes into them what came of it.

    Args:
        clock: source of ``finished_at``.
        simulator: engine, or PennyLane device for ideal circuits; ``None``: the fastest.
        ended: called with every job whose simulation has ended.
        machine: errors of noisy jobs by qubit and pair.
    """

    def __init__(
        self,
        clock: Clock,
        simulator: str | None,
        ended: Callable[[StoredJob], None],
        machine: MachineNoise | None = None,
    ) -> None:
        self.pool: SimulationPool
        self.engines: Counter[str] = Counter()
        """Circuits simulated, by engine."""
        self._clock, self._simulator, self._ended = clock, simulator, ended
        self._machine = machine
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, job: StoredJob, submission: Submission) -> None:
        """Simulate a job.

        Args:
            job: the job.
            submission: its circuits.
        """
        task = asyncio.ensure_future(self._simulate(job, submission))
        self._tasks[job.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(job.id, None))

    async def wait_for(self, job: StoredJob, seconds: float) -> None:
        """Wait for a job's simulation.

        Args:
            job: the job.
            seconds: the longest time to wait, by the machine's clock.
        """
        if task := self._tasks.get(job.id):
            await asyncio.wait([task], timeout=seconds)

    async def off_loop(self, call: Callable[[], _T]) -> _T:
        """Make a call on one of the pool's threads."""
        return await asyncio.get_running_loop().run_in_executor(self.pool.threads, call)

    async def close(self) -> None:
        """Stop waiting for simulations (those that run in a worker end by themselves)."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _simulate(self, job: StoredJob, submission: Submission) -> None:
        noise = noise_config(submission.backend, submission.noise, self._machine)
        options = SimulationOptions(noise, submission.shots, self._simulator)
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            job.results = await self.off_loop(
                lambda: self.pool.run(submission.programs, options, job.seed)
            )
            self.engines += count_engines(job.results)
            if submission.reduce is not None:
                job.outcome = submission.reduce(job.results, job.shots)
        except Exception as error:  # noqa: BLE001 - a service fails the job
            _LOG.exception("Simulation of job %s failed", job.id)
            job.failure = Failure("SimulationError", f"{type(error).__name__}: {error}")
        job.simulated_s = loop.time() - began
        job.finished_at = self._clock.now()
        self._ended(job)
