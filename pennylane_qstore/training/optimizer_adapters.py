"""Adapters that make a training step of PennyLane's optimizers, ours, or torch's."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from pennylane_qstore.compat.interfaces import getval
from pennylane_qstore.deferral.operands import real
from pennylane_qstore.deferral.scope import deferred
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.objective import Batch, Objective
from pennylane_qstore.training.parameters import arguments, as_loss, is_jax, leaves_of
from pennylane_qstore.training.spsa import SPSAOptimizer
from pennylane_qstore.training.stock_steps import stock_step, take_names
from pennylane_qstore.training.value_and_grad import in_rounds
from pennylane_qstore.training.values import decode, encode
from pennylane_qstore.validation import check_flag


class Evaluation(NamedTuple):
    """The objective at one point.

    Attributes:
        loss: its value.
        metrics: further values of the same outputs, by name.
        gradient_rms: root mean square of the step's gradient; None where the optimizer has none.
        gradient_variance: of the gradient's elements, on average; None if it was not measured.
    """

    loss: float
    metrics: dict[str, float]
    gradient_rms: float | None = None
    gradient_variance: float | None = None


_TRAINABLE = "give qml.numpy.array(values, requires_grad=True), or arrays of JAX."


class OptimizerAdapter(ABC):
    """Parameters and an optimizer, which make steps together.

    Args:
        objective: function that is minimised.
        params: trained values: arrays, a tuple of them (several arguments), or a torch module.
        optimizer: of PennyLane, of this package, or of torch.
        broadcast: the model takes trained arrays with a leading axis of rows.
        step_kwargs: of each ``step_and_cost`` of PennyLane's optimizers.
    """

    def __init__(
        self,
        objective: Objective,
        params: Any,
        optimizer: Any,
        broadcast: bool = False,
        step_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.objective, self.params, self.optimizer = objective, params, optimizer
        self.broadcast = check_flag("broadcast", broadcast)
        self.step_kwargs = dict(step_kwargs or {})

    def step(
        self, batch: Batch, indices: NDArray[np.int64] | None = None, total: int | None = None
    ) -> Evaluation:
        """Change the parameters.

        Args:
            batch: arrays with one row per sample.
            indices: of the samples in the data.
            total: samples of the data.

        Returns:
            The objective before the step; by samples, at the perturbed points.
        """
        return self._step(batch, indices, total)

    @abstractmethod
    def _step(
        self, batch: Batch, indices: NDArray[np.int64] | None, total: int | None
    ) -> Evaluation:
        """Change the parameters; see :meth:`step`."""

    @property
    def plain_params(self) -> Any:
        """The trained values alone: of a torch module its state."""
        is_module = hasattr(self.params, "state_dict")
        return self.params.state_dict() if is_module else self.params

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
        args = arguments(self.params if params is None else params)
        with self._values_only():
            outputs = self._outputs(args, batch)
            loss = as_loss(real(self.objective.value(outputs, batch)))
        return Evaluation(loss, self.objective.measured(outputs, batch))

    def _outputs(self, args: tuple[Any, ...], batch: Batch) -> Any:
        """Return the model's outputs, with as few POSTs as it goes."""
        if any(map(is_jax, args)):
            return in_rounds(lambda *values: self.objective.outputs(values, batch), *args)
        return real(self.objective.outputs(args, batch))

    def _values_only(self) -> AbstractContextManager[Any]:
        """Evaluate inside as quickly as it goes without derivatives."""
        return deferred()


def adapt(
    objective: Objective,
    params: Any,
    optimizer: Any,
    broadcast: bool = False,
    step_kwargs: Mapping[str, Any] | None = None,
) -> OptimizerAdapter:
    """Return the adapter of an optimizer.

    Args:
        objective: function that is minimised.
        params: trained values: arrays, a tuple of them; None for a model that is a torch module
            and so its own parameters.
        optimizer: with ``step_and_cost``, as PennyLane's have it, or a torch one.
        broadcast: the model takes trained arrays with a leading axis of rows.
        step_kwargs: of each ``step_and_cost`` of PennyLane's optimizers.

    Returns:
        The adapter.

    Raises:
        ConfigurationError: an optimizer of neither kind, or that would train nothing, or no loss.
    """
    if params is None and hasattr(objective.model, "parameters"):
        if objective.loss is None:
            raise ConfigurationError(
                "A torch module needs loss=: give a function of its outputs and the labels."
            )
        params, loss, metrics = objective.model, objective.loss, objective.metrics
        objective = Objective(lambda module, *inputs: module(*inputs), loss, metrics)
    torch = sys.modules.get("torch")
    is_torch = torch is not None and isinstance(optimizer, torch.optim.Optimizer)
    if step_kwargs and (is_torch or isinstance(optimizer, SPSAOptimizer)):
        raise ConfigurationError(
            f"step_kwargs= goes to step_and_cost of PennyLane's optimizers; a "
            f"{type(optimizer).__name__} takes none."
        )
    if is_torch:
        return TorchAdapter(objective, params, optimizer)
    if not hasattr(optimizer, "step_and_cost"):
        raise ConfigurationError(
            f"A {type(optimizer).__name__} is not allowed as optimizer. Allowed: an optimizer of "
            "PennyLane or qstore, with step_and_cost, or one of torch.optim."
        )
    trainable = any(is_jax(x) or getattr(x, "requires_grad", False) for x in leaves_of(params))
    if type(optimizer).__module__.startswith("pennylane.") and not trainable:
        raise ConfigurationError(f"{type(optimizer).__name__} would train nothing: {_TRAINABLE}")
    return PennyLaneAdapter(objective, params, optimizer, broadcast, step_kwargs)


