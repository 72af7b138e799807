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
    from pennylane_qstore.ionq.messages.job_request import Histogram, JobRequest

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
    ordered: dict[int, Shots] = {}
    wanted = batch.ordered_positions
    for chunk, request, job in zip(batch.chunks, batch.requests, jobs, strict=True):
        which = [k for k, position in enumerate(chunk) if position in wanted]
        if not which:
            continue
        before = client.get_stats()["requests"]
        for k, shots in zip(which, _read(client, job, request, which), strict=True):
            if shots is not None and agree(shots, histograms[chunk[k]], request.shots):
                ordered[chunk[k]] = shots
        meter.requests += int(client.get_stats()["requests"] - before)
    return ordered


def _read(
    client: IonQClient, job: Any, request: JobRequest, which: Sequence[int]
) -> Sequence[Shots | None]:
    """Return the shots of some circuits of a job.

    The histograms are here already: whatever is wrong with the shots, results are not lost,
    their samples come in random order then.
    """
    from pennylane_qstore.ionq.shots import read_shots

    ids = job.job_ids or (job.job_id,)
    if len(ids) > 1:  # sent in parts: which circuit was in which job is not known here
        return [None] * len(which)
    try:
        return read_shots(
            client, ids[0], which, circuits=len(request.circuits), qubits=request.qubits
        )
    except QStoreError as error:
        logger.warning(
            "The single shots of job %s could not be read, its samples come in random order: %s",
            ids[0],
            error,
        )
        return [None] * len(which)
