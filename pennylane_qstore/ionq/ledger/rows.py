"""What the ledger holds: intents, submissions, events."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import orjson

COLUMNS = (
    "id, token, state, service, backend, shots, circuits, qubits, payload_sha256, run, step, "
    "chunk, attempt, part, aggregation, estimated_usd, billed_usd, job_id, results, failure, "
    "owner, lease_until, created_at, updated_at"
)
"""Columns of a row, in the order of :class:`Submission`."""


class State(StrEnum):
    """Where a submission stands."""

    INTENT = "intent"
    AMBIGUOUS = "ambiguous"
    SUBMITTED = "submitted"
    DONE = "done"
    CONSUMED = "consumed"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELED = "canceled"
    DUPLICATE = "duplicate"


UNSENT_STATES = (State.INTENT, State.AMBIGUOUS)
"""Rows of which no job is known."""

OPEN_STATES = (*UNSENT_STATES, State.SUBMITTED)
"""States in which a job may exist whose end is not known yet."""


class JobKey(NamedTuple):
    """What a restarted run knows its job by."""

    run: str
    step: int
    chunk: int


@dataclass(frozen=True, slots=True)
class Intent:
    """What is about to be sent.

    Args:
        service: base URL.
        backend, shots, circuits, qubits: of the job.
        payload_sha256: hash of the whole request, also where only a part is sent again.
        key: see :class:`JobKey`; ``None`` if nobody will ask for it again.
        attempt: 0, or how many rows the key had before.
        part: indices of the circuits sent, ``None`` for all.
        aggregation: how results of a debiased job are combined, ``None``: as the service does.
        estimated_usd: expected price, in US dollars.
        lease_s: how long the sender may take before others may look for the job, seconds.
    """

    service: str
    backend: str
    shots: int
    circuits: int
    qubits: int
    payload_sha256: str
    key: JobKey | None = None
    attempt: int = 0
    part: tuple[int, ...] | None = None
    aggregation: str | None = None
    estimated_usd: float | None = None
    lease_s: float = 120.0


@dataclass(frozen=True, slots=True)
class Submission:
    """One row. Times are seconds since the epoch, money is US dollars."""

    id: int
    token: str | None
    state: State
    service: str
    backend: str
    shots: int
    circuits: int
    qubits: int
    payload_sha256: str
    key: JobKey | None
    attempt: int
    part: tuple[int, ...] | None
    aggregation: str | None
    estimated_usd: float | None
    billed_usd: float | None
    job_id: str | None
    results: bytes | None
    failure: str | None
    owner: str | None
    lease_until: float
    created_at: float
    updated_at: float


class Event(NamedTuple):
    """One entry of the audit trail."""

    submission: int
    at: float
    event: str
    detail: str | None


def submission(row: tuple[Any, ...]) -> Submission:
    """The submission in a row of ``COLUMNS``."""
    (id_, token, state, service, backend, shots, circuits, qubits, sha, run, step, chunk, attempt,
     part, aggregation, estimated, billed, job_id, results, failure, owner, lease, created,
     updated) = row  # fmt: skip
    return Submission(
        id_, token, State(state), service, backend, shots, circuits, qubits, sha,
        None if run is None else JobKey(run, step, chunk), attempt,
        None if part is None else tuple(orjson.loads(part)), aggregation, estimated, billed,
        job_id, results, failure, owner, lease or 0.0, created, updated,
    )  # fmt: skip
