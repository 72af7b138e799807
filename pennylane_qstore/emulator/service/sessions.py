"""Sessions: a reserved stretch on a backend, with limits that end it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pennylane_qstore.backends import BACKENDS
from pennylane_qstore.server.errors import BadRequest
from pennylane_qstore.server.identity import ORGANIZATION, PROJECT, SUBMITTER, timestamp

_MAX_MINUTES = 24 * 60


@dataclass(slots=True, eq=False)
class Session:
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
        """When it ends by itself."""
        return self.created_at + 60 * (self.duration_limit_min or _MAX_MINUTES)

    def status(self, now: float) -> str:
        """``created``, ``started`` or ``ended``."""
        if self.ended_at is not None or now >= self.expires_at():
            return "ended"
        return "created" if self.started_at is None else "started"

    def admit(self, backend: str, cost_usd: float, now: float) -> None:
        """Check that a job may join.

        Raises:
            BadRequest: the session is over, is for another backend, or a limit is reached.
        """
        if self.status(now) == "ended":
            raise BadRequest(f"Session {self.id} has ended.", keys=["session_id"])
        if backend != self.backend:
            raise BadRequest(
                f"Session {self.id} is for {self.backend}, not {backend}.", keys=["session_id"]
            )
        if self.job_count_limit is not None and len(self.jobs) >= self.job_count_limit:
            raise BadRequest(
                f"Session {self.id} has reached its limit of {self.job_count_limit} jobs.",
                keys=["session_id"],
            )
        if self.cost_limit_usd is not None and self.spent_usd + cost_usd > self.cost_limit_usd:
            raise BadRequest(
                f"Session {self.id} has {self.cost_limit_usd - self.spent_usd:.2f} usd left of its "
                f"cost limit, the job costs {cost_usd:.2f} usd.",
                keys=["session_id"],
            )

    def join(self, job_id: str, cost_usd: float, now: float) -> None:
        """Count a job."""
        self.jobs.append(job_id)
        self.spent_usd += cost_usd
        if self.started_at is None:
            self.started_at = now

    def as_json(self, now: float) -> dict[str, Any]:
        """IonQ's shape of a session."""
        status = self.status(now)
        ended = self.ended_at
        if ended is None and status == "ended":
            ended = self.expires_at()
        settings: dict[str, Any] = {"expires_at": timestamp(self.expires_at())}
        if self.job_count_limit is not None:
            settings["job_count_limit"] = self.job_count_limit
        if self.duration_limit_min is not None:
            settings["duration_limit_min"] = self.duration_limit_min
        if self.cost_limit_usd is not None:
            settings["cost_limit"] = {"unit": "usd", "value": self.cost_limit_usd}
        return {
            "id": self.id,
            "created_at": timestamp(self.created_at),
            "organization_id": ORGANIZATION,
            "backend": self.backend,
            "project_id": PROJECT,
            "creator_id": SUBMITTER,
            "ended_at": None if ended is None else timestamp(ended),
            "ender_id": SUBMITTER if self.ended_at is not None else None,
            "active": status != "ended",
            "status": status,
            "started_at": None if self.started_at is None else timestamp(self.started_at),
            "settings": settings,
        }


def read_session(data: Any, session_id: str, now: float) -> Session:
    """A session from the body of ``POST /sessions``.

    Raises:
        BadRequest: the body is not valid; the message says why.
    """
    if not isinstance(data, Mapping):
        raise BadRequest('"value" must be of type object.', keys=["body"])
    backend = data.get("backend")
    known = BACKENDS.get(backend) if isinstance(backend, str) else None
    if known is None or known.retired:
        raise BadRequest('"backend" must be a backend that takes jobs.', keys=["backend"])
    settings = data.get("settings")
    if settings is None:
        settings = {}
    if not isinstance(settings, Mapping):
        raise BadRequest('"settings" must be an object.', keys=["settings"])
    cost = settings.get("cost_limit")
    value = None
    if cost is not None:
        if not isinstance(cost, Mapping) or cost.get("unit", "usd") != "usd":
            raise BadRequest(
                '"settings.cost_limit" must be {unit: "usd", value}.', keys=["settings"]
            )
        value = _positive(cost.get("value"), "cost_limit.value")
    jobs = settings.get("job_count_limit")
    if jobs is not None and (type(jobs) is not int or jobs < 1):
        raise BadRequest('"settings.job_count_limit" must be an integer >= 1.', keys=["settings"])
    minutes = settings.get("duration_limit_min")
    if minutes is not None:
        minutes = _positive(minutes, "duration_limit_min")
    return Session(session_id, known.name, now, jobs, minutes, value)


def _positive(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1e9:
        raise BadRequest(f'"settings.{name}" must be a number above 0.', keys=["settings"])
    return value
