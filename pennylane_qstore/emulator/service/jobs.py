"""Jobs, their life cycle, and the book that keeps them.

A job's status is a function of the time and of its simulation, so nothing has to tick:
``submitted`` until it is verified, ``ready`` until its turn comes, ``started`` until both
the scheduled end has come and the simulation is done, then ``completed``.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import numpy as np

from pennylane_qstore.backends import BACKENDS
from pennylane_qstore.emulator.simulation.debiasing import output_json
from pennylane_qstore.emulator.simulation.run import Distribution
from pennylane_qstore.server.errors import BadRequest, not_found
from pennylane_qstore.server.inputs.hybrid import QAOA
from pennylane_qstore.server.inputs.settings import debiased
from pennylane_qstore.server.inputs.submission import MULTI, QASM, SINGLE
from pennylane_qstore.server.render import NATIVE_CIRCUIT, descriptor
from pennylane_qstore.server.service import TERMINAL, CircuitInfo, Failure


@dataclass(slots=True, eq=False)
class Job:
    """One accepted job. Times are seconds since the epoch, on the emulator's clock.

    ``cost_usd`` is the estimate (0 on simulators), ``billed_usd`` what is charged: nothing for
    dry runs, for jobs that failed, and for those cancelled before they started. ``turn_at`` is
    when the job would start on a machine that nobody else uses. ``outcome`` is the result of a
    job that gives a number instead of histograms, ``compute_us`` its quantum compute time in
    microseconds by the rate card.
    """

    id: str
    sequence: int
    type: str
    backend: str
    gateset: str
    name: str | None
    metadata: dict[str, str] | None
    shots: int
    noise: dict[str, Any] | None
    settings: dict[str, Any]
    session_id: str | None
    dry_run: bool
    circuits: list[CircuitInfo]
    child_ids: list[str]
    seed: int
    submitted_at: float
    ready_at: float
    start_at: float
    end_at: float
    cost_usd: float
    billed_usd: float
    cost_model: str
    request: bytes | None = field(default=None, repr=False)
    failure: Failure | None = None
    results: list[Distribution] | None = field(default=None, repr=False)
    outcome: dict[str, Any] | None = None
    compute_us: int = 0
    turn_at: float = 0.0
    finished_at: float | None = None
    simulated_s: float = 0.0
    canceled_at: float | None = None
    shuffle: tuple[str, ...] = ()
    hidden_until: float = 0.0
    version: int = 0

    def status(self, now: float) -> str:
        """IonQ's status at this time."""
        if self.canceled_at is not None:
            return "canceled"
        if now < self.ready_at:
            return "submitted"
        if self.failure is not None:
            return "failed"
        if self.dry_run:
            return "completed"
        if now < self.start_at:
            return "ready"
        if self.results is None or now < self.end_at:
            return "started"
        return "completed"

    def ended_at(self) -> float:
        """When the job reached (or will reach) its terminal status."""
        if self.canceled_at is not None:
            return self.canceled_at
        if self.failure is not None or self.dry_run:
            return max(self.ready_at, self.finished_at or 0.0)
        return max(self.end_at, self.finished_at or 0.0)

    def started_at(self, now: float) -> float | None:
        """Return when the job started, None if it has not (or never will)."""
        until = now if self.canceled_at is None else self.canceled_at
        runs = self.start_at <= until and not self.dry_run and self.failure is None
        return self.start_at if runs else None

    @property
    def duration_s(self) -> float:
        """Seconds of execution, the simulation's own time among them."""
        return self.end_at - self.start_at + self.simulated_s

    @property
    def multi(self) -> bool:
        """Whether the job has children."""
        return self.type in (MULTI, QAOA)

    @property
    def sampled(self) -> bool | None:
        """Whether results are counts rather than exact probabilities; None without results."""
        return None if self.results is None else self.results[0].shots is not None

    def compilable(self, child: int | None) -> bool:
        """Return whether the circuit can be shown as the service would compile it."""
        written = child is not None or self.type in (SINGLE, QASM)
        return written and self.request is not None and not self.circuits[child or 0].recorded

    def output(self, child: int | None) -> dict[str, Any]:
        """Return IonQ's ``output`` of the completed job, or of one of its circuits."""
        if child is None and self.outcome is not None and "value" in self.outcome:
            return {"energy": self.outcome["value"]}  # where IonQ's own example looks for it
        out: dict[str, Any] = {}
        if self.compilable(child):
            compiled = descriptor("compiled-native", NATIVE_CIRCUIT)
            out["compilation"] = {"compiled_circuits": {NATIVE_CIRCUIT: compiled}}
        written = child is not None or self.type in (SINGLE, QASM)
        machine = BACKENDS[self.backend]
        if machine.is_qpu and written and self.results is not None:
            mitigation: dict[str, Any] = {"debiasing": False}
            if debiased(self.settings):
                qubits = self.circuits[child or 0].qubits
                mitigation = output_json(self.results[child or 0], qubits, machine.qubits)
            out["error_mitigation"] = mitigation
        return out

    def distribution(self, child: int | None, now: float) -> Distribution:
        """Return the result of one circuit.

        Args:
            child: position of the circuit, ``None`` for the only one.
            now: the time, in seconds since the epoch.

        Returns:
            The circuit's result.

        Raises:
            BadRequest: 404, the job is not completed, or its result is no histogram.
        """
        if self.status(now) != "completed" or self.results is None:
            raise BadRequest("Job not found or not yet completed.", status=404)
        if child is None and (self.multi or self.outcome is not None):
            raise not_found()
        return self.results[child or 0]

    @property
    def n_1q(self) -> int:
        """One-qubit gates, summed over circuits."""
        return sum(c.n_1q for c in self.circuits)

    @property
    def n_2q(self) -> int:
        """Two-qubit gates, summed over circuits."""
        return sum(c.n_2q for c in self.circuits)


