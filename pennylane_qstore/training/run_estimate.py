"""The price of a training run before it starts: jobs as they would be sent, priced."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any, NamedTuple

from pennylane_qstore.backends import Timing
from pennylane_qstore.characterization import Characterization
from pennylane_qstore.errors import QStoreError
from pennylane_qstore.prices import JobSize, PriceModel
from pennylane_qstore.training.auto_shape import machine_of, price_models
from pennylane_qstore.training.devices import Devices, Recorded

logger = logging.getLogger(__name__)

_ADDED = (
    *("steps", "low_usd", "usd", "high_usd", "first_usd", "evaluation_usd", "dearer_usd"),
    *("jobs", "circuits", "shots", "gates_2q", "compute_s", "queue_s"),
)
_LOOKS = 3
"""Recordings of a call with a second round of jobs, which may depend on the first one's values."""


class Cost(NamedTuple):
    """The cost of jobs, expected and in US dollars also at least and at most.

    Attributes:
        usd, low_usd, high_usd: in US dollars.
        dearer_usd: by the dearer price list that may hold.
        jobs, circuits, shots: numbers; shots summed over circuits.
        gates_1q, gates_2q: gates times shots, summed over circuits.
        compute_s: on the machine, in seconds.
        queue_s: in the queue, in seconds, one job after another; NaN where it is not known.
        n_1q, n_2q: gates, summed over circuits.
    """

    usd: float = 0.0
    low_usd: float = 0.0
    high_usd: float = 0.0
    dearer_usd: float = 0.0
    jobs: float = 0.0
    circuits: float = 0.0
    shots: float = 0.0
    gates_1q: float = 0.0
    gates_2q: float = 0.0
    compute_s: float = 0.0
    queue_s: float = 0.0
    n_1q: float = 0.0
    n_2q: float = 0.0

    @classmethod
    def of(cls, sizes: Sequence[JobSize], timing: Timing) -> Cost:
        """Return the cost of jobs, without prices and waiting times.

        Args:
            sizes: of the jobs.
            timing: of the machine's gates.

        Returns:
            Its numbers, gates and seconds.
        """
        return cls(
            jobs=len(sizes),
            circuits=sum(size.circuits for size in sizes),
            shots=sum(size.shots_total for size in sizes),
            gates_1q=sum(size.n_1q * size.shots for size in sizes),
            gates_2q=sum(size.n_2q * size.shots for size in sizes),
            compute_s=sum(size.estimated_s(timing) for size in sizes),
            n_1q=sum(size.n_1q for size in sizes),
            n_2q=sum(size.n_2q for size in sizes),
        )

    def fidelity(self, machine: Characterization) -> float | None:
        """Return the predicted fidelity of a mean circuit's gates; None where it is not known."""
        circuits = max(self.circuits, 1)
        return machine.fidelity(self.n_1q / circuits, self.n_2q / circuits)


def added(costs: Iterable[tuple[Cost, float]]) -> Cost:
    """Return the sum of costs, each taken a number of times."""
    total = Cost()
    for cost, times in costs:
        total = Cost(*(mine + times * more for mine, more in zip(total, cost, strict=True)))
    return total


