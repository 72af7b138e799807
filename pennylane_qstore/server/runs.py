"""Jobs by the run that they belong to, as the page shows them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class PageJob(NamedTuple):
    """A job as lists show it; times are seconds since the epoch.

    Attributes:
        id: by which the page asks for it.
        sequence: ascends with acceptance.
        version: ascends with every change.
        name: without the token that marks it; of several runs their names.
        runs: the part of its bill that each run pays, by the run's name.
        user: who has asked for it, where that is known.
        backend: of the job.
        noise: name of the noise model.
        status: of the job.
        is_over: whether the status does not change any more.
        circuits: their number.
        shots: of each circuit.
        cost_usd: billed; ``None`` while that is not known.
        expected_usd: estimated.
        submitted_at: when it was sent.
        starts_at: when it is expected to start, while it waits.
    """

    id: str
    sequence: int
    version: int
    name: str
    runs: Mapping[str, float]
    user: str | None
    backend: str
    noise: str | None
    status: str
    is_over: bool
    circuits: int
    shots: int
    cost_usd: float | None
    expected_usd: float
    submitted_at: float
    starts_at: float | None = None


class JobFilter(NamedTuple):
    """The jobs to show; empty members admit all.

    Attributes:
        run: name of a run.
        state: a status, or ``"open"`` for all that may change.
        user: who has asked.
        text: part of the name, the id, the backend or the user, in any case.
    """

    run: str = ""
    state: str = ""
    user: str = ""
    text: str = ""

    def admits(self, job: PageJob) -> bool:
        """Return whether a job is to be shown."""
        words = (job.name, job.id, job.backend, job.user or "")
        return (
            (not self.run or self.run in job.runs)
            and (not job.is_over if self.state == "open" else self.state in ("", job.status))
            and (not self.user or job.user == self.user)
            and (not self.text or any(self.text.lower() in word.lower() for word in words))
        )


@dataclass(slots=True)
class RunTotals:
    """Sums over the jobs of a run; money is its share, in US dollars."""

    name: str
    jobs: int = 0
    circuits: int = 0
    open: int = 0
    billed_usd: float = 0.0
    reserved_usd: float = 0.0
    users: set[str] = field(default_factory=set)
    submitted_at: float = 0.0
    waits_since: float | None = None
    starts_at: float | None = None

    def add(self, job: PageJob) -> None:
        """Count a job."""
        share = job.runs[self.name]
        self.jobs += 1
        self.circuits += job.circuits
        self.submitted_at = max(self.submitted_at, job.submitted_at)
        self.users |= {job.user} if job.user else set()
        if job.cost_usd is None:
            self.reserved_usd += share * job.expected_usd
        else:
            self.billed_usd += share * job.cost_usd
        if not job.is_over:
            self.open += 1
            self.waits_since = min(self.waits_since or job.submitted_at, job.submitted_at)
            self.starts_at = max(self.starts_at or 0.0, job.starts_at or 0.0) or None

    def as_dict(self) -> dict[str, Any]:
        """Return the sums, ready for JSON."""
        shown = {name: getattr(self, name) for name in self.__slots__}
        return {**shown, "users": sorted(self.users)}


def totals_of(jobs: Iterable[PageJob]) -> list[RunTotals]:
    """Return the sums of each run, the one with the newest job first.

    Args:
        jobs: newest first; those without a run are left out.

    Returns:
        One entry for each run.
    """
    found: dict[str, RunTotals] = {}
    for job in jobs:
        for name in job.runs:
            if name not in found:
                found[name] = RunTotals(name)
            found[name].add(job)
    return list(found.values())
