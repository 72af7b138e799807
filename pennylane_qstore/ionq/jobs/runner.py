"""One request, from its intent in the ledger to its histograms.

A request may take several jobs: what an earlier run left in the ledger under the same key is
taken first, and circuits that failed on the service are sent again once, only they.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from pennylane_qstore.errors import JobCanceled, JobFailed, LedgerError, QStoreError
from pennylane_qstore.ionq.http.api import Api
from pennylane_qstore.ionq.http.endpoint import Endpoint
from pennylane_qstore.ionq.http.transport import Traffic, post_timeout_s
from pennylane_qstore.ionq.jobs.cost import book, read_cost
from pennylane_qstore.ionq.jobs.poller import JobKind, Poller
from pennylane_qstore.ionq.jobs.results import CircuitFailure, Harvest, harvest, pack, unpack
from pennylane_qstore.ionq.jobs.submitter import FREE, Submitter, taken
from pennylane_qstore.ionq.ledger.ledger import OPEN_STATES, Intent, JobKey, Ledger, Submission
from pennylane_qstore.ionq.messages.job_request import JobRequest
from pennylane_qstore.ionq.messages.responses import (
    Histogram,
    JobState,
)
from pennylane_qstore.ionq.progress import Progress

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
    """What one request gave.

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
class Job:
    """A request on its way.

    Args:
        index: which request of the call.
        request: what is asked for.
        sha256: of the payload.
        key: of the ledger.
        estimated_usd: expected price.
        rows: what the ledger has for it, and whether each row is this call's own.
    """

    index: int
    request: JobRequest
    sha256: str
    key: JobKey | None
    estimated_usd: float | None
    rows: deque[tuple[Submission, bool]]
    body: bytes | None = None
    traffic: Traffic = field(default_factory=Traffic)
    started: bool = False
    state: str = "submitting"
    row_ids: list[int] = field(default_factory=list)
    job_ids: list[str] = field(default_factory=list)
    histograms: list[Histogram | None] = field(default_factory=list)
    failures: dict[int, CircuitFailure] = field(default_factory=dict)
    submit_s: float | None = None
    queue_s: float = 0.0
    run_s: float = 0.0
    total_s: float = 0.0
    polls: int = 0
    cost_usd: float | None = None
    attempt: int = -1  # the last of this key's that was looked at
    sent: int = 0  # rows of this call's own, of which
    posted: int = 0  # became jobs

    def result(self) -> JobResult:
        """What came so far."""
        complete = all(h is not None for h in self.histograms)
        return JobResult(
            self.job_ids[0] if self.job_ids else "",
            [] if self.request.dry_run else self.histograms,  # type: ignore[arg-type]
            self.submit_s or 0.0, self.queue_s, self.run_s, self.total_s, self.polls,
            self.traffic.requests, self.cost_usd,
            "completed" if complete or self.request.dry_run else "partial",
            tuple(self.job_ids), self.sent == 0,
        )  # fmt: skip


