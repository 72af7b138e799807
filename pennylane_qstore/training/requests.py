"""How many batches a training step costs: objectives of every kind, in every interface.

One table, for tests and for ``qstore bench --only requests``. A cell is one
``step_and_cost`` over :data:`SAMPLES` samples (plus, minus and forward), counted on the device
that is handed in, and compared with the same step evaluated plainly.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pennylane as qml
from pennylane.devices import Device

from pennylane_qstore.batching import deferred
from pennylane_qstore.training.spsa import SPSAOptimizer

SAMPLES = 4
INTERFACES = ("numpy", "autograd", "torch", "jax", "jax.jit")
WAYS = ("stock", "stock deferred", "ours", "gather")

Cost = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Cell:
    """One entry of the table.

    Attributes:
        objective: a key of :data:`OBJECTIVES`.
        interface: of :data:`INTERFACES`.
        way: of :data:`WAYS`.
        plain: batches when every circuit call is executed by itself.
        batches: batches this way.
        difference: largest deviation of new parameters and cost from the plain step.
    """

    objective: str
    interface: str
    way: str
    plain: int
    batches: int
    difference: float


@dataclass(frozen=True, slots=True)
class Circuits:
    """The QNodes and data that objectives are made of; ``xp`` is the interface's NumPy."""

    xp: Any
    one: Callable[..., Any]
    energy: Callable[..., Any]
    several: Callable[..., Any]
    x: Any
    y: Any


def _list(c: Circuits, w: Any) -> Any:
    return c.xp.mean(c.xp.stack([(c.one(x, w) - y) ** 2 for x, y in zip(c.x, c.y, strict=True)]))


def _accumulator(c: Circuits, w: Any) -> Any:
    loss = 0.0
    for x, y in zip(c.x, c.y, strict=True):
        loss = loss + (y - c.one(x, w)) ** 2
    return loss / SAMPLES


def _hamiltonian(c: Circuits, w: Any) -> Any:
    return sum(c.energy(x, w) for x in c.x)


def _several(c: Circuits, w: Any) -> Any:
    loss = 0.0
    for x in c.x:
        a, b, p = c.several(x, w)
        loss = loss + a * b + p[0]
    return loss


def _log_loss(c: Circuits, w: Any) -> Any:
    chances = [(1.0 + y * c.one(x, w)) / 2.0 for x, y in zip(c.x, c.y, strict=True)]
    return -sum(c.xp.log(0.01 + 0.98 * p) for p in chances) / SAMPLES


def _broadcast(c: Circuits, w: Any) -> Any:
    return c.xp.mean((c.one(c.x, w) - c.y) ** 2)


def _qnode(c: Circuits, w: Any) -> Any:
    return c.one(c.x[0], w)


def _early_exit(c: Circuits, w: Any) -> Any:
    loss = 0.0
    for x in c.x:
        loss = loss + 1.0 + c.one(x, w)
        if loss > 3.0:
            break
    return loss


def _branch(c: Circuits, w: Any) -> Any:
    loss = 0.0
    for x in c.x:
        value = c.one(x, w)
        loss = loss + (value if value > 0 else c.one(2.0 * x, w))
    return loss


def _nested(c: Circuits, w: Any) -> Any:
    return sum(c.one(c.one(x, w) * x, w) for x in c.x)


def _minibatch(c: Circuits, w: Any) -> Any:
    rows = np.random.default_rng(0).choice(SAMPLES, 2, replace=False)
    return sum((c.one(c.x[int(row)], w) - c.y[int(row)]) ** 2 for row in rows)


OBJECTIVES: dict[str, Callable[[Circuits, Any], Any]] = {
    "loop with list": _list,
    "loop with accumulator": _accumulator,
    "Hamiltonian in 2 bases": _hamiltonian,
    "several measurements": _several,
    "log-loss": _log_loss,
    "broadcast": _broadcast,
    "QNode direct": _qnode,
    "early exit": _early_exit,
    "value-dependent branch": _branch,
    "nested QNodes": _nested,
    "minibatch drawn inside": _minibatch,
}
DATA_DEPENDENT = ("early exit", "value-dependent branch", "nested QNodes")
"""Objectives in which a circuit depends on the result of another one."""


def installed(interface: str) -> bool:
    """Whether an interface's library can be imported."""
    library = interface.split(".")[0]
    return library in ("numpy", "autograd") or importlib.util.find_spec(library) is not None


def table(make_device: Callable[[], Device], batches: Callable[[Device], int]) -> Iterator[Cell]:
    """Measure all cells that exist.

    There are none for libraries that are not installed, for Python branches under
    ``jax.jit``, and for the stock optimizer where it does not train (it knows autograd only).

    Args:
        make_device: makes an analytic device on which calls can be merged, two wires.
        batches: how many batches a device has sent so far.
    """
    for objective in OBJECTIVES:
        for interface in filter(installed, INTERFACES):
            if interface == "jax.jit" and objective in ("early exit", "value-dependent branch"):
                continue
            for way in WAYS:
                if interface == "autograd" or not way.startswith("stock"):
                    yield _cell(objective, interface, way, make_device, batches)


