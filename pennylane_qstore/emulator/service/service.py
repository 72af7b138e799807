"""The service behind the routes: accepts, schedules, simulates, prices and finds jobs.

Lives on the emulator's event loop; simulation and the reading of large bodies happen in
:mod:`pennylane_qstore.emulator.simulation.workers`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np
import orjson

from pennylane_qstore.emulator.faults import Faults
from pennylane_qstore.emulator.service.billing import RATE_CARDS, RateCard
from pennylane_qstore.emulator.service.clock import Clock, VirtualClock
from pennylane_qstore.emulator.service.jobs import Book, Ids, Job
from pennylane_qstore.emulator.service.latency import LatencyProfile
from pennylane_qstore.emulator.service.queue import MachineQueue
from pennylane_qstore.emulator.service.requests import (
    circuit_source,
    clone_request,
    compile_circuit,
)
from pennylane_qstore.emulator.service.results import ResultWriter
from pennylane_qstore.emulator.service.sessions import ServiceSession, read_session
from pennylane_qstore.emulator.service.state import StateFile
from pennylane_qstore.emulator.simulation.noise import noise_config
from pennylane_qstore.emulator.simulation.run import SimulationOptions
from pennylane_qstore.emulator.simulation.workers import SimulationPool
from pennylane_qstore.server.errors import not_found
from pennylane_qstore.server.inputs.hybrid import FUNCTION, QAOA
from pennylane_qstore.server.inputs.submission import (
    MULTI,
    QASM,
    Submission,
    read_submission,
)
from pennylane_qstore.server.render import AGGREGATE, NATIVE_CIRCUIT
from pennylane_qstore.server.service import TERMINAL, Body, Estimate, Failure, ServiceBehaviour

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")
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


class Service:
    """The emulated service: everything but HTTP.

    Args:
        clock: time.
        profile: how long jobs take.
        faults: what goes wrong.
        behaviour: where the service's behaviour is uncertain.
        seed: of ids, latencies and of jobs without their own.
        noise_model: what ``simulator`` jobs without ``noise`` get.
        simulator: PennyLane device for ideal circuits.
        rate_cards: prices by backend, over the list prices.
        budget_usd: jobs that would exceed it fail as ``QuotaExhaustedError``.
        keep: jobs kept.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        profile: LatencyProfile,
        faults: Faults,
        behaviour: ServiceBehaviour,
        seed: int | None,
        noise_model: str | None,
        simulator: str | None,
        rate_cards: Mapping[str, RateCard],
        budget_usd: float | None,
        keep: int,
    ) -> None:
        self.clock, self.profile, self.faults, self.behaviour = clock, profile, faults, behaviour
        self.rng = np.random.default_rng(seed)
        self.ids = Ids(np.random.default_rng(None if seed is None else [seed, 1]))
        self.book = Book(keep=keep)
        self._sessions: dict[str, ServiceSession] = {}
        self.rate_cards = {**RATE_CARDS, **rate_cards}
        self.budget_usd = budget_usd
        self.billed_usd = 0.0
        self.billed_jobs = 0
        self.state: StateFile | None = None
        self._simulators: SimulationPool
        self._noise_model, self._simulator = noise_model, simulator
        self._running: dict[str, asyncio.Task[None]] = {}
        self._results = ResultWriter(faults, self._new_id, self._off_loop)
        self._queues: dict[str, MachineQueue] = {}

    @property
    def label(self) -> str:
        """The latency profile, for the page."""
        return f"latency: {self.profile.name}"

    def now(self) -> float:
        """Return the time, in seconds since the epoch."""
        return self.clock.now()

    def queue_s(self) -> float:
        """Return the average time of a small job in the queue, in seconds."""
        return self.profile.mean(1, 100).queue_s

    def stats(self) -> dict[str, Any]:
        """Return counters of jobs, money and faults."""
        return {
            "jobs": self.book.accepted,
            "circuits": self.book.circuits,
            "billed_jobs": self.billed_jobs,
            "billed_usd": round(self.billed_usd, 6),
            "faults": len(self.faults.happened),
        }

    async def submit(self, body: bytes) -> Job:
        """Accept a job after the time that a request takes by the latency profile.

        Raises:
            BadRequest: the body is not valid, or its session does not admit the job.
        """
        if len(body) <= _INLINE_BYTES and not any(kind in body for kind in _SLOW_TYPES):
            submission = self._read(body)
        else:
            submission = await self._off_loop(lambda: self._read(body))
        if self.profile.request_s:
            await self.clock.sleep(self.profile.draw(1, 1, self.rng).request_s)
        job = self.accept(submission)
        if self.profile.instant:
            await self._settle(job, _SETTLE_S)
        return job

    async def clone(self, job_id: str, changes: Any) -> Job:
        """Accept a job like another one.

        Args:
            job_id: id of the original.
            changes: members of the request to put in place.

        Returns:
            The new job.

        Raises:
            BadRequest: there is no such job, its request is not kept, or the new one is not valid.
        """
        job, child = self.find(job_id)
        return await self.submit(clone_request(_request(job), child, changes))

    def accept(self, submission: Submission) -> Job:
        """Make a job of a valid submission, and start simulating it.

        Raises:
            BadRequest: its session does not admit it.
        """
        now = self.clock.now()
        card = self.rate_cards[submission.backend]
        count = len(submission.circuits)
        cost = card.price(
            submission.n_1q,
            submission.n_2q,
            count,
            submission.shots,
            mitigated=submission.mitigated,
        )
        compute_s = card.compute_seconds(submission.n_1q, submission.n_2q, count, submission.shots)
        failure = submission.failure
        billed = 0.0 if submission.dry_run or failure is not None else cost
        session = None
        if submission.session_id is not None:
            session = self._session(submission.session_id)
            session.admit(submission.backend, billed, now)
        if fault := self.faults.content("fail", "submit"):
            failure, billed = Failure(fault.code, fault.message), 0.0
        if self.budget_usd is not None and self.billed_usd + billed > self.budget_usd:
            left = self.budget_usd - self.billed_usd
            failure = Failure(
                "QuotaExhaustedError", f"The job costs {cost:.2f} usd, {left:.2f} usd are left."
            )
            billed = 0.0
        lag = self.faults.content("list_lag", "submit")
        shuffle = self.faults.content("shuffle_children", "submit")
        durations = self.profile.draw(count, submission.shots, self.rng)
        ready = now + durations.verify_s
        turn = ready + durations.queue_s
        seed = (submission.noise or {}).get("seed")
        drawn = int(self.rng.integers(2**31))
        (job_id,) = self.ids.take(now)
        children = self.ids.take(now, count) if submission.type in (MULTI, QAOA) else []
        if shuffle is not None and shuffle.what in ("ids", "both"):
            children = [children[i] for i in self.faults.rng.permutation(count)]
        job = Job(
            id=job_id,
            sequence=self.book.next_sequence,
            type=submission.type,
            backend=submission.backend,
            gateset=submission.gateset,
            name=submission.name,
            metadata=submission.metadata,
            shots=submission.shots,
            noise=submission.noise,
            settings=submission.settings,
            session_id=submission.session_id,
            dry_run=submission.dry_run,
            circuits=submission.circuits,
            child_ids=children,
            seed=drawn if seed is None else seed % 2**32,
            submitted_at=now,
            ready_at=ready,
            turn_at=turn,
            start_at=turn,
            end_at=turn + durations.execution_s,
            cost_usd=cost,
            billed_usd=billed,
            cost_model="QCT" if card.unit == "compute_second" else "2QGE_operations",
            compute_us=round(compute_s * 1e6),
            request=submission.request,
            failure=failure,
            shuffle=() if shuffle is None else (shuffle.what,),
            hidden_until=0.0 if lag is None else now + lag.delay_s,
        )
        if not job.dry_run:
            self.billed_jobs += 1
            self.billed_usd += billed
        if session is not None:
            session.join(job.id, billed, now)
        if (queue := self._queue(job)) is not None:
            queue.append(job, now)
            queue.seat(job, now)
        self.book.add(job, now)
        self._changed(job)
        if failure is None and not job.dry_run:
            self._start(job, submission)
        return job

    def restore(self, state: StateFile) -> None:
        """Take up the jobs of a state file, and keep it up to date from now on."""
        now = self.clock.now()
        for session in state.sessions():
            self._sessions[session.id] = session
            self.ids.follow(session.id)
        for job in state.jobs():
            self.book.add(job, now)
            self.ids.follow(max([job.id, *job.child_ids]))
            if (queue := self._queue(job)) is not None:
                queue.append(job, now)
        for queue in self._queues.values():
            queue.move_up(now)
        self.billed_usd, self.billed_jobs = state.bill()
        self.state = state

    def resume(self, simulators: SimulationPool) -> None:
        """Simulate whatever was not simulated to its end, with the same seeds."""
        self._simulators = simulators
        for job in self.book.all():
            open_end = job.results is None and job.failure is None and job.canceled_at is None
            if open_end and not job.dry_run and job.request is not None:
                self._start(job, self._read(job.request))

    async def refresh(self, job_id: str) -> None:
        """Wait for a job whose time has come, where a virtual clock decides when it is done."""
        job, _ = self.find(job_id)
        if isinstance(self.clock, VirtualClock) and job.end_at <= self.clock.now():
            await self._settle(job, _VIRTUAL_SETTLE_S)

    def find(self, job_id: str) -> tuple[Job, int | None]:
        """The job, and the position of the circuit where the id is a child's.

        Raises:
            BadRequest: 404, no such job.
        """
        found = self.book.find(job_id)
        if found is None:
            raise not_found()
        return found

    def newest_first(self, before: int | None = None) -> Iterator[Job]:
        """Return the jobs, from the newest (or the newest before a sequence number) on."""
        return self.book.newest_first(before)

    def lists_children(self) -> bool:
        """Return whether this list shows children beside their parents."""
        fault = self.behaviour.list_children or self.faults.content("list_children", "list")
        return bool(fault)

    def cancel(self, *job_ids: str) -> list[str]:
        """Cancel jobs that have not ended; return the ids that exist."""
        jobs = self._known(job_ids)
        self._cancel(*jobs.values())
        return list(jobs)

    def delete(self, *job_ids: str) -> list[str]:
        """Forget jobs, what was charged stays charged; return the ids that exist."""
        now = self.clock.now()
        jobs = self._known(job_ids)
        self._cancel(*(job for job in jobs.values() if job.status(now) not in TERMINAL))
        for job in jobs.values():
            self.book.remove(job)
            if self.state is not None:
                self.state.remove(job)
        return list(jobs)

    async def result(self, job_id: str, artifact: str, *, vote: bool) -> Body:
        """Write a result.

        Args:
            job_id: id of a job or of a child.
            artifact: identifier of the format, or id of a variant or an aggregation.
            vote: whether the variants of a debiased job vote.

        Returns:
            The JSON.

        Raises:
            BadRequest: 404, there is no such result (yet).
        """
        job, child = self.find(job_id)
        now = self.clock.now()
        if artifact == NATIVE_CIRCUIT:
            if job.status(now) != "completed" or not job.compilable(child):
                raise not_found()
            body = _request(job)
            circuit = await self._off_loop(lambda: compile_circuit(self._read(body), child or 0))
            return orjson.dumps(circuit)
        if artifact == AGGREGATE:
            job.distribution(0, now)
            return await self._results.write_aggregate(job, job.results or [], vote=vote)
        result = job.distribution(child, now)
        circuit_info = job.circuits[child or 0]
        return await self._results.write(job, result, circuit_info, artifact, vote=vote)

    async def source(self, job_id: str, k: int) -> list[dict[str, Any]]:
        """Return the gates of a circuit as they were sent.

        Args:
            job_id: id of the job.
            k: position of the circuit.

        Returns:
            The gates in IonQ's JSON.

        Raises:
            BadRequest: 404, they are not kept any more.
        """
        body = _request(self.find(job_id)[0])
        return await self._off_loop(lambda: circuit_source(body, k))

    def likeliest(self, job_id: str, k: int, count: int) -> tuple[int, dict[str, float]]:
        """Return the likeliest outcomes of a circuit.

        Args:
            job_id: id of the job.
            k: position of the circuit.
            count: most outcomes to return.

        Returns:
            The number of all outcomes, and the probabilities of the likeliest ones.

        Raises:
            BadRequest: 404, the job is not completed.
        """
        job, _ = self.find(job_id)
        result = job.distribution(k, self.clock.now()).first(job.circuits[k].qubits)
        return len(result.states), result.likeliest(count).probabilities()

    def estimate(
        self, backend: str, n_1q: int, n_2q: int, circuits: int, shots: int, *, mitigated: bool
    ) -> Estimate:
        """Estimate cost and times of a job.

        Args:
            backend: name of the backend.
            n_1q: one-qubit gates, summed over circuits.
            n_2q: two-qubit gates, summed over circuits.
            circuits: number of circuits.
            shots: shots of each circuit.
            mitigated: whether errors are mitigated.

        Returns:
            US dollars and seconds.
        """
        card = self.rate_cards[backend]
        size = (n_1q, n_2q, circuits, shots)
        mean = self.profile.mean(circuits, shots)
        return Estimate(
            cost_usd=card.price(*size, mitigated=mitigated),
            rates=card.rates(backend),
            execution_s=mean.execution_s,
            queue_s=mean.queue_s,
            compute_s=card.compute_seconds(*size),
        )

    def open_session(self, data: Any) -> dict[str, Any]:
        """Open a session, and return it in IonQ's JSON.

        Raises:
            BadRequest: the body is not valid.
        """
        now = self.clock.now()
        session = read_session(data, self._new_id(), now)
        self._sessions[session.id] = session
        if self.state is not None:
            self.state.save_session(session)
        return session.as_json(now)

    def end_session(self, session_id: str) -> dict[str, Any]:
        """End a session; its jobs that have not started are cancelled.

        Raises:
            BadRequest: 404, no such session.
        """
        now = self.clock.now()
        session = self._session(session_id)
        if session.status(now) != "ended":
            session.ended_at = now
            jobs = self._known(session.jobs).values()
            self._cancel(*(job for job in jobs if job.status(now) in ("submitted", "ready")))
            if self.state is not None:
                self.state.save_session(session)
        return session.as_json(now)

    def show_session(self, session_id: str) -> dict[str, Any]:
        """Return a session in IonQ's JSON.

        Raises:
            BadRequest: 404, no such session.
        """
        return self._session(session_id).as_json(self.clock.now())

    def list_sessions(self) -> list[dict[str, Any]]:
        """Return all sessions in IonQ's JSON."""
        now = self.clock.now()
        return [session.as_json(now) for session in self._sessions.values()]

    async def close(self) -> None:
        """Stop waiting for simulations (those that run in a worker end by themselves)."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _cancel(self, *jobs: Job) -> None:
        """Cancel jobs unless they have ended (completed ones too, where the behaviour says so)."""
        now = self.clock.now()
        left: set[str] = set()  # backends whose queues have become shorter
        for job in jobs:
            status = job.status(now)
            flips = status == "completed" and self.behaviour.cancel_completed
            if status in TERMINAL and not flips:
                continue
            if status in ("submitted", "ready"):  # never ran: not charged
                self._refund(job)
            job.canceled_at = now
            left.add(job.backend)
            self._changed(job)
        for backend in left & self._queues.keys():
            for job in self._queues[backend].move_up(now):
                self._changed(job)

    def _known(self, job_ids: Iterable[str]) -> dict[str, Job]:
        """Return the jobs of the ids that exist (parents, for the ids of children)."""
        found = {job_id: self.book.find(job_id) for job_id in job_ids}
        return {job_id: entry[0] for job_id, entry in found.items() if entry is not None}

    def _session(self, session_id: str) -> ServiceSession:
        if session_id not in self._sessions:
            raise not_found()
        return self._sessions[session_id]

    def _new_id(self) -> str:
        return self.ids.take(self.clock.now())[0]

    async def _settle(self, job: Job, seconds: float) -> None:
        """Wait for a job's simulation, at most so long (seconds of the machine's clock)."""
        task = self._running.get(job.id)
        if task is not None:
            await asyncio.wait([task], timeout=seconds)

    def _read(self, body: bytes) -> Submission:
        return read_submission(body, self.behaviour, self._noise_model)

    def _queue(self, job: Job) -> MachineQueue | None:
        """The queue a job stands in, if it takes the time of a machine that is not unlimited."""
        places = self.profile.concurrency
        if places is None or job.dry_run or job.failure is not None:
            return None
        return self._queues.setdefault(job.backend, MachineQueue(places))

    def _refund(self, job: Job) -> None:
        self.billed_usd -= job.billed_usd
        if job.session_id in self._sessions:
            self._sessions[job.session_id].spent_usd -= job.billed_usd
        job.billed_usd = 0.0

    def _start(self, job: Job, submission: Submission) -> None:
        noise = noise_config(submission.backend, submission.noise)
        options = SimulationOptions(noise, submission.shots, self._simulator)
        task = asyncio.ensure_future(self._simulate(job, submission, options))
        self._running[job.id] = task
        task.add_done_callback(lambda _: self._running.pop(job.id, None))

    async def _simulate(self, job: Job, submission: Submission, options: SimulationOptions) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        programs = submission.programs
        try:
            job.results = await self._off_loop(
                lambda: self._simulators.run(programs, options, job.seed)
            )
            if submission.reduce is not None:
                job.outcome = submission.reduce(job.results, job.shots)
        except Exception as error:  # noqa: BLE001 - a service fails the job
            _LOG.exception("Simulation of job %s failed", job.id)
            job.failure = Failure("SimulationError", f"{type(error).__name__}: {error}")
            self._refund(job)
        job.simulated_s = loop.time() - began
        job.finished_at = self.clock.now()
        self.book.weigh(job, job.finished_at)
        if self.book.find(job.id) is not None:  # it may have been deleted meanwhile
            self._changed(job)

    async def _off_loop(self, call: Callable[[], _T]) -> _T:
        """Make a call on a worker thread."""
        return await asyncio.get_running_loop().run_in_executor(self._simulators.threads, call)

    def _changed(self, job: Job) -> None:
        self.book.touch(job)
        if self.state is not None:
            self.state.save(job)
            self.state.save_bill(self.billed_usd, self.billed_jobs)
            if job.session_id in self._sessions:
                self.state.save_session(self._sessions[job.session_id])


def _request(job: Job) -> bytes:
    if job.request is None:
        raise not_found()
    return job.request
