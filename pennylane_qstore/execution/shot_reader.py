"""Single shots of jobs that ran, for measurements that depend on their order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pennylane_qstore.errors import QStoreError
from pennylane_qstore.execution.outcomes import Shots

if TYPE_CHECKING:
    from pennylane_qstore.ionq.client import IonQClient
    from pennylane_qstore.ionq.messages.job_request import JobRequest

logger = logging.getLogger(__name__)


class ShotReader:
    """Reads shots in the order taken, one more request per circuit that is asked for.

    The histograms are here already: whatever is wrong with the shots, results are not lost,
    their samples come in random order then.

    Args:
        client: gives the client that ran the jobs.
    """

    def __init__(self, client: Callable[[], IonQClient]) -> None:
        self._client = client

    def __call__(
        self, job: Any, request: JobRequest, wanted: Sequence[int]
    ) -> tuple[Sequence[Shots | None], int]:
        """Shots of some circuits of a job, and the number of requests that took."""
        from pennylane_qstore.ionq.shots import read_shots

        ids = job.job_ids or (job.job_id,)
        if len(ids) > 1:  # sent in parts: which circuit was in which job is not known here
            return [None] * len(wanted), 0
        client = self._client()
        before = client.get_stats()["requests"]
        try:
            shots = read_shots(
                client, ids[0], wanted, circuits=len(request.circuits), qubits=request.qubits
            )
        except QStoreError as error:
            logger.warning(
                "The single shots of job %s could not be read, its samples come in random order: "
                "%s", ids[0], error,
            )  # fmt: skip
            shots = [None] * len(wanted)
        return shots, int(client.get_stats()["requests"] - before)
