"""One request, from its intents in the ledger to its histograms.

A request may take several jobs: what an earlier run left in the ledger under the same key is
taken first, and circuits that failed on the service are sent again once, only they.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from pennylane_qstore.errors import BudgetExceeded, JobFailed, LedgerError, QStoreError
from pennylane_qstore.ionq.http.endpoint import Endpoint
from pennylane_qstore.ionq.http.transport import post_timeout_s
from pennylane_qstore.ionq.jobs.decisions import FREE
from pennylane_qstore.ionq.jobs.job_record import JobRecord
from pennylane_qstore.ionq.jobs.results import CircuitFailure, JobOutcome
from pennylane_qstore.ionq.jobs.runner import JobRunner
from pennylane_qstore.ionq.ledger.ledger import OPEN_STATES, Account, Intent, JobKey, Submission
from pennylane_qstore.ionq.messages.job_request import JobRequest
from pennylane_qstore.ionq.messages.responses import Histogram

logger = logging.getLogger(__name__)

PERMANENT_FAILURES = frozenset(
    {
        "InvalidInput", "CompilationError", "ContractExpiredError", "NotEnoughQubits",
        "PreflightError", "QuantumCircuitComplexityError", "QuotaExhaustedError",
        "TooLongPredictedExecutionTime", "TooManyControls", "TooManyGates", "TooManyShots",
        "UnsupportedGate",
    }
)  # fmt: skip
"""IonQ's failure codes that the same circuit would meet again."""


@dataclass(frozen=True, slots=True)
class JobResult:
    """Results of one request.

    Attributes:
        job_id: IonQ's id; of the first job, where failed circuits were sent again.
        histograms: in the order of the circuits; empty for a dry run. ``None`` entries only
            in the ``details`` of an error, for circuits that failed.
        submit_s: from the call until the job had an id, in seconds.
        queue_s, run_s: waiting and running at the service, in seconds (its own clock where
            it tells, else as observed).
        total_s: from the call until the results were here, in seconds.
        polls: looks at the job.
        requests: HTTP requests made; a look shared by several jobs counts for one of them.
        cost_usd: billed, in US dollars, where the service tells; of a dry run, estimated.
        status: ``"completed"``, or ``"partial"`` in the ``details`` of an error.
        job_ids: every job that contributed.
        adopted: whether the ledger had it already, so that nothing was sent.
    """

    job_id: str
    histograms: list[Histogram]
    submit_s: float
    queue_s: float
    run_s: float
    total_s: float
    polls: int
    requests: int
    cost_usd: float | None
    status: str
    job_ids: tuple[str, ...] = ()
    adopted: bool = False


@dataclass(slots=True)
class PendingRequest:
    """A request on its way.

    Args:
        request: circuits and settings.
        sha256: of the payload.
        key: of the ledger.
        estimated_usd: expected price, in US dollars.
        record: counts of its jobs.
        accounts: what its jobs are charged to.
        rows: rows of the ledger still to be looked at, and whether each is this call's own.
        body: of the first row's POST, if it is this call's own.
    """

    request: JobRequest
    sha256: str
    key: JobKey | None
    estimated_usd: float | None
    record: JobRecord
    accounts: tuple[Account, ...] = ()
    rows: deque[tuple[Submission, bool]] = field(default_factory=deque)
    body: bytes | None = None
    started: bool = False
    done: bool = False
    histograms: list[Histogram | None] = field(init=False)
    failures: dict[int, CircuitFailure] = field(default_factory=dict)
    total_s: float = 0.0
    last_attempt: int = -1  # the last of this key's that was looked at
    own_rows: int = 0  # rows of this call's own that were looked at

    def __post_init__(self) -> None:
        self.histograms = [None] * len(self.request.circuits)

    @property
    def missing(self) -> tuple[int, ...]:
        """Indices of the circuits without a histogram."""
        return tuple(i for i, histogram in enumerate(self.histograms) if histogram is None)

    def take_body(self, row: Submission) -> bytes:
        """Return the body of a row's POST; the one made beforehand is not held any longer."""
        body, self.body = self.body, None
        if body is not None:
            return body
        request = self.request if row.part is None else self.request.part(row.part)
        return request.body(row.token)

    def add(self, row: Submission, outcome: JobOutcome) -> None:
        """Put the results of a row's circuits in their places.

        Args:
            row: of the ledger, of all circuits or of some.
            outcome: its results.
        """
        part = row.part if row.part is not None else range(len(self.histograms))
        for position, histogram in enumerate(outcome.histograms):
            index = part[position]
            if histogram is not None:
                self.histograms[index] = histogram
                self.failures.pop(index, None)
            else:
                self.failures[index] = outcome.failures[position]
        self.done = not (outcome.failures if self.request.dry_run else self.missing)

    def result(self) -> JobResult:
        """Return what came so far."""
        record = self.record
        return JobResult(
            record.job_ids[0] if record.job_ids else "",
            [] if self.request.dry_run else self.histograms,  # type: ignore[arg-type]
            record.submit_s or 0.0, record.queue_s, record.run_s, self.total_s, record.polls,
            record.traffic.requests, record.cost_usd, "completed" if self.done else "partial",
            tuple(record.job_ids), self.own_rows == 0,
        )  # fmt: skip


