"""Questions to the emulated service: nothing here changes a job."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from pennylane_qstore.emulator.faults import Faults
from pennylane_qstore.emulator.service.clock import Clock, VirtualClock
from pennylane_qstore.emulator.service.job_store import IdGenerator
from pennylane_qstore.emulator.service.jobs import StoredJob
from pennylane_qstore.emulator.service.latency import LatencyProfile
from pennylane_qstore.emulator.service.records import Records
from pennylane_qstore.emulator.service.requests import circuit_source, compile_circuit
from pennylane_qstore.emulator.service.results import ResultWriter
from pennylane_qstore.emulator.service.simulations import Simulations
from pennylane_qstore.server.errors import not_found
from pennylane_qstore.server.inputs.submission import Submission, read_submission
from pennylane_qstore.server.render import AGGREGATE, NATIVE_CIRCUIT
from pennylane_qstore.server.service import Body, Estimate, ServiceBehaviour

_VIRTUAL_SETTLE_S = 30.0
"""Under a virtual clock a job whose time has come is waited for: the clock, not the machine
this runs on, decides when it is done."""


class ServiceQueries:
    """The half of IonQ's service that answers questions.

    Args:
        clock: source of time.
        profile: times of jobs.
        faults: plan of what goes wrong.
        behaviour: where the service's behaviour is uncertain.
        noise_model: noise of ``simulator`` jobs without ``noise``.
        ids: source of new ids.
        records: jobs, sessions and the bill.
        simulations: of the jobs.
    """

    name = "Emulator"

    def __init__(
        self,
        *,
        clock: Clock,
        profile: LatencyProfile,
        faults: Faults,
        behaviour: ServiceBehaviour,
        noise_model: str | None,
        ids: IdGenerator,
        records: Records,
        simulations: Simulations,
    ) -> None:
        self.clock, self.profile, self.faults, self.behaviour = clock, profile, faults, behaviour
        self.ids, self.jobs, self.bill = ids, records.jobs, records.bill
        self._noise_model = noise_model
        self._records, self._simulations = records, simulations
        self._results = ResultWriter(faults, self._new_id, simulations.off_loop)

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
            "jobs": self.jobs.accepted,
            "circuits": self.jobs.circuits,
            "billed_jobs": self.bill.jobs,
            "billed_usd": round(self.bill.usd, 6),
            "faults": len(self.faults.happened),
        }

    async def refresh(self, job_id: str) -> None:
        """Wait for a job whose time has come, where a virtual clock decides when it is done."""
        job, _ = self._records.find(job_id)
        if isinstance(self.clock, VirtualClock) and job.end_at <= self.clock.now():
            await self._simulations.wait_for(job, _VIRTUAL_SETTLE_S)

    def find(self, job_id: str) -> tuple[StoredJob, int | None]:
        """Return the job, and the position of the circuit where the id is a child's.

        Raises:
            BadRequest: 404, no such job.
        """
        return self._records.find(job_id)

    def newest_first(self, before: int | None = None) -> Iterator[StoredJob]:
        """Return the jobs, from the newest (or the newest before a sequence number) on."""
        return self.jobs.newest_first(before)

    def lists_children(self) -> bool:
        """Return whether this list shows children beside their parents."""
        fault = self.behaviour.list_children or self.faults.content("list_children", "list")
        return bool(fault)

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
        job, child = self._records.find(job_id)
        now = self.clock.now()
        if artifact == NATIVE_CIRCUIT:
            if job.status(now) != "completed" or not job.compilable(child):
                raise not_found()
            body = request_of(job)
            circuit = await self._simulations.off_loop(
                lambda: compile_circuit(self._read(body), child or 0)
            )
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
        body = request_of(self._records.find(job_id)[0])
        return await self._simulations.off_loop(lambda: circuit_source(body, k))

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
        job, _ = self._records.find(job_id)
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
        card = self.bill.rate_cards[backend]
        size = (n_1q, n_2q, circuits, shots)
        mean = self.profile.mean(circuits, shots)
        return Estimate(
            cost_usd=card.price(*size, mitigated=mitigated),
            rates=card.rates(backend),
            execution_s=mean.execution_s,
            queue_s=mean.queue_s,
            compute_s=card.compute_seconds(*size),
        )

    def show_session(self, session_id: str) -> dict[str, Any]:
        """Return a session in IonQ's JSON.

        Raises:
            BadRequest: 404, no such session.
        """
        return self._records.session(session_id).as_json(self.clock.now())

    def list_sessions(self) -> list[dict[str, Any]]:
        """Return all sessions in IonQ's JSON."""
        now = self.clock.now()
        return [session.as_json(now) for session in self._records.sessions.values()]

    def _new_id(self) -> str:
        return self.ids.take(self.clock.now())[0]

    def _read(self, body: bytes) -> Submission:
        return read_submission(body, self.behaviour, self._noise_model)


def request_of(job: StoredJob) -> bytes:
    """Return the body of a job's request.

    Raises:
        BadRequest: 404, it is not kept any more.
    """
    if job.request is None:
        raise not_found()
    return job.request
