"""One training step, whoever makes it: PennyLane's optimizers, ours, or torch's."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any, NamedTuple, Protocol

import numpy as np
from pennylane.numpy import tensor

from pennylane_qstore.deferral.operands import real
from pennylane_qstore.deferral.scope import deferred
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.checkpoint import decode, encode
from pennylane_qstore.training.parameters import as_loss, leaves_of
from pennylane_qstore.training.spsa import SPSAOptimizer

Batch = tuple[Any, ...]


class Forward(NamedTuple):
    """The objective at one point.

    Attributes:
        loss: its value.
        metrics: what else was asked of the same outputs, by name.
    """

    loss: float
    metrics: dict[str, float]


class Objective:
    """What is minimised: ``cost(params, *batch)``, or a model and a loss of its outputs.

    Args:
        model: the cost; with ``loss``, ``model(params, x)`` (``model(params)`` without data).
        loss: of ``(outputs, y)``; of ``(outputs,)`` if a batch has no labels.
        metrics: further numbers of the same arguments, by name. They cost no circuit.
    """

    def __init__(
        self,
        model: Callable[..., Any],
        loss: Callable[..., Any] | None,
        metrics: Mapping[str, Callable[..., Any]],
    ) -> None:
        if metrics and loss is None:
            raise ConfigurationError("metrics are functions of a model's outputs: give loss= too.")
        self.model, self.loss, self.metrics = model, loss, dict(metrics)

    def outputs(self, args: Batch, batch: Batch) -> Any:
        """The model's outputs; the cost where there is no ``loss``."""
        return self.model(*args, *(batch if self.loss is None else batch[:1]))

    def value(self, outputs: Any, batch: Batch) -> Any:
        """The loss of outputs."""
        return outputs if self.loss is None else self.loss(outputs, *batch[1:])

    def measured(self, outputs: Any, batch: Batch) -> dict[str, float]:
        """The metrics of outputs."""
        if not self.metrics:
            return {}
        found = _plain(outputs)
        labels = tuple(_plain(part) for part in batch[1:])
        return {name: float(metric(found, *labels)) for name, metric in self.metrics.items()}


class Learner(Protocol):
    """Holds parameters and an optimizer, and makes steps."""

    objective: Objective
    params: Any
    optimizer: Any

    def step(self, batch: Batch) -> Forward:
        """Change the parameters; the objective before that."""

    def evaluate(self, batch: Batch, params: Any = None) -> Forward:
        """The objective where we are, or elsewhere; nothing changes."""

    def state_dict(self) -> dict[str, Any]:
        """Parameters and optimizer, ready for JSON."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a :meth:`state_dict`."""


def learner(objective: Objective, params: Any, optimizer: Any) -> Learner:
    """Who makes the steps.

    Args:
        objective: what is minimised.
        params: what is trained: arrays, a tuple of them, or a torch module.
        optimizer: with ``step_and_cost``, as PennyLane's have it, or a torch one.

    Raises:
        ConfigurationError: neither.
    """
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(optimizer, torch.optim.Optimizer):
        return TorchLearner(objective, params, optimizer)
    if not hasattr(optimizer, "step_and_cost"):
        raise ConfigurationError(
            f"A {type(optimizer).__name__} makes no steps here: give an optimizer of PennyLane or "
            "qstore (with step_and_cost), or a torch.optim one."
        )
    return StepAndCost(objective, params, optimizer)