class JobRunner:
    """Runs the jobs of one call. On the loop.

    Args:
        api: the service.
        poller: watches its jobs.
        ledger: where everything is written down.
        submitter: makes jobs of intents.
        retry_failed: whether circuits that failed on the service are sent again, once.
        max_wait_s: longest wait for each job, in seconds; ``None`` for ever.
        max_delay_s: longest pause between looks, in seconds; ``None``: the poller's own.
        report: told about progress.
    """

    def __init__(
        self,
        api: Api,
        poller: Poller,
        ledger: Ledger,
        submitter: Submitter,
        *,
        retry_failed: bool,
        max_wait_s: float | None,
        report: Callable[[Progress], None],
        max_delay_s: float | None = None,
    ) -> None:
        self.api = api
        self.poller = poller
        self.ledger = ledger
        self.submitter = submitter
        self.retry_failed = retry_failed
        self.max_wait_s = max_wait_s
        self.max_delay_s = max_delay_s
        self._report = report
        self._called_at = api.clock.monotonic()

    async def run(self, job: Job) -> JobResult:
        """Everything from the intent to the results.

        Raises:
            JobFailed: circuits failed for good.
            JobCanceled, JobTimeout, AmbiguousSubmission, ServiceError, ConnectionFailed,
            InvalidResponse: see there.
        """
        job.started = True
        job.histograms = [None] * len(job.request.circuits)
        try:
            return await self._run(job)
        except QStoreError as error:
            error.job_ids = error.job_ids or tuple(job.job_ids)  # they exist, and are paid
            job.total_s = self._elapsed()
            raise

    # ---- private --------------------------------------------------------------------

    async def _run(self, job: Job) -> JobResult:
        may_send = 2 if self.retry_failed else 1
        while True:
            if not job.rows:
                missing = tuple(i for i, h in enumerate(job.histograms) if h is None)
                permanent = any(f.code in PERMANENT_FAILURES for f in job.failures.values())
                if job.sent >= may_send or (permanent and job.sent):
                    raise self._failed(job, missing)
                job.rows.extend(await self._begin_again(job, missing))
            row, own = job.rows.popleft()
            job.attempt = row.attempt
            job.sent += own
            got = await self._row(job, row, own)
            if job.request.dry_run and got is not None:
                break
            if got is not None:
                self._take(job, row, got)
            if all(h is not None for h in job.histograms):
                break
        job.total_s = self._elapsed()
        return job.result()

    async def _begin_again(
        self, job: Job, missing: tuple[int, ...]
    ) -> list[tuple[Submission, bool]]:
        """A new attempt at what is missing; or those that others began since, with this key."""
        attempt = 0
        if job.key is not None:
            rows = await self.ledger.off_loop(self.ledger.history, job.key)
            if news := [(row, False) for row in rows if row.attempt > job.attempt]:
                return news
            attempt = job.attempt + 1  # not by counting: who begins it at the same time shares it
        if job.sent:
            logger.warning(
                "%d of %d circuits of job %s failed; they are sent again.",
                len(missing), len(job.histograms), job.job_ids[-1],
            )  # fmt: skip
        part = None if len(missing) == len(job.histograms) else missing
        intent = intent_for(
            job.request, job.sha256, self.api.transport.endpoint.base_url,
            key=job.key, attempt=attempt, part=part, estimated_usd=job.estimated_usd,
        )  # fmt: skip
        return await self.ledger.off_loop(self.ledger.begin, [intent])

    async def _row(self, job: Job, row: Submission, own: bool) -> Harvest | None:
        """What one row of the ledger gives; ``None`` if it has nothing and never will."""
        if row.state not in OPEN_STATES:
            return self._stored(job, row)
        if not own and not self._is_ours(row):
            reason = f"its service, {row.service}, is gone"
            return self._stored(job, await self.submitter.give_up(row, reason))
        part = row.part if row.part is not None else tuple(range(len(job.request.circuits)))
        body = self._body(job, row)
        job.row_ids.append(row.id)
        self._tell(job, None, "submitting", None)
        call = self.submitter.submit if own else self.submitter.adopt
        made = await call(row, body, job.traffic)
        if made is None:  # somebody else brought it to an end meanwhile
            ended = self._stored(job, await self.ledger.off_loop(self.ledger.get, row.id))
            if own and ended is None:
                raise taken(row)
            return ended
        job_id, repeated = made
        job.posted += own
        job.job_ids.append(job_id)
        if job.submit_s is None:
            job.submit_s = self._elapsed()
        logger.info(
            "Job %s: %d circuits, %d shots on %s.", job_id, len(part), job.request.shots,
            job.request.backend,
        )  # fmt: skip
        watch = self.submitter.watch(row, job_id, job.traffic) if repeated else None
        watching = None if watch is None else asyncio.create_task(watch)
        try:
            state = await self._wait(job, job_id, len(part))
        finally:
            if watching is not None:
                watching.cancel()
        if state.status in ("canceled", "deleted"):
            await self.ledger.off_loop(self.ledger.canceled, row.id, f"the job is {state.status}")
            if state.status == "canceled":
                bill = await book(self.api, self.ledger, row, job_id, job.traffic)
                job.cost_usd = _plus(job.cost_usd, bill)
            if not own and state.status == "deleted" and job.request.backend == "simulator":
                return None  # a simulator that forgot its jobs; nothing was paid
            raise JobCanceled(
                f"Job {job_id} is {state.status}; its circuits have no results.", job_ids=[job_id]
            )
        got = await self._collect(job, row, state, len(part))
        if job.request.dry_run:
            cost = await read_cost(self.api, job_id, job.traffic)
            job.cost_usd = _plus(job.cost_usd, cost.estimated_usd)
        else:
            bill = await book(self.api, self.ledger, row, job_id, job.traffic)
            job.cost_usd = _plus(job.cost_usd, bill)
        if repeated:
            await self.submitter.sweep(row, job_id, job.traffic)
        return got

    def _stored(self, job: Job, row: Submission) -> Harvest | None:
        if row.results is None:
            return None
        histograms = unpack(row.results)
        expected = len(job.request.circuits) if row.part is None else len(row.part)
        if len(histograms) != expected:
            raise LedgerError(
                f"Submission {row.id} of {self.ledger!r} has {len(histograms)} results for "
                f"{expected} circuits."
            )
        job.row_ids.append(row.id)
        if row.job_id is not None:
            job.job_ids.append(row.job_id)
        job.cost_usd = _plus(job.cost_usd, row.billed_usd)
        return Harvest(histograms)

    def _is_ours(self, row: Submission) -> bool:
        """Whether the row's job is at the service this client talks to.

        Raises:
            LedgerError: it is at another one that may still have it.
        """
        here = self.api.transport.endpoint
        if row.service == here.base_url:
            return True
        # A service on this machine lives on whatever port it got: the old one has ended. Or it
        # is a tunnel to one that lives, with another port than before: only what is free may
        # be sent again.
        if here.is_loopback and Endpoint(row.service).is_loopback and row.backend in FREE:
            return False
        raise LedgerError(
            f"{row.key} has an unfinished job at {urlsplit(row.service).netloc}; this client "
            f"talks to {urlsplit(here.base_url).netloc}. Use the same service, or a new run name."
        )

    def _body(self, job: Job, row: Submission) -> bytes:
        body, job.body = job.body, None  # held for the first row only, and not longer
        if body is not None:
            return body
        request = job.request if row.part is None else job.request.part(row.part)
        return request.body(row.token)

    async def _wait(self, job: Job, job_id: str, circuits: int) -> JobState:
        since = self.api.clock.monotonic()
        running_since: float | None = None

        def report(state: JobState) -> None:
            nonlocal running_since
            if state.status == "started" and running_since is None:
                running_since = self.api.clock.monotonic()
            wait_ms = state.predicted_wait_ms
            self._tell(job, job_id, state.status, None if wait_ms is None else wait_ms / 1e3)

        kind = JobKind(job.request.backend, circuits, job.request.shots)
        state, polls = await self.poller.wait(
            job_id, kind, job.traffic, since=since, max_wait_s=self.max_wait_s,
            max_delay_s=self.max_delay_s, report=report,
        )  # fmt: skip
        job.polls += polls
        ended = self.api.clock.monotonic()
        queue_s = (running_since or since) - since
        run_s = ended - since - queue_s
        begun, started, completed = state.submitted_at, state.started_at, state.completed_at
        if begun is not None and started is not None and completed is not None:
            queue_s, run_s = max(started - begun, 0.0), max(completed - started, 0.0)
        job.queue_s += queue_s
        job.run_s += run_s
        return state

    async def _collect(self, job: Job, row: Submission, state: JobState, circuits: int) -> Harvest:
        if job.request.dry_run and state.status == "completed":
            await self.ledger.off_loop(self.ledger.done, row.id, pack([]))
            return Harvest([])
        got = await harvest(
            self.api, state, job.traffic, circuits=circuits, qubits=job.request.qubits,
            aggregation=job.request.aggregation,
            ordered=not job.request.backend.startswith("qpu"),
        )  # fmt: skip
        try:
            await self._store(row, got)
        except LedgerError:
            self._take(job, row, got)  # they are paid: the error brings what came
            raise
        return got

    async def _store(self, row: Submission, got: Harvest) -> None:
        if got.failures:
            first = next(iter(got.failures.values()))
            arrived = pack(got.histograms) if any(got.histograms) else None
            await self.ledger.off_loop(
                self.ledger.failed, row.id, f"{first.code}: {first.message}", arrived
            )
        else:
            await self.ledger.off_loop(self.ledger.done, row.id, pack(got.histograms))

    def _take(self, job: Job, row: Submission, got: Harvest) -> None:
        part = row.part if row.part is not None else tuple(range(len(job.histograms)))
        for position, index in enumerate(part):
            histogram = got.histograms[position]
            if histogram is not None:
                job.histograms[index] = histogram
                job.failures.pop(index, None)
            elif position in got.failures:
                job.failures[index] = got.failures[position]

    def _failed(self, job: Job, missing: tuple[int, ...]) -> JobFailed:
        first = job.failures[min(job.failures)]
        job.total_s = self._elapsed()
        many = len(job.histograms)
        which = f"{len(missing)} of its {many} circuits" if many > 1 else "its circuit"
        return JobFailed(
            f"Job {first.job_id} failed for {which}: {first.code}: {first.message}",
            job_ids=job.job_ids, code=first.code, failure=first.message, circuits=missing,
            failures=dict(job.failures), partial=job.result(),
        )  # fmt: skip

    def _tell(self, job: Job, job_id: str | None, state: str, wait_s: float | None) -> None:
        job.state = state
        circuits = len(job.request.circuits)
        self._report(Progress(job.index, job_id, state, self._elapsed(), wait_s, circuits))

    def _elapsed(self) -> float:
        return self.api.clock.monotonic() - self._called_at


def intent_for(request: JobRequest, sha256: str, service: str, **more: Any) -> Intent:
    """The ledger's intent for a request."""
    part = more.get("part")
    return Intent(
        service=service, backend=request.backend, shots=request.shots,
        circuits=len(request.circuits) if part is None else len(part), qubits=request.qubits,
        payload_sha256=sha256, aggregation=request.aggregation,
        lease_s=post_timeout_s(sum(map(len, request.circuits))) + 60.0, **more,
    )  # fmt: skip


def _plus(a: float | None, b: float | None) -> float | None:
    return b if a is None else a if b is None else a + b
