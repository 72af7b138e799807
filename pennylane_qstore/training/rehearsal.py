"""Rehearsals: a whole training under a machine's published noise, free, and its price there."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pennylane_qstore.backends import Backend
from pennylane_qstore.backends import backend as backend_of
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.prices import PRICES, JobSize, PriceModel
from pennylane_qstore.training.callbacks import Calibrate, Observers, ProgressBar, StepFunction
from pennylane_qstore.training.rehearsal_report import UNBOUNDED, Outcome, Rehearsal, Trained
from pennylane_qstore.training.run_estimate import Cost
from pennylane_qstore.training.run_lock import RunLock
from pennylane_qstore.validation import check, check_seeds

if TYPE_CHECKING:
    from pennylane_qstore.training.history import StepRecord
    from pennylane_qstore.training.run import TrainingRun

_SHOTS = {"half the shots": 0.5, "double the shots": 2.0}
_BUDGETS = {"an eighth of the budget": 8, "a quarter of the budget": 4, "half the budget": 2}
_QUEUE = "qpu"
"""The latency profile of a machine."""


def rehearse(
    make_run: Callable[[int], TrainingRun],
    backend: str = "qpu.forte-1",
    seeds: int | Sequence[int] = 5,
    *,
    steps: int | None = None,
    quality: Callable[[TrainingRun, int], float] | None = None,
    label: str = "loss",
    bounds: tuple[float, float] = UNBOUNDED,
) -> Rehearsal:
    """Train as on a machine, for nothing: with its published noise, on the emulator here.

    Each seed is trained as planned, with half and double the shots, and for parts of its price;
    with no callbacks but :class:`.Calibrate`, and no checkpoints.

    Args:
        make_run: returns the :class:`TrainingRun` of a seed, a new one for every call.
        backend: the machine.
        seeds: so many, from 1, or a list of them.
        steps: of a training; by default the optimizer's ``maxiter``.
        quality: of a trained run and its seed; by default its exact loss (on validation data).
        label: name of the quality.
        bounds: least and greatest quality, (0, 1) of an accuracy: intervals end there.

    Returns:
        The rehearsal.

    Raises:
        ConfigurationError: no machine, no seeds, no device of ours, or ``steps`` is not known.
        KeyboardInterrupt: after Ctrl-C.
    """
    machine = backend_of(backend)
    valid = machine.is_qpu and machine.noise != ""
    check("backend", backend, valid, "a machine with a published noise model, such as qpu.forte-1")
    chosen = check_seeds(seeds)
    check("seeds", seeds, bool(chosen), "a number of seeds, or a list of them")
    family = backend.removeprefix("qpu.")
    names = (backend, f"{backend}/circuit", f"braket.{family}", f"azure.{family}")
    lists = [PRICES[name] for name in names if name in PRICES]

    def train(seed: int, **change: Any) -> list[Trained]:
        return _train(make_run(seed), seed, machine.noise, steps, quality or _loss, **change)

    plan = [train(seed)[0] for seed in chosen]
    planned = list(zip(chosen, plan, strict=True))
    outcomes = [Outcome.of("as planned", plan, lists[0], bounds)]
    for way, factor in _SHOTS.items():
        scaled = [train(seed, factor=factor, planned=one)[0] for seed, one in planned]
        outcomes.append(Outcome.of(way, scaled, lists[0], bounds))
    parts = [
        train(seed, limits=(lists[0], [one.usd(lists[0]) / n for n in _BUDGETS.values()]))
        for seed, one in planned
    ]
    for way, trained in zip(_BUDGETS, zip(*parts, strict=True), strict=True):
        outcomes.append(Outcome.of(way, trained, lists[0], bounds))
    return Rehearsal(
        backend=backend, noise_model=machine.noise, seeds=chosen, label=label,
        outcomes=tuple(outcomes), published={model.name: model.published for model in lists},
        **_costs([size for one in plan for size in one.sizes], 1 / len(plan), lists, machine),
    )  # fmt: skip


def _costs(
    sizes: Sequence[JobSize], per: float, lists: Sequence[PriceModel], machine: Backend
) -> dict[str, Any]:
    """Return the costs of jobs, times a factor, by names of a :class:`Rehearsal`."""
    from pennylane_qstore.emulator.service.latency import PROFILES

    first = lists[0]
    cost = Cost.of(sizes, first.timing)
    waits_s = (PROFILES[_QUEUE].mean(size.circuits, size.shots).queue_s for size in sizes)
    return {
        "usd": {model.name: round(per * model.total(sizes), 2) for model in lists},
        "jobs": per * cost.jobs,
        "circuits": per * cost.circuits,
        "shots": per * cost.shots,
        "gates_2qe": per * (cost.gates_2q + first.usd_1q / first.usd_2q * cost.gates_1q),
        "compute_s": per * cost.compute_s,
        "gate_fidelity": cost.fidelity(machine.published),
        "queue_h": {_QUEUE: per * sum(waits_s) / 3600},
    }


def _train(
    run: TrainingRun,
    seed: int,
    noise: str,
    steps: int | None,
    quality: Callable[[TrainingRun, int], float],
    *,
    factor: float = 1.0,
    planned: Trained | None = None,
    limits: tuple[PriceModel, Sequence[float]] | None = None,
) -> list[Trained]:
    """Train once, with more or fewer shots than planned, or up to rising limits in US dollars.

    Returns:
        The training; with limits, where it stands at each.
    """
    from pennylane_qstore.training.run import TrainingRun

    check("make_run(seed)", run, isinstance(run, TrainingRun), "a TrainingRun")
    devices = run._devices
    if not devices.backends:
        raise ConfigurationError("A rehearsal needs a model on a device of qstore; there is none.")
    total = run.planned_steps(steps, "rehearse(steps=)")
    callbacks: list[Any] = [c for c in run._observers.callbacks if isinstance(c, Calibrate)]
    model, rising = limits or (PRICES["qpu.forte-1"], [math.inf])
    limits_usd = list(rising)

    def is_spent(record: StepRecord) -> bool:
        # With another such step; a sum of prices is exact to less than a cent.
        usd = model.total(devices.sizes(since)) + record.would_cost_usd(model)
        return usd > limits_usd[0] + 0.005

    callbacks.append(StepFunction(lambda record: run.stop("budget") if is_spent(record) else None))
    run._files, run._lock, run._budget_usd = None, RunLock(None), None
    run._observers = Observers(run, callbacks, ProgressBar(False))
    if planned is not None:
        run._shapes.scale_shots(factor, max(size.shots for size in planned.sizes))
    reached: list[Trained] = []
    with devices.isolated(), devices.emulated(noise, seed):
        since = devices.sent()
        while limits_usd:
            if not run.history or not is_spent(run.history[-1]):
                run.train(total)
            if run.stopped == "interrupt":
                raise KeyboardInterrupt("Interrupted; nothing was sent to a machine.")
            reached.append(Trained(float(quality(run, seed)), devices.sizes(since), run.step))
            limits_usd.pop(0)
    return reached


def _loss(run: TrainingRun, _: int) -> float:
    """Return the loss without noise, on the validation data if there are any."""
    return run.evaluate(run._data.validation, exact=True)["loss"]
