"""Bodies of responses, validated: job states and job lists. Pure.

The service is never trusted: a body that is not exactly what was asked for is
:class:`InvalidResponse`, never a plausible result.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import lt
from typing import Any, NamedTuple

import orjson

from pennylane_qstore.backends import MAX_QUBITS
from pennylane_qstore.errors import InvalidResponse

TOKEN_KEY = "qstore_token"  # noqa: S105  (names the metadata entry, holds no secret)
"""Metadata entry that carries the token of a submission."""
TERMINAL = frozenset({"completed", "failed", "canceled", "deleted"})
"""States a job does not leave."""
SAFE_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,127}")
"""Ids that may go into a path."""

_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
# States of API v0.3 that mean the same.
_STATUS_ALIASES = {"running": "started", "cancelled": "canceled"}


@dataclass(frozen=True, slots=True)
class JobState:
    """State of a job, from ``GET /jobs/{id}`` or an entry of the job list.

    Times are seconds since the epoch on the service's clock; waits and durations in ms.
    """

    id: str
    status: str
    name: str | None = None
    backend: str | None = None
    token: str | None = None
    parent_id: str | None = None
    child_ids: tuple[str, ...] = ()
    submitted_at: float | None = None
    started_at: float | None = None
    completed_at: float | None = None
    predicted_wait_ms: float | None = None
    failure_code: str | None = None
    failure_message: str | None = None
    dry_run: bool = False
    artifact_id: str | None = None
    results_url: str | None = None
    qubits: int | None = None

    @property
    def is_terminal(self) -> bool:
        """True where the job has ended, well or badly."""
        return self.status in TERMINAL

    @property
    def queue_s(self) -> float | None:
        """Time in the queue on the service's clock, in seconds, where it tells."""
        if self.submitted_at is None or self.started_at is None:
            return None
        return max(self.started_at - self.submitted_at, 0.0)

    @property
    def run_s(self) -> float | None:
        """Run time on the service's clock, in seconds, where it tells."""
        if self.started_at is None or self.completed_at is None:
            return None
        return max(self.completed_at - self.started_at, 0.0)


class JobPage(NamedTuple):
    """One page of ``GET /jobs``: entries and the cursor of the next page."""

    jobs: list[JobState]
    next: str | None


def check_id(value: object) -> str:
    """Return an id that may go into a path.

    Raises:
        InvalidResponse: it holds anything but letters, digits, ``-`` and ``_``.
    """
    if not isinstance(value, str) or not SAFE_ID.fullmatch(value):
        raise InvalidResponse(f"Not a job id: {str(value)[:80]!r}.")
    return value


def ascending_uuid7(ids: Sequence[str]) -> bool:
    """Return True where every id is a UUIDv7 and they ascend: then they were created in order."""
    lower = [i.lower() for i in ids]
    return all(map(_UUID7.fullmatch, lower)) and all(map(lt, lower, lower[1:]))


def parse_json(data: bytes, what: str) -> Any:
    """Return the JSON value in a body.

    Args:
        data: the body.
        what: name of the value, for errors.

    Returns:
        The decoded value.

    Raises:
        InvalidResponse: not JSON.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        raise InvalidResponse(f"{what} is not JSON: {data[:120]!r}.") from None


def parse_object(data: bytes, what: str) -> dict[str, Any]:
    """Return the JSON object in a body.

    Args:
        data: the body.
        what: name of the object, for errors.

    Returns:
        The decoded object.

    Raises:
        InvalidResponse: not JSON, or not an object.
    """
    value = parse_json(data, what)
    if not isinstance(value, dict):
        raise InvalidResponse(f"{what} is a JSON {type(value).__name__}, not an object.")
    return value


def parse_created(data: bytes) -> str:
    """Return the job id in the response to a POST.

    Raises:
        InvalidResponse: it holds no valid id.
    """
    return check_id(parse_object(data, "The response to POST /jobs").get("id"))


def parse_job(data: bytes | Mapping[str, Any]) -> JobState:
    """Return a job's state, from the body of ``GET /jobs/{id}`` or an entry of the list.

    Raises:
        InvalidResponse: id or status missing or of the wrong type.
    """
    job = parse_object(data, "A job") if isinstance(data, bytes) else data
    status = job.get("status")
    if not isinstance(status, str):
        raise InvalidResponse(f"A job has no status: {str(status)[:80]!r}.")
    failure, results = parse_member(job, "failure"), parse_member(job, "results")
    children = job.get("child_job_ids")
    parent = job.get("parent_job_id")
    qubits = parse_member(job, "stats").get("qubits")
    return JobState(
        id=check_id(job.get("id")),
        status=_STATUS_ALIASES.get(status, status),
        name=_text(job.get("name")),
        backend=_text(job.get("backend")),
        token=_text(parse_member(job, "metadata").get(TOKEN_KEY)),
        parent_id=None if parent is None else check_id(parent),
        child_ids=tuple(map(check_id, children)) if isinstance(children, list) else (),
        submitted_at=_epoch(job.get("submitted_at")),
        started_at=_epoch(job.get("started_at")),
        completed_at=_epoch(job.get("completed_at")),
        predicted_wait_ms=parse_number(job.get("predicted_wait_time_ms")),
        failure_code=_text(failure.get("code")),
        failure_message=_text(failure.get("message")) or _text(failure.get("error")),
        dry_run=job.get("dry_run") is True,
        artifact_id=_artifact_id(results),
        results_url=_text(parse_member(results, "probabilities").get("url")),
        qubits=qubits if type(qubits) is int and 1 <= qubits <= MAX_QUBITS else None,
    )


def parse_jobs(data: bytes) -> JobPage:
    """Return one page of the job list.

    Raises:
        InvalidResponse: not a page, or an entry that is not a job.
    """
    page = parse_object(data, "The job list")
    jobs, cursor = page.get("jobs"), page.get("next")
    if not isinstance(jobs, list) or not all(isinstance(job, dict) for job in jobs):
        raise InvalidResponse("The job list has no array of jobs.")
    if cursor is not None and not (isinstance(cursor, str) and 0 < len(cursor) <= 4096):
        raise InvalidResponse(f"The job list has a cursor that is not text: {str(cursor)[:80]!r}.")
    return JobPage([parse_job(job) for job in jobs], cursor)


def _text(value: object) -> str | None:
    return value[:4096] if isinstance(value, str) else None


def parse_member(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the object that is a member of another; an empty one where there is none.

    Args:
        value: an object of a body.
        name: of the member.

    Returns:
        The member.
    """
    member = value.get(name)
    return member if isinstance(member, Mapping) else {}


def parse_number(value: object) -> float | None:
    """Return a number of a body, a duration or a price, if it is finite and not negative."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) and value >= 0 else None


def _epoch(value: object) -> float | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None  # results never depend on a timestamp
    return moment.timestamp() if moment.tzinfo is not None else None


def _artifact_id(results: Mapping[str, Any]) -> str | None:
    """Return the id of the probabilities, where the job names them; the aggregate's first."""
    for form in ("probabilities-aggregate", "probabilities"):
        artifact_id = parse_member(results, f"ionq.result.{form}.json.v1").get("id")
        if isinstance(artifact_id, str):
            return check_id(artifact_id)
    return None
