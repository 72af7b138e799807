"""A batch of which something failed: which tape is to blame, and what arrived all the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pennylane_qstore.errors import QStoreError


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


def by_position(chunks: Sequence[Sequence[int]], jobs: Sequence[Any], circuits: int) -> list[Any]:
    """Return the histogram of each circuit, None where there is none.

    Args:
        chunks: for each job the positions of its circuits.
        jobs: results, or None.
        circuits: number of circuits.

    Returns:
        The histograms by position.
    """
    histograms: list[Any] = [None] * circuits
    for chunk, job in zip(chunks, jobs, strict=True):
        for position, histogram in zip(chunk, job.histograms if job else (), strict=bool(job)):
            histograms[position] = histogram
    return histograms
