"""Results of a job that ended: one request where the order of circuits is certain.

Results of a multi-circuit job come keyed by child id. Which circuit a child was is told by
its name; the order of ids is believed only where three things agree (see :func:`in_order`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from pennylane_qstore.errors import InvalidResponse, ServiceError
from pennylane_qstore.ionq.http.api import Api
from pennylane_qstore.ionq.http.transport import Traffic
from pennylane_qstore.ionq.messages.histograms import Histogram, parse_aggregate, parse_results
from pennylane_qstore.ionq.messages.responses import JobState, ascending_uuid7

logger = logging.getLogger(__name__)

_T = TypeVar("_T")


class CircuitFailure(NamedTuple):
    """The reason why a circuit has no result.

    Attributes:
        code: IonQ's code, or the state of the job.
        message: IonQ's message.
        job_id: the job that failed.
    """

    code: str
    message: str
    job_id: str


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """Results of one job that ended.

    Attributes:
        histograms: in the order of the circuits sent; ``None`` for those that failed, empty
            for a dry run.
        failures: by index of circuit, for every circuit without a histogram.
        qubits: of each circuit.
        run_s: run time on the service's clock, in seconds, where it tells.
    """

    histograms: list[Histogram | None]
    failures: dict[int, CircuitFailure]
    qubits: int
    run_s: float | None = None


@dataclass(slots=True)
class JobRecord:
    """Identities, times and money of the jobs of one request, added up as they become known.

    Args:
        index: number of the request in its call.
        circuits: circuits of the request.
        dry_run: whether only the price is asked for.
        traffic: counters of HTTP.
        row_ids: rows of the ledger.
        job_ids: IonQ's ids.
        posted: jobs created by this call.
        submit_s: from the call until the first job had an id, in seconds.
        queue_s, run_s: waiting and running at the service, in seconds.
        polls: looks at the jobs.
        cost_usd: billed, or estimated for a dry run, in US dollars, where known.
        outcome: of the last job, as soon as its results are here, stored or not.
    """

    index: int = 0
    circuits: int = 0
    dry_run: bool = False
    traffic: Traffic = field(default_factory=Traffic)
    row_ids: list[int] = field(default_factory=list)
    job_ids: list[str] = field(default_factory=list)
    posted: int = 0
    submit_s: float | None = None
    queue_s: float = 0.0
    run_s: float = 0.0
    polls: int = 0
    cost_usd: float | None = None
    outcome: JobOutcome | None = None

    def add_cost(self, usd: float | None) -> None:
        """Add a bill, in US dollars; ``None`` is not known."""
        if usd is not None:
            self.cost_usd = (self.cost_usd or 0.0) + usd


async def fetch_results(
    api: Api,
    state: JobState,
    traffic: Traffic,
    *,
    circuits: int,
    qubits: int,
    aggregation: str | None = None,
    ordered: bool = True,
) -> JobOutcome:
    """Fetch and validate the results of a job that completed or failed.

    Args:
        api: the service.
        state: the job, terminal.
        traffic: counters.
        circuits: number of circuits sent.
        qubits: of each circuit.
        aggregation: way in which a debiased job's results are combined, asked of the service.
        ordered: whether the order of ids may be believed at all (never on a QPU).

    Returns:
        A histogram or a failure for each circuit.

    Raises:
        InvalidResponse: a histogram is invalid, or circuits are missing, too many, or cannot
            be told apart.
        ServiceError, ConnectionFailed: the results cannot be read.
    """
    fetcher = _Fetcher(api, state, traffic, circuits, qubits, aggregation)
    if circuits > 1:
        return await fetcher.multiple(ordered)
    if state.status != "completed":
        return fetcher.outcome([None], {0: failure_of(state)})
    return fetcher.outcome([await fetcher.histogram(state)], {})


def in_order(child_ids: Sequence[str], keys: Sequence[str], circuits: int) -> bool:
    """Return whether ids prove the order of circuits.

    They do if the children are as many as the circuits, were created in this order (UUIDv7,
    ascending), and the results stand in it too.

    Args:
        child_ids: ids of the children, as the job lists them.
        keys: ids by which the results come.
        circuits: number of circuits sent.

    Returns:
        ``False`` also where there is only no proof.
    """
    return (
        len(child_ids) == circuits and list(child_ids) == list(keys) and ascending_uuid7(child_ids)
    )


def failure_of(state: JobState) -> CircuitFailure:
    """Return why a job has no results."""
    code = state.failure_code or state.status
    return CircuitFailure(code, state.failure_message or f"the job is {state.status}", state.id)


def _invalid(state: JobState, problem: str) -> InvalidResponse:
    return InvalidResponse(f"Job {state.id} {problem}.", job_ids=[state.id])


async def circuit_order(
    api: Api, state: JobState, children: list[JobState], traffic: Traffic, circuits: int
) -> list[str]:
    """Return child ids in the order of circuits: by name, or else as the parent lists them.

    Args:
        api: the service.
        state: the parent job.
        children: its children, in any order.
        traffic: counters.
        circuits: number of circuits sent.

    Returns:
        One id per circuit.

    Raises:
        InvalidResponse: the children do not fit the circuits.
    """
    names: dict[str, str] = {}
    for child in children:
        if child.name is not None and names.setdefault(child.name, child.id) != child.id:
            raise _invalid(state, f"has two children named {child.name!r}")
    expected = [f"c{index}" for index in range(circuits)]
    if len(children) == circuits and all(name in names for name in expected):
        return [names[name] for name in expected]
    if any(name in names for name in expected):
        few = f"of {circuits} circuits lists {len(children)} children"
        raise _invalid(state, f"{few}, not all under the names that were sent")
    child_ids = state.child_ids
    if not child_ids:  # entries of the list do not name their children
        child_ids = (await api.job(state.id, traffic, patient=True)).child_ids
    if len(child_ids) != circuits or len(set(child_ids)) != circuits:
        raise _invalid(state, f"of {circuits} circuits has {len(child_ids)} children")
    logger.warning(
        "The children of job %s carry no circuit names: results are taken in the order in which "
        "the job lists its children.", state.id,
    )  # fmt: skip
    return list(child_ids)


@dataclass(frozen=True, slots=True)
class _Fetcher:
    """Reads the results of one job."""

    api: Api
    state: JobState
    traffic: Traffic
    circuits: int
    qubits: int
    aggregation: str | None

    async def multiple(self, ordered: bool) -> JobOutcome:
        """Return the outcome of a multi-circuit job, in one request where the order is certain."""
        aggregate: dict[str, Histogram] = {}
        if self.state.status == "completed":
            path = f"/jobs/{self.state.id}/results/probabilities/aggregated"
            aggregate = await self._read(
                self.state, path,
                lambda data: self._own(parse_aggregate(data, self.qubits), self.state.child_ids),
            )  # fmt: skip
            if ordered and in_order(self.state.child_ids, list(aggregate), self.circuits):
                return self.outcome([*aggregate.values()], {})
        return await self._by_child(aggregate)

    async def _by_child(self, aggregate: dict[str, Histogram]) -> JobOutcome:
        state = self.state
        histograms: list[Histogram | None] = [None] * self.circuits
        children = await self.api.children(state.id, self.traffic)
        if not children and state.status != "completed":
            # The job failed as a whole, before it was split.
            everywhere = dict.fromkeys(range(self.circuits), failure_of(state))
            return self.outcome(histograms, everywhere)
        failures: dict[int, CircuitFailure] = {}
        ids = await circuit_order(self.api, state, children, self.traffic, self.circuits)
        self._own(aggregate, ids)
        by_id = {child.id: child for child in children}
        for index, child_id in enumerate(ids):
            child = by_id.get(child_id)
            if child_id in aggregate:
                histograms[index] = aggregate[child_id]
            elif child is not None and child.status == "completed":
                histograms[index] = await self.histogram(child)
            elif child is not None and child.is_terminal:
                failures[index] = failure_of(child)
            elif state.status != "completed":
                failures[index] = failure_of(state)
            else:
                raise _invalid(state, f"is completed, but circuit {index} has no result")
        return self.outcome(histograms, failures)

    def outcome(
        self, histograms: list[Histogram | None], failures: dict[int, CircuitFailure]
    ) -> JobOutcome:
        return JobOutcome(histograms, failures, self.qubits, self.state.run_s)

    def _own(self, aggregate: dict[str, Histogram], ids: Sequence[str]) -> dict[str, Histogram]:
        # Called inside the decoding, so that a body that was garbled on the way is read again.
        strangers = set(aggregate) - set(ids)
        if ids and strangers:
            many = f"{len(strangers)} circuits that were not sent"
            raise _invalid(self.state, f"has results of {many}")
        return aggregate

    async def histogram(self, state: JobState) -> Histogram:
        return await self._read(
            state, f"/jobs/{state.id}/results/probabilities",
            lambda data: parse_results(data, self.qubits),
        )  # fmt: skip

    async def _read(self, state: JobState, path: str, decode: Callable[[bytes], _T]) -> _T:
        """Read results at the fixed place; where there is nothing, at the places the job names."""
        places = [path]
        if state.artifact_id is not None:
            places.append(f"/jobs/{state.id}/artifacts/{state.artifact_id}")
        query = f"?aggregation={self.aggregation}" if self.aggregation else ""
        for place in places:
            try:
                return await self.api.read_results(place + query, decode, self.traffic)
            except ServiceError as error:
                if error.details.get("status") != 404:
                    raise
        if state.results_url is not None:
            named = self.api.transport.endpoint.own_path(state.results_url)
            if named not in places:
                return await self.api.read_results(named, decode, self.traffic)
        raise _invalid(state, "is completed, but the service has no results for it")
