"""A cost and its gradient in one batch, for autograd, torch and JAX."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pennylane as qml

from pennylane_qstore.deferral.operands import real
from pennylane_qstore.deferral.scope import deferred
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.parameters import as_loss, is_torch


def value_and_grad(
    cost: Callable[..., Any], argnums: int | Sequence[int] = 0
) -> Callable[..., tuple[float, Any]]:
    """Return a function that returns a cost's value and gradient, as JAX's does.

    All circuits of all its QNode calls, those of gradients included, are sent as one batch; as
    few as the dependencies between them allow. Devices of others are used as they are.

    Args:
        cost: a function of NumPy's, PennyLane's, torch's or JAX's arrays that returns a number. A
            JAX cost is traced; one that looks at its values sends a batch for each QNode call.
        argnums: of the arguments to differentiate by.

    Returns:
        A function of the same arguments. It returns a float and an array of the arguments' kind,
        or a tuple of these where ``argnums`` is a sequence.

    Raises:
        ConfigurationError: ``cost`` cannot be called, or ``argnums`` are no numbers of arguments.

    **Example**

    >>> value, gradient = qstore.value_and_grad(cost)(weights)  # one batch
    """
    if not callable(cost):
        raise ConfigurationError(
            f"value_and_grad() differentiates functions, got {type(cost).__name__}."
        )
    chosen = tuple(argnums) if isinstance(argnums, Sequence) else (argnums,)
    if not chosen or not all(type(i) is int for i in chosen):
        raise ConfigurationError(
            f"argnums={argnums!r} is not allowed. Allowed: the number of an argument, or several."
        )

    @functools.wraps(cost)
    def evaluated(*args: Any, **kwargs: Any) -> tuple[float, Any]:
        if not all(-len(args) <= i < len(args) for i in chosen):
            raise ConfigurationError(f"argnums={argnums!r}, but there are {len(args)} arguments.")
        places = [i % len(args) for i in chosen]

        def of_chosen(*values: Any) -> Any:
            given = dict(zip(places, values, strict=True))
            return cost(*(given.get(i, arg) for i, arg in enumerate(args)), **kwargs)

        values = [args[i] for i in places]
        with deferred():
            value, gradients = _method(values)(of_chosen, values)
            loss, gradients = as_loss(real(value)), real(tuple(gradients))
        return loss, gradients[0] if isinstance(argnums, int) else gradients

    return evaluated


def _method(values: Sequence[Any]) -> Callable[..., tuple[Any, Sequence[Any]]]:
    if any(map(is_torch, values)):
        return _by_torch
    jax = sys.modules.get("jax")
    if jax is not None and any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(values)):
        return _by_jax
    return _by_autograd


def _by_autograd(cost: Callable[..., Any], values: Sequence[Any]) -> tuple[Any, Sequence[Any]]:
    gradient = qml.grad(cost, argnums=list(range(len(values))))
    found = gradient(*values)
    return gradient.forward, found


def _by_torch(cost: Callable[..., Any], values: Sequence[Any]) -> tuple[Any, Sequence[Any]]:
    import torch

    leaves = [value.detach().requires_grad_() for value in values]
    value = cost(*leaves)
    return value.detach(), torch.autograd.grad(value, leaves, materialize_grads=True)


def _by_jax(cost: Callable[..., Any], values: Sequence[Any]) -> tuple[Any, Sequence[Any]]:
    import jax

    found: tuple[Any, Sequence[Any]] = in_rounds(
        jax.value_and_grad(cost, argnums=tuple(range(len(values)))), *values
    )
    return found


def in_rounds(function: Callable[..., Any], *args: Any) -> Any:
    """Return a JAX function's value; circuits that do not wait for each other are one batch.

    Args:
        function: of JAX's arrays. One that looks at its values sends a batch for each call.
        args: its arguments.

    Returns:
        The value.
    """
    import jax

    from pennylane_qstore.deferral.jax_rounds import evaluate_in_rounds

    try:
        return evaluate_in_rounds(function, *args)
    except jax.errors.JAXTypeError:
        return function(*args)
