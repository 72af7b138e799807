"""One job, from what is known of it to its stored results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pennylane_qstore.errors import InvalidResponse, JobCanceled, LedgerError
from pennylane_qstore.ionq.http.transport import Traffic
from pennylane_qstore.ionq.jobs.cost import book
from pennylane_qstore.ionq.jobs.poller import JobKind, Poller
from pennylane_qstore.ionq.jobs.results import (
    CircuitFailure,
    Harvest,
    failure_of,
    harvest,
    pack,
    unpack,
)
from pennylane_qstore.ionq.jobs.submitter import Submitter
from pennylane_qstore.ionq.ledger.ledger import OPEN_STATES, State, Submission
from pennylane_qstore.ionq.messages.responses import Histogram, JobState
from pennylane_qstore.ionq.progress import Progress


@dataclass(frozen=True, slots=True)
class JobEnd:
    """Results of a job that ended, by circuit.

    Attributes:
        qubits: of each circuit.
        histograms: in the order of the circuits, ``None`` where there is none.
        failures: the reason, by circuit, where there is none.
        run_s: run time at the service, in seconds, where it tells.
    """

    qubits: int
    histograms: list[Histogram | None]
    failures: dict[int, CircuitFailure]
    run_s: float | None = None


async def finish_foreign(
    submitter: Submitter,
    poller: Poller,
    job_id: str,
    traffic: Traffic,
    max_wait_s: float | None,
    max_delay_s: float | None,
) -> JobEnd:
    """Bring a job that is not in the ledger to its end. Runs on the loop.

    Raises:
        LedgerError: the service does not know it either.
        JobCanceled, JobTimeout, ServiceError, InvalidResponse: see there.
    """
    api, ledger = submitter.api, submitter.ledger
    state = await api.job(job_id, traffic)
    if state.status == "deleted":
        raise LedgerError(
            f"Job {job_id} is not in {ledger!r}, and the service does not know it.",
            job_ids=[job_id],
        )
    if not state.is_terminal:
        state, _ = await poller.wait(
            job_id, JobKind(state.backend or "", 0, 0), traffic, since=api.clock.monotonic(),
            max_wait_s=max_wait_s, max_delay_s=max_delay_s, report=ignore,
        )  # fmt: skip
    if state.status in ("canceled", "deleted"):
        raise JobCanceled(f"Job {job_id} is {state.status}.", job_ids=[job_id])
    if state.qubits is None:
        raise InvalidResponse(
            f"Job {job_id} is not in {ledger!r}, and the service does not tell how many qubits "
            "it has.",
            job_ids=[job_id],
        )
    got = await harvest(
        api, state, traffic, circuits=max(1, len(state.child_ids)), qubits=state.qubits,
        ordered=state.backend == "simulator",
    )  # fmt: skip
    return JobEnd(state.qubits, got.histograms, got.failures, _run_s(state))


async def finish(
    submitter: Submitter,
    poller: Poller,
    row: Submission,
    traffic: Traffic,
    max_wait_s: float | None,
    report: Callable[[Progress], None],
    index: int,
    *,
    max_delay_s: float | None = None,
) -> JobEnd:
    """Bring a submission to its end and store what came. Runs on the loop.

    Raises:
        JobCanceled, JobTimeout, AmbiguousSubmission, ServiceError, InvalidResponse: see there.
    """
    api, ledger = submitter.api, submitter.ledger
    if row.state not in OPEN_STATES:
        return _stored(row)
    adopted = await submitter.adopt(row, None, traffic)
    if adopted is None:
        return _stored(await ledger.off_loop(ledger.get, row.id))
    job_id, _ = adopted
    started = api.clock.monotonic()

    def tell(state: JobState) -> None:
        wait_ms = state.predicted_wait_ms
        wait_s = None if wait_ms is None else wait_ms / 1e3
        elapsed_s = api.clock.monotonic() - started
        report(Progress(index, job_id, state.status, elapsed_s, wait_s, row.circuits))

    state, _ = await poller.wait(
        job_id, JobKind(row.backend, row.circuits, row.shots), traffic, since=started,
        max_wait_s=max_wait_s, max_delay_s=max_delay_s, report=tell,
    )  # fmt: skip
    if state.status in ("canceled", "deleted"):
        await ledger.off_loop(ledger.canceled, row.id, f"the job is {state.status}")
        if state.status == "canceled":
            await book(api, ledger, row, job_id, traffic)
        raise JobCanceled(f"Job {job_id} is {state.status}.", job_ids=[job_id])
    if state.dry_run and state.status == "completed":
        await ledger.off_loop(ledger.done, row.id, pack([]))
        return JobEnd(row.qubits, [], {})
    got = await harvest(
        api, state, traffic, circuits=row.circuits, qubits=row.qubits,
        aggregation=row.aggregation, ordered=not row.backend.startswith("qpu"),
    )  # fmt: skip
    await _store(submitter, row, got, state)
    await book(api, ledger, row, job_id, traffic)
    return JobEnd(row.qubits, got.histograms, got.failures, _run_s(state))


async def _store(submitter: Submitter, row: Submission, got: Harvest, state: JobState) -> None:
    ledger = submitter.ledger
    if not got.failures:
        await ledger.off_loop(ledger.done, row.id, pack(got.histograms))
        return
    first = next(iter(got.failures.values()), failure_of(state))
    arrived = pack(got.histograms) if any(got.histograms) else None
    await ledger.off_loop(ledger.failed, row.id, f"{first.code}: {first.message}", arrived)


def _stored(row: Submission) -> JobEnd:
    if row.results is None and row.state in (State.CANCELED, State.DUPLICATE):
        raise JobCanceled(f"Job {row.job_id} was cancelled.", job_ids=[row.job_id or ""])
    histograms: list[Histogram | None] = [None] * row.circuits
    if row.results is not None:
        histograms = unpack(row.results)
    why = CircuitFailure(row.state.value, row.failure or "no result", row.job_id or "")
    failures = {i: why for i, histogram in enumerate(histograms) if histogram is None}
    return JobEnd(row.qubits, histograms, failures)


def _run_s(state: JobState) -> float | None:
    begun, ended = state.started_at, state.completed_at
    return ended - begun if begun is not None and ended is not None else None


def ignore(_news: object) -> None:
    """Report to nobody."""
