"""A training run as a :class:`TrainingConfig` describes it: epochs, mini-batches, history."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pennylane as qml
from pennylane import numpy as pnp

from pennylane_qstore.backends import backend
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.callbacks import Callback, Run
from pennylane_qstore.training.minibatches import checked
from pennylane_qstore.training.run import TrainingRun
from pennylane_qstore.v34 import model
from pennylane_qstore.v34.optimizers import diff_method, is_natural
from pennylane_qstore.v34.performance import PerformanceTracker

if TYPE_CHECKING:
    from pennylane_qstore.device import IonQDevice
    from pennylane_qstore.training.history import StepRecord
    from pennylane_qstore.v34.config import TrainingConfig

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Step:
    """One training step.

    Attributes:
        step, epoch: counted from 1.
        loss: of the step's samples, before it.
        seconds: it took.
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
    """What a run came to.

    Attributes:
        params: the trained parameters.
        steps: a record of each step.
        optimizer: as it ended.
        device: it ran on; None where the objective brought its own.
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
        """Of every step."""
        return [step.loss for step in self.steps]


def run(
    config: TrainingConfig,
    cost: Callable[..., Any] | None = None,
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
        config: its fields of the kinds ``"run"`` and ``"optimizer"``, and of the kind
            ``"model"`` where no objective is given.
        cost: objective of ``(params, x, y)``, or of ``(params)`` where there are no data; by
            default the squared error of the configured model.
        params: where to start; by default small random weights of that model.
        data: features ``[N, F]`` and labels ``[N]``.
        device: whose circuits are counted, and on which the model runs; by default
            ``config.device()`` for the model.
        seed: of mini-batches, perturbations and initial weights; and of the shots of a simulator
            that is made here.
        on_step: called after every step.
        progress: whether a bar is shown; None for terminals and notebooks only.

    Raises:
        ConfigurationError: neither an objective nor data, or no parameters for an objective.
    """
    if data is not None:
        data = _features_and_labels(data)
    if is_natural(config) and (data is not None or not isinstance(cost, qml.QNode)):
        raise ConfigurationError(
            "'natural_gradient' is qml.QNGOptimizer: it needs a QNode of the parameters alone as "
            "its objective, and no data. Use gradient_method='parameter_shift' or 'spsa' else."
        )
    streams = np.random.SeedSequence(seed).spawn(3)
    rng, spsa_rng, weights_rng = (np.random.default_rng(s) for s in streams)
    if cost is None:
        if data is None:
            raise ConfigurationError("run() needs an objective, or data for the built-in model.")
        device = _seeded_device(config, seed) if device is None else device
        wires = None if device.wires is None else len(device.wires)
        cost = model.squared_error(config, model.make_circuit(config, device))
        if params is None:
            params = model.initial_weights(config, weights_rng, wires)
    if params is None:
        raise ConfigurationError("run() needs parameters to start from.")
    rows = 1 if data is None else len(data[1])
    per_epoch = math.ceil(rows / config.batch_size)
    if diff_method(config) is None:
        optimizer = config.optimizer(seed=spsa_rng, maxiter=config.epochs * per_epoch)
    else:
        optimizer, params = config.optimizer(), pnp.array(params, requires_grad=True)
    history = History(params, optimizer, device)
    if config.enable_performance_tracking:
        history.performance = PerformanceTracker(config.performance_log_dir, config.log_interval)
    few, batch_seed = config.gradient_subsample_size, int(rng.integers(2**32))

    def objective(params: Any, *samples: Any) -> Any:
        if samples and config.gradient_method == "spsa_subsampled" and len(samples[1]) > few:
            # The same ones at both points of a step.
            draw = np.random.default_rng([batch_seed, training.step])
            chosen = draw.choice(len(samples[1]), few, replace=False)
            samples = tuple(part[chosen] for part in samples)
        return cost(params, *samples)

    training = TrainingRun(
        objective if data is not None else cost,
        params,
        optimizer,
        data=data,
        batch_size=None if data is None else min(config.batch_size, rows),
        seed=batch_seed,
        device=() if device is None else device,
        callbacks=[_Watcher(config, history, per_epoch, on_step)],
        progress=progress,
    )
    training.train(epochs=config.epochs)
    if history.performance is not None:
        history.performance.save()
    return history


def _features_and_labels(data: Any) -> tuple[Any, Any]:
    parts = checked(data, "data")
    if len(parts) != 2:
        raise ConfigurationError(f"data needs features and labels, as (x, y), not {len(parts)}.")
    return np.asarray(parts[0]), np.asarray(parts[1])


def _seeded_device(config: TrainingConfig, seed: int | None) -> IonQDevice:
    target = config.device_options()["backend"]
    is_qpu = target != "emulator" and backend(target).is_qpu
    return config.device(seed=None if is_qpu else seed)


class _Watcher(Callback):
    """Keeps v3.4's records of a run: steps, tracker, log lines, a checkpoint every few epochs."""

    def __init__(
        self,
        config: TrainingConfig,
        history: History,
        per_epoch: int,
        on_step: Callable[[Step], None] | None,
    ) -> None:
        self._config, self._history, self._per_epoch = config, history, per_epoch
        self._told = on_step

    def on_step(self, run: Run, record: StepRecord) -> None:
        """Keep a step."""
        config, history = self._config, self._history
        history.params = run.params
        norm = getattr(run.optimizer, "last_gradient_norm", None)
        step = Step(
            record.step,
            record.epoch,
            record.loss,
            record.seconds,
            norm if config.track_gradients else None,
            record.circuits,
        )
        history.steps.append(step)
        self._track(step, norm)
        if step.step % config.log_interval == 0:
            logger.info("Step %d, epoch %d: loss %.6g.", step.step, step.epoch, step.loss)
        if self._told is not None:
            self._told(step)
        if step.step % self._per_epoch == 0 and step.epoch % config.checkpoint_interval == 0:
            history.checkpoints.append(_checkpoint(config, history, step.epoch))

    def _track(self, step: Step, norm: float | None) -> None:
        config, history = self._config, self._history
        if history.performance is None:
            return
        cache = getattr(history.device, "cache", None)
        history.performance.log_batch(
            batch_idx=step.step - 1,
            epoch=step.epoch,
            loss=step.loss,
            gradient_norm=norm or 0.0,
            n_circuits=step.circuits,
            time_ms=1e3 * step.seconds,
            learning_rate=config.learning_rate,
            cache_stats=None if cache is None else cache.get_stats(),
            method_used=config.gradient_method,
        )
        if step.step % self._per_epoch == 0:
            history.performance.log_epoch(step.epoch)


def _checkpoint(config: TrainingConfig, history: History, epoch: int) -> Path:
    """Write parameters and optimizer; a half-written file never takes a whole one's place."""
    folder = Path(config.checkpoint_directory)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"epoch_{epoch:05d}.json"
    state: dict[str, Any] = getattr(history.optimizer, "state_dict", dict)()
    content = {
        "epoch": epoch,
        "step": len(history.steps),
        "params": _plain(history.params),
        "optimizer": state,
        "config": config.to_dict(),
    }
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content), encoding="utf-8")
    part.replace(path)
    return path


def _plain(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {name: _plain(value) for name, value in tree.items()}
    if isinstance(tree, tuple | list):
        return [_plain(value) for value in tree]
    return np.asarray(tree).tolist()
