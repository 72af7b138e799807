"""One call, many requests: intents at its beginning, results or one error at its end."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Sequence
from typing import NoReturn

from pennylane_qstore.errors import AmbiguousSubmission, ConfigurationError, JobTimeout, QStoreError
from pennylane_qstore.ionq.jobs.request_runner import JobResult, PendingRequest, run_request
from pennylane_qstore.ionq.jobs.results import JobRecord
from pennylane_qstore.ionq.jobs.runner import JobRunner
from pennylane_qstore.ionq.ledger.database import default_path
from pennylane_qstore.ionq.ledger.ledger import Account, JobKey, Ledger, State, key_conflict
from pennylane_qstore.ionq.ledger.rows import Share
from pennylane_qstore.ionq.messages.job_request import JobRequest
from pennylane_qstore.validation import check_number

Keys = Sequence[JobKey | tuple[str, int, int] | None]


def begin_requests(
    ledger: Ledger,
    service: str,
    requests: Sequence[JobRequest],
    keys: Keys | None = None,
    estimates: Sequence[float | None] | None = None,
    accounts: Sequence[Account] = (),
    shares: Sequence[Sequence[Share]] = (),
    *,
    wait: bool = True,
) -> list[PendingRequest]:
    """Write the intents of all requests down, in one transaction; look up those with a key.

    Their prices are reserved in the same transaction. Runs in the calling thread, so that the
    loop does not wait for the disk.

    Args:
        ledger: where the intents go.
        service: base URL.
        requests: the requests of a call.
        keys: for each request ``(run, step, chunk)`` or ``None``.
        estimates: expected price of each request in US dollars, or ``None``.
        accounts: what the prices are charged to.
        shares: for each request the parts of the runs that share it; none for all, by default.
        wait: whether their results are waited for.

    Returns:
        One pending request for each, with the rows that the ledger has for it.

    Raises:
        BudgetExceeded: a budget does not hold the prices. Nothing was written down.
        ConfigurationError: keys or estimates do not fit, a body is too large, or a budget cannot
            be kept.
        LedgerError: a key was used with another payload.
    """
    checked, prices = _fitted(len(requests), keys, estimates)
    pending = [
        PendingRequest(
            request, request.payload_sha256, key, 0.0 if request.dry_run else price,
            JobRecord(i, len(request.circuits), request.dry_run), tuple(accounts),
            shares=tuple(parts), wait=wait,
        )
        for i, (request, key, price, parts) in enumerate(
            zip(requests, checked, prices, shares or [()] * len(requests), strict=True)
        )
    ]  # fmt: skip
    for entry in pending:
        entry.request.check_size()
        if entry.key is not None:
            for row in ledger.history(entry.key):
                if row.payload_sha256 != entry.sha256:
                    raise key_conflict(entry.key)
                entry.rows.append((row, False))
    fresh = [entry for entry in pending if not entry.rows]
    rows = ledger.begin([entry.intent(service) for entry in fresh]) if fresh else []
    for entry, (row, own) in zip(fresh, rows, strict=True):
        entry.rows.append((row, own))
        if own:
            entry.body = entry.request.body(row.token)
    return pending


async def run_requests(
    jobs: JobRunner, pending: list[PendingRequest]
) -> list[JobResult | BaseException]:
    """Run all requests at the same time, each to its end. On the loop.

    Args:
        jobs: brings each job to its end.
        pending: from :func:`begin_requests`.

    Returns:
        A result or an error for each.
    """
    tasks = [asyncio.create_task(run_request(jobs, entry)) for entry in pending]
    try:
        return await asyncio.gather(*tasks, return_exceptions=True)
    except asyncio.CancelledError:
        # Whoever has a POST on its way finishes it; the others stop at once.
        await asyncio.gather(*tasks, return_exceptions=True)
        unsent = [row for e in pending if not e.started for row, own in e.rows if own]
        for row in unsent:
            reason = "interrupted before it was sent"
            await jobs.ledger.off_loop(jobs.ledger.rejected, row.id, reason)
        raise


def collect_results(
    pending: list[PendingRequest], ends: list[JobResult | BaseException], ledger: Ledger
) -> list[JobResult]:
    """Return the results, or raise one error that carries everything that did arrive.

    Args:
        pending: the requests of a call.
        ends: a result or an error for each.
        ledger: for the hint how to go on.

    Returns:
        One result per request.

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
            errors[index] = _unexpected(pending[index], end)
        elif isinstance(end, BaseException):
            raise end
        results.append(end if isinstance(end, JobResult) else None)
    if errors:
        _raise_one(pending, results, errors, ledger)
    return [result for result in results if result is not None]


