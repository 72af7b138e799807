"""A batch of which something failed: which tape is to blame, and what arrived all the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pennylane_qstore.errors import QStoreError
from pennylane_qstore.ionq.messages.job_request import JobRequest


class About:
    """Lets an error say, in its details, for which tape of a batch nothing was sent.

    A class, since it stands several times around every tape.
    """

    __slots__ = ("_tape",)

    def __init__(self, tape: int) -> None:
        self._tape = tape

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, QStoreError):
            error.details["refused_tape"] = self._tape


def arrived(error: QStoreError, jobs: int) -> list[Any]:
    """For each of so many jobs its result as far as it goes, or None."""
    found = list(error.details.get("results") or ())
    return found if len(found) == jobs else [None] * jobs


def one_by_one(
    requests: Sequence[JobRequest], send: Callable[[Sequence[JobRequest]], Sequence[Any]]
) -> list[Any]:
    """Send jobs one after another; the first that fails is the last.

    Raises:
        QStoreError: of that job; its details have the results of those before it, too.
    """
    jobs: list[Any] = []
    for request in requests:
        try:
            jobs += send([request])
        except QStoreError as error:
            not_sent = len(requests) - len(jobs) - 1
            error.details.update(
                results=[*jobs, *arrived(error, 1), *[None] * not_sent],
                failed=[len(jobs), *range(len(jobs) + 1, len(requests))],
                errors=[*[None] * len(jobs), error, *[None] * not_sent],
            )
            raise
    return jobs


def by_position(chunks: Sequence[Sequence[int]], jobs: Sequence[Any], circuits: int) -> list[Any]:
    """Each circuit's histogram, from the results of jobs; None where there is none.

    Args:
        chunks: for each job the positions of its circuits.
        jobs: results, or None.
        circuits: how many there are.
    """
    found: list[Any] = [None] * circuits
    for chunk, job in zip(chunks, jobs, strict=True):
        for position, histogram in zip(chunk, job.histograms if job else (), strict=bool(job)):
            found[position] = histogram
    return found
