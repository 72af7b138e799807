"""A ledger's submissions as the page shows them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from typing import Any

from pennylane_qstore.errors import QStoreError
from pennylane_qstore.ionq.client import IonQClient
from pennylane_qstore.ionq.jobs.packing import unpack
from pennylane_qstore.ionq.ledger.ledger import OPEN_STATES, Ledger, State, Submission
from pennylane_qstore.ionq.ledger.rows import whole_run
from pennylane_qstore.run_names import in_job_names
from pennylane_qstore.server.errors import BadRequest, not_found
from pennylane_qstore.server.page import BARS
from pennylane_qstore.server.render import timestamp
from pennylane_qstore.server.runs import PageJob

_FRESH_S = 1.0


class LedgerPage:
    """Jobs of a ledger, which other processes write to.

    Args:
        ledger: is read; cancelling writes to it as the client does.
        base_url: of the service that jobs are cancelled at; by default that of each job.
    """

    shows_all = True

    def __init__(self, ledger: Ledger, base_url: str | None = None) -> None:
        self._ledger, self._base_url = ledger, base_url
        self._jobs: dict[int, PageJob] = {}  # by number of the submission, oldest first
        self._numbers: dict[str, int] = {}
        self._stats: dict[str, Any] = {}
        self._event, self._read_at = 0, -_FRESH_S
        self._reading = asyncio.Lock()

    async def summary(self) -> dict[str, Any]:
        """Read what has changed, once a second at most; return the ledger's file and its sums."""
        async with self._reading:
            if time.monotonic() - self._read_at >= _FRESH_S:
                await self._ledger.off_loop(self._read)
                self._read_at = time.monotonic()
        return {
            "title": "Jobs at IonQ",
            "label": str(self._ledger.path),
            "now": time.time(),
            "stats": self._stats,
            "per_second": [],  # nothing is asked over the network
        }

    def newest_first(self) -> Iterator[PageJob]:
        """Return the jobs, newest first."""
        return reversed(self._jobs.values())

    async def detail(self, job_id: str, k: int) -> dict[str, Any]:
        """Return what the ledger knows of a circuit of a job, and the events of the job.

        Args:
            job_id: IonQ's id, or that of a submission without one.
            k: position of the circuit.

        Returns:
            Members as of :class:`~pennylane_qstore.server.page.ServicePage`, and ``events``.

        Raises:
            BadRequest: 404, there is no such job or circuit.
        """
        number = self._numbers.get(job_id)
        if number is None:
            raise not_found()
        row = await self._ledger.off_loop(self._ledger.get, number)
        if k >= row.circuits:
            raise not_found()
        events = await self._ledger.off_loop(self._ledger.events, number)
        ended = next((e.at for e in reversed(events) if e.event in _ENDS), None)
        out: dict[str, Any] = {
            "qubits": row.qubits,
            "name": None,
            "gates": None,
            "submitted_at": timestamp(row.created_at),
            "started_at": None,
            "completed_at": None if ended is None else timestamp(ended),
            "starts_at": None,
            "circuit": None,
            "probabilities": None,
            "outcomes": 0,
            "outcome": None,
            "failure": {"code": row.state, "message": row.failure} if row.failure else None,
            "events": [[timestamp(e.at), e.event, e.detail or ""] for e in events],
        }
        histogram = None if row.results is None else unpack(row.results)[k]
        if histogram is not None:
            states, shares = histogram.states.tolist(), histogram.probabilities.tolist()
            best = sorted(zip(map(str, states), shares, strict=True), key=lambda pair: -pair[1])
            out |= {"outcomes": len(best), "probabilities": dict(best[:BARS])}
        return out

    async def cancel(self, job_ids: list[str]) -> dict[str, str]:
        """Cancel jobs as ``client.cancel`` does.

        Returns:
            The state of each, by id.

        Raises:
            BadRequest: a job has no id yet, or the service could not be asked.
        """
        ledger = self._ledger
        rows = [await ledger.off_loop(ledger.find, job_id) for job_id in job_ids]
        by_service: dict[str, list[str]] = {}
        for job_id, row in zip(job_ids, rows, strict=True):
            if row is None:
                raise BadRequest(f"No job is known of {job_id} yet. Try again later.", status=409)
            by_service.setdefault(self._base_url or row.service, []).append(job_id)
        states: dict[str, str] = {}
        for service, ids in by_service.items():
            try:
                states |= await asyncio.to_thread(self._cancel_at, service, ids)
            except QStoreError as error:
                raise BadRequest(str(error), status=502) from None
        self._read_at = -_FRESH_S
        return states

    # ---- private --------------------------------------------------------------------

    def _cancel_at(self, service: str, job_ids: list[str]) -> dict[str, str]:
        with IonQClient(base_url=service, ledger=self._ledger) as client:
            return client.cancel(job_ids)

    def _read(self) -> None:
        changed = self._ledger.changed(self._event)
        if not changed and self._stats:
            return
        for event, row, shares in changed:
            self._event = max(self._event, event)
            before = self._jobs.get(row.id)
            job = self._jobs[row.id] = _shown(event, row, shares)
            if before is not None and before.id != job.id:
                del self._numbers[before.id]
            self._numbers[job.id] = row.id
        spent_usd, budget_usd = self._ledger.spent_usd(), self._ledger.budget_usd
        jobs = self._jobs.values()
        billed_usd = sum(job.cost_usd or 0.0 for job in jobs)
        self._stats = {
            "jobs": len(jobs),
            "open": sum(not job.is_over for job in jobs),
            "circuits": sum(job.circuits for job in jobs),
            "billed_usd": round(billed_usd, 6),
            "reserved_usd": round(spent_usd - billed_usd, 6),
        }
        if budget_usd is not None:
            self._stats["left_usd"] = round(budget_usd - spent_usd, 6)


_ENDS = ("done", "failed", "canceled", "rejected")


def _shown(event: int, row: Submission, shares: Mapping[str, float]) -> PageJob:
    own = {} if row.key is None else {row.key.run: 1.0}
    runs: dict[str, float] = {}
    for run, fraction in (shares or own).items():
        name = in_job_names(whole_run(run))
        runs[name] = runs.get(name, 0.0) + fraction
    name = ", ".join(runs)
    if row.key is not None and not shares:
        name += f" {row.key.step + 1}" + (f".{row.key.chunk + 1}" if row.key.chunk else "")
    free = row.state is State.REJECTED
    return PageJob(
        row.job_id or f"submission-{row.id}", row.id, event, name, runs, None, row.backend, None,
        row.state, row.state not in OPEN_STATES, row.circuits, row.shots,
        0.0 if free else row.billed_usd, row.estimated_usd or 0.0, row.created_at,
    )  # fmt: skip
