"""Search for the job of a lost answer, by the token that its POST carried; and for its twins."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from pennylane_qstore.errors import (
    AmbiguousSubmission,
    BudgetExceeded,
    ConfigurationError,
    ConnectionFailed,
    QStoreError,
    ServiceError,
)
from pennylane_qstore.ionq.http.api import PAGE, Api
from pennylane_qstore.ionq.http.retry import is_transient
from pennylane_qstore.ionq.http.transport import Traffic
from pennylane_qstore.ionq.jobs.cost import record_cost
from pennylane_qstore.ionq.jobs.decisions import JOBS_PAGE
from pennylane_qstore.ionq.jobs.row_lease import RowLease
from pennylane_qstore.ionq.ledger.ledger import Account, Ledger, Submission
from pennylane_qstore.ionq.messages.responses import JobState

logger = logging.getLogger(__name__)

Accounts = Sequence[Account]

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
        self.on_look: Callable[[Submission], None] | None = None
        """Called before each look for the job of a row."""
        self.outage_s = api.policy.outage_s
        """Time for which the service may be away after the settle time, in seconds."""

    async def recover(
        self, row: Submission, traffic: Traffic, *, settle_s: float, lease: RowLease
    ) -> str | None:
        """Look for the job of a row until the settle time has passed; cancel its twins.

        A service that is away is waited for, as by other reads: until it is back, nobody knows.

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
        pause_s = _FIRST_PAUSE_S
        logger.warning(
            "The answer to the POST of submission %d is lost: its job is looked for, for %.0f s.",
            row.id, settle_s,
        )  # fmt: skip
        while True:
            started = clock.monotonic()
            if self.on_look is not None:
                self.on_look(row)
            try:
                # The look that decides reads all of the list.
                is_last = started >= settled_at
                jobs = await self._with_token(row, traffic, thorough=is_last)
            except QStoreError as error:
                logger.warning("Looking for the job of submission %d failed: %s", row.id, error)
                away_s = self.outage_s if _is_away(error) else 0.0
                if clock.monotonic() >= settled_at + max(away_s, 2 * self.api.settle_s):
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
        # Whoever looks soon after the second POST has not waited for late ones yet.
        await self.ledger.off_loop(self.ledger.no_duplicate, row.id, self.api.settle_s)

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

    async def expect_duplicate(self, row: Submission, accounts: Accounts) -> None:
        """Reserve the price of another POST, where jobs cost money: both may turn out to be paid.

        Args:
            row: of the ledger; no job of it is in the list.
            accounts: what the price is charged to.

        Raises:
            AmbiguousSubmission: a budget does not hold the price once more.
        """
        try:
            await self.ledger.off_loop(self.ledger.expect_duplicate, row.id, accounts)
        except (BudgetExceeded, ConfigurationError) as error:
            why = f"it is not in the job list, and no budget is left for a second one ({error})"
            raise ambiguous_error(row, why) from None

    async def _with_token(
        self, row: Submission, traffic: Traffic, *, thorough: bool
    ) -> list[JobState]:
        """Return the jobs that carry the row's token, the one to keep first.

        The order of the list is not documented. A look that is not the last one stops where what
        it has seen is newest first and older than the row; a thorough one does so only after so
        many jobs that no other order could look like that.
        """
        # On the service's clock, less the uncertainty about it.
        ahead_s = self.api.clock_ahead_s()
        oldest = row.created_at - (_UNKNOWN_SKEW_S if ahead_s is None else ahead_s + SKEW_S)
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


def _is_away(error: QStoreError) -> bool:
    """Return True where a look failed in a way that ends with an outage of the service."""
    if isinstance(error, ConnectionFailed):
        return not error.details["permanent"]
    return isinstance(error, ServiceError) and is_transient(error.details["status"])


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
        f"it could be paid twice. Try `qstore jobs reconcile` later; or look at {JOBS_PAGE} for "
        f"the name that ends with {row.token}, and where there is none free its price with "
        f"`qstore jobs reconcile --absent {row.id}`; on_ambiguous='resubmit' sends again.",
        submission=row.id, token=row.token,
    )  # fmt: skip
