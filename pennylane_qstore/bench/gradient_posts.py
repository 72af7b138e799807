"""POSTs of a value with its gradient: objectives of every kind, however they are differentiated.

The second half of the table of ``qstore bench --only requests``. A cell is one evaluation over
:data:`SAMPLES` samples, compared with the framework's own, plainly called.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pennylane as qml
from pennylane.devices import Device

from pennylane_qstore.bench.objectives import OBJECTIVES, SAMPLES, Circuits, energy, expectation
from pennylane_qstore.bench.posts import (
    Array,
    Cell,
    Cost,
    array,
    by_ways,
    double_precision,
    installed,
    samples,
    to_numpy,
    weights,
)
from pennylane_qstore.deferral.scope import deferred
from pennylane_qstore.training.run import TrainingRun
from pennylane_qstore.training.value_and_grad import value_and_grad

INTERFACES = ("autograd", "torch", "jax")
WAYS = ("plain", "deferred", "TrainingRun", "value_and_grad")
"""The framework's own gradient plainly and inside ``deferred()``, one step of gradient descent in a
training, and :func:`.value_and_grad`."""

GRADIENT_OBJECTIVES: dict[str, Callable[[Circuits, Any], Any]] = {
    name: OBJECTIVES[name]
    for name in ("loop with list", "loop with accumulator", "broadcast", "Hamiltonian in 2 bases")
} | {"two QNodes": lambda c, w: sum(c.one(x, w) * c.energy(x, w) for x in c.x)}

LAYERS: dict[str, Callable[[Any, Circuits, Any], Any]] = {
    "TorchLayer": lambda layer, c, w: _of_layer(layer, c, c.x, w),
    "Linear, then TorchLayer": lambda layer, c, w: _of_layer(layer, c, _linear(c.x, w), w),
}
"""Objectives of torch alone."""


def table(make_device: Callable[[], Device], posts: Callable[[Device], int]) -> Iterator[Cell]:
    """Measure the cells of all libraries that are installed, in double precision.

    Args:
        make_device: makes an analytic device of two wires.
        posts: how many POSTs a device has sent so far.

    Yields:
        The ways of each objective and interface, in the order of :data:`WAYS`.
    """
    for objective in (*GRADIENT_OBJECTIVES, *LAYERS):
        for interface in filter(installed, INTERFACES):
            if objective in GRADIENT_OBJECTIVES or interface == "torch":
                with double_precision(interface):
                    cells = list(_cells(objective, interface, make_device(), posts))
                yield from cells


def text(cells: Iterable[Cell]) -> str:
    """Return the table for people.

    Args:
        cells: of :func:`table`, in its order: a row's cells, way by way.

    Returns:
        Lines of at most 120 characters.
    """
    lines = [
        f"POSTs of a value with its gradient over {SAMPLES} samples; in brackets the most that the",
        "dependencies ask for, or for JAX's own functions, whose arrays cannot wait. plain:",
        "PennyLane's qml.grad, torch's backward, jax.value_and_grad; deferred: inside deferred().",
        "",
    ]
    return "\n".join([*lines, *by_ways(cells, WAYS)])


def _cells(
    objective: str, interface: str, device: Device, posts: Callable[[Device], int]
) -> Iterator[Cell]:
    cost, start = _cost(objective, interface, device), weights()
    framework = partial(_by_framework, interface)
    ours = partial(_by_training, device), lambda cost, w: value_and_grad(cost)(w)
    functions = framework, framework, *ours
    ways: dict[str, Callable[..., tuple[Any, Any]]] = dict(zip(WAYS, functions, strict=True))
    plain, expected = 0, tuple[Array, ...]()
    for way in WAYS:
        w, before = array(interface, start, trained=True), posts(device)
        with deferred() if way == "deferred" else contextlib.nullcontext():
            found = tuple(map(to_numpy, ways[way](cost, w)))
        sent = posts(device) - before
        if way == "plain":
            plain, expected = sent, found
        waits = way != "plain" and (way, interface) != ("deferred", "jax")
        yield Cell(
            objective,
            interface,
            way,
            plain=plain,
            posts=sent,
            step=sent,
            allowed=1 if waits else plain,
            difference=max(
                float(np.max(np.abs(a - b))) for a, b in zip(found, expected, strict=True)
            ),
        )


def _cost(objective: str, interface: str, device: Device) -> Cost:
    x, y = (array(interface, values) for values in samples())
    one, two_bases = (qml.QNode(f, device, interface=interface) for f in (expectation, energy))
    circuits = Circuits(map, one, two_bases, one, x, y, _mean)
    if objective in GRADIENT_OBJECTIVES:
        return partial(GRADIENT_OBJECTIVES[objective], circuits)

    def circuit(inputs: Any, w: Any) -> Any:  # the names that layers ask for
        return expectation(inputs, w)

    layer = qml.qnn.TorchLayer(qml.QNode(circuit, device), {"w": weights().shape})
    return partial(LAYERS[objective], layer, circuits)


def _mean(values: Any) -> Any:
    return qml.math.mean(qml.math.stack(values))


def _of_layer(layer: Any, c: Circuits, inputs: Any, w: Any) -> Any:
    """Return the loss of a layer with these weights."""
    layer.qnode_weights["w"] = w
    return ((layer(inputs) - c.y) ** 2).mean()


def _linear(x: Any, w: Any) -> Any:
    """Return a linear layer's outputs, ``[samples, 2]``; it shares the circuit's weights."""
    import torch

    return torch.nn.functional.linear(x, w[0, :, :2], w[0, :, 2])


# --------------------------------------------------------------------------- ways


def _by_framework(interface: str, cost: Cost, w: Any) -> tuple[Any, Any]:
    if interface == "autograd":
        gradient = qml.grad(cost)
        found = gradient(w)
        return gradient.forward, found
    if interface == "torch":
        value = cost(w)
        value.backward()
        return value, w.grad
    import jax

    pair: tuple[Any, Any] = jax.value_and_grad(cost)(w)
    return pair


def _by_training(device: Device, cost: Cost, w: Any) -> tuple[Any, Any]:
    """Return loss and gradient of a step of gradient descent, whose step size is 1."""
    before: Array = np.array(to_numpy(w))
    optimizer: Any = qml.GradientDescentOptimizer(1.0)
    if hasattr(w, "detach"):
        import torch

        optimizer = torch.optim.SGD([w], lr=1.0)
    run = TrainingRun(cost, w, optimizer, device=device, progress=False).train(1)
    return run.history[0].loss, before - to_numpy(run.params)