class PennyLaneAdapter(OptimizerAdapter):
    """Steps of PennyLane's optimizers and ours; a tuple of parameters is several arguments."""

    def _step(
        self, batch: Batch, indices: NDArray[np.int64] | None, total: int | None
    ) -> Evaluation:
        optimizer = self.optimizer
        if not isinstance(optimizer, SPSAOptimizer):
            return self._step_together(batch)
        if self.objective.loss is None or not batch or optimizer.directions == "shared":
            evaluation = self._step_together(batch)
        else:
            rows = optimizer.row_evaluator(
                self.objective, batch, broadcast=self.broadcast, indices=indices, total=total
            )
            new, loss = optimizer.step_batch(rows, arguments(self.params))
            self.params = tuple(new) if isinstance(self.params, tuple) else new[0]
            evaluation = Evaluation(loss, rows.metrics())
        gradient = optimizer.gradient
        if gradient is None:
            return evaluation
        return evaluation._replace(
            gradient_rms=gradient.rms, gradient_variance=gradient.mean_variance
        )

    def _step_together(self, batch: Batch) -> Evaluation:
        """Step by the objective of all samples, and evaluate it where the parameters stand."""
        current = arguments(self.params)
        outputs_here: list[Any] = []
        # Functions of JAX are traced and have no values: metrics are evaluated for themselves.
        traced = any(map(is_jax, current))
        metrics = self.evaluate(batch).metrics if traced and self.objective.metrics else {}

        def objective(*args: Any) -> Any:
            outputs = self.objective.outputs(args, batch)
            if self.objective.metrics and not traced and _is_same_point(args, current):
                outputs_here[:] = [real(outputs)]
            return self.objective.value(outputs, batch)

        # Some stock optimizers ask more of a QNode than its value: it is handed over as it is.
        is_bare = self.objective.loss is None and not batch
        if not is_bare:
            take_names(objective, self.objective.model, len(current))
        target = self.objective.model if is_bare else objective
        if isinstance(self.optimizer, SPSAOptimizer):
            new, value = real(self.optimizer.step_and_cost(target, *current))
        else:
            new, value = stock_step(self.optimizer, target, current, self.step_kwargs)
        if outputs_here:
            metrics = self.objective.measured(outputs_here[0], batch)
        self.params = tuple(new) if isinstance(self.params, tuple) else new
        return Evaluation(as_loss(value), metrics)

    def state_dict(self) -> dict[str, Any]:
        """Return parameters and optimizer, ready for JSON."""
        if hasattr(self.optimizer, "state_dict"):
            state = self.optimizer.state_dict()
        else:
            # Functions among a stock optimizer's attributes are settings, and the program's.
            state = {k: v for k, v in vars(self.optimizer).items() if not callable(v)}
        # An optimizer may hold results that it has not looked at, of a gradient that came late.
        return {"params": encode(self.params), "optimizer": encode(real(state))}

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

    def _step(self, batch: Batch, *_: Any) -> Evaluation:
        first: list[tuple[float, Any]] = []
        args = arguments(self.params)

        def closure() -> Any:
            self.optimizer.zero_grad()
            with deferred():
                outputs = self.objective.outputs(args, batch)
                loss = real(self.objective.value(outputs, batch))
                if not first:
                    first.append((float(loss.detach()), real(outputs)))
                as_loss(loss)
                loss.backward()
            return loss

        self.optimizer.step(closure)
        loss, outputs = first[0]
        return Evaluation(loss, self.objective.measured(outputs, batch))

    def state_dict(self) -> dict[str, Any]:
        """Return parameters and optimizer, ready for JSON."""
        state = self.optimizer.state_dict()
        return {"params": encode(self.plain_params), "optimizer": encode(state)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a :meth:`state_dict`; the optimizer's tensors stay the same objects."""
        import torch

        saved = decode(state["params"])
        if hasattr(self.params, "load_state_dict"):  # of a module
            self.params.load_state_dict(saved)
        else:
            with torch.no_grad():
                for old, new in zip(arguments(self.params), arguments(saved), strict=True):
                    old.copy_(new)
        self.optimizer.load_state_dict(decode(state["optimizer"]))

    def _values_only(self) -> AbstractContextManager[Any]:
        import torch

        return cast(AbstractContextManager[Any], torch.no_grad())


def _is_same_point(args: tuple[Any, ...], point: tuple[Any, ...]) -> bool:
    """Return True where an optimizer evaluates a point itself, under autograd's trace or not.

    Ours hands copies over, which the objective may write to.
    """
    pairs = zip(leaves_of(args), leaves_of(point), strict=True)
    return all(_is_same(getval(arg), leaf) for arg, leaf in pairs)


def _is_same(arg: Any, leaf: Any) -> bool:
    if arg is leaf:
        return True
    same = arg == leaf
    return bool(same.all() if hasattr(same, "all") else same)