class Look(NamedTuple):
    """The cost of a call, and the sizes of the jobs of its first recording."""

    cost: Cost
    sizes: tuple[JobSize, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEstimate:
    """The price of a run that has not been sent.

    Attributes:
        steps: still to be made.
        low_usd, usd, high_usd: at least, expected and at most, in US dollars.
        first_usd: of that, before the first step (calibration); ``evaluation_usd``: after the last.
        step_usd: of a step, on average.
        jobs, circuits, shots: numbers expected; shots summed over circuits.
        gates_2q: two-qubit gates times shots, summed over circuits.
        compute_s: on the machine, in seconds, as estimated.
        queue_s: in the queue, in seconds, if one job waits after another; None where no wait is
            predicted.
        paid: False where the run's backend bills nothing: it would cost this elsewhere.
        prices: the price list, or the service, that the dollars are from.
        published: date of the list, or on which the service was asked.
        dearer: the list that may hold instead, with a floor for every circuit; "" for none.
        dearer_usd: expected by that one.
        currency: of all amounts.
        gate_fidelity: predicted for the gates of a mean circuit, by the product of the machine's
            median fidelities; None where they are not known. ``characterized``: their date.
        sizes: of the jobs before the first step, of each step, and of each evaluation.
    """

    steps: int
    low_usd: float
    usd: float
    high_usd: float
    first_usd: float
    step_usd: float
    evaluation_usd: float
    jobs: int
    circuits: int
    shots: int
    gates_2q: int
    compute_s: float
    queue_s: float | None
    paid: bool
    prices: str
    published: str
    dearer: str
    dearer_usd: float
    currency: str = "USD"
    gate_fidelity: float | None = None
    characterized: str | None = None
    sizes: Sequence[tuple[JobSize, ...]] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return all values by name, ready for JSON."""
        values = asdict(self)
        del values["sizes"]
        return values

    def lines(self) -> dict[str, str]:
        """Return the estimate in words, by label."""
        dated = f", {self.published}" if self.published else ""
        price = f"${self.usd:,.2f}"
        if f"{self.low_usd:.2f}" != f"{self.high_usd:.2f}":
            price = f"${self.low_usd:,.2f} to ${self.high_usd:,.2f}, expected {price}"
        verb = "Cost" if self.paid else "Would cost"
        lines = {
            "Steps": f"{self.steps:,}: {self.jobs:,} jobs, {self.circuits:,} circuits, "
            f"{self.shots:,} shots",
            verb: f"{price} {self.currency} ({self.prices}{dated})",
            "Of that": f"${self.first_usd:,.2f} before the first step, ${self.step_usd:,.2f} a "
            f"step, ${self.evaluation_usd:,.2f} to evaluate",
        }
        if self.dearer:
            lines["Or"] = f"${self.dearer_usd:,.2f} if the floor is charged for every circuit"
        wait = "not known" if self.queue_s is None else f"{self.queue_s / 3600:,.1f} h"
        lines["Time"] = f"on the machine {self.compute_s / 3600:,.2f} h; in the queue {wait}"
        known = "unknown" if self.gate_fidelity is None else f"{self.gate_fidelity:.3f}"
        day = f" ({self.characterized[:10]})" if self.characterized else ""
        lines["Fidelity"] = f"{known}, predicted for the gates of a mean circuit{day}"
        return lines

    def __str__(self) -> str:
        return "\n".join(f"{label}: {text}" for label, text in self.lines().items())


def summed(estimates: Sequence[RunEstimate]) -> RunEstimate:
    """Return the estimate of several runs, one after another; a step costs as the first run's."""
    added: dict[str, Any] = {}
    for name in _ADDED:
        values = [getattr(estimate, name) for estimate in estimates]
        added[name] = None if None in values else sum(values)
    return replace(estimates[0], **added)


class Pricing:
    """Prices recorded jobs: by the service where it bills and quotes, else by a price list.

    Args:
        devices: of the run.
        model: price list.
        ask: whether a service that bills is asked.
    """

    def __init__(self, devices: Devices, model: PriceModel, *, ask: bool) -> None:
        self.devices, self.model = devices, model
        self.paid = devices.bills
        self.asks = ask and self.paid
        floor = model.floor_usd or model.mitigated_floor_usd
        self.dearer = model.per_circuit if floor and model.per == "job" else model
        self._known: dict[Any, tuple[float, float]] = {}

    def looks(self, call: Callable[[], Any]) -> Look:
        """Record a call and price its jobs; again where a second round may depend on values.

        Args:
            call: executes circuits; nothing is sent.

        Returns:
            The range, and the sizes of its jobs.
        """
        found: list[Cost] = []
        sizes: tuple[JobSize, ...] = ()
        while len(found) < _LOOKS:
            with self.devices.recorded(seed=len(found)) as batches:
                call()
            if not found:
                sizes = tuple(size for batch in batches for size in batch.sizes)
            found.append(self._cost(batches))
            if len(batches) < 2:
                break
        mean = added((cost, 1 / len(found)) for cost in found)
        all_usd = [cost.usd for cost in found]
        return Look(mean._replace(low_usd=min(all_usd), high_usd=max(all_usd)), sizes)

    def _cost(self, batches: Sequence[Recorded]) -> Cost:
        costs = []
        for batch in batches:
            usd, queue_s = self._price(batch)
            dearer_usd = max(usd, self.dearer.total(batch.sizes))
            cost = Cost.of(batch.sizes, self.model.timing)
            costs.append((cost._replace(usd=usd, dearer_usd=dearer_usd, queue_s=queue_s), 1))
        return added(costs)

    def _price(self, batch: Recorded) -> tuple[float, float]:
        """Return the price of a batch in US dollars, and its predicted wait in seconds, or NaN."""
        key = (id(batch.executor), batch.sizes)
        if key not in self._known:
            usd = self.model.total(batch.sizes)
            bills = batch.executor.target.backend.is_qpu
            quote = self._quote(batch) if self.asks and bills else None
            self.asks = self.asks and (not bills or quote is not None)
            if quote is None:
                self._known[key] = usd, float("nan")
            else:
                queue_s = float("nan") if quote.queue_s is None else quote.queue_s
                self._known[key] = quote.cost_usd, queue_s
        return self._known[key]

    @staticmethod
    def _quote(batch: Recorded) -> Any:
        """Return the service's price; None where it quotes none in US dollars."""
        try:
            quote = batch.executor.quote(batch.tapes)
        except QStoreError as error:
            logger.info("The service tells no price; a price list holds: %s", error)
            return None
        return None if quote.cost_usd is None else quote

    def estimate(
        self,
        first: Cost,
        steps: Cost,
        last: Cost,
        count: int,
        sizes: Sequence[tuple[JobSize, ...]],
    ) -> RunEstimate:
        """Return the estimate of a run.

        Args:
            first: of the jobs before the first step.
            steps: of all steps.
            last: of the evaluations after them.
            count: number of steps.
            sizes: of the jobs before the first step, of each step, and of each evaluation.

        Returns:
            The estimate.
        """
        whole = added(((first, 1), (steps, 1), (last, 1)))
        machine = machine_of(self.devices.ours, self.model.name, ask=self.asks)
        return RunEstimate(
            steps=count,
            low_usd=round(whole.low_usd, 2),
            usd=round(whole.usd, 2),
            high_usd=round(whole.high_usd, 2),
            first_usd=round(first.usd, 2),
            step_usd=round(steps.usd / max(count, 1), 2),
            evaluation_usd=round(last.usd, 2),
            jobs=round(whole.jobs),
            circuits=round(whole.circuits),
            shots=round(whole.shots),
            gates_2q=round(whole.gates_2q),
            compute_s=round(whole.compute_s, 1),
            queue_s=None if whole.queue_s != whole.queue_s else round(whole.queue_s, 1),
            paid=self.paid,
            prices="the service's estimate" if self.asks else f"price list {self.model.name}",
            published=date.today().isoformat() if self.asks else self.model.published,
            dearer=self.dearer.name if whole.dearer_usd > whole.usd * 1.001 else "",
            dearer_usd=round(whole.dearer_usd, 2),
            gate_fidelity=whole.fidelity(machine),
            characterized=machine.date,
            sizes=sizes,
        )


def estimate_calls(
    device: Any,
    call: Callable[[], Any],
    prices: str | PriceModel | None = None,
    otherwise: PriceModel | None = None,
) -> RunEstimate:
    """Return the price of a function that executes circuits and is no training run.

    Args:
        device: it executes on.
        call: the function; nothing is sent.
        prices: a price list or its name; by default a backend that bills is asked.
        otherwise: a price list where it quotes none; by default the backend's own.

    Returns:
        The estimate, of 0 steps.
    """
    devices = Devices([device])
    model = price_models(prices or otherwise, devices.backends)[-1]
    pricing = Pricing(devices, model, ask=prices is None)
    return pricing.estimate(pricing.looks(call).cost, Cost(), Cost(), 0, ())
