"""The emulated service behind the routes: accepts, schedules, simulates, prices and finds jobs.

Lives on the emulator's event loop; simulation and the reading of large bodies happen in
:mod:`pennylane_qstore.emulator.simulation.workers`.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

import numpy as np

from pennylane_qstore.emulator.faults import Faults
from pennylane_qstore.emulator.service.billing import Bill, Charge, shown_rates
from pennylane_qstore.emulator.service.clock import Clock, VirtualClock
from pennylane_qstore.emulator.service.jobs import StoredJob
from pennylane_qstore.emulator.service.latency import LatencyProfile
from pennylane_qstore.emulator.service.queue import MachineQueue
from pennylane_qstore.emulator.service.records import Records
from pennylane_qstore.emulator.service.requests import request_of
from pennylane_qstore.emulator.service.results import ResultWriter
from pennylane_qstore.emulator.service.sessions import read_session
from pennylane_qstore.emulator.service.simulations import Simulations, count_engines
from pennylane_qstore.emulator.service.state import StateFile
from pennylane_qstore.emulator.simulation.machine import MachineNoise
from pennylane_qstore.emulator.simulation.workers import SimulationPool
from pennylane_qstore.prices import JobSize, PriceModel
from pennylane_qstore.server.ids import IdGenerator
from pennylane_qstore.server.inputs.contents import MULTI, QASM
from pennylane_qstore.server.inputs.copies import clone_request
from pennylane_qstore.server.inputs.hybrid import FUNCTION, QAOA
from pennylane_qstore.server.inputs.submission import Submission, read_submission, taken_by
from pennylane_qstore.server.service import TERMINAL, Estimate, Failure, ServiceBehaviour

_INLINE_BYTES = 300_000
"""Bodies up to this size are read on the event loop: a hop to a worker costs more."""
_SLOW_TYPES = (QASM.encode(), FUNCTION.encode())
"""Types whose programs take the parser milliseconds."""
_SETTLE_S = 0.05
"""A POST waits so long for its simulation where jobs complete as fast as they are simulated:
the first GET then finds small jobs completed."""
_VIRTUAL_SETTLE_S = 30.0
"""Under a virtual clock a job whose time has come is waited for: the clock, not the machine
this runs on, decides when it is done."""
_FROM_SUBMISSION = taken_by(StoredJob)  # whether it fails, its charge says


class EmulatedService:
    """IonQ's service, everything but HTTP.

    Args:
        clock: source of time.
        profile: times of jobs.
        faults: plan of what goes wrong.
        behaviour: where the service's behaviour is uncertain.
        seed: of ids, latencies and of jobs without their own.
        noise_model: noise of ``simulator`` jobs without ``noise``.
        machine_noise: errors of noisy jobs by qubit and pair.
        simulator: PennyLane device for ideal circuits.
        prices: by backend, over the list prices.
        budget_usd: jobs that would exceed it fail as ``QuotaExhaustedError``.
        keep: jobs kept.
    """

    title, name, shows_all = "IonQ emulator", "Emulator", True

    def __init__(
        self,
        *,
        clock: Clock,
        profile: LatencyProfile,
        faults: Faults,
        behaviour: ServiceBehaviour,
        seed: int | None = None,
        noise_model: str | None = None,
        machine_noise: MachineNoise | None = None,
        simulator: str | None = None,
        prices: Mapping[str, str | PriceModel] | None = None,
        budget_usd: float | None = None,
        keep: int = 100_000,
    ) -> None:
        self.clock, self.profile, self.faults, self.behaviour = clock, profile, faults, behaviour
        self.now, self.label = clock.now, f"latency: {profile.name}"
        self.bill = Bill(prices or {}, budget_usd)
        self.records = records = Records(self.bill, keep=keep)
        self.find, self.newest_first = records.find, records.newest_first
        self._rng = np.random.default_rng(seed)
        self.ids = IdGenerator(np.random.default_rng(None if seed is None else [seed, 1]))
        self._queues = defaultdict[str, MachineQueue](lambda: MachineQueue(profile.concurrency))
        self._noise_model = noise_model
        self._reading = asyncio.Lock()
        self._simulations = Simulations(
            clock, simulator, lambda job: records.end(job, clock.now()), machine_noise
        )
        self.results = ResultWriter(
            records, self._simulations, clock, faults, self._new_id, self._read
        )

    def queue_s(self) -> float:
        """Return the average time of a small job in the queue, in seconds."""
        return self.profile.mean(1, 100).queue_s

    def stats(self) -> dict[str, Any]:
        """Return counters of jobs, money and faults, and circuits by the engine that ran."""
        return {
            "jobs": self.records.accepted,
            "circuits": self.records.circuits,
            "billed_jobs": self.bill.jobs,
            "billed_usd": round(self.bill.usd, 6),
            "faults": len(self.faults.happened),
            "engines": dict(self._simulations.engines),
        }

    def engines(self, circuits: Iterable[tuple[Iterable[str], slice]]) -> Counter[str]:
        """Return how many circuits each engine simulated.

        Args:
            circuits: ids of jobs, and which circuits of each of them.

        Returns:
            Numbers of circuits, by engine.
        """
        parts = [
            (j.results or ())[own]
            for ids, own in circuits
            for j in self.records.known(ids).values()
        ]
        return count_engines(chain.from_iterable(parts))

    def start(self, pool: SimulationPool, state: StateFile | None) -> None:
        """Take up the jobs of a state file, and simulate what was not simulated to its end.

        Args:
            pool: threads and processes that simulate.
            state: the file, kept up to date from now on; ``None``: none.
        """
        now = self.now()
        self._simulations.pool = pool
        if state is not None:
            restored = self.records.open(state, now)
            for job in restored:
                self.ids.follow(max([job.id, *job.child_ids]))
                self._queues[job.backend].enter(job, now, seated=True)
            for session_id in self.records.sessions:
                self.ids.follow(session_id)
            for backend in {job.backend for job in restored}:
                self._queues[backend].move_up(now)
        for job in self.records.all():
            open_end = job.results is None and job.failure is None and job.canceled_at is None
            if open_end and not job.dry_run and job.request is not None:
                self._simulations.start(job, self._read(job.request))

    async def close(self) -> None:
        """Stop waiting for simulations, and close the state file."""
        await self._simulations.close()
        self.records.close()

    async def submit(self, body: bytes) -> StoredJob:
        """Accept a job after the time that a request takes by the latency profile.

        Raises:
            BadRequest: the body is not valid, or its session does not admit the job.
        """
        if len(body) <= _INLINE_BYTES and not any(kind in body for kind in _SLOW_TYPES):
            submission = self._read(body)
        else:
            async with self._reading:  # one by one: each takes memory, and holds Python's lock
                submission = await self._simulations.off_loop(lambda: self._read(body))
        if self.profile.request_s:
            await self.clock.sleep(self.profile.draw(1, 1, self._rng).request_s)
        job = self.accept(submission)
        if self.profile.instant:
            await self._simulations.wait_for(job, _SETTLE_S)
        return job

    async def clone(self, job_id: str, changes: Any) -> StoredJob:
        """Accept a job like another one.

        Args:
            job_id: id of the original.
            changes: members of the request to put in place.

        Returns:
            The new job.

        Raises:
            BadRequest: there is no such job, its request is not kept, or the new one is not valid.
        """
        job, child = self.records.find(job_id)
        return await self.submit(clone_request(request_of(job), child, changes))

    def accept(self, submission: Submission) -> StoredJob:
        """Make a job of a valid submission, and start simulating it.

        Raises:
            BadRequest: there is no such session, or it does not admit the job.
        """
        now = self.now()
        charge = self.bill.charge_for(submission)
        if submission.session_id is not None:
            session = self.records.session(submission.session_id)
            session.admit(submission.backend, charge.billed_usd, now)
        if fault := self.faults.content("fail", "submit"):
            charge = charge.failed(Failure(fault.code, fault.message))
        job = self._make_job(submission, self.bill.within_budget(charge), now)
        self._queues[job.backend].enter(job, now)
        self.records.add(job, now)
        if job.failure is None and not job.dry_run:
            self._simulations.start(job, submission)
        return job

    def _make_job(self, submission: Submission, charge: Charge, now: float) -> StoredJob:
        lag = self.faults.content("list_lag", "submit")
        shuffle = self.faults.content("shuffle_children", "submit")
        count = len(submission.circuits)
        schedule = self.profile.draw(count, submission.shots, self._rng).from_time(now)
        drawn, given = int(self._rng.integers(2**31)), (submission.noise or {}).get("seed")
        (job_id,) = self.ids.take(now)
        child_ids = self.ids.take(now, count) if submission.type in (MULTI, QAOA) else []
        if shuffle is not None and shuffle.what in ("ids", "both"):
            child_ids = [child_ids[i] for i in self.faults.rng.permutation(count)]
        return StoredJob(
            id=job_id,
            sequence=self.records.next_sequence,
            child_ids=child_ids,
            seed=drawn if given is None else given % 2**32,
            **{name: getattr(submission, name) for name in _FROM_SUBMISSION},
            shuffle=() if shuffle is None else (shuffle.what,),
            hidden_until=0.0 if lag is None else now + lag.delay_s,
            **charge._asdict(),
            **schedule,
        )

    async def refresh(self, job_id: str) -> None:
        """Wait for a job whose time has come, where a virtual clock decides when it is done."""
        job, _ = self.find(job_id)
        if isinstance(self.clock, VirtualClock) and job.end_at <= self.now():
            await self._simulations.wait_for(job, _VIRTUAL_SETTLE_S)

    def lists_children(self) -> bool:
        """Return whether this list shows children beside their parents."""
        fault = self.behaviour.list_children or self.faults.content("list_children", "list")
        return bool(fault)

    def cancel(self, *job_ids: str) -> list[str]:
        """Cancel jobs that have not ended; return the ids that exist."""
        jobs = self.records.known(job_ids)
        self._cancel(*jobs.values())
        return list(jobs)

    def delete(self, *job_ids: str) -> list[str]:
        """Forget jobs, what was charged stays charged; return the ids that exist."""
        now = self.now()
        jobs = self.records.known(job_ids)
        self._cancel(*(job for job in jobs.values() if job.status(now) not in TERMINAL))
        for job in jobs.values():
            self.records.remove(job)
        return list(jobs)

    def estimate(self, backend: str, job: JobSize) -> Estimate:
        """Estimate cost and times of a job.

        Args:
            backend: name of the backend.
            job: its size.

        Returns:
            US dollars and seconds.
        """
        usd, seconds = self.bill.price(backend, job)
        mean = self.profile.mean(job.circuits, job.shots)
        return Estimate(
            cost_usd=usd,
            rates=shown_rates(self.bill.prices[backend]),
            execution_s=mean.execution_s,
            queue_s=mean.queue_s,
            compute_s=seconds,
        )

    def open_session(self, data: Any) -> dict[str, Any]:
        """Open a session, and return it in IonQ's JSON.

        Raises:
            BadRequest: the body is not valid.
        """
        now = self.now()
        session = read_session(data, self._new_id(), now)
        self.records.save_session(session)
        return session.as_json(now)

    def end_session(self, session_id: str) -> dict[str, Any]:
        """End a session; its jobs that have not started are cancelled.

        Raises:
            BadRequest: 404, no such session.
        """
        now = self.now()
        session = self.records.session(session_id)
        if session.status(now) != "ended":
            session.ended_at = now
            jobs = self.records.known(session.jobs).values()
            self._cancel(*(job for job in jobs if job.status(now) in ("submitted", "ready")))
            self.records.save_session(session)
        return session.as_json(now)

    def show_session(self, session_id: str) -> dict[str, Any]:
        """Return a session in IonQ's JSON.

        Raises:
            BadRequest: 404, no such session.
        """
        return self.records.session(session_id).as_json(self.now())

    def list_sessions(self) -> list[dict[str, Any]]:
        """Return all sessions in IonQ's JSON."""
        now = self.now()
        return [session.as_json(now) for session in self.records.sessions.values()]

    def _cancel(self, *jobs: StoredJob) -> None:
        """Cancel jobs unless they have ended (completed ones too, where the behaviour says so)."""
        now = self.now()
        backends: set[str] = set()  # whose queues have become shorter
        for job in jobs:
            status = job.status(now)
            flips = status == "completed" and self.behaviour.cancel_completed
            if status in TERMINAL and not flips:
                continue
            if status in ("submitted", "ready"):  # never ran: not charged
                self.records.refund(job)
            job.canceled_at = now
            backends.add(job.backend)
            self.records.save(job)
        for backend in backends:
            for job in self._queues[backend].move_up(now):
                self.records.save(job)

    def _new_id(self) -> str:
        return self.ids.take(self.now())[0]

    def _read(self, body: bytes) -> Submission:
        return read_submission(body, self.behaviour, self._noise_model)
