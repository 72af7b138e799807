"""Records of the steps of a training run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from pennylane_qstore.prices import JobSize, PriceModel, price_model
from pennylane_qstore.training.step_shape import Shape
from pennylane_qstore.validation import check, check_count, check_flag, check_number

_AVERAGED = 10  # steps, at most


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One training step.

    Attributes:
        step, epoch: counted from 1; without data, an epoch is a step.
        loss: of the step's samples, before it.
        metrics: of the same outputs; ``val_loss`` and ``val_...`` of the validation data,
            after the step.
        circuits: executed by the step, its validation included.
        posts, requests: jobs, HTTP requests.
        seconds: duration of the step.
        queue_s, run_s: of that, in the queue and on the machine, summed over jobs.
        cost_usd: billed for the step, in US dollars.
        spent_usd: billed by the run's devices up to its end, calibration and evaluations
            between the steps included.
        gradient_rms: root mean square of the gradient that was estimated, over all parameters.
        gradient_variance: of an element of that gradient, on average: its error bar. Both are
            None where the optimizer has none, the second one also after a single direction that all
            samples shared.
        shape: of the step, where it was chosen.
        sizes: of the step's jobs, by which a price list prices them.
        exact: True for a step of :meth:`TrainingRun.pretrain`, which sent nothing.
    """

    step: int
    epoch: int
    loss: float
    metrics: dict[str, float] = field(default_factory=dict)
    circuits: int = 0
    posts: int = 0
    requests: int = 0
    seconds: float = 0.0
    queue_s: float = 0.0
    run_s: float = 0.0
    cost_usd: float = 0.0
    spent_usd: float = 0.0
    gradient_rms: float | None = None
    gradient_variance: float | None = None
    shape: Shape | None = None
    sizes: tuple[JobSize, ...] = ()
    exact: bool = False

    def would_cost_usd(self, prices: str | PriceModel) -> float:
        """Return the price of the step's jobs, in US dollars, by a price list or its name."""
        return price_model(prices).total(self.sizes)

    def outcome(self) -> dict[str, float]:
        """Return the values that a repeated run gives again; times and costs are left out."""
        values = {"step": self.step, "epoch": self.epoch, "loss": self.loss}
        return {**values, **self._shape_columns(), **self.metrics, "circuits": self.circuits}

    def as_dict(self) -> dict[str, float]:
        """Return all values that there are, metrics beside the others: a row of a table."""
        nested = ("metrics", "shape", "sizes")
        row = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in nested}
        known = {name: value for name, value in row.items() if value is not None}
        return {**known, **self._shape_columns(), **self.metrics}

    def _shape_columns(self) -> dict[str, float]:
        return {} if self.shape is None else self.shape._asdict()

    def value(self, name: str) -> float | None:
        """Return the loss (``"loss"``) or a metric; None where the step has no such value."""
        return self.loss if name == "loss" else self.metrics.get(name)


COLUMNS = frozenset((*(f.name for f in fields(StepRecord)), *Shape._fields))
"""Names of a table's columns beside the metrics."""


def table(history: Sequence[StepRecord]) -> dict[str, list[float]]:
    """Return records as columns; NaN where a record has no value."""
    rows = [record.as_dict() for record in history]
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name, float("nan")) for row in rows] for name in names}


def totals(history: Sequence[StepRecord], prices: PriceModel) -> dict[str, Any]:
    """Return the sums of records.

    Args:
        history: the records.
        prices: a price list.

    Returns:
        Steps, jobs, circuits, shots, US dollars billed and by the list, seconds, and the last loss.
    """
    sizes = [size for record in history for size in record.sizes]
    return {
        "steps": len(history),
        "jobs": sum(record.posts for record in history),
        "circuits": sum(record.circuits for record in history),
        "shots_total": sum(size.shots_total for size in sizes),
        "cost_usd": round(sum(record.cost_usd for record in history), 4),
        "would_cost_usd": round(prices.total(sizes), 4),
        "prices": prices.name,
        "seconds": round(sum(record.seconds for record in history), 3),
        "loss_last": history[-1].loss if history else None,
    }


def loss_at_ends(history: Sequence[StepRecord]) -> tuple[float, float]:
    """Return the mean losses of the first and of the last steps.

    Args:
        history: one record or more.

    Returns:
        Means of 10 steps, or of half of a shorter history.
    """
    window = min(_AVERAGED, (len(history) + 1) // 2)
    first, last = history[:window], history[-window:]
    return sum(r.loss for r in first) / window, sum(r.loss for r in last) / window


def read_records(rows: Sequence[Any]) -> list[StepRecord]:
    """Return the records of a file.

    Args:
        rows: one mapping per step, in order, as ``dataclasses.asdict`` made it.

    Returns:
        The records.

    Raises:
        ConfigurationError: a value that no step has.
        TypeError: a row that is no record.
    """
    return [_read_record(row, number) for number, row in enumerate(rows, 1)]


def _read_record(row: Any, number: int) -> StepRecord:
    shape, sizes = row.get("shape"), row.get("sizes", ())
    nested = {
        "shape": None if shape is None else Shape(*shape),
        "sizes": tuple(JobSize(*size) for size in sizes),
    }
    record = StepRecord(**{**row, **nested})
    check("step", record.step, type(record.step) is int and record.step == number, f"{number}")
    for name in ("epoch", "circuits", "posts", "requests"):
        check_count(name, getattr(record, name), least=0)
    for name in ("loss", "seconds", "queue_s", "run_s", "cost_usd"):
        check_number(name, getattr(record, name))
    check_number("spent_usd", record.spent_usd, least=0)
    for name in ("gradient_rms", "gradient_variance"):
        check_number(name, getattr(record, name), least=0, optional=True)
    for size in record.sizes:
        for name in ("n_1q", "n_2q", "circuits", "shots"):
            check_number(name, getattr(size, name), least=0)
    if record.shape is not None:
        for name in ("rows", "directions", "shots"):
            check_count(name, getattr(record.shape, name), least=0)
    check_flag("exact", record.exact)
    metrics = record.metrics
    valid = isinstance(metrics, dict) and all(type(v) in (int, float) for v in metrics.values())
    check("metrics", metrics, valid, "numbers by name")
    return record
