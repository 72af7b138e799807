"""Search for the job of a lost answer, by the token that its POST carried; and for its twins."""

from __future__ import annotations

import logging

from pennylane_qstore.errors import AmbiguousSubmission, QStoreError
from pennylane_qstore.ionq.http.api import PAGE, Api
from pennylane_qstore.ionq.http.transport import Traffic
from pennylane_qstore.ionq.jobs.cost import record_cost
from pennylane_qstore.ionq.jobs.row_lease import RowLease
from pennylane_qstore.ionq.ledger.ledger import Ledger, Submission
from pennylane_qstore.ionq.messages.responses import JobState

logger = logging.getLogger(__name__)

SKEW_S = 600.0
"""Largest difference between the clocks of client and service, where both are known, in seconds."""

_UNKNOWN_SKEW_S = 86_400.0
_SURE = 2_500  # jobs, newest first without exception: so is the rest of the list
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 10.0


class JobFinder:
    """Looks for jobs in the service's list by the token of a row. Runs on the loop.

    Args:
        api: the service.
        ledger: where second jobs are written down.
    """

    def __init__(self, api: Api, ledger: Ledger) -> None:
        self.api = api
        self.ledger = ledger

    async def recover(
        self, row: Submission, traffic: Traffic, *, settle_s: float, lease: RowLease
    ) -> str | None:
        """Look for the job of a row until the settle time has passed; cancel its twins.

        Args:
            row: of the ledger.
            traffic: counters.
            settle_s: how long the job may still take to turn up in the list, in seconds.
            lease: of the row, prolonged from look to look.

        Returns:
            The job's id, or ``None``: a look after the settle time did not find it.

        Raises:
            AmbiguousSubmission: the list cannot be read.
        """
        clock = self.api.clock
        settled_at = clock.monotonic() + max(settle_s, 0.0)
        give_up_at = settled_at + 2 * self.api.settle_s
        pause_s = _FIRST_PAUSE_S
        while True:
            started = clock.monotonic()
            try:
                # The look that decides reads all of the list.
                is_last = started >= settled_at
                jobs = await self._with_token(row, traffic, thorough=is_last)
            except QStoreError as error:
                logger.warning("Looking for the job of submission %d failed: %s", row.id, error)
                if clock.monotonic() >= give_up_at:
                    raise ambiguous_error(row, f"the job list cannot be read ({error})") from None
            else:
                if jobs:
                    traffic.reconciled += 1
                    await self._cancel_others(row, jobs[0].id, jobs[1:], traffic)
                    logger.warning(
                        "The answer to a POST was lost; its job %s was found by its token.",
                        jobs[0].id,
                    )
                    return jobs[0].id
                # Only a look that began after the settle time proves that there is no job.
                if is_last:
                    return None
            await lease.claim(pause_s + 2 * self.api.settle_s + 60)
            left_s = settled_at - clock.monotonic()
            await clock.sleep(min(pause_s, left_s) if left_s > 0 else pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def cancel_duplicates(self, row: Submission, job_id: str, traffic: Traffic) -> None:
        """Cancel what an earlier POST may have created after all; a failed look is logged.

        Args:
            row: of the ledger.
            job_id: the job that is kept.
            traffic: counters.
        """
        try:
            jobs = await self._with_token(row, traffic, thorough=True)
        except QStoreError as error:
            logger.warning("Looking for duplicates of job %s failed: %s", job_id, error)
            return
        await self._cancel_others(row, job_id, [j for j in jobs if j.id != job_id], traffic)

    async def watch_for_duplicates(self, row: Submission, job_id: str, traffic: Traffic) -> None:
        """Cancel duplicates while the job of a second POST is waited for: in a queue there is time.

        Args:
            row: of the ledger.
            job_id: the job that is kept.
            traffic: counters.
        """
        for pauses in (1, 3):
            await self.api.clock.sleep(pauses * self.api.settle_s)
            await self.cancel_duplicates(row, job_id, traffic)

    async def _with_token(
        self, row: Submission, traffic: Traffic, *, thorough: bool
    ) -> list[JobState]:
        """Return the jobs that carry the row's token, the one to keep first.

        The order of the list is not documented. A look that is not the last one stops where what
        it has seen is newest first and older than the row; a thorough one does so only after so
        many jobs that no other order could look like that.
        """
        oldest = self._on_service_clock(row.created_at)
        jobs: dict[str, JobState] = {}
        ascends = descends = False
        seen, previous = 0, float("inf")
        async for page in self.api.pages(f"target={row.backend}&limit={PAGE}", traffic):
            for job in page.jobs:
                if job.submitted_at is not None:
                    ascends |= job.submitted_at > previous
                    # Equal times say nothing: an old job may stand before newer ones.
                    descends |= job.submitted_at < previous < float("inf")
                    previous = job.submitted_at
                    seen += 1
                has_token = job.token == row.token or (job.name or "").endswith(row.token or "\0")
                # Children of a multi-circuit job inherit its metadata: they are no second job.
                if has_token and job.parent_id is None:
                    jobs[job.id] = job
            newest_first = descends and not ascends
            if newest_first and previous < oldest and (seen >= _SURE or not thorough):
                break
        dead = ("failed", "canceled", "deleted")
        return sorted(
            jobs.values(), key=lambda job: (job.status in dead, job.submitted_at or 0.0, job.id)
        )

    def _on_service_clock(self, moment: float) -> float:
        """Return a moment of ours on the service's clock, less the uncertainty about it."""
        ahead_s = self.api.clock_ahead_s()
        return moment - (_UNKNOWN_SKEW_S if ahead_s is None else ahead_s + SKEW_S)

    async def _cancel_others(
        self, row: Submission, kept: str, others: list[JobState], traffic: Traffic
    ) -> None:
        for other in others:
            await self.ledger.off_loop(self.ledger.duplicate, row.id, other.id)
        alive = [other.id for other in others if not other.is_terminal]
        if others:
            logger.error(
                "Submission %d was accepted %d times by the service. Job %s is kept; cancelled: "
                "%s; already ended: %s. Check what was billed.", row.id, len(others) + 1, kept,
                ", ".join(alive) or "none",
                ", ".join(o.id for o in others if o.is_terminal) or "none",
            )  # fmt: skip
        if alive:
            try:
                await self.api.cancel(alive, traffic)
            except QStoreError:
                logger.exception("Cancelling %s failed: do it by hand.", ", ".join(alive))
        for other in others:
            copy = await self.ledger.off_loop(self.ledger.find, other.id)
            if copy is not None and copy.billed_usd is None:
                await record_cost(self.api, self.ledger, copy, other.id, traffic)


def ambiguous_error(row: Submission, why: str) -> AmbiguousSubmission:
    """Return the error for a row whose job may exist unseen.

    Args:
        row: of the ledger.
        why: reason why that cannot be told, as the end of a sentence after "but".

    Returns:
        The error, not raised.
    """
    return AmbiguousSubmission(
        f"A job for {row.backend} may have been created, but {why}. It was not sent again, since "
        f"it could be paid twice. Look at https://cloud.ionq.com/jobs for the name that ends with "
        f"{row.token}, or try `qstore jobs reconcile` later; on_ambiguous='resubmit' sends again.",
        submission=row.id, token=row.token,
    )  # fmt: skip
