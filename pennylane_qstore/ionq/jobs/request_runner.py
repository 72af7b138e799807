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
from pennylane_qstore.ionq.jobs.decisions import FREE
from pennylane_qstore.ionq.jobs.results import CircuitFailure, JobOutcome, JobRecord
from pennylane_qstore.ionq.jobs.row_lease import give_up, post_lease_s
from pennylane_qstore.ionq.jobs.runner import JobRunner
from pennylane_qstore.ionq.ledger.ledger import OPEN_STATES, Account, Intent, JobKey, Submission
from pennylane_qstore.ionq.ledger.rows import Share
from pennylane_qstore.ionq.messages.histograms import Histogram
from pennylane_qstore.ionq.messages.job_request import JobRequest

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
        status: ``"completed"``, or ``"partial"`` in the ``details`` of an error, or
            ``"submitted"`` where nobody waited: then all histograms are ``None``.
        job_ids: every job that contributed.
        adopted: whether the ledger had it already, so that nothing was sent.
        shared_usd: of the bill, what each of the runs pays that share the job.
        place: of the first circuit among those of the job, and their number; ``None`` where the
            circuits are all of the job's.
        keys: the one under which the ledger has the job; empty where there is none.
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
    shared_usd: tuple[float | None, ...] = ()
    place: tuple[int, int] | None = None
    keys: tuple[JobKey, ...] = ()

    @property
    def own(self) -> slice:
        """The positions of the circuits among those of the job."""
        start = 0 if self.place is None else self.place[0]
        return slice(start, start + len(self.histograms))


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
        shares: the parts of runs that share the job.
        wait: False for jobs that are created, and not waited for.
        send: False for jobs that exist, and are only waited for.
    """

    request: JobRequest
    sha256: str
    key: JobKey | None
    estimated_usd: float | None
    record: JobRecord
    accounts: tuple[Account, ...] = ()
    rows: deque[tuple[Submission, bool]] = field(default_factory=deque)
    body: bytes | None = None
    shares: tuple[Share, ...] = ()
    wait: bool = True
    send: bool = True
    started: bool = False
    done: bool = False
    histograms: list[Histogram | None] = field(init=False)
    failures: dict[int, CircuitFailure] = field(default_factory=dict)
    total_s: float = 0.0
    last_attempt: int = -1  # the last of this key's that was looked at
    own_rows: int = 0  # rows of this call's own that were looked at
    shared_usd: list[float | None] = field(init=False)
    place: tuple[int, int] | None = None  # in a job that other runs share

    def __post_init__(self) -> None:
        self.histograms = [None] * len(self.request.circuits)
        self.shared_usd = [None] * len(self.shares)

    @property
    def missing(self) -> tuple[int, ...]:
        """Indices of the circuits without a histogram."""
        return tuple(i for i, histogram in enumerate(self.histograms) if histogram is None)

    def intent(
        self, service: str, *, attempt: int = 0, part: tuple[int, ...] | None = None
    ) -> Intent:
        """Return the ledger's intent for the request, whose lease covers the POST.

        Args:
            service: base URL.
            attempt: 0, or how many rows the key had before.
            part: indices of the circuits sent, ``None`` for all.

        Returns:
            The intent. A part is priced as the whole: it costs no more, and its bill will tell.
        """
        request = self.request
        return Intent(
            service=service, backend=request.backend, shots=request.shots,
            circuits=len(request.circuits) if part is None else len(part), qubits=request.qubits,
            payload_sha256=self.sha256, key=self.key, attempt=attempt, part=part,
            aggregation=request.aggregation, estimated_usd=self.estimated_usd,
            lease_s=post_lease_s(sum(map(len, request.circuits))), accounts=self.accounts,
            shares=self.shares,
        )  # fmt: skip

    def take_body(self, row: Submission) -> bytes | None:
        """Return the body of a row's POST; the one made beforehand is not held any longer.

        None for a row of which only a share is this request's.
        """
        if row.share is not None:
            return None
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
        part = row.part if row.part is not None else range(len(outcome.histograms))
        start = row.share.start if row.share is not None else 0
        self.place = (start, row.circuits) if row.share is not None else None
        for position, histogram in enumerate(outcome.histograms):
            index = part[position] - start
            if not 0 <= index < len(self.histograms):  # another run's, of a shared job
                continue
            if histogram is not None:
                self.histograms[index] = histogram
                self.failures.pop(index, None)
            else:
                self.failures[index] = outcome.failures[position]
        self.done = not (outcome.failures if self.request.dry_run else self.missing)

    def divide_bill(self, row: Submission, before_usd: float | None) -> None:
        """Divide the bill of a row's job among the runs that share it.

        Args:
            row: of the ledger.
            before_usd: cost of the request before this row's, in US dollars.
        """
        record, before = self.record, before_usd or 0.0
        if record.cost_usd is None:
            return
        bill = record.cost_usd - before
        if row.share is not None:
            record.cost_usd = before + row.share.fraction_of(row.part) * bill
        for i, share in enumerate(self.shares):
            self.shared_usd[i] = (self.shared_usd[i] or 0.0) + share.fraction_of(row.part) * bill

    def result(self) -> JobResult:
        """Return what came so far."""
        record, unfinished = self.record, "partial" if self.wait else "submitted"
        return JobResult(
            record.job_ids[0] if record.job_ids else "",
            [] if self.request.dry_run else self.histograms,  # type: ignore[arg-type]
            record.submit_s or 0.0, record.queue_s, record.run_s, self.total_s, record.polls,
            record.traffic.requests, record.cost_usd, "completed" if self.done else unfinished,
            tuple(record.job_ids), self.own_rows == 0, tuple(self.shared_usd), self.place,
            () if self.key is None else (self.key,),
        )  # fmt: skip


async def run_request(jobs: JobRunner, pending: PendingRequest) -> JobResult:
    """Take a request from its intent to its results, or only to its job. On the loop.

    Args:
        jobs: brings each job to its end.
        pending: the request.

    Returns:
        The results.

    Raises:
        JobFailed: circuits failed for good.
        QStoreError: as for :meth:`JobRunner.complete`.
    """
    pending.started = True
    try:
        while not pending.done:
            if not pending.rows:
                pending.rows.extend(await _begin_again(jobs, pending))
            row, own = pending.rows.popleft()
            pending.last_attempt = row.attempt
            if pending.estimated_usd is None and row.part is None:
                # Of the same payload, by an earlier start; of a shared job's part, which alone
                # costs no more than the whole.
                pending.estimated_usd = row.estimated_usd
            pending.own_rows += own
            if row.state in OPEN_STATES and not own and not _is_ours(jobs, row):
                reason = f"its service, {row.service}, is gone"
                row = await give_up(jobs.ledger, jobs.api.clock, row, reason)
            if row.state in OPEN_STATES and not pending.wait:
                await jobs.submit(row, pending.record, pending.take_body, own=own)
                pending.total_s = jobs.elapsed_s()
                break
            before_usd = pending.record.cost_usd
            make_body = pending.take_body if pending.send else None
            try:
                await jobs.complete(row, pending.record, make_body, own=own)
            finally:
                pending.total_s = jobs.elapsed_s()
                pending.divide_bill(row, before_usd)
                # Also where the ledger refused them: they are paid, and the error brings them.
                if pending.record.outcome is not None:
                    pending.add(row, pending.record.outcome)
    except QStoreError as error:
        # They exist, and are paid.
        error.job_ids = error.job_ids or tuple(pending.record.job_ids)
        raise
    return pending.result()


async def _begin_again(jobs: JobRunner, pending: PendingRequest) -> list[tuple[Submission, bool]]:
    """Begin an attempt at what is missing; or take those that others began since.

    Raises:
        JobFailed: what is missing is not to be sent again.
    """
    permanent = any(f.code in PERMANENT_FAILURES for f in pending.failures.values())
    if not pending.send or pending.own_rows >= (2 if jobs.retry_failed and not permanent else 1):
        raise _failed(pending, JobFailed)
    ledger, attempt, missing = jobs.ledger, 0, pending.missing
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
    service = jobs.api.transport.endpoint.base_url
    intent = pending.intent(service, attempt=attempt, part=part)
    try:
        return await ledger.off_loop(ledger.begin, [intent])
    except BudgetExceeded as error:
        if not pending.failures:
            raise
        reason = f". The budget does not hold them once more: {error}"
        raise _failed(pending, BudgetExceeded, reason, **error.details) from None


def _is_ours(jobs: JobRunner, row: Submission) -> bool:
    """Return whether the row's job is at the service this client talks to.

    Raises:
        LedgerError: it is at another one that may still have it.
    """
    endpoint = jobs.api.transport.endpoint
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
