"""Batches, as PennyLane's tracker counts them."""

from __future__ import annotations

from collections.abc import Sequence

from pennylane import Tracker
from pennylane.tape import QuantumScript

from pennylane_qstore.execution.stats import BatchRecord


def track(tracker: Tracker, tapes: Sequence[QuantumScript], record: BatchRecord) -> None:
    """Tell PennyLane's tracker about a batch.

    Args:
        tracker: of the device.
        tapes: of the batch.
        record: of the batch.
    """
    shots = sum(
        (tape.shots.total_shots or 0) * n
        for tape, n in zip(tapes, record.circuits_by_tape, strict=True)
    )
    *others, job_id = record.job_ids or (None,)
    for other in others:
        tracker.update(job_id=other)
    tracker.update(  # the last, so that ``latest`` has all of it
        batches=1,
        executions=sum(record.circuits_by_tape),
        shots=shots,
        job_ids=list(record.job_ids),
        job_id=job_id,
        **record.increments(),
    )
    tracker.record()
