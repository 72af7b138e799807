"""Jobs as the gateway keeps them: what a client sent, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any
from weakref import ref

from pennylane_qstore.backends import is_qpu
from pennylane_qstore.ionq.messages.responses import TOKEN_KEY
from pennylane_qstore.server.inputs.submission import Submission
from pennylane_qstore.server.service import TERMINAL, CircuitInfo, Failure, ServiceJob

CHANGING = (
    "state", "failure", "group", "first", "settled", "began_at", "over_at", "billed_usd",
    "is_billed",
)  # fmt: skip
"""Fields that change in the life of a job."""


@dataclass(slots=True, eq=False, kw_only=True)
class GatewayJob(ServiceJob):
    """A job of one client.

    ``digest`` marks the submission: a request with the same one may be a retry. ``group`` is the
    number of the job at IonQ that it is part of, with its circuits from ``first`` on. ``settled``
    says that its end and its share of the bill are written down; ``named`` that its client has
    asked for it by its id, which it thus knows; ``connection`` is the one that it came by.
    ``outputs`` has IonQ's ``output``, of the job (None) and of its circuits, as far as asked for.
    """

    user: str
    run: str | None
    digest: str
    state: str = "submitted"
    group: int | None = None
    first: int = 0
    settled: bool = False
    began_at: float | None = None
    over_at: float | None = None
    is_billed: bool = False
    named: bool = False
    connection: ref[Any] | None = None
    outputs: dict[int | None, dict[str, Any]] = field(default_factory=dict)

    def status(self, now: float) -> str:
        """Return IonQ's status."""
        return self.state

    def started_at(self, now: float) -> float | None:
        """Return when the job was first seen running, None if it was not."""
        return self.began_at

    def follow(self, state: str, now: float, wait_s: float) -> bool:
        """Take over the state of the job at IonQ, unless this one has ended.

        Args:
            state: one that may change.
            now: the time, in seconds since the epoch.
            wait_s: predicted until it starts, in seconds.

        Returns:
            Whether the state is another one than before.
        """
        if self.state in TERMINAL:
            return False
        self.start_at = now + wait_s
        changed = self.state != state
        if changed:
            self.state, self.began_at = state, now if state == "started" else None
        return changed

    def become(self, other: GatewayJob) -> None:
        """Take over what has changed in a copy of the job."""
        for name in CHANGING:
            setattr(self, name, getattr(other, name))

    def ended_at(self) -> float:
        """Return when the job was seen to have ended."""
        return self.over_at or 0.0

    @property
    def duration_s(self) -> float:
        """Seconds of execution, as far as seen."""
        if self.began_at is None or self.over_at is None:
            return 0.0
        return max(self.over_at - self.began_at, 0.0)

    @property
    def sampled(self) -> bool | None:
        """True where results are counts, False where they are exact; None without results."""
        if self.state != "completed" or self.dry_run:
            return None
        return is_qpu(self.backend) or (self.noise or {}).get("model", "ideal") != "ideal"

    def output(self, child: int | None) -> dict[str, Any]:
        """Return IonQ's ``output``, as far as it was asked for."""
        return self.outputs.get(child, {})


_IN_MEMORY = ("named", "connection", "outputs", "version")
_RECORD = tuple(f.name for f in fields(GatewayJob) if f.name not in (*CHANGING, *_IN_MEMORY))


def record_of(job: GatewayJob) -> dict[str, Any]:
    """Return the fields of a job that do not change, for JSON."""
    return {name: getattr(job, name) for name in _RECORD}


def job_from(record: dict[str, Any], changing: dict[str, Any]) -> GatewayJob:
    """Return a job as it was stored.

    Args:
        record: from :func:`record_of`.
        changing: the fields :data:`CHANGING`.

    Returns:
        The job.
    """
    record["circuits"] = [CircuitInfo(*circuit) for circuit in record["circuits"]]
    failure = changing["failure"]
    changing["failure"] = None if failure is None else Failure(*failure)
    return GatewayJob(**record, **changing)


def token_of(submission: Submission) -> str | None:
    """Return the token that our own client marks its submissions with, or ``None``."""
    return (submission.metadata or {}).get(TOKEN_KEY)