def interrupt_message(pending: list[PendingRequest], ledger: Ledger, at_once: bool) -> str:
    """Return the message for KeyboardInterrupt.

    Args:
        pending: the requests of a call.
        ledger: where their jobs are.
        at_once: whether a POST on its way was not waited for.

    Returns:
        Sentences that name the jobs in flight and the commands that go on with them.
    """
    rows = [ledger.get(entry.record.row_ids[-1]) for entry in pending if entry.record.row_ids]
    in_flight = [row.job_id for row in rows if row.state is State.SUBMITTED and row.job_id]
    parts = ["Interrupted."]
    where = ledger_option(ledger)
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
        again = "The same command again or " if all(entry.key for entry in pending) else ""
        parts.append(
            f"In flight: {', '.join(in_flight)}. {again}`qstore resume{where}` gets the results, "
            f"`qstore jobs cancel {in_flight[0]}{where}` cancels."
        )
    return " ".join(parts)


def ledger_option(ledger: Ledger) -> str:
    """Return the option that a command needs to find this ledger."""
    if ledger.path is None or ledger.path == default_path():
        return ""
    return f" --ledger {shlex.quote(str(ledger.path))}"


def _unexpected(entry: PendingRequest, error: Exception) -> QStoreError:
    """Wrap a fault of ours, or of a disk: the results of other jobs must not go down with it."""
    wrapped = QStoreError(
        f"Request {entry.record.index} ended with an unexpected {type(error).__name__}: {error}",
        job_ids=entry.record.job_ids,
    )
    wrapped.__cause__ = error
    return wrapped


def _raise_one(
    pending: list[PendingRequest],
    results: list[JobResult | None],
    errors: dict[int, QStoreError],
    ledger: Ledger,
) -> NoReturn:
    # Money first: that a job may exist unseen must not hide behind another failure.
    index = min(errors, key=lambda i: (not isinstance(errors[i], AmbiguousSubmission), i))
    first = errors[index]
    for number, error in errors.items():
        entry = pending[number]
        some_arrived = any(h is not None for h in entry.histograms)
        results[number] = error.details.get("partial") or (entry.result() if some_arrived else None)
    many = f" ({len(errors)} of {len(pending)} jobs failed.)" if len(pending) > 1 else ""
    way = "The client's resume()"
    if ledger.path is not None:
        way = f"`qstore resume{ledger_option(ledger)}`"
    hint = f" {way} fetches it later." if isinstance(first, JobTimeout) else ""
    ids = [job_id for entry in pending for job_id in entry.record.job_ids]
    # Where the ledger could not write an id down, only the error knows it.
    ids += [job_id for error in errors.values() for job_id in error.job_ids if job_id not in ids]
    details = {name: value for name, value in first.details.items() if name != "partial"}
    details.update(
        results=results, failed=sorted(errors), errors=[errors.get(i) for i in range(len(pending))]
    )
    raise type(first)(f"{first}{many}{hint}", job_ids=ids, **details) from first.__cause__


def _fitted(
    count: int, keys: Keys | None, estimates: Sequence[float | None] | None
) -> tuple[list[JobKey | None], list[float | None]]:
    """Return a key and an estimate for each request."""
    checked = [None if key is None else _checked_key(key) for key in keys or [None] * count]
    prices = [
        check_number("estimates", price, least=0, unit="US dollars", optional=True)
        for price in estimates or [None] * count
    ]
    if len(checked) != count or len(prices) != count:
        raise ConfigurationError(
            f"{count} requests take {count} keys and estimates; "
            f"got {len(checked)} and {len(prices)}."
        )
    given = [key for key in checked if key is not None]
    if len(set(given)) != len(given):
        raise ConfigurationError("Two requests of one call have the same key.")
    return checked, prices


def _checked_key(key: JobKey | tuple[str, int, int]) -> JobKey:
    run, step, chunk = key
    if not isinstance(run, str) or not run:
        raise ConfigurationError(f"A key is (run name, step, chunk); got {tuple(key)!r}.")
    return JobKey(run, int(step), int(chunk))
