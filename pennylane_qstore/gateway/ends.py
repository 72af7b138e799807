"""Ends of jobs at IonQ, and of the clients' jobs that they are made of. Pure."""

from __future__ import annotations

from pennylane_qstore.errors import QStoreError
from pennylane_qstore.gateway.jobs import GatewayJob
from pennylane_qstore.ionq.jobs.results import JobOutcome
from pennylane_qstore.ionq.ledger.ledger import State, Submission
from pennylane_qstore.server.service import Failure

_ABOUT_CONTENT = (400, 413, 422)
"""Statuses that refuse what was sent, so that parts of it may be taken."""


def failure_of(error: QStoreError) -> Failure:
    """Return IonQ's form of an error; what is wrong with the content is ``InvalidInput``."""
    status = error.details.get("status")
    code = "InvalidInput" if status in _ABOUT_CONTENT else type(error).__name__
    return Failure(code, str(error))


def is_refused(row: Submission, outcome: JobOutcome | None, failure: Failure | None) -> bool:
    """Return whether a job has nothing but failures, and perhaps because of one circuit.

    Args:
        row: of the ledger, ended.
        outcome: results and failures, if there are any.
        failure: the error that ended it, if one did.

    Returns:
        True where parts of the job may be accepted.
    """
    if row.state is State.REJECTED:
        # Told by an error, or by what an earlier gateway has stored.
        return failure is None or failure.code == "InvalidInput"
    return row.state is State.FAILED and outcome is not None and not any(outcome.histograms)


def end_of(
    job: GatewayJob, outcome: JobOutcome | None, failure: Failure | None
) -> tuple[str, Failure | None]:
    """Return the status of a job whose group has ended, and why it failed.

    Args:
        job: the job.
        outcome: of the group; ``None`` where there are no results.
        failure: of the group; ``None`` without results means that it was cancelled.

    Returns:
        IonQ's status and the failure.
    """
    if outcome is None:
        return ("canceled", None) if failure is None else ("failed", failure)
    mine = range(job.first, job.first + len(job.circuits))
    failed = next((outcome.failures[k] for k in mine if k in outcome.failures), None)
    return ("completed", None) if failed is None else ("failed", Failure(*failed[:2]))