class RequestRunner:
    """Runs the requests of one call. On the loop.

    Args:
        jobs: brings each job to its end.
        retry_failed: whether circuits that failed on the service are sent again, once.
    """

    def __init__(self, jobs: JobRunner, *, retry_failed: bool) -> None:
        self.jobs = jobs
        self.ledger = jobs.ledger
        self._may_send = 2 if retry_failed else 1

    async def run(self, pending: PendingRequest) -> JobResult:
        """Take a request from its intent to its results.

        Raises:
            JobFailed: circuits failed for good.
            QStoreError: as for :meth:`JobRunner.complete`.
        """
        pending.started = True
        try:
            while not pending.done:
                await self._take_row(pending)
        except QStoreError as error:
            # They exist, and are paid.
            error.job_ids = error.job_ids or tuple(pending.record.job_ids)
            raise
        return pending.result()

    async def _take_row(self, pending: PendingRequest) -> None:
        """Get what the next row of the ledger gives."""
        if not pending.rows:
            self._check_may_send(pending)
            pending.rows.extend(await self._begin_again(pending))
        row, own = pending.rows.popleft()
        pending.last_attempt = row.attempt
        if pending.estimated_usd is None and row.part is None:
            pending.estimated_usd = row.estimated_usd  # of the same payload, by an earlier start
        pending.own_rows += own
        if row.state in OPEN_STATES and not own and not self._is_ours(row):
            reason = f"its service, {row.service}, is gone"
            row = await self.jobs.submitter.give_up(row, reason)
        try:
            await self.jobs.complete(row, pending.record, pending.take_body, own=own)
        finally:
            pending.total_s = self.jobs.elapsed_s()
            # Also where the ledger refused them: they are paid, and the error brings them.
            if pending.record.outcome is not None:
                pending.add(row, pending.record.outcome)

    def _check_may_send(self, pending: PendingRequest) -> None:
        permanent = any(f.code in PERMANENT_FAILURES for f in pending.failures.values())
        if pending.own_rows >= (1 if permanent else self._may_send):
            raise _failed(pending, JobFailed)

    async def _begin_again(self, pending: PendingRequest) -> list[tuple[Submission, bool]]:
        """Begin an attempt at what is missing; or take those that others began since."""
        ledger, attempt, missing = self.ledger, 0, pending.missing
        if pending.key is not None:
            rows = await ledger.off_loop(ledger.history, pending.key)
            if later := [(row, False) for row in rows if row.attempt > pending.last_attempt]:
                return later
            # Not by counting: who begins it at the same time shares it.
            attempt = pending.last_attempt + 1
        if pending.own_rows:
            logger.warning(
                "%d of %d circuits of job %s failed; they are sent again.",
                len(missing), len(pending.histograms), pending.record.job_ids[-1],
            )  # fmt: skip
        part = None if len(missing) == len(pending.histograms) else missing
        intent = intent_for(
            pending.request, pending.sha256, self.jobs.api.transport.endpoint.base_url,
            key=pending.key, attempt=attempt, part=part, accounts=pending.accounts,
            # A part costs no more than the whole, and its bill will tell.
            estimated_usd=pending.estimated_usd,
        )  # fmt: skip
        try:
            return await ledger.off_loop(ledger.begin, [intent])
        except BudgetExceeded as error:
            if not pending.failures:
                raise
            reason = f". The budget does not hold them once more: {error}"
            raise _failed(pending, BudgetExceeded, reason, **error.details) from None

    def _is_ours(self, row: Submission) -> bool:
        """Return whether the row's job is at the service this client talks to.

        Raises:
            LedgerError: it is at another one that may still have it.
        """
        endpoint = self.jobs.api.transport.endpoint
        if row.service == endpoint.base_url:
            return True
        # A service on this machine lives on whatever port it got: the old one has ended. Or it
        # is a tunnel to one that lives, with another port than before: only what is free may
        # be sent again.
        if endpoint.is_loopback and Endpoint(row.service).is_loopback and row.backend in FREE:
            return False
        raise LedgerError(
            f"{row.key} has an unfinished job at {urlsplit(row.service).netloc}; this client "
            f"talks to {urlsplit(endpoint.base_url).netloc}. Use the same service, or a new run "
            "name."
        )


def _failed(
    pending: PendingRequest, kind: type[QStoreError], reason: str = "", **details: Any
) -> QStoreError:
    """Return the error for circuits that failed and are not sent again."""
    first = pending.failures[min(pending.failures)]
    missing, many = pending.missing, len(pending.histograms)
    which = f"{len(missing)} of its {many} circuits" if many > 1 else "its circuit"
    return kind(
        f"Job {first.job_id} failed for {which}: {first.code}: {first.message}{reason}",
        job_ids=pending.record.job_ids, code=first.code, failure=first.message,
        circuits=missing, failures=dict(pending.failures), partial=pending.result(), **details,
    )  # fmt: skip


def intent_for(request: JobRequest, sha256: str, service: str, **options: Any) -> Intent:
    """Return the ledger's intent for a request.

    Args:
        request: circuits and settings.
        sha256: of its payload.
        service: base URL.
        options: further fields of :class:`Intent`.

    Returns:
        An intent whose lease covers the POST.
    """
    part = options.get("part")
    return Intent(
        service=service, backend=request.backend, shots=request.shots,
        circuits=len(request.circuits) if part is None else len(part), qubits=request.qubits,
        payload_sha256=sha256, aggregation=request.aggregation,
        lease_s=post_timeout_s(sum(map(len, request.circuits))) + 60.0, **options,
    )  # fmt: skip
