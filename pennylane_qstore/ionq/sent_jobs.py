"""The client's calls for jobs that were sent and not waited for."""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from pennylane_qstore.errors import LedgerError
from pennylane_qstore.ionq.account import AccountCalls
from pennylane_qstore.ionq.http.api import PAGE
from pennylane_qstore.ionq.jobs.call import collect_results, run_requests
from pennylane_qstore.ionq.jobs.request_runner import JobResult, PendingRequest
from pennylane_qstore.ionq.jobs.results import JobRecord
from pennylane_qstore.ionq.jobs.runner import JobRunner
from pennylane_qstore.ionq.ledger.ledger import Ledger
from pennylane_qstore.ionq.ledger.rows import OPEN_STATES, UNSENT_STATES, JobKey, State, Submission
from pennylane_qstore.ionq.messages.job_request import JobRequest
from pennylane_qstore.ionq.messages.responses import JobState
from pennylane_qstore.validation import check_number

logger = logging.getLogger(__name__)


class SentJobCalls(AccountCalls):
    """The client's calls for jobs that were sent and not waited for."""

    def fetching(
        self,
        requests: Sequence[JobRequest],
        keys: Sequence[JobKey],
        *,
        max_wait: float | None = None,
    ) -> Coroutine[Any, Any, list[JobResult]]:
        """Return a coroutine that waits for jobs in the ledger and fetches their results.

        Nothing is sent. It runs on the background loop: by :meth:`call`, or :meth:`on_loop`.

        Args:
            requests: the jobs, of which only the number of circuits matters.
            keys: under which the ledger has them.
            max_wait: longest wait for each job at the service, in seconds.

        Returns:
            The coroutine; it gives one result per request, or raises as :meth:`run` does.
        """
        max_wait_s = check_number("max_wait", max_wait, above=0, unit="seconds", optional=True)
        return self._fetch(requests, keys, self._runner(max_wait_s=max_wait_s))

    async def _fetch(
        self, requests: Sequence[JobRequest], keys: Sequence[JobKey], runner: JobRunner
    ) -> list[JobResult]:
        ledger = self.ledger
        pending = await ledger.off_loop(find_requests, ledger, requests, keys)
        try:
            ends = await run_requests(runner, pending)
        finally:
            self.count(pending)
        results = collect_results(pending, ends, ledger)
        if ledger.path is not None:  # one in memory would forget what somebody has
            await ledger.off_loop(self._consume, pending)
        return results

    def states(self, keys: Sequence[JobKey]) -> list[str]:
        """Return the states of jobs that the ledger has; the service tells of those that go on.

        Args:
            keys: under which the ledger has them.

        Returns:
            For each ``"submitted"``, ``"ready"``, ``"started"``, ``"completed"``, ``"failed"``,
            ``"canceled"`` or ``"deleted"``; ``"ambiguous"`` where the job is still to be found,
            ``"rejected"`` where there is none.

        Raises:
            LedgerError: the ledger has no such job.
            ServiceError, ConnectionFailed: the service does not tell.
        """
        rows = [last_rows(self.ledger, key)[-1] for key in keys]
        ids = [row.job_id for row in rows if row.state is State.SUBMITTED and row.job_id]
        told: dict[str, JobState] = {}
        for start in range(0, len(ids), PAGE):
            told |= self.call(self._api().jobs(ids[start : start + PAGE], self._traffic))
        return [_state_of(row, told) for row in rows]

    def _consume(self, pending: Sequence[PendingRequest]) -> None:
        """Write down that the caller has the results; they are here whatever becomes of it."""
        records = [entry.record for entry in pending]
        try:
            self.ledger.consumed([row for record in records for row in record.row_ids])
        except LedgerError as error:
            ids = ", ".join(job_id for record in records for job_id in record.job_ids)
            logger.warning("The results of %s are here; the ledger does not know: %s", ids, error)


def find_requests(
    ledger: Ledger, requests: Sequence[JobRequest], keys: Sequence[JobKey]
) -> list[PendingRequest]:
    """Return requests that were sent, with the rows that the ledger has for them.

    Args:
        ledger: where they are.
        requests: the requests, of which only the number of circuits matters.
        keys: for each of them.

    Returns:
        One pending request for each, for which nothing is sent.

    Raises:
        LedgerError: the ledger has no such job.
    """
    found = []
    for i, (request, key) in enumerate(zip(requests, keys, strict=True)):
        rows, record = last_rows(ledger, key), JobRecord(i, len(request.circuits))
        pending = PendingRequest(request, rows[-1].payload_sha256, key, None, record, send=False)
        pending.rows.extend((row, False) for row in rows)
        found.append(pending)
    return found


def last_rows(ledger: Ledger, key: JobKey) -> list[Submission]:
    """Return the rows of a key that may have results, by attempt; if none may, its last row.

    Args:
        ledger: where they are.
        key: see :class:`.JobKey`.

    Returns:
        At least one row.

    Raises:
        LedgerError: there is none.
    """
    rows = ledger.history(key)
    if not rows:
        raise LedgerError(f"{ledger!r} has no job of {key}: it is not the one that was sent with.")
    some = [row for row in rows if row.results is not None or row.state in OPEN_STATES]
    return some or rows[-1:]


def _state_of(row: Submission, told: Mapping[str, JobState]) -> str:
    if row.state is State.SUBMITTED:
        state = told.get(row.job_id or "")
        return "deleted" if state is None else state.status
    if row.state in UNSENT_STATES:
        return State.AMBIGUOUS.value
    return "completed" if row.state in (State.DONE, State.CONSUMED) else row.state.value
