"""Client of IonQ's API: many circuits in few jobs, none lost and none paid twice.

Blocking calls work from any thread and inside a running event loop (Jupyter): the work is
done on one background loop, the calling thread waits. Imports aiohttp: import it late.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import Callable, Sequence

from pennylane_qstore.errors import (
    AmbiguousSubmission,
    ConfigurationError,
    JobCanceled,
    QStoreError,
)
from pennylane_qstore.ionq.base_client import BASE_URL, URL_VARIABLE, blocking
from pennylane_qstore.ionq.http.blocking import BlockingCall
from pennylane_qstore.ionq.http.event_loop import background_loop
from pennylane_qstore.ionq.jobs.call import (
    Keys,
    begin_requests,
    collect_results,
    interrupt_message,
    run_requests,
)
from pennylane_qstore.ionq.jobs.cost import record_cost
from pennylane_qstore.ionq.jobs.request_runner import JobResult
from pennylane_qstore.ionq.jobs.results import JobRecord
from pennylane_qstore.ionq.jobs.row_lease import give_up
from pennylane_qstore.ionq.jobs.runner import JobRunner
from pennylane_qstore.ionq.ledger.ledger import (
    ENDED_STATES,
    OPEN_STATES,
    UNSENT_STATES,
    Account,
    State,
    Submission,
    is_paid,
)
from pennylane_qstore.ionq.ledger.rows import Share
from pennylane_qstore.ionq.messages.job_request import JobRequest
from pennylane_qstore.ionq.progress import Progress
from pennylane_qstore.ionq.sent_jobs import SentJobCalls
from pennylane_qstore.validation import check_number

__all__ = ["BASE_URL", "URL_VARIABLE", "IonQClient", "JobResult", "Progress"]

logger = logging.getLogger(__name__)


class IonQClient(SentJobCalls):
    """Client of IonQ, or of any service that speaks its API v0.4.

    Args:
        api_key: by default from ``IONQ_API_KEY`` or ``PENNYLANE_IONQ_API_KEY``; in any of them,
            ``keyring:NAME`` takes the system keyring's entry ``api_key`` of NAME. Never shown,
            logged or pickled.
        base_url: https, or http to this machine; by default ``IONQ_API_URL``, then IonQ's.
        pool_size: connections at most; ``max_connections`` is the same.
        timeout: longest wait for the response to a read, in seconds (default 30).
        retry_policy: number and delays of further tries, and how long a service may be away; see
            :class:`.RetryPolicy`. The default is ``RetryPolicy()``.
        retry_attempts: shorthand for ``retry_policy=RetryPolicy(attempts=...)``.
        ledger: a :class:`Ledger` or the path of one; by default in the user's data folder,
            and in memory for a service on this machine.
        on_ambiguous: ``"raise"``, or ``"resubmit"``: where a job may have been created but
            cannot be found, send again, even if it could be paid twice.
        retry_failed: send circuits that failed on the service again, once, and only they.
        ca_bundle: file of own certificate authorities.
        proxy: URL of an HTTP proxy; the environment's are not used.
        clock: source of time, for tests.
        rng: source of jitter, for tests.

    Raises:
        ConfigurationError: no key, or an option that is not allowed.
    """

    def run(
        self,
        requests: Sequence[JobRequest],
        *,
        max_wait: float | None = None,
        progress: Callable[[Progress], None] | None = None,
        keys: Keys | None = None,
        estimates: Sequence[float | None] | None = None,
        accounts: Sequence[Account] = (),
        shares: Sequence[Sequence[Share]] = (),
        wait: bool = True,
    ) -> list[JobResult]:
        """Submit, wait, and fetch the results; blocks the calling thread.

        Args:
            requests: the jobs; they travel at the same time.
            max_wait: longest wait for each job at the service, in seconds.
            progress: called in this thread with what is known of a job, as it changes.
            keys: for each request ``(run, step, chunk)``: under the same key a restarted run
                finds the job it has already paid for, in flight or done.
            estimates: expected price of each request in US dollars, which the ledger reserves.
            accounts: what the jobs are charged to; all of their budgets apply.
            shares: for each request the parts of the runs that share it; none by default.
            wait: False only creates the jobs; :meth:`fetching` has the results of those with keys.

        Returns:
            One result per request.

        Raises:
            BudgetExceeded: a budget, or the ledger's, does not hold the estimates. Nothing was
                sent; or circuits that failed were not sent again.
            ConfigurationError: a budget cannot be kept without an estimate.
            QStoreError: of the kind of the first failure, after all others have ended. Its
                ``details`` hold ``results`` (by request; ``None`` where there is none),
                ``failed`` (indices of requests) and ``errors`` (by request); ``job_ids``
                names every job.
            KeyboardInterrupt: Ctrl-C. A POST that is on its way is finished first, jobs stay
                in the ledger; a second Ctrl-C leaves at once.
        """
        max_wait_s = check_number("max_wait", max_wait, above=0, unit="seconds", optional=True)
        if not requests:
            return []
        background_loop().check_may_wait()  # before anything is written down
        self._service()  # so does this: no intent of a client that cannot send
        books, service = self.ledger, self.base_url
        pending = begin_requests(
            books, service, requests, keys, estimates, accounts, shares, wait=wait
        )
        # What is sent again may be paid twice: it has to fit whatever budget is concerned.
        accounts = (*accounts, *{a for parts in shares for part in parts for a in part.accounts})
        call = BlockingCall(progress, functools.partial(interrupt_message, pending, self.ledger))
        jobs = self._runner(accounts=accounts, max_wait_s=max_wait_s, report=call.report)
        try:
            ends = call.wait(run_requests(jobs, pending))
        finally:
            self.count(pending)
        results = collect_results(pending, ends, self.ledger)
        if wait:
            self._consume(pending)
        return results

    def resume(
        self,
        *,
        max_wait: float | None = None,
        progress: Callable[[Progress], None] | None = None,
        job_id: str | None = None,
    ) -> list[Submission]:
        """Bring everything that the ledger holds open for this service to an end.

        Jobs in flight are waited for and their results stored; jobs whose response was lost are
        looked for; bills that are missing are read. Nothing is sent again.

        Args:
            max_wait: longest wait for each job, in seconds.
            progress: called in this thread.
            job_id: bring only this job to its end.

        Returns:
            The rows, as they stand afterwards.
        """
        max_wait_s = check_number("max_wait", max_wait, above=0, unit="seconds", optional=True)
        rows = [row for row in self._rows(OPEN_STATES) if job_id in (None, row.job_id)]
        call = BlockingCall(progress)
        call.wait(self._resume_all(rows, self._runner(max_wait_s=max_wait_s, report=call.report)))
        if job_id is None:
            self.call(self._read_bills())
        return [self.ledger.get(row.id) for row in rows]

    @blocking
    async def reconcile(self) -> list[Submission]:
        """Look for the jobs of lost responses, without waiting for them, and for missing bills.

        Returns:
            The rows looked for, as they stand afterwards.

        Raises:
            QStoreError: a look failed. That a job cannot be found is only logged.
        """
        ledger, submitter = self.ledger, self._runner().submitter
        submitter.finder.outage_s = 0.0  # who looks by hand looks again
        unsent = await ledger.off_loop(self._rows, UNSENT_STATES)
        looks = [submitter.submit(row, None, self._traffic) for row in unsent]
        ends = await asyncio.gather(*looks, return_exceptions=True)
        for row, end in zip(unsent, ends, strict=True):
            if isinstance(end, AmbiguousSubmission):
                logger.warning("Submission %d: %s", row.id, end)
            elif isinstance(end, BaseException):
                raise end
        for row in await ledger.off_loop(ledger.with_expected_duplicates):
            if row.service == self.base_url and row.job_id is not None:
                await submitter.finder.cancel_duplicates(row, row.job_id, self._traffic)
        unpriced = await self._read_bills()
        return [await ledger.off_loop(ledger.get, row.id) for row in (*unsent, *unpriced)]

    @blocking
    async def declare_absent(self, submission: int) -> Submission:
        """Free the price of a submission that created no job, as the user has seen at IonQ.

        Call :meth:`reconcile` first, and look at https://cloud.ionq.com/jobs for a name that ends
        with the row's token. The same call of the program sends the circuits again.

        Args:
            submission: number of the row in the ledger.

        Returns:
            The row as it stands afterwards: one whose job is known is left as it is.

        Raises:
            ConfigurationError: it is another service's.
            LedgerError: there is no such row.
        """
        ledger = self.ledger
        row = await ledger.off_loop(ledger.get, submission)
        if row.service != self.base_url:
            raise ConfigurationError(
                f"Submission {submission} is at {row.service}; this client talks to "
                f"{self.base_url}."
            )
        return await give_up(ledger, self._clock, row, "declared absent by the user", absent=True)

    def cancel(self, job_ids: Sequence[str]) -> dict[str, str]:
        """Cancel the jobs that have not ended; of those that have, the results are stored.

        Returns:
            The state of each job, by id, as it is now.

        Raises:
            JobCanceled: the service does not know one of the jobs. None was cancelled.
        """
        return self.call(self._cancel(list(dict.fromkeys(job_ids))))

    async def _cancel(self, job_ids: Sequence[str]) -> dict[str, str]:
        """Cancel jobs that have not ended; store the results of those that have.

        The service may let a completed job be cancelled too, and its results would be gone.

        Raises:
            JobCanceled: the service does not know one of the jobs. None was cancelled.
        """
        api, ledger = self._api(), self.ledger
        runner = self._runner()
        states = {job_id: await api.job(job_id, self._traffic) for job_id in job_ids}
        gone = [job_id for job_id, state in states.items() if state.status == "deleted"]
        if gone:
            raise JobCanceled(
                f"The service does not know {', '.join(gone)}: deleted, or of another account.",
                job_ids=gone,
            )
        alive = [job_id for job_id, state in states.items() if not state.is_terminal]
        for job_id in alive:
            row = await ledger.off_loop(ledger.find, job_id)
            if row is not None:
                await ledger.off_loop(ledger.note, row.id, "cancel requested", job_id)
        await api.cancel(alive, self._traffic)
        for job_id in alive:
            states[job_id] = await api.job(job_id, self._traffic)
        for job_id, state in states.items():
            row = await ledger.off_loop(ledger.find, job_id)
            if row is not None and row.state is State.SUBMITTED and state.is_terminal:
                with contextlib.suppress(JobCanceled):
                    await runner.complete(row, JobRecord(traffic=self._traffic))
        return {job_id: state.status for job_id, state in states.items()}

    def _rows(self, states: Sequence[State]) -> list[Submission]:
        service = self.base_url
        return [row for row in self.ledger.submissions(states) if row.service == service]

    async def _read_bills(self) -> list[Submission]:
        """Read the bills that are missing; return the rows that had none."""
        rows = [
            row
            for row in await self.ledger.off_loop(self._rows, ENDED_STATES)
            if row.billed_usd is None and row.job_id is not None and is_paid(row.backend)
        ]
        for row in rows:
            await record_cost(self._api(), self.ledger, row, row.job_id or "", self._traffic)
        return rows

    async def _resume_all(self, rows: list[Submission], runner: JobRunner) -> None:
        ends = await asyncio.gather(
            *(
                runner.complete(row, JobRecord(number, row.circuits, traffic=self._traffic))
                for number, row in enumerate(rows)
            ),
            return_exceptions=True,
        )
        for row, end in zip(rows, ends, strict=True):
            if isinstance(end, QStoreError):
                logger.warning("Submission %d: %s", row.id, end)
            elif isinstance(end, BaseException):
                raise end
