"""Results of a job that ended: one request where the order of circuits is certain.

Results of a multi-circuit job come keyed by child id. Which circuit a child was is told by
its name; the order of ids is believed only where three things agree (see :func:`in_order`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeVar

import numpy as np
import orjson

from pennylane_qstore.errors import InvalidResponse, ServiceError
from pennylane_qstore.ionq.http.api import Api
from pennylane_qstore.ionq.http.transport import Traffic
from pennylane_qstore.ionq.messages.responses import (
    Histogram,
    JobState,
    ascending_uuid7,
    parse_aggregate,
    parse_histogram,
    parse_object,
)

logger = logging.getLogger(__name__)

_T = TypeVar("_T")


class CircuitFailure(NamedTuple):
    """Why a circuit has no result: IonQ's code and message, and the job that says so."""

    code: str
    message: str
    job_id: str


@dataclass(slots=True)
class Harvest:
    """What a job gave, by index of circuit: a histogram, or a failure."""

    histograms: list[Histogram | None]
    failures: dict[int, CircuitFailure] = field(default_factory=dict)


async def harvest(
    api: Api,
    state: JobState,
    traffic: Traffic,
    *,
    circuits: int,
    qubits: int,
    aggregation: str | None = None,
    ordered: bool = True,
) -> Harvest:
    """Fetch and validate the results of a job that completed or failed.

    Args:
        api: the service.
        state: the job, terminal.
        traffic: counters.
        circuits: how many were sent.
        qubits: of each.
        aggregation: asked of the service, where the job was debiased.
        ordered: whether the order of ids may be believed at all (never on a QPU).

    Raises:
        InvalidResponse: a histogram is invalid, or circuits are missing, too many, or cannot
            be told apart.
    """
    if circuits == 1:
        if state.status != "completed":
            return Harvest([None], {0: failure_of(state)})
        path = f"/jobs/{state.id}/results/probabilities"
        return Harvest(
            [
                await _fetch(
                    api, state, path, traffic, aggregation,
                    lambda data: parse_histogram(parse_object(data, "The results"), qubits),
                )
            ]
        )  # fmt: skip
    if state.status == "completed":
        aggregate = await _fetch(
            api, state, f"/jobs/{state.id}/results/probabilities/aggregated", traffic, aggregation,
            lambda data: _of_this_job(parse_aggregate(data, qubits), state),
        )  # fmt: skip
        if ordered and in_order(state.child_ids, list(aggregate), circuits):
            return Harvest(list(aggregate.values()))
    else:
        aggregate = {}
    return await _by_child(api, state, aggregate, traffic, circuits, qubits, aggregation)


def in_order(child_ids: Sequence[str], keys: Sequence[str], circuits: int) -> bool:
    """Whether ids prove the order of circuits.

    They do if the children are as many as the circuits, were created in this order (UUIDv7,
    ascending), and the results stand in it too.
    """
    return (
        len(child_ids) == circuits and list(child_ids) == list(keys) and ascending_uuid7(child_ids)
    )


def failure_of(state: JobState) -> CircuitFailure:
    """Why a job has no results."""
    code = state.failure_code or state.status
    return CircuitFailure(code, state.failure_message or f"the job is {state.status}", state.id)


def pack(histograms: Sequence[Histogram | None]) -> bytes:
    """Histograms as compact JSON, exact to the last bit (see :func:`unpack`)."""
    value = [None if h is None else [h.states, h.probabilities] for h in histograms]
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def unpack(data: bytes) -> list[Histogram | None]:
    """What :func:`pack` packed."""
    return [
        None
        if entry is None
        else Histogram(np.array(entry[0], dtype=np.uint64), np.array(entry[1], dtype=np.float64))
        for entry in orjson.loads(data)
    ]


def _of_this_job(aggregate: dict[str, Histogram], state: JobState) -> dict[str, Histogram]:
    # Inside the decoding, so that a body that was garbled on the way is read again.
    strangers = set(aggregate) - set(state.child_ids)
    if state.child_ids and strangers:
        raise InvalidResponse(
            f"Job {state.id} has results of {len(strangers)} circuits that were not sent.",
            job_ids=[state.id],
        )
    return aggregate


async def _by_child(
    api: Api,
    state: JobState,
    aggregate: dict[str, Histogram],
    traffic: Traffic,
    circuits: int,
    qubits: int,
    aggregation: str | None,
) -> Harvest:
    children = await api.children(state.id, traffic)
    if not children and state.status != "completed":
        # The job failed as a whole, before it was split.
        return Harvest([None] * circuits, dict.fromkeys(range(circuits), failure_of(state)))
    ids = await circuit_order(api, state, children, traffic, circuits)
    _of_this_job(aggregate, replace(state, child_ids=tuple(ids)))
    by_id = {child.id: child for child in children}
    result = Harvest([None] * circuits)
    for index, child_id in enumerate(ids):
        child = by_id.get(child_id)
        if child_id in aggregate:
            result.histograms[index] = aggregate[child_id]
        elif child is not None and child.status == "completed":
            single = await harvest(
                api, child, traffic, circuits=1, qubits=qubits, aggregation=aggregation
            )
            result.histograms[index] = single.histograms[0]
        elif child is not None and child.is_terminal:
            result.failures[index] = failure_of(child)
        elif state.status != "completed":
            result.failures[index] = failure_of(state)
        else:
            raise InvalidResponse(
                f"Job {state.id} is completed, but circuit {index} has no result.",
                job_ids=[state.id],
            )
    return result


async def circuit_order(
    api: Api, state: JobState, children: list[JobState], traffic: Traffic, circuits: int
) -> list[str]:
    """Child ids in the order of circuits: by name, or else as the parent lists them."""
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


async def _fetch(
    api: Api,
    state: JobState,
    path: str,
    traffic: Traffic,
    aggregation: str | None,
    decode: Callable[[bytes], _T],
) -> _T:
    """Read results at the fixed place; where there is nothing, at the places the job names."""
    places = [path]
    if state.artifact_id is not None:
        places.append(f"/jobs/{state.id}/artifacts/{state.artifact_id}")
    query = f"?aggregation={aggregation}" if aggregation else ""
    for place in places:
        try:
            return await api.read_results(place + query, decode, traffic)
        except ServiceError as error:
            if error.details.get("status") != 404:
                raise
    if state.results_url is not None:
        named = api.transport.endpoint.own_path(state.results_url)
        if named not in places:
            return await api.read_results(named, decode, traffic)
    raise InvalidResponse(
        f"Job {state.id} is completed, but the service has no results for it.", job_ids=[state.id]
    )
