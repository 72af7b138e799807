"""Results of a job that ended: one request where the order of circuits is certain.

Results of a multi-circuit job come keyed by child id. Which circuit a child was is told by
its name; the order of ids is believed only where three things agree (see :func:`in_order`).
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import orjson

from pennylane_qstore.errors import InvalidResponse, LedgerError, ServiceError
from pennylane_qstore.ionq.http.api import Api
from pennylane_qstore.ionq.http.transport import Traffic
from pennylane_qstore.ionq.messages.responses import (
    Histogram,
    JobState,
    ascending_uuid7,
    parse_aggregate,
    parse_results,
)

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

_CHECKED = b"Q1"
"""Mark of packed results with a checksum."""
_UNCHECKED = b"["
"""Beginning of results that were packed before there was one."""
_CHECKSUM_BYTES = 4
_BODY_AT = len(_CHECKED) + _CHECKSUM_BYTES


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
    return await (fetcher.single() if circuits == 1 else fetcher.multiple(ordered))


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


def pack(histograms: Sequence[Histogram | None]) -> bytes:
    """Return histograms as compact JSON behind its checksum, exact to the last bit."""
    value = [None if h is None else [h.states, h.probabilities] for h in histograms]
    body = orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
    return b"".join((_CHECKED, _checksum(body), body))


def unpack(data: bytes) -> list[Histogram | None]:
    """Return the histograms that :func:`pack` packed; older ones, without a checksum, too.

    Raises:
        LedgerError: they were damaged since.
    """
    body = memoryview(data)
    if not data.startswith(_UNCHECKED):
        body = body[_BODY_AT:]
        if data[:_BODY_AT] != _CHECKED + _checksum(body):
            raise _damaged("the checksum does not fit")
    try:
        return [
            None
            if entry is None
            else Histogram(
                np.array(entry[0], dtype=np.uint64), np.array(entry[1], dtype=np.float64)
            )
            for entry in orjson.loads(body)
        ]
    except (ValueError, TypeError, LookupError, OverflowError) as error:
        raise _damaged(str(error)) from None


def _checksum(body: bytes | memoryview) -> bytes:
    """Return a checksum that any change of up to 32 bits in a row alters."""
    return zlib.crc32(body).to_bytes(_CHECKSUM_BYTES, "big")


def _damaged(problem: str) -> LedgerError:
    return LedgerError(
        f"Results in the ledger are damaged ({problem}): fetch them from the service again, by "
        "the job's id, or restore the file from a backup."
    )


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
            raise InvalidResponse(
                f"Job {state.id} has two children named {child.name!r}.", job_ids=[state.id]
            )
    expected = [f"c{index}" for index in range(circuits)]
    if len(children) == circuits and all(name in names for name in expected):
        return [names[name] for name in expected]
    if any(name in names for name in expected):
        raise InvalidResponse(
            f"Job {state.id} of {circuits} circuits lists {len(children)} children, not all under "
            "the names that were sent.", job_ids=[state.id],
        )  # fmt: skip
    child_ids = state.child_ids
    if not child_ids:  # entries of the list do not name their children
        child_ids = (await api.job(state.id, traffic, patient=True)).child_ids
    if len(child_ids) != circuits or len(set(child_ids)) != circuits:
        raise InvalidResponse(
            f"Job {state.id} of {circuits} circuits has {len(child_ids)} children.",
            job_ids=[state.id],
        )
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

    async def single(self) -> JobOutcome:
        """Return the outcome of a job of one circuit."""
        if self.state.status != "completed":
            return self._outcome([None], {0: failure_of(self.state)})
        return self._outcome([await self._histogram(self.state)], {})

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
                return self._outcome([*aggregate.values()], {})
        return await self._by_child(aggregate)

    async def _by_child(self, aggregate: dict[str, Histogram]) -> JobOutcome:
        state = self.state
        histograms: list[Histogram | None] = [None] * self.circuits
        children = await self.api.children(state.id, self.traffic)
        if not children and state.status != "completed":
            # The job failed as a whole, before it was split.
            everywhere = dict.fromkeys(range(self.circuits), failure_of(state))
            return self._outcome(histograms, everywhere)
        failures: dict[int, CircuitFailure] = {}
        ids = await circuit_order(self.api, state, children, self.traffic, self.circuits)
        self._own(aggregate, ids)
        by_id = {child.id: child for child in children}
        for index, child_id in enumerate(ids):
            child = by_id.get(child_id)
            if child_id in aggregate:
                histograms[index] = aggregate[child_id]
            elif child is not None and child.status == "completed":
                histograms[index] = await self._histogram(child)
            elif child is not None and child.is_terminal:
                failures[index] = failure_of(child)
            elif state.status != "completed":
                failures[index] = failure_of(state)
            else:
                raise InvalidResponse(
                    f"Job {state.id} is completed, but circuit {index} has no result.",
                    job_ids=[state.id],
                )
        return self._outcome(histograms, failures)

    def _outcome(
        self, histograms: list[Histogram | None], failures: dict[int, CircuitFailure]
    ) -> JobOutcome:
        return JobOutcome(histograms, failures, self.qubits, self.state.run_s)

    def _own(self, aggregate: dict[str, Histogram], ids: Sequence[str]) -> dict[str, Histogram]:
        # Called inside the decoding, so that a body that was garbled on the way is read again.
        strangers = set(aggregate) - set(ids)
        if ids and strangers:
            raise InvalidResponse(
                f"Job {self.state.id} has results of {len(strangers)} circuits that were not sent.",
                job_ids=[self.state.id],
            )
        return aggregate

    async def _histogram(self, state: JobState) -> Histogram:
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
        raise InvalidResponse(
            f"Job {state.id} is completed, but the service has no results for it.",
            job_ids=[state.id],
        )
