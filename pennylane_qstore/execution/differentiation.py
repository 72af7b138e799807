"""Values and gradients of circuits in one batch, handed back to autograd, torch and JAX.

For the calls that :func:`.gradients.adjust_config` marks, the device stands where PennyLane's
boundary to these frameworks would: it gets the tapes with the parameters that are being
differentiated in them, and returns results that the framework can differentiate. Circuits of
values and of gradients are executed together; in a deferred scope with those of other calls, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

import autograd.extend
import numpy as np
from numpy.typing import NDArray
from pennylane.devices import ExecutionConfig
from pennylane.math.interface_utils import Interface
from pennylane.tape import QuantumScript

from pennylane_qstore.compat.interfaces import ArrayBox
from pennylane_qstore.deferral.array import DeferredArray
from pennylane_qstore.deferral.operands import is_deferred, real
from pennylane_qstore.deferral.traced import traced_parameters, tracers_of_jax
from pennylane_qstore.execution.gradients import FRAMEWORK, Gradient, Jacobians
from pennylane_qstore.operations import tape_with_parameters

Vjp = Callable[[Any], list[Any]]
"""From cotangents, nested as the results, to one array per differentiated parameter."""


def is_marked(config: ExecutionConfig | None) -> TypeGuard[ExecutionConfig]:
    """Return True for calls whose results the device hands to the framework itself."""
    return config is not None and FRAMEWORK in config.device_options


def execute(
    run: Callable[[Sequence[QuantumScript], ExecutionConfig], Sequence[Any]],
    gradient: Gradient,
    circuits: Sequence[QuantumScript],
    config: ExecutionConfig,
) -> tuple[Any, ...]:
    """Execute tapes whose parameters a framework may be differentiating.

    Args:
        run: executes tapes of NumPy parameters as one batch, deferred or not.
        gradient: the device's.
        circuits: tapes with the framework's parameters.
        config: a marked one, see :func:`is_marked`.

    Returns:
        One result per tape, of the framework.
    """
    options = dict(config.device_options)
    framework = options.pop(FRAMEWORK)
    config = replace(config, device_options=options)
    if framework in (Interface.JAX.value, Interface.JAX_JIT.value):
        return _execute_in_jax(run, gradient, circuits, config)
    traced = [Traced.of(circuit) for circuit in circuits]
    tapes, jacobians = gradient.tapes([t.tape for t in traced], config, by_row=True)
    results = tuple(run([*(t.tape for t in traced), *tapes], config))
    values, shifted = results[: len(traced)], results[len(traced) :]
    parameters = [p for t in traced for p in t.parameters]
    vjp = _vjp(traced, jacobians, shifted)
    if framework == Interface.TORCH.value:
        from pennylane_qstore.execution.torch_results import torch_results

        tensors: tuple[Any, ...] = torch_results(parameters, values, vjp)
        return tensors
    boxed: tuple[Any, ...] = _of_autograd(autograd.builtins.list(parameters), values, vjp)
    return boxed


def _execute_in_jax(
    run: Callable[[Sequence[QuantumScript], ExecutionConfig], Sequence[Any]],
    gradient: Gradient,
    circuits: Sequence[QuantumScript],
    config: ExecutionConfig,
) -> tuple[Any, ...]:
    """Execute tapes when JAX has values for them; see :func:`execute` for the arguments."""
    from pennylane_qstore.execution.jax_results import jax_results

    places = [tracers_of_jax(circuit) for circuit in circuits]

    def run_with(values: Sequence[Any], differentiated: Sequence[Sequence[int]]) -> Any:
        left, tapes = iter(values), []
        for circuit, indices, trained in zip(circuits, places, differentiated, strict=True):
            data = circuit.get_parameters(trainable_only=False)
            for i in indices:
                data[i] = next(left)
            tape = tape_with_parameters(circuit, [np.asarray(value) for value in data])
            tape.trainable_params = trained
            tapes.append(tape)
        shifted, jacobians = gradient.tapes(tapes, config, by_row=True)
        results = real(tuple(run([*tapes, *shifted], config)))
        return results[: len(tapes)], jacobians(results[len(tapes) :])

    return jax_results(circuits, places, run_with)


@dataclass(frozen=True, slots=True)
class Traced:
    """A circuit and those of its parameters that are being differentiated.

    Attributes:
        tape: with NumPy parameters; the differentiated ones are the trainable ones.
        parameters: those, of the framework.
        shapes: of these: ``()``, or ``(rows,)`` where they are broadcast.
    """

    tape: QuantumScript
    parameters: tuple[Any, ...]
    shapes: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, circuit: QuantumScript) -> Traced:
        """Take a circuit apart."""
        data = circuit.get_parameters(trainable_only=False)
        indices = traced_parameters(circuit)
        values = [_array(p) for p in data]
        parameters = tuple(data[i] for i in indices)
        changed = [i for i, value in enumerate(values) if value is not data[i]]
        tape = tape_with_parameters(circuit, [values[i] for i in changed], changed)
        if tape is circuit:
            tape = circuit.copy()
        tape.trainable_params = indices
        return cls(tape, parameters, tuple(np.shape(values[i]) for i in indices))


def _array(parameter: Any) -> Any:
    """Return a parameter as NumPy has it, deferred if it is."""
    if isinstance(parameter, ArrayBox):
        return parameter._value
    if hasattr(parameter, "detach"):  # of torch
        return parameter.array if is_deferred(parameter) else parameter.detach().numpy()
    return parameter


def _vjp(traced: Sequence[Traced], jacobians: Jacobians, shifted: Sequence[Any]) -> Vjp:
    """Return the vector-Jacobian product of a call.

    Args:
        traced: its circuits.
        jacobians: from the results of the gradient's tapes to one Jacobian per circuit.
        shifted: those results, deferred or not.

    Returns:
        The function.
    """
    shapes = [shape for t in traced for shape in t.shapes]

    def contracted(cotangents: Any, results: Any) -> NDArray[np.float64]:
        """Return the products of all parameters, in one vector."""
        rows = [
            product.ravel()
            for t, cotangent, jacobian in zip(traced, cotangents, jacobians(results), strict=True)
            for product in _products(t, cotangent, jacobian)
        ]
        return np.concatenate(rows)

    def vjp(cotangents: Any) -> list[Any]:
        sizes = [math.prod(shape) for shape in shapes]
        like = np.ones(sum(sizes))
        flat = DeferredArray.applied(contracted, cotangents, shifted, like=like)
        stops = np.cumsum(sizes)
        return [
            flat[stop - size : stop].reshape(shape)
            for stop, size, shape in zip(stops, sizes, shapes, strict=True)
        ]

    return vjp


def _products(traced: Traced, cotangent: Any, jacobian: Any) -> list[NDArray[np.float64]]:
    """Return the vector-Jacobian products of a circuit, one for each parameter."""
    if not traced.shapes:
        return []
    if traced.tape.shots.has_partitioned_shots:
        parts = [_of_measurements(traced, c, j) for c, j in zip(cotangent, jacobian, strict=True)]
    else:
        parts = [_of_measurements(traced, cotangent, jacobian)]
    return [sum(terms[1:], start=terms[0]) for terms in zip(*parts, strict=True)]


def _of_measurements(traced: Traced, cotangent: Any, jacobian: Any) -> list[Any]:
    if len(traced.tape.measurements) == 1:
        cotangent, jacobian = (cotangent,), (jacobian,)
    if len(traced.shapes) == 1:
        jacobian = [(leaf,) for leaf in jacobian]
    products = []
    for k, shape in enumerate(traced.shapes):
        terms = [
            # A broadcast parameter's row changes the same row of the result alone.
            np.sum((np.asarray(c) * np.asarray(row[k])).reshape(*shape, -1), axis=-1)
            for c, row in zip(cotangent, jacobian, strict=True)
        ]
        products.append(sum(terms[1:], start=terms[0]))
    return products


_of_autograd: Any = autograd.extend.primitive(lambda _parameters, values, _vjp: values)
"""Return values as a function of parameters, with that vector-Jacobian product."""
autograd.extend.defvjp(_of_autograd, lambda _answer, _parameters, _values, vjp: vjp, argnums=[0])
