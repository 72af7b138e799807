"""One call, many requests: intents at its beginning, results or one error at its end."""

from __future__ import annotations

import asyncio
import shlex
from collections import deque
from collections.abc import Sequence
from typing import NoReturn

from pennylane_qstore.errors import (
    AmbiguousSubmission,
    ConfigurationError,
    JobTimeout,
    QStoreError,
)
from pennylane_qstore.ionq.jobs.runner import Job, JobResult, JobRunner, intent_for
from pennylane_qstore.ionq.ledger.database import default_path
from pennylane_qstore.ionq.ledger.ledger import JobKey, Ledger, State, key_conflict
from pennylane_qstore.ionq.messages.job_request import JobRequest

Keys = Sequence[JobKey | tuple[str, int, int] | None]


def begin_jobs(
    ledger: Ledger,
    service: str,
    requests: Sequence[JobRequest],
    keys: Keys | None = None,
    estimates: Sequence[float | None] | None = None,
) -> list[Job]:
    """Intents of all requests, in one transaction, and what the ledger has for their keys.

    Runs in the calling thread, so that the loop does not wait for the disk.

    Raises:
        ConfigurationError: keys or estimates do not fit, or a body is too large.
        LedgerError: a key was used with another payload.
    """
    count = len(requests)
    wanted = [None if key is None else _key(key) for key in keys or [None] * count]
    prices = list(estimates or [None] * count)
    if len(wanted) != count or len(prices) != count:
        raise ConfigurationError(
            f"{count} requests take {count} keys and estimates; "
            f"got {len(wanted)} and {len(prices)}."
        )
    given = [key for key in wanted if key is not None]
    if len(set(given)) != len(given):
        raise ConfigurationError("Two requests of one call have the same key.")
    jobs = [
        Job(i, request, request.payload_sha256, key, price, deque())
        for i, (request, key, price) in enumerate(zip(requests, wanted, prices, strict=True))
    ]
    fresh = []
    for job in jobs:
        job.request.check_size()
        if job.key is not None:
            for row in ledger.history(job.key):
                if row.payload_sha256 != job.sha256:
                    raise key_conflict(job.key)
                job.rows.append((row, False))
        if not job.rows:
            fresh.append(job)
    intents = [
        intent_for(job.request, job.sha256, service, key=job.key, estimated_usd=job.estimated_usd)
        for job in fresh
    ]
    rows = ledger.begin(intents) if intents else []
    for job, (row, own) in zip(fresh, rows, strict=True):
        job.rows.append((row, own))
        if own:
            job.body = job.request.body(row.token)
    return jobs


async def run_jobs(runner: JobRunner, jobs: list[Job]) -> list[JobResult | BaseException]:
    """Run all jobs at the same time, each to its end. On the loop."""
    tasks = [asyncio.create_task(runner.run(job)) for job in jobs]
    try:
        return await asyncio.gather(*tasks, return_exceptions=True)
    except asyncio.CancelledError:
        # Whoever has a POST on its way finishes it; the others stop at once.
        await asyncio.gather(*tasks, return_exceptions=True)
        for job in jobs:
            for row, own in job.rows:
                if own and not job.started:
                    call = runner.ledger.rejected
                    reason = "interrupted before it was sent"
                    await runner.ledger.off_loop(call, row.id, reason)
        raise


def results_of(
    jobs: list[Job], ends: list[JobResult | BaseException], ledger: Ledger
) -> list[JobResult]:
    """The results, or one error that carries everything that did arrive.

    Raises:
        QStoreError: of the kind of the first failure; a plain one, with its cause, for an
            error that is none of this package's.
    """
    results: list[JobResult | None] = []
    errors: dict[int, QStoreError] = {}
    for index, end in enumerate(ends):
        if isinstance(end, QStoreError):
            errors[index] = end
        elif isinstance(end, Exception):
            errors[index] = _unexpected(jobs[index], end)
        elif isinstance(end, BaseException):
            raise end
        results.append(end if isinstance(end, JobResult) else None)
    if errors:
        _raise_one(jobs, results, errors, ledger)
    return [result for result in results if result is not None]


def farewell(jobs: list[Job], ledger: Ledger, at_once: bool) -> str:
    """What to say to whom interrupts."""
    rows = [ledger.get(job.row_ids[-1]) for job in jobs if job.row_ids]
    in_flight = [row.job_id for row in rows if row.state is State.SUBMITTED and row.job_id]
    parts = ["Interrupted."]
    where = where_is(ledger)
    if at_once and ledger.path is not None:
        parts.append(
            f"A POST may have been cut off: `qstore resume{where}` looks for its job, too."
        )
    if in_flight and ledger.path is None:
        parts.append(
            f"In flight: {', '.join(in_flight)}. The ledger is in memory: until this process "
            "ends, the client's resume() gets the results and its cancel() cancels."
        )
    elif in_flight:
        # Only a job with a key is found by the same program; without one it would be paid again.
        again = "The same command again or " if all(job.key for job in jobs) else ""
        parts.append(
            f"In flight: {', '.join(in_flight)}. {again}`qstore resume{where}` gets the results, "
            f"`qstore jobs cancel {in_flight[0]}{where}` cancels."
        )
    return " ".join(parts)


def where_is(ledger: Ledger) -> str:
    """The option that a command needs to find this ledger."""
    if ledger.path is None or ledger.path == default_path():
        return ""
    return f" --ledger {shlex.quote(str(ledger.path))}"


def _unexpected(job: Job, error: Exception) -> QStoreError:
    """A fault of ours, or of a disk: what the other jobs gave must not go down with it."""
    wrapped = QStoreError(
        f"Request {job.index} ended with an unexpected {type(error).__name__}: {error}",
        job_ids=job.job_ids,
    )
    wrapped.__cause__ = error
    return wrapped


def _came(job: Job) -> JobResult | None:
    return job.result() if any(h is not None for h in job.histograms) else None


def _raise_one(
    jobs: list[Job],
    results: list[JobResult | None],
    errors: dict[int, QStoreError],
    ledger: Ledger,
) -> NoReturn:
    # Money first: that a job may exist unseen must not hide behind another failure.
    index = min(errors, key=lambda i: (not isinstance(errors[i], AmbiguousSubmission), i))
    first = errors[index]
    for number, error in errors.items():
        results[number] = error.details.get("partial") or _came(jobs[number])
    more = f" ({len(errors)} of {len(jobs)} jobs failed.)" if len(jobs) > 1 else ""
    how = "The client's resume()" if ledger.path is None else f"`qstore resume{where_is(ledger)}`"
    hint = f" {how} fetches it later." if isinstance(first, JobTimeout) else ""
    ids = [job_id for job in jobs for job_id in job.job_ids]
    # Where the ledger could not write an id down, only the error knows it.
    ids += [job_id for error in errors.values() for job_id in error.job_ids if job_id not in ids]
    details = {name: value for name, value in first.details.items() if name != "partial"}
    details.update(
        results=results, failed=sorted(errors), errors=[errors.get(i) for i in range(len(jobs))]
    )
    raise type(first)(f"{first}{more}{hint}", job_ids=ids, **details) from first.__cause__


def _key(key: JobKey | tuple[str, int, int]) -> JobKey:
    run, step, chunk = key
    if not isinstance(run, str) or not run:
        raise ConfigurationError(f"A key is (run name, step, chunk); got {tuple(key)!r}.")
    return JobKey(run, int(step), int(chunk))
