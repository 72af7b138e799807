"""The service behind the routes: accepts, schedules, simulates, prices and finds jobs.

Lives on the emulator's event loop; simulation and the reading of large bodies happen in
:mod:`pennylane_qstore.emulator.simulation.workers`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
import orjson

from pennylane_qstore.backends import BACKENDS
from pennylane_qstore.emulator.faults import Faults
from pennylane_qstore.emulator.service.billing import RATE_CARDS, RateCard
from pennylane_qstore.emulator.service.clock import Clock
from pennylane_qstore.emulator.service.jobs import TERMINAL, Book, Ids, Job
from pennylane_qstore.emulator.service.latency import LatencyProfile
from pennylane_qstore.emulator.service.queue import MachineQueue
from pennylane_qstore.emulator.service.sessions import Session, read_session
from pennylane_qstore.emulator.service.state import StateFile
from pennylane_qstore.emulator.simulation.native_circuit import native_circuit
from pennylane_qstore.emulator.simulation.noise import noise_config
from pennylane_qstore.emulator.simulation.run import Distribution, SimulationOptions
from pennylane_qstore.emulator.simulation.workers import SimulationPool
from pennylane_qstore.server.errors import BadRequest, not_found
from pennylane_qstore.server.inputs.hybrid import FUNCTION, QAOA
from pennylane_qstore.server.inputs.submission import (
    MULTI,
    QASM,
    SINGLE,
    Submission,
    parse_json,
    read_input,
    read_submission,
)
from pennylane_qstore.server.service import Failure, ServiceBehaviour

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")
_INLINE_BYTES = 300_000
"""Bodies up to this size are read on the event loop: a hop to a worker costs more."""
_SLOW_TYPES = (QASM.encode(), FUNCTION.encode())
"""Types whose programs take the parser milliseconds."""
_MERGED = ("name", "metadata", "shots", "backend", "session_id", "settings", "dry_run", "noise")


class Service:
    """Everything but HTTP.

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
        self.sessions: dict[str, Session] = {}
        self.rate_cards = {**RATE_CARDS, **rate_cards}
        self.budget_usd = budget_usd
        self.billed_usd = 0.0
        self.billed_jobs = 0
        self.state: StateFile | None = None
        self._simulators: SimulationPool
        self._noise_model, self._simulator = noise_model, simulator
        self._running: dict[str, asyncio.Task[None]] = {}
        self._queues: dict[str, MachineQueue] = {}

    async def read(self, body: bytes) -> Submission:
        """A submission from a request body.

        Raises:
            BadRequest: it is not valid.
        """
        if len(body) <= _INLINE_BYTES and not any(kind in body for kind in _SLOW_TYPES):
            return self._read(body)
        return await self.off_loop(lambda: self._read(body))

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
            session = self.session(submission.session_id)
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
            self.sessions[session.id] = session
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

    async def settle(self, job: Job, seconds: float) -> None:
        """Wait for a job's simulation, at most so long (seconds of the machine's clock)."""
        task = self._running.get(job.id)
        if task is not None:
            await asyncio.wait([task], timeout=seconds)

    def find(self, job_id: str) -> tuple[Job, int | None]:
        """The job, and the position of the circuit where the id is a child's.

        Raises:
            BadRequest: 404, no such job.
        """
        found = self.book.find(job_id)
        if found is None:
            raise not_found()
        return found

    def cancel(self, *jobs: Job) -> None:
        """Cancel jobs unless they have ended (completed ones too, where the behaviour says so)."""
        now = self.clock.now()
        left: set[str] = set()  # backends whose queues have become shorter
        for job in jobs:
            status = job.status(now)
            if status in TERMINAL and not (
                status == "completed" and self.behaviour.cancel_completed
            ):
                continue
            if status in ("submitted", "ready"):  # never ran: not charged
                self._refund(job)
            job.canceled_at = now
            left.add(job.backend)
            self._changed(job)
        for backend in left & self._queues.keys():
            for job in self._queues[backend].move_up(now):
                self._changed(job)

    def delete(self, *jobs: Job) -> None:
        """Forget jobs; what was charged stays charged."""
        now = self.clock.now()
        self.cancel(*(job for job in jobs if job.status(now) not in TERMINAL))
        for job in jobs:
            self.book.remove(job)
            if self.state is not None:
                self.state.remove(job)

    def clone_request(self, job: Job, child: int | None, body: Any) -> bytes:
        """The request for a job like this one, with the members of ``body`` in place.

        Raises:
            BadRequest: the body is not an object, or the circuits are not kept any more.
        """
        if body is None:
            body = {}
        if not isinstance(body, dict):
            raise BadRequest('"value" must be of type object.', keys=["body"])
        if job.request is None:
            raise not_found()
        request = parse_json(job.request)
        merged = dict(request)
        if child is not None:
            source = request["input"]
            circuit = {"gateset": source.get("gateset", "qis"), "qubits": source.get("qubits")}
            circuit |= read_input(request["type"], source).circuits[child]
            merged["type"] = SINGLE
            merged["input"] = {k: v for k, v in circuit.items() if v is not None}
        merged.update({key: body[key] for key in _MERGED if key in body})
        return orjson.dumps(merged)

    def source(self, job: Job, k: int) -> list[dict[str, Any]]:
        """The gates of a circuit as they were sent (OpenQASM as IonQ's JSON).

        Raises:
            BadRequest: 404, they are not kept any more.
        """
        if job.request is None:
            raise not_found()
        data = parse_json(job.request)
        return list(read_input(data["type"], data["input"]).circuits[k]["circuit"])

    async def compiled(self, job: Job, k: int) -> dict[str, Any]:
        """A circuit as the service would compile it (``ionq.native.v1``)."""
        body = job.request
        if body is None:
            raise not_found()

        def work() -> dict[str, Any]:
            submission = self._read(body)
            for program in submission.programs:
                for row in np.flatnonzero(program.index == k).tolist():
                    if program.gateset == "native":
                        circuit = self.source(job, k)
                    else:
                        circuit = native_circuit(program, row, submission.entangler)
                    return {"qubits": program.qubits, "circuit": circuit}
            raise not_found()

        return await self.off_loop(work)

    def open_session(self, data: Any) -> Session:
        """A new session.

        Raises:
            BadRequest: the body is not valid.
        """
        now = self.clock.now()
        session = read_session(data, self.ids.take(now)[0], now)
        self.sessions[session.id] = session
        if self.state is not None:
            self.state.save_session(session)
        return session

    def end_session(self, session: Session) -> None:
        """End a session; its jobs that have not started are cancelled."""
        now = self.clock.now()
        if session.status(now) == "ended":
            return
        session.ended_at = now
        jobs = [found[0] for found in map(self.book.find, session.jobs) if found is not None]
        self.cancel(*(job for job in jobs if job.status(now) in ("submitted", "ready")))
        if self.state is not None:
            self.state.save_session(session)

    def session(self, session_id: str) -> Session:
        """The session of this id.

        Raises:
            BadRequest: 404, no such session.
        """
        if session_id not in self.sessions:
            raise not_found()
        return self.sessions[session_id]

    def distribution(self, job: Job, child: int | None) -> Distribution:
        """The result of one circuit.

        Args:
            job: the job.
            child: which of its circuits, ``None`` for the only one.

        Raises:
            BadRequest: 404, the job is not completed, or its result is no histogram.
        """
        if job.status(self.clock.now()) != "completed" or job.results is None:
            raise BadRequest("Job not found or not yet completed.", status=404)
        if child is None and (job.multi or job.outcome is not None):
            raise not_found()
        return job.results[child or 0]

    async def close(self) -> None:
        """Stop waiting for simulations (those that run in a worker end by themselves)."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

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
        if job.session_id in self.sessions:
            self.sessions[job.session_id].spent_usd -= job.billed_usd
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
            job.results = await self.off_loop(
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

    async def off_loop(self, call: Callable[[], _T]) -> _T:
        """Make a call on a worker thread."""
        return await asyncio.get_running_loop().run_in_executor(self._simulators.threads, call)

    def _changed(self, job: Job) -> None:
        self.book.touch(job)
        if self.state is not None:
            self.state.save(job)
            self.state.save_bill(self.billed_usd, self.billed_jobs)
            if job.session_id in self.sessions:
                self.state.save_session(self.sessions[job.session_id])


def is_qpu(backend: str) -> bool:
    """Whether a backend is a quantum computer."""
    return BACKENDS[backend].is_qpu
