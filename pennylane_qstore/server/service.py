"""The service behind the server: its protocols, and the records that both sides share.

The server reads requests, checks access, pages through lists and writes IonQ's JSON. What a job
is, when it runs, what it costs and what it gives is the service's: the emulator is one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, runtime_checkable

from pennylane_qstore.prices import JobSize

TERMINAL = ("completed", "failed", "canceled")
"""Statuses that do not change any more."""
Body = bytes | AsyncIterator[bytes]
"""JSON to be sent: whole, or piece by piece."""


class Failure(NamedTuple):
    """IonQ's code and message of a job that failed."""

    code: str
    message: str


class CircuitInfo(NamedTuple):
    """A circuit without its gates.

    ``recorded`` counts the qubits behind the others that hold what was measured on the way.
    """

    name: str | None
    qubits: int
    n_1q: int
    n_2q: int
    registers: Mapping[str, Any] | None
    recorded: int = 0


@dataclass(frozen=True, slots=True)
class ServiceBehaviour:
    """Behaviour of the service that is not documented; each can be switched.

    Args:
        strict_names: job names take letters, digits, space, ``-`` and ``_`` only.
        strict_ranges: native phases must be in [-1, 1] turns, ms angles in [0, 0.25].
        qpu_max_shots: more shots on a QPU fail as ``TooManyShots``.
        page_limit: default and largest page of ``GET /jobs``.
        list_children: whether children of multi-circuit jobs appear in an unfiltered list.
        cancel_completed: whether cancelling a completed job turns it to ``canceled``.
        named_children: whether children carry the names of their circuits.
        qpu_mid_circuit: whether QPUs measure and reset in the middle of a circuit, too.
    """

    strict_names: bool = True
    strict_ranges: bool = True
    qpu_max_shots: int = 10_000
    page_limit: int = 25
    list_children: bool = False
    cancel_completed: bool = False
    named_children: bool = True
    qpu_mid_circuit: bool = False


class Estimate(NamedTuple):
    """Cost and times of a job that is not sent.

    Args:
        cost_usd: US dollars.
        rates: the rate card as IonQ shows it.
        execution_s: seconds of execution.
        queue_s: seconds in the queue.
        compute_s: seconds of quantum compute time.
    """

    cost_usd: float
    rates: list[dict[str, Any]]
    execution_s: float
    queue_s: float
    compute_s: float


@dataclass(slots=True, eq=False, kw_only=True)
class ServiceJob(ABC):
    """A job as the server shows it; times are seconds since the epoch.

    ``sequence`` ascends with acceptance, ``version`` with every change of any job. ``cost_usd`` is
    the estimate, ``billed_usd`` what is charged, ``compute_us`` the quantum compute time in
    microseconds. ``outcome`` is the result of a job that gives a number instead of histograms.
    ``hidden_until`` is when lists begin to show the job.
    """

    id: str
    sequence: int
    type: str
    backend: str
    name: str | None = None
    metadata: dict[str, str] | None = None
    shots: int
    noise: dict[str, Any] | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    session_id: str | None = None
    dry_run: bool = False
    circuits: list[CircuitInfo]
    child_ids: list[str] = field(default_factory=list)
    submitted_at: float
    start_at: float
    cost_usd: float
    billed_usd: float
    cost_model: str
    compute_us: int = 0
    failure: Failure | None = None
    outcome: dict[str, Any] | None = None
    hidden_until: float = 0.0
    version: int = 0

    @property
    def multi(self) -> bool:
        """True for a job with children: one of many circuits."""
        return bool(self.child_ids)

    @property
    @abstractmethod
    def sampled(self) -> bool | None:
        """True where results are counts, False where they are exact; None without results."""

    @property
    @abstractmethod
    def duration_s(self) -> float:
        """Seconds of execution."""

    @abstractmethod
    def status(self, now: float) -> str:
        """Return IonQ's status at a time."""

    @abstractmethod
    def started_at(self, now: float) -> float | None:
        """Return when the job started, None if it has not (or never will)."""

    @abstractmethod
    def ended_at(self) -> float:
        """Return when the job reached (or will reach) its terminal status."""

    @abstractmethod
    def output(self, child: int | None) -> dict[str, Any]:
        """Return IonQ's ``output`` of the completed job, or of one of its circuits."""


