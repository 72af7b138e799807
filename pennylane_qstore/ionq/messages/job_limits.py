"""Circuits and requests cut into jobs that the service takes. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pennylane_qstore.backends import MAX_BODY_BYTES, MAX_CIRCUITS, MAX_GATES

ENVELOPE_BYTES = 20_000
"""Room left in a body for everything but the circuits."""
CIRCUIT_BYTES = 40
"""Bytes around each circuit in a body."""


def job_slices(
    circuits: Sequence[int], gates: Sequence[int], sizes: Sequence[int], most: int | None = None
) -> list[slice]:
    """Cut items into jobs, each as large as the service's limits allow.

    Args:
        circuits: number of circuits of each item.
        gates: number of gates of each.
        sizes: bytes of the circuits of each.
        most: circuits of a job; ``None`` for as many as the service takes.

    Returns:
        The items of each job, in order; one that is too large for any is alone.
    """
    limits = (min(most or MAX_CIRCUITS, MAX_CIRCUITS), MAX_GATES, MAX_BODY_BYTES - ENVELOPE_BYTES)
    counts = np.asarray(circuits, dtype=np.int64)
    totals = np.cumsum([counts, gates, np.asarray(sizes) + CIRCUIT_BYTES * counts], axis=1)
    slices, start, before = [], 0, np.zeros(3, dtype=np.int64)
    while start < len(counts):
        room = zip(totals, before + limits, strict=True)
        stop = min(int(np.searchsorted(total, limit, side="right")) for total, limit in room)
        stop = max(stop, start + 1)
        slices.append(slice(start, stop))
        start, before = stop, totals[:, stop - 1]
    return slices
