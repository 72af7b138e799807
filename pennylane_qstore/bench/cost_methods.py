"""The ways to train that are compared by what they cost.

Every way is scored at the mean of the last quarter of its iterates, and sends a step's circuits as
few jobs, PennyLane's own optimizers too: their evaluations are collected by ``deferred()`` and
``qstore.map``. In a plain loop every circuit would be a job.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pennylane as qml

from pennylane_qstore.deferral.operands import real
from pennylane_qstore.deferral.scope import deferred
from pennylane_qstore.deferral.scope import map as map_items
from pennylane_qstore.prices import price_model
from pennylane_qstore.training.callbacks import Calibrate
from pennylane_qstore.training.minibatches import RunData
from pennylane_qstore.training.run import TrainingRun
from pennylane_qstore.training.spsa import SPSAOptimizer
from pennylane_qstore.training.tasks.task import Task

AVERAGED = 0.25
"""Part of the iterates at the end whose mean is scored, of every way alike."""

_PAIRS = 25  # that a step size is calibrated from
_STOCK_STEPS, _STOCK_ROWS = 300, 20
_STEPS, _ROWS, _SHOTS = 40, 100, 20
"""The shape of ``per-sample``: 8,000 circuits and 160,000 shots."""
_AUTO_STEPS, _AUTO_FREE_STEPS = 80, 30
_FIRST_STEP = 0.3  # radians
_DIRECTIONS = 10  # shared by a tenth of the rows: as many circuits
_FREE_DIRECTIONS, _FREE_SHOTS = 20, 100
"""Without samples."""


@dataclass(frozen=True, slots=True)
class Training:
    """A training that a method shall make.

    Attributes:
        task: that is trained.
        device: to train on.
        seed: of initial parameters, mini-batches and perturbations.
        spent: shots taken so far.
        most_steps: of the training, whatever the method's own number is; None for that.
    """

    task: Task
    device: Any
    seed: int
    spent: Callable[[], int]
    most_steps: int | None = None

    def steps(self, wanted: int) -> int:
        """Return how many steps to make of those wanted."""
        return wanted if self.most_steps is None else min(wanted, self.most_steps)

    def rows(self, size: int | None) -> dict[str, Any]:
        """Return the options of a :class:`TrainingRun` about samples, where there are any.

        Args:
            size: of a mini-batch, at most; None to let the run choose.

        Returns:
            Options by name.
        """
        if self.task.load is None:
            return {}
        data = self.task.load(self.seed).train
        batch = None if size is None else min(size, len(data[1]))
        return {"data": data, "batch_size": batch, "drop_last": True, "broadcast": True}


class Method(NamedTuple):
    """A way to train.

    Attributes:
        train: trains, and returns parameters.
        family: methods that differ by their step size only have the same one; else its own name.
        tasks: that it is for; None for all.
    """

    train: Callable[[Training], Any]
    family: str
    tasks: tuple[str, ...] | None = None


class _Problem:
    """A task as PennyLane's optimizers take it: a cost of several arrays.

    Args:
        training: the training.
        shots: per circuit.
        rows: of a mini-batch.
        diff_method: of the QNodes; with one, rows are evaluated one by one.
    """

    def __init__(
        self, training: Training, shots: int, rows: int = 1, diff_method: str | None = None
    ) -> None:
        task, seed = training.task, training.seed
        self._task, self._device, self._by_row = task, training.device, diff_method is not None
        self.model = task.model.make(training.device, shots, diff_method)
        start = task.model.initial_params(seed)
        self._names = list(start) if isinstance(start, dict) else None
        arrays = [start] if self._names is None else list(start.values())
        self.values = [qml.numpy.array(array, requires_grad=True) for array in arrays]
        data = None if task.load is None else task.load(seed).train
        size = None if data is None else min(rows, len(data[1]))
        self._data = RunData(data, None, size, True, seed)

    def params(self, values: Sequence[Any]) -> Any:
        """Return arrays as the model takes them."""
        return values[0] if self._names is None else dict(zip(self._names, values, strict=True))

    def cost(self, step: int) -> Callable[..., Any]:
        """Return the loss of a step's samples as a function of the arrays."""
        task, model, (batch, _) = self._task, self.model, self._data.samples(step)
        x, y = batch[:1], batch[1:]
        if not (batch and self._by_row):
            return lambda *values: task.loss(model(self.params(values), *x), *y)

        def cost(*values: Any) -> Any:
            outputs = map_items(self._device, partial(model, self.params(values)), *x)
            return task.loss(qml.math.stack(outputs), *y)

        return cost

    def minimised(
        self,
        step: Callable[..., Any],
        steps: int,
        *,
        is_over: Callable[[], bool] = lambda: False,
        objective: Any = None,
    ) -> Any:
        """Return the mean of the last iterates.

        Args:
            step: of an optimizer: of an objective and arrays.
            steps: most to make.
            is_over: looked at after each step.
            objective: of every step, instead of the cost of its samples.

        Returns:
            Parameters, as the model takes them.
        """
        values, iterates = list(self.values), []
        for k in range(1, steps + 1):
            with deferred():
                new = real(step(self.cost(k) if objective is None else objective, *values))
            values = list(new) if len(values) > 1 else [new]
            iterates.append(values)
            if is_over():
                break
        last = iterates[-max(1, round(AVERAGED * len(iterates))) :]
        return self.params([np.asarray(np.mean(leaf, axis=0)) for leaf in zip(*last, strict=True)])


