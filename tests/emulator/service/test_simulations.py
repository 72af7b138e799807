"""Simulations write results and times into jobs, and say when they have ended."""

from __future__ import annotations

import asyncio

import orjson
from support.emulator_wire import BELL, single
from support.stored_jobs import make_job

from pennylane_qstore.emulator import VirtualClock
from pennylane_qstore.emulator.service.jobs import StoredJob
from pennylane_qstore.emulator.service.simulations import Simulations
from pennylane_qstore.emulator.simulation.workers import SimulationPool
from pennylane_qstore.server.inputs.submission import read_submission
from pennylane_qstore.server.service import ServiceBehaviour

SUBMISSION = read_submission(orjson.dumps(single(BELL)), ServiceBehaviour())


def simulate(simulator: str | None) -> tuple[StoredJob, list[StoredJob]]:
    ended: list[StoredJob] = []
    job = make_job()

    async def run() -> None:
        simulations = Simulations(VirtualClock(50.0), simulator, ended.append)
        simulations.pool = SimulationPool(threads=1, processes=0)
        simulations.start(job, SUBMISSION)
        await simulations.wait_for(job, 60.0)
        await simulations.wait_for(job, 60.0)  # nothing is under way any more
        assert await simulations.off_loop(lambda: 1 + 1) == 2
        await simulations.close()
        simulations.pool.close()

    asyncio.run(run())
    return job, ended


def test_results_and_times_are_written_into_the_job() -> None:
    job, ended = simulate(None)
    assert ended == [job]
    (result,) = job.results or []
    assert set(result.probabilities()) == {"0", "3"}
    assert (job.failure, job.finished_at) == (None, 50.0)
    assert job.simulated_s > 0


def test_an_error_fails_the_job() -> None:
    job, ended = simulate("no.such.device")
    assert ended == [job]
    assert job.results is None
    assert job.failure is not None
    assert job.failure.code == "SimulationError"
