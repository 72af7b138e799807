"""Prices of jobs: quotes by the service's own estimate, and the budget that they must fit."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pennylane_qstore.errors import BudgetExceeded, ConfigurationError, QStoreError
from pennylane_qstore.ionq.ledger.budgets import budget_error
from pennylane_qstore.prices import exceeds

if TYPE_CHECKING:
    from pennylane_qstore.execution.options import Options
    from pennylane_qstore.ionq.client import IonQClient
    from pennylane_qstore.ionq.messages.job_request import JobRequest

logger = logging.getLogger(__name__)


class Quote(NamedTuple):
    """Price and duration of a batch, as the service estimates them.

    Attributes:
        cost_usd: in US dollars; None if the service names another unit.
        execution_s: on the machine, in seconds, summed over jobs; None if not told.
        queue_s: longest predicted wait of a job, in seconds; None if not told.
        jobs: POSTs it would take.
        circuits: circuits, summed over jobs.
        shots: shots, summed over circuits.
        gates_1q, gates_2q: native gates, summed over circuits.
    """

    cost_usd: float | None
    execution_s: float | None
    queue_s: float | None
    jobs: int
    circuits: int
    shots: int
    gates_1q: int
    gates_2q: int


def quote(client: IonQClient, requests: Sequence[JobRequest], backend: str | None = None) -> Quote:
    """Return the service's own estimate of what requests cost; nothing is submitted.

    Args:
        client: asks the service.
        requests: the jobs.
        backend: price for this backend instead of the requests' own.

    Returns:
        The sum over the jobs.
    """
    estimates = [_estimate(client, request, backend) for request in requests]
    sizes = [request.size for request in requests]
    return Quote(
        _total([e.cost_usd for e in estimates]),
        _total([e.execution_s for e in estimates]),
        max((e.queue_s for e in estimates if e.queue_s is not None), default=None),
        len(sizes),
        sum(size.circuits for size in sizes),
        sum(size.shots_total for size in sizes),
        sum(int(size.n_1q) for size in sizes),
        sum(int(size.n_2q) for size in sizes),
    )


def agreed_prices(
    client: IonQClient,
    requests: Sequence[JobRequest],
    options: Options,
    budget_usd: float | None,
    left_usd: float | None,
    *,
    must_know: bool = False,
) -> list[float | None]:
    """Return estimates of jobs that the budget seems to hold and the user confirms.

    The user is not asked about what is too much already. The ledger looks again when it reserves
    the prices: others may spend meanwhile.

    Args:
        client: asks the service.
        requests: the jobs, none of which is paid yet.
        options: of the device.
        budget_usd: limit of the spending, in US dollars; None without one.
        left_usd: rest of the budget, in US dollars; None without one.
        must_know: whether a job without a price is refused in any case.

    Returns:
        The price of each job in US dollars; None where the service gives none.

    Raises:
        BudgetExceeded: they would cost more than is left, or were not confirmed.
        ConfigurationError: there is a budget, but no price in US dollars.
    """
    must_know = must_know or budget_usd is not None or options.confirm is not None
    prices = [_price(client, request, must_know) for request in requests]
    total = _total(prices)
    if left_usd is not None:
        if total is None:
            raise ConfigurationError(
                f"budget_usd cannot be kept: the service gives no price in US dollars for "
                f"{options.target.backend.name}. Use a session with a cost limit instead."
            )
        if exceeds(total, left_usd):
            raise budget_error(len(requests), total, left_usd, budget_usd or 0.0)
    if options.confirm is not None and not options.confirm(quote(client, requests)):
        raise BudgetExceeded("The batch was not confirmed. Nothing was sent.", estimate_usd=total)
    return prices


def _price(client: IonQClient, request: JobRequest, must_know: bool) -> float | None:
    """Return the service's estimate, which the ledger keeps as well; None if it gives none."""
    try:
        estimate: float | None = _estimate(client, request).cost_usd
    except QStoreError as error:
        if must_know:
            raise
        logger.info("A batch is sent without an estimate of its cost: %s", error)
        return None
    return estimate


def _estimate(client: IonQClient, request: JobRequest, backend: str | None = None) -> Any:
    size = request.size
    return client.estimate(
        backend or request.backend,
        qubits=request.qubits,
        shots=size.shots,
        gates_1q=int(size.n_1q),
        gates_2q=int(size.n_2q),
        circuits=size.circuits,
        error_mitigation=size.mitigated,
    )


def _total(values: Sequence[float | None]) -> float | None:
    return None if any(v is None for v in values) else sum(v for v in values if v is not None)