def _stock(training: Training, shots: int, first_step: float) -> Any:
    """Train by ``qml.SPSAOptimizer``, its step size calibrated from pairs of points."""
    problem = _Problem(training, shots, _STOCK_ROWS)
    steps = training.steps(_STOCK_STEPS)
    ruler = SPSAOptimizer(maxiter=steps, seed=training.seed, directions="shared")
    a = ruler.calibrate(problem.cost(1), *problem.values, first_step=first_step, samples=_PAIRS)
    np.random.seed(training.seed)  # noqa: NPY002 - what the stock optimizer draws from
    return problem.minimised(qml.SPSAOptimizer(maxiter=steps, a=a).step, steps)


def _fixed(training: Training, directions: str, resamplings: int) -> Any:
    """Train by :class:`TrainingRun`, every step in the shape that is compared."""
    has_rows = training.task.load is not None
    is_shared = has_rows and directions == "shared"
    return _ours(
        training,
        _STEPS,
        {"directions": directions, "resamplings": resamplings},
        qnode_shots=_SHOTS if has_rows else _FREE_SHOTS,
        callbacks=[Calibrate(_FIRST_STEP, _PAIRS)] if is_shared else [],
        **training.rows(_ROWS // (resamplings if is_shared else 1)),
    )


def _shared(training: Training) -> Any:
    """Train by several directions that all samples share."""
    if training.task.load is None:
        return _fixed(training, "auto", _FREE_DIRECTIONS)
    return _fixed(training, "shared", _DIRECTIONS)


def _auto(training: Training, prices: str) -> Any:
    """Train by :class:`TrainingRun` as it chooses the shape of its steps for a price list."""
    is_short = training.task.load is None and price_model(prices).per == "job"
    return _ours(
        training,
        _AUTO_FREE_STEPS if is_short else _AUTO_STEPS,
        {"directions": "auto", "resamplings": "auto"},
        shots="auto",
        prices=prices,
        **training.rows(None),
    )


def _ours(
    training: Training,
    steps: int,
    settings: Mapping[str, Any],
    qnode_shots: int = _SHOTS,
    **options: Any,
) -> Any:
    task, seed, steps = training.task, training.seed, training.steps(steps)
    optimizer = SPSAOptimizer(
        maxiter=steps, seed=np.random.default_rng([seed, 2]), average=AVERAGED, **settings
    )
    run = TrainingRun(
        task.model.make(training.device, qnode_shots),
        task.model.initial_params(seed),
        optimizer,
        loss=task.loss,
        seed=seed,
        device=training.device,
        progress=False,
        **options,
    )
    run.train(steps)
    return optimizer.averaged(run.params)


def _equal_shots(training: Training) -> int:
    """Return the shots that ours take in the shape above."""
    if training.task.load is not None:
        return 2 * _STEPS * _ROWS * _SHOTS
    bases = 5 if training.task.score.name == "energy_error" else 1
    return 2 * _STEPS * _FREE_DIRECTIONS * bases * _FREE_SHOTS


def _adam(training: Training, step_size: float) -> Any:
    """Train by Adam with parameter-shift, until it has taken as many shots as ours.

    Where there are samples, so many rows that this takes about as many steps as ours.
    """
    has_rows, most = training.task.load is not None, _equal_shots(training)
    angles = training.task.model.initial_params(0)
    rows = 1
    if has_rows:
        per_row = (2 * angles["weights"].size + 1) * _SHOTS
        rows = max(1, round(most / (_STEPS * per_row)))
    problem = _Problem(training, _SHOTS if has_rows else _FREE_SHOTS, rows, "device")
    return problem.minimised(
        qml.AdamOptimizer(step_size).step,
        training.steps(_STOCK_STEPS),
        is_over=lambda: training.spent() >= most,
    )


def _shot_adaptive(training: Training, step_size: float) -> Any:
    """Train by ``qml.ShotAdaptiveOptimizer`` until it has taken as many shots as ours."""
    problem = _Problem(training, _FREE_SHOTS, diff_method="device")
    optimizer = qml.ShotAdaptiveOptimizer(min_shots=10, stepsize=step_size)
    most = _equal_shots(training)
    return problem.minimised(
        optimizer.step,
        training.steps(_STOCK_STEPS),
        is_over=lambda: training.spent() >= most,
        objective=problem.model,
    )


def _qnspsa(training: Training, step_size: float) -> Any:
    """Train by ``qml.QNSPSAOptimizer`` for as many steps as the stock optimizer."""
    problem = _Problem(training, _FREE_SHOTS, diff_method="parameter-shift")
    optimizer = qml.QNSPSAOptimizer(
        step_size, finite_diff_step=0.1, blocking=False, seed=training.seed
    )
    with warnings.catch_warnings():  # it asks for overlaps without shots, which get those of others
        warnings.simplefilter("ignore", UserWarning)
        return problem.minimised(
            optimizer.step, training.steps(_STOCK_STEPS), objective=problem.model
        )


def _family(
    name: str,
    train: Callable[..., Any],
    sizes: Sequence[float],
    tasks: tuple[str, ...] | None = None,
    **options: Any,
) -> dict[str, Method]:
    """Return a method with its middle step size, and with the two others."""
    return {
        name if i == 1 else f"{name}/{size:g}": Method(
            partial(train, **options, **{_SIZE[train]: size}), name, tasks
        )
        for i, size in enumerate(sizes)
    }


_SIZE = {
    _stock: "first_step",
    _adam: "step_size",
    _shot_adaptive: "step_size",
    _qnspsa: "step_size",
}
_QNODES = ("h2", "maxcut")  # whose loss is a single QNode

METHODS: Mapping[str, Method] = {
    **_family("spsa-500", _stock, (0.1, 0.2, 0.4), shots=500),
    **_family("spsa-100", _stock, (0.1, 0.2, 0.4), shots=100),
    **_family("spsa-20", _stock, (0.1, 0.2, 0.4), shots=20),
    **_family("adam", _adam, (0.03, 0.1, 0.3)),
    **_family("shot-adaptive", _shot_adaptive, (0.03, 0.1, 0.2), _QNODES),
    **_family("qnspsa", _qnspsa, (0.02, 0.05, 0.1), _QNODES),
    "shared": Method(_shared, "shared"),
    "per-sample": Method(partial(_fixed, directions="per-sample", resamplings=1), "per-sample"),
    "auto": Method(partial(_auto, prices="qpu.forte-1"), "auto"),
    "auto-circuit": Method(partial(_auto, prices="qpu.forte-1/circuit"), "auto-circuit"),
}
"""Methods by name. A family's middle step size has its name alone."""
