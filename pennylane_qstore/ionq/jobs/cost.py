"""Costs of jobs: read from the service, recorded in the ledger."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

from pennylane_qstore.errors import LedgerError, QStoreError
from pennylane_qstore.ionq.http.api import Api
from pennylane_qstore.ionq.http.transport import Traffic
from pennylane_qstore.ionq.ledger.ledger import Ledger, Submission, is_paid
from pennylane_qstore.ionq.messages.responses import check_id, parse_number

logger = logging.getLogger(__name__)


class Cost(NamedTuple):
    """The price of a job, in US dollars.

    Attributes:
        billed_usd: the bill; ``None`` while it is not known, or in another unit.
        estimated_usd: as the service expected it; ``None`` for jobs that have no price.
    """

    billed_usd: float | None
    estimated_usd: float | None


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
