"""A training run as v3.4's settings describe it: epochs, mini-batches, history."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pennylane as qml
from pennylane import numpy as pnp

from pennylane_qstore.backends import described, is_qpu
from pennylane_qstore.device import IonQDevice
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training import checkpoint
from pennylane_qstore.training.callbacks import Callback, Run
from pennylane_qstore.training.history import StepRecord
from pennylane_qstore.training.minibatches import checked
from pennylane_qstore.training.parameters import map_leaves
from pennylane_qstore.training.run import TrainingRun
from pennylane_qstore.v34 import model
from pennylane_qstore.v34.device import device_options, make_device, set_log_level
from pennylane_qstore.v34.optimizers import diff_method, is_natural, make_optimizer
from pennylane_qstore.v34.performance import PerformanceTracker
from pennylane_qstore.v34.settings import Settings

logger = logging.getLogger(__name__)

Cost = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Step:
    """One training step.

    Attributes:
        step, epoch: counted from 1.
        loss: of the step's samples, before it.
        seconds: duration of the step.
        gradient_norm: Euclidean; None unless ``track_gradients``.
        circuits: executed by the device in this step.
    """

    step: int
    epoch: int
    loss: float
    seconds: float
    gradient_norm: float | None
    circuits: int


@dataclass(slots=True)
class History:
    """The outcome of a run.

    Attributes:
        params: the trained parameters.
        optimizer: as it ended.
        device: it ran on; None where the objective brought its own.
        steps: a record of each step.
        performance: figures by step and epoch, if they were asked for.
        checkpoints: files written.
    """

    params: Any
    optimizer: Any
    device: Any = None
    steps: list[Step] = field(default_factory=list)
    performance: PerformanceTracker | None = None
    checkpoints: list[Path] = field(default_factory=list)

    @property
    def losses(self) -> list[float]:
        """Loss of every step."""
        return [step.loss for step in self.steps]


def run(
    settings: Settings,
    cost: Cost | None = None,
    params: Any = None,
    *,
    data: tuple[Any, Any] | None = None,
    device: Any = None,
    seed: int | None = None,
    on_step: Callable[[Step], None] | None = None,
    progress: bool | None = None,
) -> History:
    """Train, by a :class:`TrainingRun`; Ctrl-C ends it after the step it is in.

    Args:
        settings: v3.4's fields; those of the model count where no objective is given.
        cost: objective of ``(params, x, y)``, or of ``(params)`` where there are no data; by
            default the squared error of the configured model.
        params: where to start; by default small random weights of that model.
        data: features ``[N, F]`` and labels ``[N]``.
        device: its circuits are counted, and the model runs on it; by default a new one.
        seed: of mini-batches, perturbations, initial weights, and the shots of a new simulator.
        on_step: called after every step.
        progress: show a bar; None for terminals and notebooks only.

    Returns:
        The history of the run.

    Raises:
        ConfigurationError: neither an objective nor data, or no parameters for an objective.
    """
    set_log_level(settings)
    data = None if data is None else _features_and_labels(data)
    _check_natural_gradient(settings, cost, data)
    streams = np.random.SeedSequence(seed).spawn(3)
    rng, spsa_rng, weights_rng = (np.random.default_rng(s) for s in streams)
    if cost is None:
        cost, weights, device = _built_in_model(settings, data, device, seed, weights_rng)
        params = weights if params is None else params
    if params is None:
        raise ConfigurationError("run() needs parameters to start from.")
    rows = 1 if data is None else len(data[1])
    per_epoch = math.ceil(rows / settings.batch_size)
    optimizer, params = _optimizer(settings, params, spsa_rng, settings.epochs * per_epoch)
    batch_seed = int(rng.integers(2**32))
    if data is not None and settings.gradient_method == "spsa_subsampled":
        cost = _subsampled(settings, cost, batch_seed, lambda: training.step)
    history = History(params, optimizer, device)
    training = TrainingRun(
        cost,
        params,
        optimizer,
        data=data,
        batch_size=None if data is None else min(settings.batch_size, rows),
        seed=batch_seed,
        **_on(device),
        callbacks=[_Recorder(settings, history, per_epoch, on_step)],
        progress=progress,
    )
    training.train(epochs=settings.epochs)
    return history


def _on(device: Any) -> dict[str, Any]:
    """Return device and price list of a run; where a machine has none, v3.4 needs none either."""
    is_new = isinstance(device, IonQDevice) and described(device.target.backend.name) is not None
    return {
        "device": () if device is None else device,
        "prices": "qpu.forte-1" if is_new else None,
    }


def _features_and_labels(data: Any) -> tuple[Any, Any]:
    parts = checked(data, "data")
    if len(parts) != 2:
        raise ConfigurationError(f"data needs features and labels, as (x, y), not {len(parts)}.")
    return np.asarray(parts[0]), np.asarray(parts[1])


def _check_natural_gradient(settings: Settings, cost: Cost | None, data: Any) -> None:
    if is_natural(settings) and (data is not None or not isinstance(cost, qml.QNode)):
        raise ConfigurationError(
            "'natural_gradient' is qml.QNGOptimizer: it needs a QNode of the parameters alone as "
            "its objective, and no data. Use gradient_method='parameter_shift' or 'spsa' else."
        )


def _optimizer(
    settings: Settings, params: Any, rng: np.random.Generator, steps: int
) -> tuple[Any, Any]:
    """Return the optimizer, and the parameters as it trains them."""
    if diff_method(settings) is None:
        return make_optimizer(settings, seed=rng, maxiter=steps), params
    return make_optimizer(settings), pnp.array(params, requires_grad=True)


def _built_in_model(
    settings: Settings, data: Any, device: Any, seed: int | None, rng: np.random.Generator
) -> tuple[Cost, Any, Any]:
    """Return the model's objective, weights to start from, and the device that it runs on."""
    if data is None:
        raise ConfigurationError("run() needs an objective, or data for the built-in model.")
    if device is None:
        target = device_options(settings)["backend"]
        device = make_device(settings, seed=None if is_qpu(target) else seed)
    return *model.squared_error_model(settings, device, rng), device