class StepAndCost:
    """Steps of PennyLane's optimizers and ours; a tuple of parameters is several arguments."""

    def __init__(self, objective: Objective, params: Any, optimizer: Any) -> None:
        self.objective, self.params, self.optimizer = objective, params, optimizer

    def step(self, batch: Batch) -> Forward:
        """Change the parameters; the objective before that."""
        here = self._args(self.params)
        kept: list[Any] = []

        def objective(*args: Any) -> Any:
            outputs = self.objective.outputs(args, batch)
            if self.objective.metrics and _is_here(args, here):
                kept[:] = [outputs]
            return self.objective.value(outputs, batch)

        # Some stock optimizers ask more of a QNode than its value: it is handed over as it is.
        is_plain = self.objective.loss is None and not batch
        target = self.objective.model if is_plain else objective
        # Stock optimizers know nothing of batches: what they evaluate is collected for them.
        # Ours do, and may have been told not to.
        ours = isinstance(self.optimizer, SPSAOptimizer)
        with nullcontext() if ours else deferred():
            new, loss = self.optimizer.step_and_cost(target, *here)
            found = as_loss(real(loss))
        metrics = self.objective.measured(real(kept[0]), batch) if kept else {}
        new = real(new)
        self.params = tuple(new) if isinstance(self.params, tuple) else new
        return Forward(found, metrics)

    def evaluate(self, batch: Batch, params: Any = None) -> Forward:
        """The objective where we are, or elsewhere; nothing changes."""
        args = self._args(self.params if params is None else params)
        with deferred():
            outputs = real(self.objective.outputs(args, batch))
            loss = as_loss(real(self.objective.value(outputs, batch)))
        return Forward(loss, self.objective.measured(outputs, batch))

    def state_dict(self) -> dict[str, Any]:
        """Parameters and optimizer, ready for JSON."""
        own = getattr(self.optimizer, "state_dict", None)
        # Functions among a stock optimizer's attributes are settings, and the program's.
        state = (
            {k: v for k, v in vars(self.optimizer).items() if not callable(v)}
            if own is None
            else own()
        )
        return {"params": encode(self.params), "optimizer": encode(state)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a :meth:`state_dict`."""
        self.params = decode(state["params"])
        found = decode(state["optimizer"])
        if hasattr(self.optimizer, "load_state_dict"):
            self.optimizer.load_state_dict(found)
        else:
            vars(self.optimizer).update(found)

    @staticmethod
    def _args(params: Any) -> tuple[Any, ...]:
        return params if isinstance(params, tuple) else (params,)


class TorchLearner:
    """Steps of torch's optimizers: ``params`` is a module, a tensor, or a tuple of tensors."""

    def __init__(self, objective: Objective, params: Any, optimizer: Any) -> None:
        self.objective, self.params, self.optimizer = objective, params, optimizer

    def step(self, batch: Batch) -> Forward:
        """Change the parameters; the objective before that."""
        first: list[tuple[Any, Any]] = []

        def closure() -> Any:
            self.optimizer.zero_grad()
            outputs = self._outputs(self.params, batch)
            loss = self.objective.value(outputs, batch)
            if not first:
                first.append((float(loss.detach()), outputs))
            as_loss(loss)
            loss.backward()
            return loss

        self.optimizer.step(closure)
        loss, outputs = first[0]
        return Forward(loss, self.objective.measured(outputs, batch))

    def evaluate(self, batch: Batch, params: Any = None) -> Forward:
        """The objective where we are, or elsewhere; nothing changes."""
        import torch

        with torch.no_grad():
            outputs = self._outputs(self.params if params is None else params, batch)
            loss = as_loss(self.objective.value(outputs, batch))
        return Forward(loss, self.objective.measured(outputs, batch))

    def state_dict(self) -> dict[str, Any]:
        """Parameters and optimizer, ready for JSON."""
        params = self.params.state_dict() if self._is_module() else self.params
        return {"params": encode(params), "optimizer": encode(self.optimizer.state_dict())}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a :meth:`state_dict`; the optimizer's tensors stay the ones they are."""
        import torch

        found = decode(state["params"])
        if self._is_module():
            self.params.load_state_dict(found)
        else:
            mine, its = (p if isinstance(p, tuple) else (p,) for p in (self.params, found))
            with torch.no_grad():
                for old, new in zip(mine, its, strict=True):
                    old.copy_(new)
        self.optimizer.load_state_dict(decode(state["optimizer"]))

    def _outputs(self, params: Any, batch: Batch) -> Any:
        args = params if isinstance(params, tuple) else (params,)
        return self.objective.outputs(args, batch)

    def _is_module(self) -> bool:
        return hasattr(self.params, "state_dict")


# --------------------------------------------------------------------------- values


def _is_here(args: tuple[Any, ...], here: tuple[Any, ...]) -> bool:
    """Whether an optimizer evaluates the current point, under autograd's trace or not.

    Ours hands torch's tensors over detached: the same memory.
    """
    return all(
        _untraced(arg) is point
        or (hasattr(point, "data_ptr") and arg.data_ptr() == point.data_ptr())
        for arg, point in zip(leaves_of(args), leaves_of(here), strict=True)
    )


def _untraced(value: Any) -> Any:
    while hasattr(value, "_value") and hasattr(value, "_node"):  # an autograd box
        value = value._value
    return value


def _plain(value: Any) -> Any:
    """NumPy of arrays of any kind; trees of them stay trees."""
    if isinstance(value, tuple | list):
        return type(value)(_plain(item) for item in value)
    value = _untraced(value)
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    return np.asarray(value) if isinstance(value, tensor) or hasattr(value, "shape") else value
