"""Single shots of jobs that ran, for measurements that depend on their order."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pennylane_qstore.errors import QStoreError
from pennylane_qstore.execution.outcomes import Shots, agree

if TYPE_CHECKING:
    from pennylane_qstore.execution.batch import Batch
    from pennylane_qstore.execution.stats import BatchMeter
    from pennylane_qstore.ionq.client import IonQClient
    from pennylane_qstore.ionq.messages.histograms import Histogram

logger = logging.getLogger(__name__)


def read_ordered(
    batch: Batch,
    jobs: Sequence[Any],
    histograms: Sequence[Histogram],
    client: IonQClient,
    meter: BatchMeter,
) -> dict[int, Shots]:
    """Read the shots of a batch in the order taken, for those of its circuits that need it.

    One more request per circuit. Where the service has no single shots, or others than those
    that the histogram was made of, the circuit is left out.

    Args:
        batch: the batch.
        jobs: results, one per request.
        histograms: by position.
        client: the client that ran the jobs.
        meter: counts the requests.

    Returns:
        Outcomes of each circuit, shape (shots,), by position.
    """
    wanted = batch.ordered_positions
    if not wanted:
        return {}
    from pennylane_qstore.ionq.shots import read_shots

    ordered: dict[int, Shots] = {}
    before = client.get_stats()["requests"]
    for chunk, request, job in zip(batch.chunks, batch.requests, jobs, strict=True):
        which = [k for k, position in enumerate(chunk) if position in wanted]
        ids = job.job_ids or (job.job_id,)
        if not which or len(ids) > 1:  # in parts: which circuit was in which job is not known here
            continue
        first, circuits = job.place or (0, len(request.circuits))
        there = [first + k for k in which]
        try:
            taken = read_shots(client, ids[0], there, circuits=circuits, qubits=request.qubits)
        except QStoreError as error:  # the histograms are here already: results are not lost
            logger.warning(
                "The single shots of job %s could not be read, its samples come in random order: "
                "%s", ids[0], error,
            )  # fmt: skip
            continue
        for k, shots in zip(which, taken, strict=True):
            if shots is not None and agree(shots, histograms[chunk[k]], request.shots):
                ordered[chunk[k]] = shots
    meter.requests += int(client.get_stats()["requests"] - before)
    return ordered
