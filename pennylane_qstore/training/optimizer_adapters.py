"""Adapters that make a training step of PennyLane's optimizers, ours, or torch's."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple, cast

import numpy as np
from pennylane.numpy import tensor

from pennylane_qstore.deferral.operands import real
from pennylane_qstore.deferral.scope import deferred
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.parameters import as_loss, leaves_of
from pennylane_qstore.training.spsa import SPSAOptimizer
from pennylane_qstore.training.values import decode, encode

Batch = tuple[Any, ...]


class Evaluation(NamedTuple):
    """The objective at one point.

    Attributes:
        loss: its value.
        metrics: further values of the same outputs, by name.
    """

    loss: float
    metrics: dict[str, float]


class Objective:
    """The function that is minimised: ``cost(params, *batch)``, or a model and a loss.

    Args:
        model: the cost; with ``loss``, ``model(params, x)`` (``model(params)`` without data).
        loss: of ``(outputs, y)``; of ``(outputs,)`` if a batch has no labels.
        metrics: further numbers of the same arguments, by name. They cost no circuit.

    Raises:
        ConfigurationError: metrics without a loss.
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
        """Evaluate the model.

        Args:
            args: trained arguments.
            batch: arrays with one row per sample: features first, then labels.

        Returns:
            The outputs; the cost where there is no ``loss``.
        """
        return self.model(*args, *(batch if self.loss is None else batch[:1]))

    def value(self, outputs: Any, batch: Batch) -> Any:
        """Return the loss of outputs.

        Args:
            outputs: of the model.
            batch: that they were computed on.

        Returns:
            A scalar of the interface of the outputs.
        """
        return outputs if self.loss is None else self.loss(outputs, *batch[1:])

    def measured(self, outputs: Any, batch: Batch) -> dict[str, float]:
        """Return the metrics of outputs.

        Args:
            outputs: of the model.
            batch: that they were computed on.

        Returns:
            Values by name.
        """
        if not self.metrics:
            return {}
        args = (outputs, *batch[1:])
        return {name: float(_call_metric(metric, args)) for name, metric in self.metrics.items()}


class OptimizerAdapter(ABC):
    """Parameters and an optimizer, which make steps together.

    Args:
        objective: function that is minimised.
        params: trained values: arrays, a tuple of them (several arguments), or a torch module.
        optimizer: of PennyLane, of this package, or of torch.
    """

    def __init__(self, objective: Objective, params: Any, optimizer: Any) -> None:
        self.objective, self.params, self.optimizer = objective, params, optimizer

    @abstractmethod
    def step(self, batch: Batch) -> Evaluation:
        """Change the parameters; the objective before that."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return parameters and optimizer, ready for JSON."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a :meth:`state_dict`."""

    def evaluate(self, batch: Batch, params: Any = None) -> Evaluation:
        """Evaluate the objective; nothing changes.

        Args:
            batch: arrays with one row per sample.
            params: point; by default the parameters as they stand.

        Returns:
            Loss and metrics.
        """
        args = _arguments(self.params if params is None else params)
        with self._values_only():
            outputs = real(self.objective.outputs(args, batch))
            loss = as_loss(real(self.objective.value(outputs, batch)))
        return Evaluation(loss, self.objective.measured(outputs, batch))

    def _values_only(self) -> AbstractContextManager[Any]:
        """Evaluate inside as quickly as it goes without derivatives."""
        return deferred()


def adapt(objective: Objective, params: Any, optimizer: Any) -> OptimizerAdapter:
    """Return the adapter of an optimizer.

    Args:
        objective: function that is minimised.
        params: trained values: arrays, a tuple of them; None for a model that is a torch module
            and so its own parameters.
        optimizer: with ``step_and_cost``, as PennyLane's have it, or a torch one.

    Returns:
        The adapter.

    Raises:
        ConfigurationError: the optimizer is of neither kind, or a torch module has no loss.
    """
    if params is None and hasattr(objective.model, "parameters"):
        if objective.loss is None:
            raise ConfigurationError(
                "A torch module needs loss=: give a function of its outputs and the labels."
            )
        params, loss, metrics = objective.model, objective.loss, objective.metrics
        objective = Objective(lambda module, *inputs: module(*inputs), loss, metrics)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(optimizer, torch.optim.Optimizer):
        return TorchAdapter(objective, params, optimizer)
    if not hasattr(optimizer, "step_and_cost"):
        raise ConfigurationError(
            f"A {type(optimizer).__name__} is not allowed as optimizer. Allowed: an optimizer of "
            "PennyLane or qstore, with step_and_cost, or one of torch.optim."
        )
    return PennyLaneAdapter(objective, params, optimizer)


