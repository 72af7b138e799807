"""Counts of the jobs of one request."""

from __future__ import annotations

from dataclasses import dataclass, field

from pennylane_qstore.ionq.http.transport import Traffic
from pennylane_qstore.ionq.jobs.results import JobOutcome


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
