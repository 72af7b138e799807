"""One job's life: from its row in the ledger to its stored results and its bill.

Every way to a result ends here: the call that submits, the restarted run that finds its job in
the ledger, ``qstore resume``, and v3.4's fetching by id. Results are stored before anybody gets
them, and the bill is read after them, so that a process killed in between loses neither.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from pennylane_qstore.backends import is_qpu
from pennylane_qstore.errors import InvalidResponse, JobCanceled, LedgerError
from pennylane_qstore.ionq.http.api import Api
from pennylane_qstore.ionq.jobs.cost import read_cost, record_cost
from pennylane_qstore.ionq.jobs.decisions import FREE
from pennylane_qstore.ionq.jobs.job_finder import Accounts
from pennylane_qstore.ionq.jobs.packing import pack, unpack
from pennylane_qstore.ionq.jobs.poller import JobKind, Poller
from pennylane_qstore.ionq.jobs.results import CircuitFailure, JobOutcome, JobRecord, fetch_results
from pennylane_qstore.ionq.jobs.row_lease import taken_over_error
from pennylane_qstore.ionq.jobs.submitter import CreatedJob, Submitter
from pennylane_qstore.ionq.ledger.ledger import ENDED_STATES, OPEN_STATES, Ledger, State, Submission
from pennylane_qstore.ionq.messages.responses import JobState
from pennylane_qstore.ionq.progress import Progress

logger = logging.getLogger(__name__)


class JobRunner:
    """Brings jobs to their end. Runs on the loop.

    Args:
        api: the service.
        ledger: where every step is written down.
        poller: waits for jobs.
        on_ambiguous: ``"raise"``, or ``"resubmit"`` also where jobs cost money.
        accounts: what a POST is charged to that is sent again where the first may have a job.
        retry_failed: whether circuits that failed on the service are sent again, once.
        max_wait_s: longest wait for each job, in seconds; ``None`` for ever.
        max_delay_s: longest pause between looks, in seconds; ``None``: the poller's own.
        report: called with progress.
    """

    def __init__(
        self,
        api: Api,
        ledger: Ledger,
        poller: Poller,
        *,
        on_ambiguous: str = "raise",
        accounts: Accounts = (),
        retry_failed: bool = True,
        max_wait_s: float | None = None,
        max_delay_s: float | None = None,
        report: Callable[[Progress], None] | None = None,
    ) -> None:
        self.api = api
        self.ledger = ledger
        self.submitter = Submitter(api, ledger, on_ambiguous, accounts)
        self.retry_failed = retry_failed
        self._poller = poller
        self._max_wait_s = max_wait_s
        self._max_delay_s = max_delay_s
        self._report = report
        self._called_at = self.api.clock.monotonic()
        self._records: dict[int, JobRecord] = {}  # of rows, while their jobs have no id
        self.submitter.finder.on_look = self._tell_search
        if max_wait_s is not None:
            self.submitter.finder.outage_s = min(max_wait_s, self.submitter.finder.outage_s)

    async def complete(
        self,
        row: Submission,
        record: JobRecord,
        make_body: Callable[[Submission], bytes | None] | None = None,
        *,
        own: bool = False,
    ) -> JobOutcome:
        """Bring a row of the ledger to its end: submit or adopt, wait, fetch, store, bill.

        Args:
            row: in any state; one that has ended gives what is stored.
            record: counts; its ``outcome`` is set before the results are stored.
            make_body: makes the body of the row's POST, called for rows that have not ended;
                ``None``, or one that returns ``None``, never sends.
            own: whether this call wrote the intent, so that its POST is still to come.

        Returns:
            The results; a row without any has a failure for every circuit.

        Raises:
            JobCanceled: there are no results, since the job was cancelled or deleted.
            JobTimeout: the job has not ended in time; it goes on.
            AmbiguousSubmission: there may be a job, and it cannot be found.
            LedgerError: the ledger cannot be read or written, or another process took the row
                and left nothing.
            ServiceError, ConnectionFailed, InvalidResponse: the service's part of it.
        """
        can_send = make_body is not None
        record.outcome = None
        if row.state not in OPEN_STATES:
            record.row_ids.append(row.id)
            return await self._stored(row, record, can_send=can_send)
        body = self._body(row, record, make_body)
        job = await self.submitter.submit(row, body, record.traffic, own=own)
        if job is None:  # somebody else brought it to an end meanwhile
            row = await self.ledger.off_loop(self.ledger.get, row.id)
            if own and row.results is None:
                raise taken_over_error(row)
            return await self._stored(row, record, can_send=can_send)
        self._count(record, job, own)
        logger.info(
            "Job %s: %d circuits, %d shots on %s.", job.id, row.circuits, row.shots, row.backend
        )
        state = await self._wait_beside_twins(row, record, job)
        if state.status in ("canceled", "deleted"):
            may_send_again = can_send and not own and row.backend in FREE
            return await self._end_without_results(row, record, state, may_send_again)
        outcome = await self._fetch_and_store(row, record, state)
        if record.dry_run:
            cost = await read_cost(self.api, job.id, record.traffic)
            record.add_cost(cost.estimated_usd)
        elif not state.dry_run:
            record.add_cost(await self._bill(row, job.id, record))
        if job.may_have_twin:
            await self.submitter.finder.cancel_duplicates(row, job.id, record.traffic)
        return outcome

    async def submit(
        self,
        row: Submission,
        record: JobRecord,
        make_body: Callable[[Submission], bytes | None],
        *,
        own: bool = True,
    ) -> str:
        """Create the job of a row that has not ended, or find it; do not wait for its results.

        Args:
            row: of the ledger; an own one is a fresh intent.
            record: counts.
            make_body: makes the body of the row's POST.
            own: as for :meth:`complete`.

        Returns:
            IonQ's id.

        Raises:
            AmbiguousSubmission: a job may exist that cannot be found.
            LedgerError: it cannot be written, or another process took the row and left no job.
            ServiceError, ConnectionFailed: no job was created.
        """
        body = self._body(row, record, make_body)
        job = await self.submitter.submit(row, body, record.traffic, own=own)
        if job is None:  # somebody else took it over
            row = await self.ledger.off_loop(self.ledger.get, row.id)
            if row.job_id is None:
                raise taken_over_error(row)
            return row.job_id
        self._count(record, job, own)
        if job.may_have_twin:
            await self.submitter.finder.cancel_duplicates(row, job.id, record.traffic)
        return job.id

    async def read_foreign(self, job_id: str, record: JobRecord) -> JobOutcome:
        """Wait for a job that is not in the ledger, and fetch its results; nothing is stored.

        Args:
            job_id: IonQ's id.
            record: counts.

        Returns:
            The results.

        Raises:
            LedgerError: the service does not know it either.
            JobCanceled, JobTimeout, ServiceError, ConnectionFailed, InvalidResponse: as for
                :meth:`complete`.
        """
        state = await self.api.job(job_id, record.traffic)
        if state.status == "deleted":
            raise LedgerError(
                f"Job {job_id} is not in {self.ledger!r}, and the service does not know it.",
                job_ids=[job_id],
            )
        if not state.is_terminal:
            state = await self._wait(job_id, JobKind(state.backend or "", 0, 0), record)
        if state.status in ("canceled", "deleted"):
            raise JobCanceled(f"Job {job_id} is {state.status}.", job_ids=[job_id])
        if state.qubits is None:
            raise InvalidResponse(
                f"Job {job_id} is not in {self.ledger!r}, and the service does not tell how many "
                "qubits it has.",
                job_ids=[job_id],
            )
        return await fetch_results(
            self.api, state, record.traffic, circuits=max(1, len(state.child_ids)),
            qubits=state.qubits, ordered=state.backend in FREE,
        )  # fmt: skip

    def elapsed_s(self) -> float:
        """Return the time since the call, in seconds."""
        return self.api.clock.monotonic() - self._called_at

    def _body(
        self,
        row: Submission,
        record: JobRecord,
        make_body: Callable[[Submission], bytes | None] | None,
    ) -> bytes | None:
        """Return the body of a row's POST, and tell that it is to be sent."""
        self._records[row.id] = record
        record.row_ids.append(row.id)
        if make_body is None:
            return None
        self._tell(record, None, "submitting")
        return make_body(row)

    def _count(self, record: JobRecord, job: CreatedJob, own: bool) -> None:
        """Count a job that has an id."""
        record.posted += own
        record.job_ids.append(job.id)
        if record.submit_s is None:
            record.submit_s = self.elapsed_s()

    async def _stored(self, row: Submission, record: JobRecord, *, can_send: bool) -> JobOutcome:
        """Return what the ledger has of a row that ended."""
        bill = row.billed_usd
        # Whoever ended it may not have come to its bill.
        if not record.dry_run and bill is None and row.job_id and row.state in ENDED_STATES:
            bill = await self._bill(row, row.job_id, record)
        if row.results is None:
            if row.state in (State.CANCELED, State.DUPLICATE) and not can_send:
                raise JobCanceled(f"Job {row.job_id} was cancelled.", job_ids=[row.job_id or ""])
            record.outcome = _without_results(row, row.state.value, row.failure or "no result")
            return record.outcome
        histograms = unpack(row.results)
        if histograms and len(histograms) != row.circuits:  # none: a dry run
            raise LedgerError(
                f"Submission {row.id} of {self.ledger!r} has {len(histograms)} results for "
                f"{row.circuits} circuits."
            )
        if row.job_id is not None and row.job_id not in record.job_ids:
            record.job_ids.append(row.job_id)
        record.add_cost(bill)
        reason = CircuitFailure(row.state.value, row.failure or "no result", row.job_id or "")
        failures = {i: reason for i, histogram in enumerate(histograms) if histogram is None}
        record.outcome = JobOutcome(histograms, failures, row.qubits)
        return record.outcome

    async def _wait_beside_twins(
        self, row: Submission, record: JobRecord, job: CreatedJob
    ) -> JobState:
        kind = JobKind(row.backend, row.circuits, row.shots)
        if not job.may_have_twin:
            return await self._wait(job.id, kind, record)
        # The lost POST may create its job only now: in a queue there is time to cancel it.
        watch = asyncio.create_task(
            self.submitter.finder.watch_for_duplicates(row, job.id, record.traffic)
        )
        try:
            return await self._wait(job.id, kind, record)
        finally:
            watch.cancel()

    async def _wait(self, job_id: str, kind: JobKind, record: JobRecord) -> JobState:
        since = self.api.clock.monotonic()
        watch = await self._poller.wait(
            job_id, kind, record.traffic, since=since, max_wait_s=self._max_wait_s,
            max_delay_s=self._max_delay_s,
            report=lambda state: self._tell(record, job_id, state.status, state.predicted_wait_ms),
        )  # fmt: skip
        state = watch.last
        assert state is not None  # noqa: S101  (for the type checker: the job has ended)
        record.polls += watch.polls
        queue_s = (watch.running_since or since) - since
        run_s = self.api.clock.monotonic() - since - queue_s
        # The service's own clock where it tells: looks come late.
        if state.queue_s is not None and state.run_s is not None:
            queue_s, run_s = state.queue_s, state.run_s
        record.queue_s += queue_s
        record.run_s += run_s
        return state

    async def _fetch_and_store(
        self, row: Submission, record: JobRecord, state: JobState
    ) -> JobOutcome:
        ledger = self.ledger
        if (record.dry_run or state.dry_run) and state.status == "completed":
            outcome = record.outcome = JobOutcome([], {}, row.qubits, state.run_s)
        else:
            outcome = record.outcome = await fetch_results(
                self.api, state, record.traffic, circuits=row.circuits, qubits=row.qubits,
                aggregation=row.aggregation, ordered=not is_qpu(row.backend),
            )  # fmt: skip
        if outcome.failures:
            first = next(iter(outcome.failures.values()))
            arrived = pack(outcome.histograms) if any(outcome.histograms) else None
            reason = f"{first.code}: {first.message}"
            await ledger.off_loop(ledger.failed, row.id, reason, arrived)
        else:
            await ledger.off_loop(ledger.done, row.id, pack(outcome.histograms))
        return outcome

    async def _end_without_results(
        self, row: Submission, record: JobRecord, state: JobState, may_send_again: bool
    ) -> JobOutcome:
        """Write down that a job was cancelled or deleted, and raise."""
        await self.ledger.off_loop(self.ledger.canceled, row.id, f"the job is {state.status}")
        if state.status == "canceled":
            record.add_cost(await self._bill(row, state.id, record))
        elif may_send_again:
            # A simulator that forgot its jobs: nothing was paid, and it may be sent again.
            record.outcome = _without_results(row, "deleted", "the service forgot the job")
            return record.outcome
        raise JobCanceled(
            f"Job {state.id} is {state.status}; its circuits have no results.", job_ids=[state.id]
        )

    async def _bill(self, row: Submission, job_id: str, record: JobRecord) -> float | None:
        return await record_cost(self.api, self.ledger, row, job_id, record.traffic)

    def _tell_search(self, row: Submission) -> None:
        if (record := self._records.get(row.id)) is not None:
            self._tell(record, None, "searching")

    def _tell(
        self, record: JobRecord, job_id: str | None, state: str, wait_ms: float | None = None
    ) -> None:
        if self._report is not None:
            wait_s = None if wait_ms is None else wait_ms / 1e3
            self._report(
                Progress(record.index, job_id, state, self.elapsed_s(), wait_s, record.circuits)
            )


def _without_results(row: Submission, code: str, message: str) -> JobOutcome:
    failure = CircuitFailure(code, message, row.job_id or "")
    return JobOutcome(
        [None] * row.circuits, dict.fromkeys(range(row.circuits), failure), row.qubits
    )
