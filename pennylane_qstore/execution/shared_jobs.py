"""Jobs of several runs that are about to be sent: few jobs, in which each run has its share.

Circuits, random numbers, keys in the ledger and budgets stay those of each run, so that it gets
what it would get alone. Jobs with seeds of their own for their noise stay jobs of their own.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pennylane_qstore.deferral.turns import waiting
from pennylane_qstore.errors import QStoreError
from pennylane_qstore.execution.budget import agreed_prices
from pennylane_qstore.execution.job_call import JobCall
from pennylane_qstore.execution.partial_results import ends_of, is_refused
from pennylane_qstore.execution.shared_parts import (
    Part,
    joined_request,
    key_of,
    packed,
    ranges,
    shares_of,
)
from pennylane_qstore.ionq.ledger.budgets import budget_error
from pennylane_qstore.ionq.ledger.rows import Account, Share, is_paid
from pennylane_qstore.ionq.progress import progress_of
from pennylane_qstore.prices import exceeds

if TYPE_CHECKING:
    from pennylane_qstore.execution.sender import Sender
    from pennylane_qstore.ionq.client import IonQClient
    from pennylane_qstore.ionq.jobs.request_runner import JobResult
    from pennylane_qstore.ionq.messages.job_request import JobRequest
    from pennylane_qstore.ionq.progress import Progress
    from pennylane_qstore.prices import JobSize

_REFUSALS = (400, 404, 405, 413, 415, 422)
"""Statuses that a service may refuse a job with since it is one of many circuits."""


class SharedJobs:
    """Sends jobs of several runs together.

    Args:
        account: that all of them are charged to, beside those of each run.
        begin: called before jobs are sent.
        saw: called with each change of a job's state.

    Attributes:
        sizes: of the jobs sent.
    """

    def __init__(
        self,
        account: Account | None = None,
        begin: Callable[[], None] | None = None,
        saw: Callable[[Progress], None] | None = None,
    ) -> None:
        self._begin, self._saw = begin or (lambda: None), saw or (lambda _: None)
        self.sizes: list[JobSize] = []
        self._accounts = () if account is None else (account,)
        self._refusing: set[Hashable] = set()

    def send(self, calls: Sequence[JobCall]) -> None:
        """Send the jobs of calls, those that differ in their circuits alone as one.

        Those that the ledger knows come first, by themselves: runs of which one was killed before
        the others had a step written down are side by side again after that.

        Args:
            calls: of different runs; each that is finished has its results or errors.
        """
        found = {call: [Part.of(call, i) for i in range(len(call.requests))] for call in calls}
        known = [call for call in calls if all(part.is_known for part in found[call])]
        by_service: dict[Hashable, list[Part]] = {}
        for call in known or calls:
            by_service.setdefault(_service_of(call.sender), []).extend(found[call])
        for service, parts in by_service.items():
            self._send_to(service, parts)
        for call in known or calls:
            call.finished = True

    def _send_to(self, service: Hashable, parts: list[Part]) -> None:
        """Send jobs to one service; those that their runs cannot pay are left out."""
        self._begin()
        client = parts[0].sender.client
        while parts:
            jobs = packed(parts, joins=service not in self._refusing)
            requests = [joined_request(job) for job in jobs]
            try:
                prices = [self._price(*pair, client) for pair in zip(jobs, requests, strict=True)]
            except QStoreError as error:
                _fail(parts, error)
                return
            shares = [shares_of(job, self._accounts) for job in jobs]
            poor = _unaffordable(jobs, prices, shares)
            if not poor:
                again = self._run(client, jobs, requests, prices, shares)
                if again:  # a service that takes one circuit a job, perhaps
                    self._refusing.add(service)
                    self._send_to(service, [Part.of(part.call, part.index) for part in again])
                return
            for call, too_much in poor.items():
                _fail([part for part in parts if part.call is call], too_much)
            parts = [part for part in parts if part.call not in poor]

    def _price(self, job: Sequence[Part], request: JobRequest, client: IonQClient) -> float | None:
        """Return the service's estimate of a job that is not paid yet; None where it gives none."""
        if not is_paid(request.backend):
            return 0.0
        if job[0].is_known:
            return None
        accounts = (*self._accounts, *(a for part in job for a in part.sender.accounts))
        budgets = (*(account.budget_usd for account in accounts), client.ledger.budget_usd)
        must_know = any(usd is not None for usd in budgets)
        options = job[0].sender.options
        return agreed_prices(client, [request], options, None, None, must_know=must_know)[0]

    def _run(
        self,
        client: IonQClient,
        jobs: Sequence[list[Part]],
        requests: Sequence[JobRequest],
        prices: Sequence[float | None],
        shares: Sequence[list[Share]],
    ) -> list[Part]:
        """Send jobs; return the parts of those that were refused, and are to be sent alone."""
        with ExitStack() as stack:
            senders = dict.fromkeys(part.sender for job in jobs for part in job)
            told = {s: stack.enter_context(progress_of(s.scope.progress)) for s in senders}
            stack.enter_context(waiting(keep=True))
            try:
                results: list[Any] = client.run(
                    requests,
                    max_wait=jobs[0][0].sender.max_wait_s,
                    progress=self._forward(jobs, told),
                    keys=[key_of(job) for job in jobs],
                    estimates=prices,
                    shares=shares,
                )
                errors: list[QStoreError | None] = [None] * len(jobs)
            except QStoreError as error:
                results, errors = ends_of(error, len(jobs))
        again: list[Part] = []
        for job, request, result, failure in zip(jobs, requests, results, errors, strict=True):
            refused = is_refused(failure) and failure.details.get("status") in _REFUSALS
            if len(job) > 1 and refused:
                again += job
                continue
            if result is not None and not result.adopted:
                self.sizes.append(request.size)
            _divide(job, result, failure)
        return again

    def _forward(
        self, jobs: Sequence[Sequence[Part]], told: Mapping[Any, Any]
    ) -> Callable[[Progress], None]:
        """Return a callback that tells each run of a job of the state of its own part."""

        def forward(progress: Progress) -> None:
            self._saw(progress)
            for part in jobs[progress.request]:
                if listener := told[part.sender]:
                    circuits = len(part.request.circuits)
                    listener(progress._replace(request=part.index, circuits=circuits))

        return forward


