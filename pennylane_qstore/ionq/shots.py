"""Single shots of a job that ended, in the order in which they were taken.

A service that samples (a noisy simulator, a quantum computer) keeps them; they take one request
per circuit. Histograms come with every job; shots are read only for what depends on their order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pennylane_qstore.backends import MAX_QUBITS
from pennylane_qstore.errors import InvalidResponse, ServiceError
from pennylane_qstore.ionq.base_client import BaseClient, blocking
from pennylane_qstore.ionq.http.transport import MAX_RESULT_BYTES
from pennylane_qstore.ionq.jobs.results import circuit_order
from pennylane_qstore.ionq.messages.responses import JobState, parse_json

Shots = NDArray[np.uint64]


def parse_shots(data: bytes, qubits: int) -> Shots:
    """Parse the body of a circuit's shots.

    Args:
        data: ``["2", "1", ...]``, IonQ's shots in version 1.
        qubits: outcomes must lie below ``2**qubits``.

    Returns:
        Outcomes in the order taken, uint64 (shots,); bit k of an outcome is qubit k.

    Raises:
        InvalidResponse: anything else.
    """
    values = parse_json(data, "The list of shots")
    if not isinstance(values, list) or not values:
        raise InvalidResponse(f"The shots are not a list: {str(values)[:80]!r}.")
    if not all(isinstance(v, str) and v.isascii() and v.isdecimal() and len(v) <= 20
               for v in values):  # fmt: skip
        raise InvalidResponse(f"A shot is not an outcome: {str(values)[:80]}.")
    outcomes = [int(v) for v in values]
    if max(outcomes) >> min(qubits, MAX_QUBITS):
        raise InvalidResponse(f"A shot of {qubits} qubits is outcome {max(outcomes)}.")
    return np.array(outcomes, dtype=np.uint64)


@blocking
async def read_shots(
    client: BaseClient, job_id: str, wanted: Sequence[int], *, circuits: int, qubits: int
) -> list[Shots | None]:
    """Read the shots of some circuits of a job; blocks the calling thread.

    Args:
        client: the client that ran the job.
        job_id: id of the completed job.
        wanted: indices of the circuits.
        circuits: number of circuits of the job. More than one are told apart by their names,
            which takes a list of the job's children.
        qubits: of each circuit.

    Returns:
        For each of ``wanted`` its shots, uint64 (shots,), or None where the service has none.

    Raises:
        InvalidResponse: shots that are none, or circuits that cannot be told apart.
        QStoreError: the service could not be read.
    """
    api, traffic = client._api(), client._traffic
    ids = [job_id]
    if circuits > 1:
        children = await api.children(job_id, traffic)
        state = JobState(job_id, "completed")
        ids = await circuit_order(api, state, children, traffic, circuits)

    async def read_one(index: int) -> Shots | None:
        path = f"/jobs/{ids[index]}/results/shots"
        try:
            return await api.request(  # not patiently: the histogram is here already
                path, lambda data: parse_shots(data, qubits), traffic, max_bytes=MAX_RESULT_BYTES
            )
        except ServiceError as error:
            if error.details.get("status") == 404:
                return None
            raise

    return list(await asyncio.gather(*map(read_one, wanted)))
