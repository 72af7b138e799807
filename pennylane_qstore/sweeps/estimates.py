"""Estimates of training runs that share their jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pennylane_qstore.prices import PriceModel
from pennylane_qstore.sweeps.lockstep import merged_sizes
from pennylane_qstore.training.run import TrainingRun
from pennylane_qstore.training.run_estimate import RunEstimate, summed


def shared_estimate(
    runs: Sequence[TrainingRun],
    alone: Sequence[RunEstimate],
    planned: Sequence[Sequence[Any]],
    model: PriceModel,
) -> RunEstimate:
    """Return the estimate of runs that share their jobs.

    Args:
        runs: all of them.
        alone: the estimate of each by itself.
        planned: of each run, the sizes of its jobs, step by step.
        model: price list, by which sharing is reckoned.

    Returns:
        The sum, with one floor price for each common job.
    """
    if any(device.job_limits.circuits == 1 for run in runs for device in run.devices):
        return summed(alone)
    total, ends = summed(alone), [1 + one.steps for one in alone]
    total = replace(total, step_usd=sum(one.step_usd for one in alone))
    parts = dict.fromkeys(("low_usd", "usd", "high_usd", "dearer_usd"), planned)
    parts["first_usd"] = [plan[:1] for plan in planned]
    parts["step_usd"] = [plan[1:end] for plan, end in zip(planned, ends, strict=True)]
    parts["evaluation_usd"] = [plan[end:] for plan, end in zip(planned, ends, strict=True)]

    def shared_usd(name: str) -> float:
        apart_usd = sum(model.total(sizes) for plan in parts[name] for sizes in plan)
        common_usd = model.total(merged_sizes(parts[name]))
        usd: float = getattr(total, name)
        return round(usd * common_usd / apart_usd if apart_usd else usd, 2)

    shared: dict[str, Any] = {name: shared_usd(name) for name in parts}
    return replace(
        total,
        **shared,
        jobs=len(merged_sizes(planned)),
        queue_s=None if total.queue_s is None else max(one.queue_s or 0.0 for one in alone),
        steps=max(one.steps for one in alone),
    )