def _service_of(sender: Sender) -> Hashable:
    """Return a key of all that devices must have in common to send each other's jobs."""
    client, ledger = sender.client, sender.client.ledger
    books: Hashable = ledger.path or (id(ledger) if sender.is_paid else None)
    return client.service_key, books, client.on_ambiguous, sender.max_wait_s


def _unaffordable(
    jobs: Sequence[Sequence[Part]],
    prices: Sequence[float | None],
    shares: Sequence[Sequence[Share]],
) -> dict[JobCall, QStoreError]:
    """Return the calls that a budget of their run does not hold; note what each part costs."""
    asked: dict[JobCall, list[float]] = {}
    for job, usd, of_job in zip(jobs, prices, shares, strict=True):
        for part, share in zip(job, of_job, strict=True):
            part.call.estimates[part.index] = None if usd is None else usd * share.fraction
            asked.setdefault(part.call, []).append((usd or 0.0) * share.fraction)
    poor: dict[JobCall, QStoreError] = {}
    for call, estimates in asked.items():
        for budget_usd, left_usd in call.sender.rests():
            if exceeds(sum(estimates), left_usd):
                poor[call] = budget_error(len(estimates), sum(estimates), left_usd, budget_usd)
    return poor


def _fail(parts: Sequence[Part], error: QStoreError) -> None:
    for part in parts:
        part.call.errors[part.index] = error


def _divide(job: Sequence[Part], result: JobResult | None, error: QStoreError | None) -> None:
    """Give each part its circuits' results, and its share of the bill."""
    if len(job) == 1:
        part = job[0]
        part.call.results[part.index], part.call.errors[part.index] = result, error
        return
    for i, (part, start, stop) in enumerate(ranges(job)):
        own = None if result is None else _share_of(result, i, start, stop)
        if error is not None and (own is None or None in own.histograms):
            part.call.errors[part.index] = _error_of(error, own, start, stop)
            own = own if own is not None and any(h is not None for h in own.histograms) else None
        part.call.results[part.index] = own


def _share_of(result: JobResult, number: int, start: int, stop: int) -> JobResult:
    """Return a part's results; HTTP requests are counted for the first part alone."""
    histograms = result.histograms[start:stop]
    complete = all(histogram is not None for histogram in histograms)
    return replace(
        result,
        histograms=histograms,
        cost_usd=result.shared_usd[number],
        polls=0 if number else result.polls,
        requests=0 if number else result.requests,
        status="completed" if complete else "partial",
        shared_usd=(),
        place=(start, len(result.histograms)),
    )


def _error_of(error: QStoreError, own: JobResult | None, start: int, stop: int) -> QStoreError:
    """Return the error of a job as it concerns the circuits of one part."""
    mine = copy.copy(error)
    mine.details = {**error.details, "partial": own}
    if "circuits" in error.details:
        here = [index for index in error.details["circuits"] if start <= index < stop]
        failures = error.details.get("failures", {})
        mine.details["circuits"] = tuple(index - start for index in here)
        mine.details["failures"] = {i - start: failures[i] for i in here if i in failures}
    return mine
