"""Costs of jobs: read from the service, recorded in the ledger."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple
from urllib.parse import urlencode

from pennylane_qstore.errors import InvalidResponse, LedgerError, QStoreError
from pennylane_qstore.ionq.http.api import Api
from pennylane_qstore.ionq.http.transport import Traffic
from pennylane_qstore.ionq.ledger.ledger import Ledger, Submission, is_paid
from pennylane_qstore.ionq.messages.labels import job_type
from pennylane_qstore.ionq.messages.responses import check_id, parse_number
from pennylane_qstore.prices import JobSize

logger = logging.getLogger(__name__)


class Cost(NamedTuple):
    """The price of a job, in US dollars.

    Attributes:
        billed_usd: the bill; ``None`` while it is not known, or in another unit.
        estimated_usd: as the service expected it; ``None`` for jobs that have no price.
    """

    billed_usd: float | None
    estimated_usd: float | None


class Estimate(NamedTuple):
    """Price and duration of a job that is not submitted.

    Attributes:
        cost_usd: price in US dollars; ``None`` if the service names another unit.
        execution_s: time on the machine, in seconds.
        queue_s: time in the queue, as predicted now, in seconds.
    """

    cost_usd: float | None
    execution_s: float | None
    queue_s: float | None


async def read_cost(api: Api, job_id: str, traffic: Traffic) -> Cost:
    """Ask the service for the price of a job.

    Args:
        api: the service.
        job_id: IonQ's id.
        traffic: counters.

    Returns:
        Bill and estimate.

    Raises:
        QStoreError: the price cannot be read.
    """
    answer = await api.read_object(f"/jobs/{check_id(job_id)}/cost", "The cost", traffic)
    return Cost(_usd(answer.get("cost")), _usd(answer.get("estimated_cost")))


async def read_estimate(
    api: Api, backend: str, size: JobSize, qubits: int, traffic: Traffic
) -> Estimate:
    """Ask the service for the price and duration of a job; nothing is submitted.

    Args:
        api: the service.
        backend: IonQ's backend id.
        size: of the job.
        qubits: of each circuit.
        traffic: counters.

    Returns:
        The service's estimate.

    Raises:
        InvalidResponse: the service names no cost.
        ServiceError, AuthenticationError, ConnectionFailed: refused, or no response.
    """
    query = urlencode(
        {
            "backend": backend,
            "type": job_type(size.circuits, backend),
            "qubits": qubits,
            "shots": int(size.shots),
            "1q_gates": int(size.n_1q),
            "2q_gates": int(size.n_2q),
            "error_mitigation": "true" if size.mitigated else "false",
        }
    )
    estimate = await api.read_object(f"/jobs/estimate?{query}", "The estimate", traffic)
    # Until the middle of 2026 the service used the second name of each pair.
    cost = _number(estimate, "estimated_total_cost", "estimated_cost")
    if cost is None:
        raise InvalidResponse("The service's estimate has no cost.")
    unit = estimate.get("estimated_unit", estimate.get("cost_unit"))
    execution_ms = _number(estimate, "estimated_execution_time")
    queue_ms = _number(estimate, "current_predicted_queue_time")
    return Estimate(
        cost if unit == "usd" else None,
        None if execution_ms is None else execution_ms / 1e3,
        None if queue_ms is None else queue_ms / 1e3,
    )


async def record_cost(
    api: Api, ledger: Ledger, row: Submission, job_id: str, traffic: Traffic
) -> float | None:
    """Read the bill of a job that ended and write it down; a failure to do so is logged.

    Args:
        api: the service.
        ledger: where the bill goes.
        row: of the job.
        job_id: IonQ's id.
        traffic: counters.

    Returns:
        The bill in US dollars; ``None`` on simulators, which cost nothing and are not asked,
        and while it is not known.
    """
    if not is_paid(row.backend):
        return None
    try:
        cost = await read_cost(api, job_id, traffic)
    except QStoreError as error:
        logger.warning("The cost of job %s could not be read: %s", job_id, error)
        return None
    if cost.billed_usd is None:
        logger.info("Job %s has no bill yet; `qstore jobs reconcile` asks again.", job_id)
        return None
    try:
        await ledger.off_loop(ledger.billed, row.id, cost.billed_usd)
    except LedgerError as error:
        # The results are here; `qstore jobs reconcile` asks for missing bills.
        logger.warning("The bill of job %s, %s USD, is not written down: %s",
                       job_id, cost.billed_usd, error)  # fmt: skip
    return cost.billed_usd


def _usd(value: Any) -> float | None:
    if not isinstance(value, dict) or value.get("unit") != "usd":
        return None
    return parse_number(value.get("value"))


def _number(value: dict[str, Any], *names: str) -> float | None:
    numbers = (parse_number(value.get(name)) for name in names)
    return next((number for number in numbers if number is not None), None)
