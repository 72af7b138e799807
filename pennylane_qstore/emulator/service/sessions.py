"""Sessions: a reserved stretch on a backend, with limits that end it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pennylane_qstore.backends import BACKENDS
from pennylane_qstore.prices import exceeds
from pennylane_qstore.server.errors import BadRequest
from pennylane_qstore.server.render import ORGANIZATION, PROJECT, SUBMITTER, timestamp

_MAX_MINUTES = 24 * 60


@dataclass(slots=True, eq=False)
class ServiceSession:
    """One session; times in seconds since the epoch."""

    id: str
    backend: str
    created_at: float
    job_count_limit: int | None = None
    duration_limit_min: float | None = None
    cost_limit_usd: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    jobs: list[str] = field(default_factory=list)
    spent_usd: float = 0.0

    def expires_at(self) -> float:
        """Return when the session ends by itself."""
        return self.created_at + 60 * (self.duration_limit_min or _MAX_MINUTES)

    def status(self, now: float) -> str:
        """Return ``created``, ``started`` or ``ended``."""
        if self.ended_at is not None or now >= self.expires_at():
            return "ended"
        return "created" if self.started_at is None else "started"

    def admit(self, backend: str, cost_usd: float, now: float) -> None:
        """Refuse a job that may not join.

        Args:
            backend: of the job.
            cost_usd: price of the job in US dollars.
            now: the time.

        Raises:
            BadRequest: the session is over, is for another backend, or a limit is reached.
        """
        problem = None
        if self.status(now) == "ended":
            problem = "has ended"
        elif backend != self.backend:
            problem = f"is for {self.backend}, not {backend}"
        elif self.job_count_limit is not None and len(self.jobs) >= self.job_count_limit:
            problem = f"has reached its limit of {self.job_count_limit} jobs"
        elif self.cost_limit_usd is not None and exceeds(
            self.spent_usd + cost_usd, self.cost_limit_usd
        ):
            problem = (
                f"has {self.cost_limit_usd - self.spent_usd:.2f} usd left of its cost limit, the "
                f"job costs {cost_usd:.2f} usd"
            )
        if problem is not None:
            raise BadRequest(f"Session {self.id} {problem}.", keys=["session_id"])

    def join(self, job_id: str, cost_usd: float, now: float) -> None:
        """Count a job.

        Args:
            job_id: of the job.
            cost_usd: US dollars charged for it.
            now: the time; the session starts with its first job.
        """
        self.jobs.append(job_id)
        self.spent_usd += cost_usd
        if self.started_at is None:
            self.started_at = now

    def as_json(self, now: float) -> dict[str, Any]:
        """Return the session in IonQ's JSON."""
        over = self.status(now) == "ended"
        ended = self.expires_at() if over and self.ended_at is None else self.ended_at
        limits = {
            "job_count_limit": self.job_count_limit,
            "duration_limit_min": self.duration_limit_min,
            "cost_limit": self.cost_limit_usd and {"unit": "usd", "value": self.cost_limit_usd},
        }
        return {
            "id": self.id,
            "created_at": timestamp(self.created_at),
            "organization_id": ORGANIZATION,
            "backend": self.backend,
            "project_id": PROJECT,
            "creator_id": SUBMITTER,
            "ended_at": None if ended is None else timestamp(ended),
            "ender_id": SUBMITTER if self.ended_at is not None else None,
            "active": not over,
            "status": self.status(now),
            "started_at": None if self.started_at is None else timestamp(self.started_at),
            "settings": {"expires_at": timestamp(self.expires_at())}
            | {name: limit for name, limit in limits.items() if limit is not None},
        }


def read_session(data: Any, session_id: str, now: float) -> ServiceSession:
    """Return a session from the body of ``POST /sessions``.

    Args:
        data: JSON of the body.
        session_id: of the new session.
        now: the time.

    Returns:
        The session, created and not started.

    Raises:
        BadRequest: the body is not valid; the message says why.
    """
    if not isinstance(data, Mapping):
        raise BadRequest('"value" must be of type object.', keys=["body"])
    backend, settings = data.get("backend"), data.get("settings")
    known = BACKENDS.get(backend) if isinstance(backend, str) else None
    if known is None or known.retired:
        raise BadRequest('"backend" must be a backend that takes jobs.', keys=["backend"])
    settings = {} if settings is None else settings
    if not isinstance(settings, Mapping):
        raise BadRequest('"settings" must be an object.', keys=["settings"])
    cost = settings.get("cost_limit")
    if cost is not None:
        if not isinstance(cost, Mapping) or cost.get("unit", "usd") != "usd":
            raise BadRequest(
                '"settings.cost_limit" must be {unit: "usd", value}.', keys=["settings"]
            )
        cost = _positive(cost.get("value"), "cost_limit.value")
    jobs = settings.get("job_count_limit")
    if jobs is not None and (type(jobs) is not int or jobs < 1):
        raise BadRequest('"settings.job_count_limit" must be an integer >= 1.', keys=["settings"])
    minutes = settings.get("duration_limit_min")
    if minutes is not None:
        minutes = _positive(minutes, "duration_limit_min")
    return ServiceSession(session_id, known.name, now, jobs, minutes, cost)


def _positive(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1e9:
        raise BadRequest(f'"settings.{name}" must be a number above 0.', keys=["settings"])
    return value
