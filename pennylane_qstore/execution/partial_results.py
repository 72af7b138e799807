"""A batch of which something failed: which tape is to blame, and what arrived all the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeGuard

from pennylane_qstore.errors import AmbiguousSubmission, QStoreError, ServiceError

if TYPE_CHECKING:
    from pennylane_qstore.execution.stats import BatchMeter
    from pennylane_qstore.ionq.messages.job_request import JobRequest


class TapeContext:
    """Name the tape of a batch in the details of an error raised inside.

    A class, since it stands several times around every tape.

    Args:
        tape: number of the tape.
    """

    __slots__ = ("_tape",)

    def __init__(self, tape: int) -> None:
        self._tape = tape

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, QStoreError):
            error.details["refused_tape"] = self._tape


@contextmanager
def naming_circuit(tapes: Sequence[Any]) -> Iterator[None]:
    """Let the error of a batch say which of its circuits was refused, as a note.

    Args:
        tapes: of the batch.

    Yields:
        None.
    """
    try:
        yield
    except QStoreError as error:
        refused = error.details.get("refused_tape")
        if refused is not None and len(tapes) > 1:
            error.add_note(f"In circuit {refused + 1} of {len(tapes)}.")
        raise


def arrived(error: QStoreError, jobs: int) -> list[Any]:
    """Return the results that came before an error.

    Args:
        error: its details may have them.
        jobs: number of jobs sent.

    Returns:
        For each job its result as far as it goes, or None.
    """
    results = list(error.details.get("results") or ())
    return results if len(results) == jobs else [None] * jobs


def ends_of(error: QStoreError, jobs: int) -> tuple[list[Any], list[Any]]:
    """Return what became of each job of a batch that failed.

    Args:
        error: of the batch.
        jobs: their number.

    Returns:
        Results and errors, None where there is none; without details, the error is each one's.
    """
    return arrived(error, jobs), list(error.details.get("errors") or [error] * jobs)


def is_refused(error: QStoreError | None) -> TypeGuard[ServiceError]:
    """Tell whether a job was refused: one with an id exists and is paid."""
    return isinstance(error, ServiceError) and not error.job_ids


def count_failed(
    meter: BatchMeter,
    error: QStoreError,
    requests: Sequence[JobRequest],
    estimates: Sequence[float | None],
) -> None:
    """Count the cost of a batch that failed: a job that exists may be billed all the same.

    Args:
        meter: of the batch.
        error: tells what became of each job.
        requests: the jobs.
        estimates: price of each in US dollars, or None.
    """
    ends = ends_of(error, len(requests))
    for result, failure, request, estimate in zip(*ends, requests, estimates, strict=True):
        if result is not None:
            meter.count(result, request, estimate)
        elif failure.job_ids or isinstance(failure, AmbiguousSubmission):
            meter.spent_usd += estimate or 0.0