class PennyLaneAdapter(OptimizerAdapter):
    """Steps of PennyLane's optimizers and ours; a tuple of parameters is several arguments."""

    def step(self, batch: Batch) -> Evaluation:
        """Change the parameters; the objective before that."""
        current = _arguments(self.params)
        outputs_here: list[Any] = []

        def objective(*args: Any) -> Any:
            outputs = self.objective.outputs(args, batch)
            if self.objective.metrics and _is_same_point(args, current):
                outputs_here[:] = [outputs]
            return self.objective.value(outputs, batch)

        # Some stock optimizers ask more of a QNode than its value: it is handed over as it is.
        is_bare = self.objective.loss is None and not batch
        target = self.objective.model if is_bare else objective
        # Stock optimizers know nothing of batches: their evaluations are collected for them.
        # Ours collect by themselves, unless their mode says otherwise.
        is_ours = isinstance(self.optimizer, SPSAOptimizer)
        with nullcontext() if is_ours else deferred():
            new, value = self.optimizer.step_and_cost(target, *current)
            loss = as_loss(real(value))
        metrics = self.objective.measured(real(outputs_here[0]), batch) if outputs_here else {}
        new = real(new)
        self.params = tuple(new) if isinstance(self.params, tuple) else new
        return Evaluation(loss, metrics)

    def state_dict(self) -> dict[str, Any]:
        """Return parameters and optimizer, ready for JSON."""
        if hasattr(self.optimizer, "state_dict"):
            state = self.optimizer.state_dict()
        else:
            # Functions among a stock optimizer's attributes are settings, and the program's.
            state = {k: v for k, v in vars(self.optimizer).items() if not callable(v)}
        return {"params": encode(self.params), "optimizer": encode(state)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a :meth:`state_dict`.

        Raises:
            ConfigurationError: the parameters have other shapes, or a value would replace one of
                the optimizer's methods.
        """
        params, saved = decode(state["params"]), decode(state["optimizer"])
        shapes, mine = ([np.shape(leaf) for leaf in leaves_of(p)] for p in (params, self.params))
        if shapes != mine:
            raise ConfigurationError(f"The parameters have shapes {mine}; the state's: {shapes}.")
        if hasattr(self.optimizer, "load_state_dict"):
            self.optimizer.load_state_dict(saved)
        else:
            # A value in the place of a method would be called.
            kind = type(self.optimizer)
            methods = [name for name in saved if callable(getattr(kind, name, None))]
            if methods:
                raise ConfigurationError(f"{', '.join(methods)}: no state of a {kind.__name__}.")
            vars(self.optimizer).update(saved)
        self.params = params


class TorchAdapter(OptimizerAdapter):
    """Steps of torch's optimizers: ``params`` is a module, a tensor, or a tuple of tensors."""

    def step(self, batch: Batch) -> Evaluation:
        """Change the parameters; the objective before that."""
        first: list[tuple[float, Any]] = []
        args = _arguments(self.params)

        def closure() -> Any:
            self.optimizer.zero_grad()
            outputs = self.objective.outputs(args, batch)
            loss = self.objective.value(outputs, batch)
            if not first:
                first.append((float(loss.detach()), outputs))
            as_loss(loss)
            loss.backward()
            return loss

        self.optimizer.step(closure)
        loss, outputs = first[0]
        return Evaluation(loss, self.objective.measured(outputs, batch))

    def state_dict(self) -> dict[str, Any]:
        """Return parameters and optimizer, ready for JSON."""
        params = self.params.state_dict() if self._is_module() else self.params
        return {"params": encode(params), "optimizer": encode(self.optimizer.state_dict())}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a :meth:`state_dict`; the optimizer's tensors stay the same objects."""
        import torch

        saved = decode(state["params"])
        if self._is_module():
            self.params.load_state_dict(saved)
        else:
            with torch.no_grad():
                for old, new in zip(_arguments(self.params), _arguments(saved), strict=True):
                    old.copy_(new)
        self.optimizer.load_state_dict(decode(state["optimizer"]))

    def _values_only(self) -> AbstractContextManager[Any]:
        import torch

        return cast(AbstractContextManager[Any], torch.no_grad())

    def _is_module(self) -> bool:
        return hasattr(self.params, "state_dict")


def _arguments(params: Any) -> tuple[Any, ...]:
    """Return parameters as an objective's arguments."""
    return params if isinstance(params, tuple) else (params,)


def _is_same_point(args: tuple[Any, ...], point: tuple[Any, ...]) -> bool:
    """Return True where an optimizer evaluates a point itself, under autograd's trace or not.

    Ours hands torch's tensors over detached: the same memory.
    """
    return all(
        _untraced(arg) is leaf or (hasattr(leaf, "data_ptr") and arg.data_ptr() == leaf.data_ptr())
        for arg, leaf in zip(leaves_of(args), leaves_of(point), strict=True)
    )


def _untraced(value: Any) -> Any:
    while hasattr(value, "_value") and hasattr(value, "_node"):  # an autograd box
        value = value._value
    return value


def _call_metric(metric: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """Call a metric with torch's tensors, as the loss has them; or all with NumPy arrays.

    A metric may be written for either: NumPy's functions raise TypeError of tensors.
    """
    if any(hasattr(leaf, "detach") for leaf in leaves_of(args)):
        try:
            return metric(*_detached(args))
        except TypeError:
            return metric(*_as_numpy(args))
    return metric(*_as_numpy(args))


def _detached(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return type(value)(_detached(item) for item in value)
    return value.detach() if hasattr(value, "detach") else value


def _as_numpy(value: Any) -> Any:
    """Return NumPy arrays of arrays of any kind; trees of them stay trees."""
    if isinstance(value, tuple | list):
        return type(value)(_as_numpy(item) for item in value)
    value = _untraced(value)
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    return np.asarray(value) if isinstance(value, tensor) or hasattr(value, "shape") else value
