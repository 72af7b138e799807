"""Steps of PennyLane's own optimizers, which know nothing of batches, in as few as it goes."""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pennylane as qml

from pennylane_qstore.deferral.operands import real
from pennylane_qstore.deferral.postponed import Postponed
from pennylane_qstore.deferral.scope import deferred, evaluate
from pennylane_qstore.training.parameters import as_loss, is_jax, without_graphs
from pennylane_qstore.training.value_and_grad import in_rounds, value_and_grad

Function = Callable[..., Any]

_OF_VALUES = (qml.SPSAOptimizer, qml.RotosolveOptimizer)
"""Optimizers that ask a function for values alone."""


def stock_step(
    optimizer: Any, objective: Function, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[Any, Any]:
    """Make a step; evaluations that do not depend on each other travel in one batch.

    Args:
        optimizer: of PennyLane, or one with a ``step_and_cost`` like theirs.
        objective: a function, or a QNode.
        args: its arguments.
        kwargs: of ``step_and_cost``, beside them.

    Returns:
        The new arguments (one alone without a tuple) and the objective's value before; real ones.
    """
    make = _step_in_jax if any(map(is_jax, args)) else _step
    with deferred():
        new, value = make(optimizer, objective, args, dict(kwargs))
        return real(new), real(value)


def take_names(function: Any, model: Function, count: int | None = None) -> None:
    """Give a function the argument names of another one, which some optimizers look up.

    Args:
        function: of positional arguments.
        model: the other one.
        count: of its arguments; all by default.
    """
    with contextlib.suppress(TypeError, ValueError):  # functions written in C have none
        signature = inspect.signature(model)
        names = list(signature.parameters.values())[:count]
        function.__signature__ = signature.replace(parameters=names)


def _step(
    optimizer: Any,
    objective: Function,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    gradient: Function | None = None,
) -> Any:
    """Make a step.

    Args:
        optimizer: of PennyLane, or the like.
        objective: a function of PennyLane's tensors, or a QNode.
        args: its arguments.
        kwargs: of ``step_and_cost``.
        gradient: of the objective and its value, as :func:`.value_and_grad` returns it; None
            leaves it to autograd.

    Returns:
        As the optimizer.
    """
    is_of_values = isinstance(optimizer, _OF_VALUES)
    target = _postponed(objective) if is_of_values else objective
    if _is_followed_by_the_value(optimizer):
        step = partial(optimizer.step, target, *args, **kwargs)
        return evaluate(step, partial(objective, *args))
    if is_of_values:
        return optimizer.step_and_cost(target, *args, **kwargs)
    if isinstance(optimizer, qml.QNGOptimizer):
        return _natural_step(optimizer, objective, args, kwargs, gradient)
    if gradient is not None and "grad_fn" in inspect.signature(optimizer.step_and_cost).parameters:
        kwargs.setdefault("grad_fn", _given(gradient))
    return optimizer.step_and_cost(objective, *args, **kwargs)


def _postponed(objective: Function) -> Function:
    """Return an objective that is evaluated where its values are looked at."""
    postponed = Postponed(lambda *point: as_loss(real(objective(*point))))

    def values(*point: Any) -> Any:
        return postponed(*without_graphs(real(point)))

    take_names(values, objective)
    return values


def _is_followed_by_the_value(optimizer: Any) -> bool:
    """Return True where ``step_and_cost`` is ``step``, and then the value at the same point."""
    stock = qml.SPSAOptimizer, qml.QNSPSAOptimizer
    made_by = getattr(type(optimizer), "step_and_cost", None)
    return made_by in [kind.step_and_cost for kind in stock] and not getattr(
        optimizer, "blocking", False
    )


def _natural_step(
    optimizer: Any,
    objective: Function,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    gradient: Function | None,
) -> Any:
    """Make a step of a natural gradient, metric tensor and gradient in one batch.

    Args:
        optimizer: a ``QNGOptimizer``.
        objective: a QNode, or a function whose ``metric_tensor_fn`` is among the kwargs.
        args: its arguments.
        kwargs: of ``step_and_cost``.
        gradient: see :func:`_step`.

    Returns:
        As the optimizer.
    """
    metric = kwargs.get("metric_tensor_fn")
    if metric is None and isinstance(objective, qml.QNode):
        metric = qml.metric_tensor(objective, approx=optimizer.approx)
    is_kept = not kwargs.get("recompute_tensor", True) and optimizer.metric_tensor is not None
    if gradient is None:
        trained = [i for i, arg in enumerate(args) if getattr(arg, "requires_grad", False)]
        gradient = value_and_grad(objective, argnums=trained) if trained else None
    if metric is not None and gradient is not None and not is_kept and "grad_fn" not in kwargs:
        tensor, found = evaluate(partial(metric, *args), partial(gradient, *args))
        kwargs["metric_tensor_fn"] = lambda *_, **__: tensor
        kwargs["grad_fn"] = _given(lambda *_, **__: found)
    return optimizer.step_and_cost(objective, *args, **kwargs)


def _given(gradient: Function) -> Function:
    """Return a gradient in the form in which PennyLane's optimizers take it.

    Args:
        gradient: returns a value and a tuple of arrays.

    Returns:
        A function of the same arguments: of arrays, or one array, with the value beside.
    """

    def grad_fn(*args: Any, **kwargs: Any) -> Any:
        value, found = gradient(*args, **kwargs)
        grad_fn.forward = value  # type: ignore[attr-defined]  # where an optimizer looks for it
        arrays = tuple(map(np.asarray, found))
        return arrays if len(arrays) > 1 else arrays[0]

    return grad_fn


def _step_in_jax(
    optimizer: Any, objective: Function, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Make a step of an optimizer that trains PennyLane's tensors alone.

    Args:
        optimizer: of PennyLane, or the like.
        objective: a function of JAX's arrays, or a QNode.
        args: its arguments; JAX's arrays among them are trained.
        kwargs: of ``step_and_cost``.

    Returns:
        As the optimizer: new arguments, of the same kinds, and the objective's value before.
    """
    jax = sys.modules["jax"]
    trained = [i for i, arg in enumerate(args) if is_jax(arg)]

    def in_jax(values: Any) -> list[Any]:
        return [
            jax.numpy.asarray(np.asarray(value), dtype=arg.dtype) if is_jax(arg) else value
            for value, arg in zip(values, args, strict=True)
        ]

    def value(*tensors: Any) -> Any:
        return in_rounds(objective, *in_jax(tensors))

    def gradient(*tensors: Any) -> Any:
        return value_and_grad(objective, argnums=trained)(*in_jax(tensors))

    tensors = tuple(
        qml.numpy.array(np.asarray(arg), requires_grad=True) if is_jax(arg) else arg for arg in args
    )
    take_names(value, objective)
    # Some ask more of a QNode than its value.
    is_handed_over = isinstance(objective, qml.QNode) and not isinstance(optimizer, _OF_VALUES)
    target = objective if is_handed_over else value
    new, found = _step(optimizer, target, tensors, kwargs, gradient)
    moved = in_jax([new] if len(args) == 1 else new)
    return (moved[0] if len(args) == 1 else moved), found