def _cell(
    objective: str,
    interface: str,
    way: str,
    make_device: Callable[[], Device],
    batches: Callable[[Device], int],
) -> Cell:
    device = make_device()
    cost, w = _problem(OBJECTIVES[objective], interface, device)
    if interface == "jax.jit":
        cost(w)  # compiles, which is sent by itself
    run = {"stock": _stock, "stock deferred": _stock_deferred, "ours": _ours, "gather": _gather}
    plain = _stock if way.startswith("stock") else _serial
    start = batches(device)
    wanted = plain(device, cost, w)
    between = batches(device)
    found = run[way](device, cost, w)
    end = batches(device)
    difference = max(
        float(np.max(np.abs(_numpy(f) - _numpy(v)))) for f, v in zip(found, wanted, strict=True)
    )
    return Cell(objective, interface, way, between - start, end - between, difference)


def _stock(device: Device, cost: Cost, w: Any) -> tuple[Any, Any]:
    state = np.random.get_state()  # noqa: NPY002 - what the stock optimizer draws from
    np.random.seed(0)  # noqa: NPY002
    try:
        new, loss = qml.SPSAOptimizer(maxiter=10).step_and_cost(cost, w)
    finally:
        np.random.set_state(state)  # noqa: NPY002
    return new, loss


def _stock_deferred(device: Device, cost: Cost, w: Any) -> tuple[Any, Any]:
    with deferred.deferred():
        return _stock(device, cost, w)


def _serial(device: Device, cost: Cost, w: Any) -> tuple[Any, Any]:
    new, loss = SPSAOptimizer(maxiter=10, seed=0, mode="serial").step_and_cost(cost, w)
    return new, loss


def _ours(device: Device, cost: Cost, w: Any) -> tuple[Any, Any]:
    new, loss = SPSAOptimizer(maxiter=10, seed=0).step_and_cost(cost, w)
    return new, loss


class _Gathered(SPSAOptimizer):
    """The same step with its evaluations gathered by hand, as in a loop of one's own."""

    device: Device

    def _values(self, objective_fn: Any, points: Any, kwargs: Any) -> list[Any]:
        return deferred.gather(self.device, *(lambda p=p: objective_fn(*p) for p in points))


def _gather(device: Device, cost: Cost, w: Any) -> tuple[Any, Any]:
    optimizer = _Gathered(maxiter=10, seed=0)
    optimizer.device = device
    new, loss = optimizer.step_and_cost(cost, w)
    return new, loss


def _problem(
    objective: Callable[[Circuits, Any], Any], interface: str, device: Device
) -> tuple[Cost, Any]:
    rng = np.random.default_rng(7)
    x, w = rng.uniform(0, 1, (SAMPLES, 2)), rng.uniform(0, np.pi, (1, 2, 3))
    y = np.array([1.0, -1.0] * (SAMPLES // 2))
    if interface == "numpy":
        return _bind(objective, np, device, x, y), w
    if interface == "autograd":
        x, y = (qml.numpy.array(v, requires_grad=False) for v in (x, y))
        return _bind(objective, qml.numpy, device, x, y), qml.numpy.array(w, requires_grad=True)
    if interface == "torch":
        import torch

        x, y = torch.tensor(x), torch.tensor(y)
        return _bind(objective, torch, device, x, y), torch.tensor(w, requires_grad=True)
    import jax

    x, y = jax.numpy.asarray(x), jax.numpy.asarray(y)
    cost = _bind(objective, jax.numpy, device, x, y)
    return (jax.jit(cost) if interface == "jax.jit" else cost), jax.numpy.asarray(w)


def _bind(
    objective: Callable[[Circuits, Any], Any], xp: Any, device: Device, x: Any, y: Any
) -> Cost:
    def layers(x: Any, w: Any) -> None:
        qml.AngleEmbedding(x, wires=range(2))
        qml.StronglyEntanglingLayers(w, wires=range(2))

    def one(x: Any, w: Any) -> Any:
        layers(x, w)
        return qml.expval(qml.Z(0))

    def energy(x: Any, w: Any) -> Any:
        layers(x, w)
        return qml.expval(qml.Hamiltonian([0.5, 0.8], [qml.Z(0) @ qml.Z(1), qml.X(0)]))

    def several(x: Any, w: Any) -> Any:
        layers(x, w)
        return qml.expval(qml.Z(0)), qml.expval(qml.X(1)), qml.probs(wires=1)

    nodes = [qml.QNode(f, device) for f in (one, energy, several)]
    circuits = Circuits(xp, nodes[0], nodes[1], nodes[2], x, y)
    return lambda w: objective(circuits, w)


def _numpy(value: Any) -> Any:
    return np.asarray(value.detach() if hasattr(value, "detach") else value)
