"""Records of the steps of a training run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pennylane_qstore.validation import check, check_count, check_number


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

    def outcome(self) -> dict[str, float]:
        """Return the values that a repeated run gives again; times and costs are left out."""
        values = {"step": self.step, "epoch": self.epoch, "loss": self.loss}
        return {**values, **self.metrics, "circuits": self.circuits}

    def as_dict(self) -> dict[str, float]:
        """Return all values, metrics beside the others: a row of a table."""
        row = asdict(self)
        return {**{k: v for k, v in row.items() if k != "metrics"}, **row["metrics"]}

    def value(self, name: str) -> float | None:
        """Return the loss (``"loss"``) or a metric; None where the step has no such value."""
        return self.loss if name == "loss" else self.metrics.get(name)


def table(history: Sequence[StepRecord]) -> dict[str, list[float]]:
    """Return records as columns; NaN where a record has no value."""
    rows = [record.as_dict() for record in history]
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name, float("nan")) for row in rows] for name in names}


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
    return [_read_record(StepRecord(**row), number) for number, row in enumerate(rows, 1)]


def _read_record(record: StepRecord, number: int) -> StepRecord:
    check("step", record.step, type(record.step) is int and record.step == number, f"{number}")
    for name in ("epoch", "circuits", "posts", "requests"):
        check_count(name, getattr(record, name), least=0)
    for name in ("loss", "seconds", "queue_s", "run_s", "cost_usd"):
        check_number(name, getattr(record, name))
    check_number("spent_usd", record.spent_usd, least=0)
    metrics = record.metrics
    valid = isinstance(metrics, dict) and all(type(v) in (int, float) for v in metrics.values())
    check("metrics", metrics, valid, "numbers by name")
    return record