def _subsampled(settings: Settings, cost: Cost, seed: int, step: Callable[[], int]) -> Cost:
    """Return an objective of some of the samples, the same ones at all points of a step."""
    count = settings.gradient_subsample_size

    def subsampled(params: Any, *samples: Any) -> Any:
        if len(samples[1]) > count:
            draw = np.random.default_rng([seed, step()])
            chosen = draw.choice(len(samples[1]), count, replace=False)
            samples = tuple(part[chosen] for part in samples)
        return cost(params, *samples)

    return subsampled


class _Recorder(Callback):
    """v3.4's records of a run: steps, tracker, log lines, a checkpoint every few epochs."""

    def __init__(
        self,
        settings: Settings,
        history: History,
        per_epoch: int,
        on_step: Callable[[Step], None] | None,
    ) -> None:
        self._settings, self._history, self._per_epoch = settings, history, per_epoch
        self._observer = on_step
        if settings.enable_performance_tracking:
            history.performance = PerformanceTracker(
                settings.performance_log_dir, settings.log_interval
            )

    def on_step(self, run: Run, record: StepRecord) -> None:
        settings, history = self._settings, self._history
        history.params = run.params
        norm = getattr(run.optimizer, "last_gradient_norm", None)
        tracked = norm if settings.track_gradients else None
        step = Step(
            *(record.step, record.epoch, record.loss, record.seconds), tracked, record.circuits
        )
        history.steps.append(step)
        ends_epoch = step.step % self._per_epoch == 0
        self._track(step, norm, ends_epoch)
        if step.step % settings.log_interval == 0:
            logger.info("Step %d, epoch %d: loss %.6g.", step.step, step.epoch, step.loss)
        if self._observer is not None:
            self._observer(step)
        if ends_epoch and step.epoch % settings.checkpoint_interval == 0:
            history.checkpoints.append(self._checkpoint(step))

    def on_stop(self, run: Run) -> None:
        if self._history.performance is not None:
            self._history.performance.save()

    def _track(self, step: Step, norm: float | None, ends_epoch: bool) -> None:
        tracker, cache = self._history.performance, getattr(self._history.device, "cache", None)
        if tracker is None:
            return
        tracker.log_batch(
            batch_idx=step.step - 1,
            epoch=step.epoch,
            loss=step.loss,
            gradient_norm=norm or 0.0,
            n_circuits=step.circuits,
            time_ms=1e3 * step.seconds,
            learning_rate=self._settings.learning_rate,
            cache_stats=None if cache is None else cache.get_stats(),
            method_used=self._settings.gradient_method,
        )
        if ends_epoch:
            tracker.log_epoch(step.epoch)

    def _checkpoint(self, step: Step) -> Path:
        """Write parameters and optimizer."""
        path = Path(self._settings.checkpoint_directory) / f"epoch_{step.epoch:05d}.json"
        state = {
            "epoch": step.epoch,
            "step": step.step,
            "params": map_leaves(lambda leaf: np.asarray(leaf).tolist(), self._history.params),
            "optimizer": getattr(self._history.optimizer, "state_dict", dict)(),
            "config": self._settings.to_dict(),
        }
        checkpoint.write(path, state)
        return path
