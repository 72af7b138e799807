"""Services that take less than IonQ's: one circuit per job, abstract gates.

Tried once, warned once, remembered as long as the device lives. Nothing that was accepted is
sent again.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pennylane_qstore.errors import JobFailed, QStoreError, ServiceError
from pennylane_qstore.execution.circuits import Target
from pennylane_qstore.execution.partial_results import arrived, ends_of, is_refused
from pennylane_qstore.execution.stats import BatchMeter
from pennylane_qstore.ionq.messages.job_request import JobRequest

if TYPE_CHECKING:
    from pennylane_qstore.execution.batch import Batch
    from pennylane_qstore.execution.sender import Sender
    from pennylane_qstore.ionq.jobs.request_runner import JobResult

logger = logging.getLogger(__name__)

SINGLE_CHUNKS, QIS_CHUNKS = 100_000, 1_000_000
"""First numbers of jobs in a batch, so that the ledger never takes a job of one
circuit, or one in other gates, for the job that was refused."""


class Fallback:
    """Send what a service takes.

    Args:
        sender: sends jobs.
        described: the service, for the warnings.
    """

    def __init__(self, sender: Sender, described: str) -> None:
        self._sender = sender
        self._described = described
        self.single = False
        """True once multi-circuit jobs were refused."""
        self.qis = False
        """True once native gates were refused."""

    def target(self, target: Target) -> Target:
        """Return the target with QIS gates where native ones were refused."""
        return replace(target, gateset="qis") if self.qis else target

    def send(self, batch: Batch, meter: BatchMeter, *, wait: bool = True) -> list[JobResult]:
        """Send the jobs of a batch; those refused for their many circuits, circuit by circuit.

        Args:
            batch: its jobs, one after another if the meter is sequential; divided where need be.
            meter: counts what they cost.
            wait: for their results.

        Returns:
            One result per job of the batch, as it is then divided.

        Raises:
            QStoreError: as the client raises it.
        """
        first = QIS_CHUNKS if self.qis else 0
        if self.single:
            batch.divide(range(len(batch.requests)))
            first += SINGLE_CHUNKS
        if meter.sequential and len(batch.requests) > 1:
            return self._send_in_turn(batch.requests, meter, first, wait)
        try:
            return self._sender.send(batch.requests, meter, first, wait=wait)
        except QStoreError as error:
            results, errors = ends_of(error, len(batch.requests))
            refused = [i for i, e in enumerate(errors) if e is not None]
            if not all(_refuses_multi_circuit(errors[i], batch.requests[i]) for i in refused):
                raise
        self.single = True
        self._warn("multi-circuit jobs", "each circuit travels as a job of its own")
        there = [result for i, result in enumerate(results) if i not in refused]
        batch.divide(refused)
        again = batch.requests[len(there) :]
        try:
            return there + self._sender.send(again, meter, first + SINGLE_CHUNKS, wait=wait)
        except QStoreError as error:
            error.details["results"] = [*there, *arrived(error, len(again))]
            raise

    def _send_in_turn(
        self, requests: Sequence[JobRequest], meter: BatchMeter, first: int, wait: bool
    ) -> list[JobResult]:
        """Send jobs one after another; the first that fails is the last."""
        jobs: list[JobResult] = []
        for request in requests:
            try:
                jobs += self._sender.send([request], meter, first, wait=wait)
            except QStoreError as error:
                not_sent = len(requests) - len(jobs) - 1
                error.details.update(
                    results=[*jobs, *arrived(error, 1), *[None] * not_sent],
                    failed=[len(jobs), *range(len(jobs) + 1, len(requests))],
                    errors=[*[None] * len(jobs), error, *[None] * not_sent],
                )
                raise
        return jobs

    def refuses_native(self, error: QStoreError) -> bool:
        """Tell whether native gates were refused and nothing else came of the batch.

        From then on :meth:`target` has QIS gates.
        """
        if self.qis:
            return False
        errors = [e for e in error.details.get("errors") or [error] if e is not None]
        results = [r for r in error.details.get("results") or () if r is not None]
        some_exist = any(
            r.status == "submitted" or any(h is not None for h in r.histograms) for r in results
        )
        if some_exist or not all(_refuses_native(e) for e in errors):
            return False
        self.qis = True
        self._warn("native gates", "circuits are sent in IonQ's abstract gates (QIS)")
        return True

    def _warn(self, what: str, instead: str) -> None:
        message = f"The service behind {self._described} refuses {what}: {instead}."
        logger.info("%s", message)
        warnings.warn(message, UserWarning, stacklevel=2)


def _refuses_multi_circuit(error: Any, request: JobRequest) -> bool:
    """Recognise 404 or 405 for the kind of job, or 400 that names it."""
    if not is_refused(error) or len(request.circuits) < 2:
        return False
    status, text = error.details.get("status"), _text(error)
    if status in (404, 405):
        return "session" not in text
    return status in (400, 415, 422) and ("multi-circuit" in text or '"type"' in text)


def _refuses_native(error: Any) -> bool:
    """Recognise the failure code, or 400 that names the gateset."""
    if isinstance(error, JobFailed):
        return error.details.get("code") == "UnsupportedGate"
    if not is_refused(error) or error.details.get("status") not in (400, 422):
        return False
    return "gateset" in _text(error) or "native gate" in _text(error)


def _text(error: ServiceError) -> str:
    return f"{error} {error.details.get('body', '')}".lower().replace('\\"', '"')
