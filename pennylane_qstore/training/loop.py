"""A training run as a :class:`TrainingConfig` describes it: epochs, mini-batches, history."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pennylane import numpy as pnp

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training import model
from pennylane_qstore.training.performance import PerformanceTracker
from pennylane_qstore.training.rules import diff_method

if TYPE_CHECKING:
    from pennylane_qstore.training.config import TrainingConfig

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
) -> History:
    """Train.

    Args:
        config: its fields of the kinds ``"run"`` and ``"optimizer"``, and of the kind
            ``"model"`` where no objective is given.
        cost: objective of ``(params, x, y)``, or of ``(params)`` where there are no data; by
            default the squared error of the configured model.
        params: where to start; by default small random weights of that model.
        data: features ``[N, F]`` and labels ``[N]``.
        device: whose circuits are counted, and on which the model runs; by default
            ``config.device()`` for the model.
        seed: of mini-batches, perturbations and initial weights.
        on_step: called after every step.

    Raises:
        ConfigurationError: neither an objective nor data, or no parameters for an objective.
    """
    streams = np.random.SeedSequence(seed).spawn(3)
    rng, spsa_rng, weights_rng = (np.random.default_rng(s) for s in streams)
    if cost is None:
        if data is None:
            raise ConfigurationError("run() needs an objective, or data for the built-in model.")
        device = config.device() if device is None else device
        wires = None if device.wires is None else len(device.wires)
        cost = model.squared_error(config, model.make_circuit(config, device))
        if params is None:
            params = model.initial_weights(config, weights_rng, wires)
    if params is None:
        raise ConfigurationError("run() needs parameters to start from.")
    if diff_method(config) is None:
        rows = 1 if data is None else len(data[1])
        steps = config.epochs * math.ceil(rows / config.batch_size)
        optimizer = config.optimizer(seed=spsa_rng, maxiter=steps)
    else:
        optimizer, params = config.optimizer(), pnp.array(params, requires_grad=True)
    history = History(params, optimizer, device)
    if config.enable_performance_tracking:
        history.performance = PerformanceTracker(config.performance_log_dir, config.log_interval)
    for epoch in range(1, config.epochs + 1):
        for samples in _samples(config, data, rng):
            _step(config, history, cost, samples, epoch)
            if on_step is not None:
                on_step(history.steps[-1])
        if history.performance is not None:
            history.performance.log_epoch(epoch)
        if epoch % config.checkpoint_interval == 0:
            history.checkpoints.append(_checkpoint(config, history, epoch))
    if history.performance is not None and config.performance_log_dir is not None:
        history.performance.save()
    return history


def _samples(
    config: TrainingConfig, data: tuple[Any, Any] | None, rng: np.random.Generator
) -> Iterator[tuple[Any, ...]]:
    """The data of each step of an epoch."""
    if data is None:
        yield ()
        return
    x, y = np.asarray(data[0]), np.asarray(data[1])
    order = rng.permutation(len(y))
    for start in range(0, len(y), config.batch_size):
        rows = order[start : start + config.batch_size]
        if config.gradient_method == "spsa_subsampled":
            few = min(config.gradient_subsample_size, len(rows))
            rows = rng.choice(rows, few, replace=False)
        yield x[rows], y[rows]


def _step(
    config: TrainingConfig,
    history: History,
    cost: Callable[..., Any],
    samples: tuple[Any, ...],
    epoch: int,
) -> None:
    before = _circuits(history.device)
    start = time.perf_counter()

    def objective(params: Any) -> Any:
        return cost(params, *samples)

    history.params, loss = history.optimizer.step_and_cost(objective, history.params)
    seconds = time.perf_counter() - start
    norm = getattr(history.optimizer, "last_gradient_norm", None)
    step = Step(
        len(history.steps) + 1,
        epoch,
        float(loss),
        seconds,
        norm if config.track_gradients else None,
        _circuits(history.device) - before,
    )
    history.steps.append(step)
    if history.performance is not None:
        history.performance.log_batch(
            batch_idx=step.step - 1,
            epoch=epoch,
            loss=step.loss,
            gradient_norm=norm or 0.0,
            n_circuits=step.circuits,
            time_ms=1e3 * seconds,
            learning_rate=config.learning_rate,
            cache_stats=None if history.device is None else history.device.cache.get_stats(),
            method_used=config.gradient_method,
        )
    if step.step % config.log_interval == 0:
        logger.info("Step %d, epoch %d: loss %.6g.", step.step, epoch, step.loss)


def _circuits(device: Any) -> int:
    return 0 if device is None else int(device._stats.count("circuits"))


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