class Results(Protocol):
    """Results of jobs, and the circuits that they are of. Errors as in :class:`Service`."""

    async def write(self, job_id: str, artifact: str, *, vote: bool) -> Body:
        """Return a result of a completed job.

        Args:
            job_id: id of the job.
            artifact: identifier of one of IonQ's formats, or id of a variant or an aggregation
                of a debiased job.
            vote: whether the variants of a debiased job vote.

        Returns:
            The JSON.
        """

    async def source(self, job_id: str, k: int) -> list[dict[str, Any]]:
        """Return the gates of a circuit as they were sent.

        Args:
            job_id: id of the job.
            k: position of the circuit.

        Returns:
            The gates in IonQ's JSON.
        """

    def likeliest(self, job_id: str, k: int, count: int) -> tuple[int, dict[str, float]]:
        """Return the likeliest outcomes of a circuit.

        Args:
            job_id: id of the job.
            k: position of the circuit.
            count: most outcomes to return.

        Returns:
            The number of all outcomes, and the probabilities of the likeliest ones.
        """


class JobService(Protocol):
    """A service as the routes of jobs use it. Called on the event loop.

    Methods that take the id of a job raise :class:`~pennylane_qstore.server.errors.BadRequest`
    with status 404 where there is none, and take a child's id as well.
    """

    behaviour: ServiceBehaviour
    title: str
    """Name of the service, as the title of its page."""

    @property
    def shows_all(self) -> bool:
        """True where the caller sees the jobs of everybody."""

    @property
    def results(self) -> Results:
        """The results of its jobs."""

    @property
    def name(self) -> str:
        """Name of the service, shown as that of every key."""

    @property
    def label(self) -> str:
        """Short description of the service, shown on the page."""

    def now(self) -> float:
        """Return the time, in seconds since the epoch."""

    def stats(self) -> dict[str, Any]:
        """Return counters of jobs and money."""

    async def submit(self, body: bytes) -> ServiceJob:
        """Accept a job from the body of a request."""

    async def clone(self, job_id: str, changes: Any) -> ServiceJob:
        """Accept a job like another one.

        Args:
            job_id: id of the original; a child's id clones its circuit alone.
            changes: members of the request to put in place.

        Returns:
            The new job.
        """

    async def refresh(self, job_id: str) -> None:
        """Update the state of a job."""

    def find(self, job_id: str) -> tuple[ServiceJob, int | None]:
        """Return the job, and the position of the circuit where the id is a child's."""

    def newest_first(self, before: int | None = None) -> Iterator[ServiceJob]:
        """Return the jobs, from the newest (or the newest before a sequence number) on."""

    def lists_children(self) -> bool:
        """Return whether this list shows children beside their parents."""

    def cancel(self, *job_ids: str) -> list[str]:
        """Cancel jobs that have not ended; return the ids that exist."""

    def delete(self, *job_ids: str) -> list[str]:
        """Forget jobs; return the ids that exist."""

    def show_session(self, session_id: str) -> dict[str, Any]:
        """Return a session in IonQ's JSON."""


@runtime_checkable
class Service(JobService, Protocol):
    """A service that answers for the account as well: backends, estimates and sessions."""

    def queue_s(self) -> float:
        """Return the average time in the queue, in seconds."""

    def estimate(self, backend: str, job: JobSize) -> Estimate:
        """Estimate cost and times of a job.

        Args:
            backend: name of the backend.
            job: its size.

        Returns:
            US dollars and seconds.
        """

    def open_session(self, data: Any) -> dict[str, Any]:
        """Open a session, and return it in IonQ's JSON."""

    def list_sessions(self) -> list[dict[str, Any]]:
        """Return all sessions in IonQ's JSON."""

    def end_session(self, session_id: str) -> dict[str, Any]:
        """End a session, and return it in IonQ's JSON."""