class Ids:
    """UUIDs of version 7: ordered by time, and by creation within one millisecond.

    Args:
        rng: source of the random bits.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._last = 0

    def follow(self, last: str) -> None:
        """Go on above an id that was given out by another emulator."""
        number = int(last.replace("-", ""), 16)
        stamp = number >> 80 << 26 | (number >> 64 & 0xFFF) << 14 | number >> 48 & 0x3FFF
        self._last = max(self._last, stamp)

    def take(self, now: float, count: int = 1) -> list[str]:
        """So many ids, ascending, above all given out before."""
        first = max(int(now * 1000) << 26, self._last + 1)
        self._last = first + count - 1
        tails = self._rng.integers(0, 2**48, count).tolist()
        return [_uuid7(first + k, tail) for k, tail in enumerate(tails)]


class Book:
    """All jobs, newest last.

    Args:
        keep: jobs kept; beyond that the oldest finished ones are forgotten.
        keep_requests: circuits kept as they were sent (for clones, artifacts and the page),
            over all jobs; beyond that the oldest are forgotten, their results are not.
        keep_outcomes: outcomes kept in results, 16 bytes each, over all jobs; beyond that the
            oldest finished jobs are forgotten.
    """

    def __init__(
        self,
        *,
        keep: int = 100_000,
        keep_requests: int = 40_000,
        keep_outcomes: int = 100_000_000,
    ) -> None:
        self._jobs: dict[str, Job] = {}
        self._order: list[Job] = []  # by sequence
        self._children: dict[str, tuple[Job, int]] = {}
        self._keep = keep
        self._circuits_kept = 0
        self._with_request: dict[str, int] = {}
        self._keep_requests = keep_requests
        self._keep_outcomes = keep_outcomes
        self._outcomes: dict[str, int] = {}
        self._outcomes_kept = 0
        self.accepted = 0
        self.next_sequence = 0
        self.circuits = 0
        self.version = 0

    def __len__(self) -> int:
        return len(self._jobs)

    def add(self, job: Job, now: float) -> None:
        """Keep a job."""
        self._jobs[job.id] = job
        self._order.append(job)
        for k, child in enumerate(job.child_ids):
            self._children[child] = (job, k)
        self.accepted += 1
        self.next_sequence = job.sequence + 1
        self.circuits += len(job.circuits)
        self._with_request[job.id] = len(job.circuits)
        self._circuits_kept += len(job.circuits)
        while self._circuits_kept > self._keep_requests and len(self._with_request) > 1:
            oldest = next(iter(self._with_request))
            self._circuits_kept -= self._with_request.pop(oldest)
            if oldest in self._jobs:
                self._jobs[oldest].request = None
        if job.results is not None:
            self.weigh(job, now)
        while len(self._jobs) > self._keep:
            first = next(iter(self._jobs.values()))
            if first.status(now) not in TERMINAL:
                break
            self.remove(first)
        self.touch(job)

    def weigh(self, job: Job, now: float) -> None:
        """Count a job's results, and forget the oldest jobs if there are too many."""
        if job.id not in self._jobs or job.results is None:
            return
        self._outcomes[job.id] = sum(len(one.states) for one in job.results)
        self._outcomes_kept += self._outcomes[job.id]
        while self._outcomes_kept > self._keep_outcomes and len(self._outcomes) > 1:
            oldest = self._jobs[next(iter(self._outcomes))]
            if oldest is job or oldest.status(now) not in TERMINAL:
                break
            self.remove(oldest)

    def touch(self, job: Job) -> None:
        """Note that a job has changed (for those who watch)."""
        self.version += 1
        job.version = self.version

    def remove(self, job: Job) -> None:
        """Forget a job and its children."""
        if self._jobs.pop(job.id, None) is not None:
            place = bisect_left(self._order, job.sequence, key=attrgetter("sequence"))
            del self._order[place]
        for child in job.child_ids:
            self._children.pop(child, None)
        self._circuits_kept -= self._with_request.pop(job.id, 0)
        self._outcomes_kept -= self._outcomes.pop(job.id, 0)
        self.version += 1

    def find(self, job_id: str) -> tuple[Job, int | None] | None:
        """The job of this id, and the circuit's position where the id is a child's."""
        job = self._jobs.get(job_id)
        if job is not None:
            return job, None
        return self._children.get(job_id)

    def newest_first(self, before: int | None = None) -> Iterator[Job]:
        """Jobs, from the newest (or the newest before a sequence number) on."""
        place = len(self._order)
        if before is not None:
            place = bisect_left(self._order, before, key=attrgetter("sequence"))
        while place > 0:
            place -= 1
            yield self._order[place]

    def all(self) -> list[Job]:
        """All jobs, in the order they were accepted."""
        return list(self._jobs.values())


def _uuid7(stamp: int, tail: int) -> str:
    """Milliseconds (48 bits) and a counter (26 bits) in ``stamp``, 48 random bits behind."""
    milliseconds = stamp >> 26
    counter = stamp & 0x3FFFFFF
    high = milliseconds << 16 | 0x7000 | counter >> 14
    low = 0b10 << 62 | (counter & 0x3FFF) << 48 | tail
    text = f"{high:016x}{low:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
