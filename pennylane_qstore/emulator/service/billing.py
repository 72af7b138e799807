"""The bill: jobs priced by a list, within a budget; the estimate has the same formula."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pennylane_qstore.backends import BACKENDS
from pennylane_qstore.prices import JobSize, PriceModel, exceeds, price_model
from pennylane_qstore.server.inputs.submission import Submission
from pennylane_qstore.server.service import Failure


def shown_rates(model: PriceModel) -> list[dict[str, Any]]:
    """Return a price list as the estimate endpoint shows it."""
    if cost_model(model) == "QCT":
        unit = "compute_second"
        return [{"sku": f"{model.name}.qct", "unit": unit, "unit_cost": model.usd_second}]
    return [
        {
            "sku": f"{model.name}.gates",
            "unit": "gates",
            "cost_1q_gate": model.usd_1q,
            "cost_2q_gate": model.usd_2q,
            "job_cost_minimum": model.floor_usd,
        }
    ]


def cost_model(model: PriceModel) -> str:
    """Return IonQ's ``cost_model`` of jobs priced by a list."""
    return "QCT" if model.usd_second else "2QGE_operations"


class Charge(NamedTuple):
    """The price of a job.

    Args:
        cost_usd: the estimate, in US dollars.
        billed_usd: the amount charged: nothing for dry runs and for jobs that fail.
        compute_us: quantum compute time in microseconds.
        cost_model: IonQ's name of the way it is priced.
        failure: the reason why the job will not run.
    """

    cost_usd: float
    billed_usd: float
    compute_us: int
    cost_model: str
    failure: Failure | None = None

    def failed(self, failure: Failure) -> Charge:
        """Return the charge of the job if it fails."""
        return self._replace(billed_usd=0.0, failure=failure)


class Bill:
    """Charges so far, and the limit to them.

    Args:
        prices: by backend, over the list prices.
        budget_usd: most to be charged, in US dollars; ``None``: no limit.
    """

    def __init__(self, prices: Mapping[str, str | PriceModel], budget_usd: float | None) -> None:
        self.prices = {
            b: price_model(p) for b, p in ({b: b for b in BACKENDS} | dict(prices)).items()
        }
        self.budget_usd = budget_usd
        self.usd = 0.0
        self.jobs = 0

    def price(self, backend: str, job: JobSize) -> tuple[float, float]:
        """Return what a job costs and takes, by the machine's published gate times.

        Args:
            backend: IonQ's id.
            job: its size.

        Returns:
            US dollars, and seconds of quantum compute time (0 on the simulator).
        """
        timing = BACKENDS[backend].timing
        seconds = 0.0 if timing is None else job.estimated_s(timing)
        return self.prices[backend].price(job._replace(compute_s=seconds)), seconds

    def charge_for(self, submission: Submission) -> Charge:
        """Price a submission."""
        cost, seconds = self.price(submission.backend, submission.size)
        free = submission.dry_run or submission.failure is not None
        billed = 0.0 if free else cost
        model = cost_model(self.prices[submission.backend])
        return Charge(cost, billed, round(seconds * 1e6), model, submission.failure)

    def within_budget(self, charge: Charge) -> Charge:
        """Return a charge, failed if the budget does not cover it."""
        if self.budget_usd is None or not exceeds(self.usd + charge.billed_usd, self.budget_usd):
            return charge
        left = self.budget_usd - self.usd
        message = f"The job costs {charge.cost_usd:.2f} usd, {left:.2f} usd are left."
        return charge.failed(Failure("QuotaExhaustedError", message))
