"""Prices of jobs: rate cards, and one formula for the estimate and the bill."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from pennylane_qstore.backends import ARIA_TIMING, FORTE_TIMING
from pennylane_qstore.server.inputs.submission import Submission
from pennylane_qstore.server.service import Failure


@dataclass(frozen=True, slots=True)
class RateCard:
    """Prices of one backend, in US dollars.

    Args:
        unit: ``"gates"`` (per gate and shot, with a minimum per job) or
            ``"compute_second"`` (per second of quantum compute time).
        cost_1q_gate, cost_2q_gate: per gate and shot.
        job_cost_minimum: least price of a job without error mitigation.
        mitigated_minimum: least price of a job with error mitigation.
        unit_cost: per second of compute time.
        seconds_1q, seconds_2q, seconds_per_shot: the compute time of a job: gates and shots.
    """

    unit: str = "gates"
    cost_1q_gate: float = 0.0
    cost_2q_gate: float = 0.0
    job_cost_minimum: float = 0.0
    mitigated_minimum: float = 0.0
    unit_cost: float = 0.0
    seconds_1q: float = 0.0
    seconds_2q: float = 0.0
    seconds_per_shot: float = 0.0

    def compute_seconds(self, n_1q: int, n_2q: int, circuits: int, shots: int) -> float:
        """Return the quantum compute time of a job.

        Args:
            n_1q: one-qubit gates, summed over circuits.
            n_2q: two-qubit gates, summed over circuits.
            circuits: number of circuits.
            shots: per circuit.

        Returns:
            Seconds: gates one after the other, and reset and readout once per shot.
        """
        per_shot = n_1q * self.seconds_1q + n_2q * self.seconds_2q
        return shots * (per_shot + circuits * self.seconds_per_shot)

    def price(
        self, n_1q: int, n_2q: int, circuits: int, shots: int, *, mitigated: bool = False
    ) -> float:
        """Return the price of a job: of its gates or compute time, or the minimum.

        Args:
            n_1q: one-qubit gates, summed over circuits.
            n_2q: two-qubit gates, summed over circuits.
            circuits: number of circuits.
            shots: per circuit.
            mitigated: error mitigation is on.

        Returns:
            US dollars.
        """
        if self.unit == "compute_second":
            cost = self.unit_cost * self.compute_seconds(n_1q, n_2q, circuits, shots)
        else:
            cost = shots * (n_1q * self.cost_1q_gate + n_2q * self.cost_2q_gate)
        least = self.mitigated_minimum if mitigated else self.job_cost_minimum
        return round(max(cost, least), 6)

    @property
    def cost_model(self) -> str:
        """IonQ's ``cost_model`` of jobs priced by this card."""
        return "QCT" if self.unit == "compute_second" else "2QGE_operations"

    def rates(self, backend: str) -> list[dict[str, Any]]:
        """Return the card of a backend as the estimate endpoint shows it."""
        if self.unit == "compute_second":
            return [{"sku": f"{backend}.qct", "unit": self.unit, "unit_cost": self.unit_cost}]
        prices = ("unit", "cost_1q_gate", "cost_2q_gate", "job_cost_minimum")
        return [{"sku": f"{backend}.gates"} | {name: getattr(self, name) for name in prices}]


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
        rate_cards: prices by backend, over the list prices.
        budget_usd: most to be charged, in US dollars; ``None``: no limit.
    """

    def __init__(self, rate_cards: Mapping[str, RateCard], budget_usd: float | None) -> None:
        self.rate_cards = {**RATE_CARDS, **rate_cards}
        self.budget_usd = budget_usd
        self.usd = 0.0
        self.jobs = 0

    def charge_for(self, submission: Submission) -> Charge:
        """Price a submission."""
        card = self.rate_cards[submission.backend]
        circuits = len(submission.circuits)
        size = (submission.n_1q, submission.n_2q, circuits, submission.shots)
        cost = card.price(*size, mitigated=submission.mitigated)
        free = submission.dry_run or submission.failure is not None
        compute_us = round(card.compute_seconds(*size) * 1e6)
        billed = 0.0 if free else cost
        return Charge(cost, billed, compute_us, card.cost_model, submission.failure)

    def within_budget(self, charge: Charge) -> Charge:
        """Return a charge, failed if the budget does not cover it."""
        if self.budget_usd is None or self.usd + charge.billed_usd <= self.budget_usd:
            return charge
        left = self.budget_usd - self.usd
        message = f"The job costs {charge.cost_usd:.2f} usd, {left:.2f} usd are left."
        return charge.failed(Failure("QuotaExhaustedError", message))


_ARIA = RateCard(
    cost_1q_gate=0.00022,
    cost_2q_gate=0.000975,
    job_cost_minimum=12.4166,
    mitigated_minimum=97.5,
    seconds_1q=ARIA_TIMING.one_qubit_s,
    seconds_2q=ARIA_TIMING.two_qubit_s,
    seconds_per_shot=ARIA_TIMING.reset_s + ARIA_TIMING.readout_s,
)
_FORTE = RateCard(
    cost_1q_gate=0.0001645,
    cost_2q_gate=0.001121,
    job_cost_minimum=25.79,
    mitigated_minimum=168.195,
    seconds_1q=FORTE_TIMING.one_qubit_s,
    seconds_2q=FORTE_TIMING.two_qubit_s,
    seconds_per_shot=FORTE_TIMING.reset_s + FORTE_TIMING.readout_s,
)

RATE_CARDS: Mapping[str, RateCard] = MappingProxyType(
    {
        "simulator": RateCard(),
        "qpu.aria-1": _ARIA,
        "qpu.aria-2": _ARIA,
        "qpu.forte-1": _FORTE,
        "qpu.forte-enterprise-1": _FORTE,
    }
)
"""Prices per gate and shot. Aria's are the list prices of the Azure marketplace (as is the rule
that a gate on m > 2 qubits is billed as 6 (m - 2) two-qubit gates); Forte's are of the same
kind but not confirmed by a page at hand. Contracts differ: pass your own card as
``Emulator(rate_cards={"qpu.forte-1": RateCard(...)})``."""
