"""POSTs of a training step: objectives of every kind, in every interface.

One table, for tests and for ``qstore bench --only requests``. A cell is one
``step_and_cost`` over :data:`SAMPLES` samples (plus, minus and forward), counted on the device
that is handed in, and compared with the same step evaluated plainly.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pennylane as qml
from numpy.typing import NDArray
from pennylane.devices import Device

from pennylane_qstore.bench.objectives import (
    BRANCHING,
    OBJECTIVES,
    SAMPLES,
    Circuits,
    energy,
    expectation,
    several_outputs,
)
from pennylane_qstore.bench.text import aligned
from pennylane_qstore.deferral import scope as deferred
from pennylane_qstore.training.spsa import SPSAOptimizer

INTERFACES = ("numpy", "autograd", "torch", "jax", "jax.jit")
WAYS = ("stock", "stock deferred", "ours", "gather")
"""PennyLane's optimizer plainly and inside ``deferred()``, ours, and ours with evaluations that are
tasks, as ``gather`` makes them, and loops over samples handed to ``map``."""

Cost = Callable[[Any], Any]
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Cell:
    """One entry of the table.

    Attributes:
        objective: a key of :data:`OBJECTIVES`.
        interface: of :data:`INTERFACES`.
        way: of :data:`WAYS`.
        plain: POSTs when every circuit call is executed by itself.
        posts: POSTs this way.
        step: of these, what ``step`` alone takes: the stock optimizer evaluates the forward
            value after the update.
        allowed: most POSTs that the data dependency asks for, see :func:`allowed`.
        difference: largest deviation of gradient and cost from the plain step.
    """

    objective: str
    interface: str
    way: str
    plain: int
    posts: int
    step: int
    allowed: int
    difference: float


LAZY = ("numpy", "autograd")
"""Interfaces whose results are NumPy arrays."""

DEFERRABLE = (*LAZY, "torch")
"""Interfaces whose results can be deferred."""


def allowed(objective: str, interface: str, way: str, calls: Sequence[int]) -> int:
    """Return the most POSTs that a way may take.

    Args:
        objective: a key of :data:`OBJECTIVES`.
        interface: of :data:`INTERFACES`.
        way: of :data:`WAYS`.
        calls: circuit calls of each of the step's evaluations.

    Returns:
        The number of stages in which circuits depend on each other, over all evaluations that
        are not merged.
    """
    lazy = interface in DEFERRABLE
    if way == "stock" or (way == "stock deferred" and not lazy):
        return sum(calls)
    stages = 1  # circuits that depend on each other, in one evaluation
    if objective == "early exit":
        stages = max(calls)
    elif objective == "value-dependent branch":  # a look a sample, and what the last one asks for
        stages = 2 if way == "gather" else SAMPLES + 1 if lazy else max(calls)
    elif objective == "nested QNodes":
        stages = 2
    if way == "stock deferred":
        # The update looks at plus and minus, then comes the forward value; a cost that looks
        # at its values does so in each evaluation.
        looks = objective in BRANCHING or objective == "loop with list" or interface == "torch"
        return min(sum(calls), (3 if looks else 2) * stages)
    if way == "ours" and not lazy:
        return max(calls)
    return stages


def installed(interface: str) -> bool:
    """Return True where an interface's library can be imported."""
    library = interface.split(".")[0]
    return library in LAZY or importlib.util.find_spec(library) is not None


def table(make_device: Callable[[], Device], posts: Callable[[Device], int]) -> Iterator[Cell]:
    """Measure the cells of all libraries that are installed, in double precision.

    The stock optimizer knows PennyLane's tensors only: for other interfaces the cost converts
    them. Under ``jax.jit`` it is the cost that is compiled, or its circuits alone where Python
    has to see values or loops are handed to ``map``.

    Args:
        make_device: makes an analytic device on which calls can be merged, two wires.
        posts: how many POSTs a device has sent so far.

    Yields:
        The ways of each objective and interface, in the order of :data:`WAYS`.
    """
    for objective in OBJECTIVES:
        for interface in filter(installed, INTERFACES):
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
        f"POSTs of one step_and_cost over {SAMPLES} samples, counted by the embedded emulator; in",
        "brackets the most that the dependencies between the circuits ask for. stock: PennyLane's",
        "optimizer, step + forward value. difference: of gradient and cost from the plain step.",
        "",
    ]
    lines += by_ways(cells, WAYS)
    if missing := [name for name in INTERFACES if not installed(name)]:
        lines += ["", f"Not installed: {', '.join(missing)}."]
    return "\n".join(lines)


def by_ways(cells: Iterable[Cell], ways: Sequence[str]) -> list[str]:
    """Return lines of a table with a column for each way.

    Args:
        cells: row by row, way by way.
        ways: in that order.

    Returns:
        The head, and a line for each objective and interface.
    """
    rows: list[tuple[str, ...]] = [("objective", "interface", *ways, "difference")]
    for row in zip(*[iter(cells)] * len(ways), strict=True):
        worst = max(cell.difference for cell in row)
        rows.append((row[0].objective, row[0].interface, *map(_posts, row), f"{worst:.0e}"))
    return aligned(rows, left=2)


def _posts(cell: Cell) -> str:
    parts = f"{cell.step} + {cell.posts - cell.step}" if cell.step < cell.posts else f"{cell.posts}"
    return f"{parts} ({cell.allowed})"


# --------------------------------------------------------------------------- cells of one row


def _cells(
    objective: str, interface: str, device: Device, posts: Callable[[Device], int]
) -> Iterator[Cell]:
    """Yield the step of every way, compared with the plain step of the same optimizer."""
    loop, mapped = (_cost(objective, interface, device, loop=loop) for loop in (True, False))
    start = array(interface, weights(), trained=True)
    if interface == "jax.jit":  # compiles, which is sent by itself
        loop(start)
        mapped(start)
    stock = _for_stock(loop, interface), qml.numpy.array(weights(), requires_grad=True)
    sent_so_far = partial(posts, device)
    ours = partial(SPSAOptimizer, maxiter=10, seed=0)
    make_stock = partial(qml.SPSAOptimizer, maxiter=10)
    plain = _step(ours(mode="serial"), loop, start, sent_so_far)
    stock_plain = _step(make_stock(), *stock, sent_so_far)
    steps = {
        "stock": (make_stock, *stock, stock_plain),
        "stock deferred": (make_stock, *stock, stock_plain),
        "ours": (ours, loop, start, plain),
        "gather": (partial(ours, mode="tasks"), mapped, start, plain),
    }
    for way, (make_optimizer, cost, w, (expected, calls)) in steps.items():
        with deferred.deferred() if way == "stock deferred" else contextlib.nullcontext():
            results, sent = _step(make_optimizer(), cost, w, sent_so_far)
        yield Cell(
            objective,
            interface,
            way,
            plain=sum(calls),
            posts=sum(sent),
            step=sum(sent[:-1] if way.startswith("stock") else sent),
            allowed=allowed(objective, interface, way, calls),
            difference=max(
                float(np.max(np.abs(a - b))) for a, b in zip(results, expected, strict=True)
            ),
        )


def _step(
    optimizer: qml.SPSAOptimizer, cost: Cost, w: Any, posts: Callable[[], int]
) -> tuple[tuple[Array, Array], list[int]]:
    """Return gradient and cost, and the POSTs from each call of the cost to the next."""
    marks = []

    def counted(w: Any) -> Any:
        marks.append(posts())
        return cost(w)

    state = np.random.get_state()  # noqa: NPY002 - what the stock optimizer draws from
    np.random.seed(0)  # noqa: NPY002
    try:
        new, loss = optimizer.step_and_cost(counted, w)
    finally:
        np.random.set_state(state)  # noqa: NPY002
    gradient = (to_numpy(w) - to_numpy(new)) / optimizer.ak
    return (gradient, to_numpy(loss)), [b - a for a, b in itertools.pairwise([*marks, posts()])]


# --------------------------------------------------------------------------- interfaces


def weights() -> Array:
    """Return the weights that every step starts from, ``[1, 2, 3]``."""
    return np.random.default_rng(8).uniform(0, np.pi, (1, 2, 3))


def samples() -> tuple[Array, Array]:
    """Return the samples ``[SAMPLES, 2]`` (radians), and their labels ``[SAMPLES]``."""
    x = np.random.default_rng(7).uniform(0, 1, (SAMPLES, 2))
    return x, np.array([1.0, -1.0] * (SAMPLES // 2))


def _cost(objective: str, interface: str, device: Device, *, loop: bool) -> Cost:
    """Return a cost whose loops over samples are loops, or go to ``map``."""
    compiled = interface == "jax.jit"
    whole = compiled and loop and objective not in BRANCHING
    one, two_bases, several = (
        _jit(node) if compiled and not whole else node
        for node in (qml.QNode(f, device) for f in (expectation, energy, several_outputs))
    )
    # A mean of deferred results looks at them, as it does in a user's own cost.
    mean = np.mean if interface in LAZY else lambda v: qml.math.mean(qml.math.stack(v))
    each = (lambda f, items: map(f, items)) if loop else partial(deferred.map, device)
    x, y = (array(interface, values) for values in samples())
    circuits = Circuits(each, one, two_bases, several, x, y, mean)
    cost = partial(OBJECTIVES[objective], circuits)
    return _jit(cost) if whole else cost


def _for_stock(cost: Cost, interface: str) -> Cost:
    """Return a cost of PennyLane tensors, the only parameters that the stock optimizer trains."""
    if interface in LAZY:
        return lambda w: cost(array(interface, w, trained=True))
    return lambda w: to_numpy(cost(array(interface, w, trained=True)))


def array(interface: str, values: Any, *, trained: bool = False) -> Any:
    """Return values as an array of the interface.

    Args:
        interface: of :data:`INTERFACES`.
        values: numbers of any shape.
        trained: autograd and torch are to differentiate by them.

    Returns:
        The array, of the same shape.
    """
    if interface == "numpy":
        return np.asarray(values)
    if interface == "autograd":
        return qml.numpy.array(values, requires_grad=trained)
    if interface == "torch":
        import torch

        return torch.tensor(np.asarray(values), requires_grad=trained)
    import jax

    return jax.numpy.asarray(np.asarray(values))


def _jit(function: Callable[..., Any]) -> Callable[..., Any]:
    import jax

    compiled: Callable[..., Any] = jax.jit(function)
    return compiled


def double_precision(interface: str) -> contextlib.AbstractContextManager[Any]:
    """Return a context in which the interface computes with 64 bits."""
    if not interface.startswith("jax"):
        return contextlib.nullcontext()
    import jax

    # jax.experimental had it first
    enable_x64 = jax.enable_x64 if hasattr(jax, "enable_x64") else jax.experimental.enable_x64
    context: contextlib.AbstractContextManager[Any] = enable_x64(True)
    return context


def to_numpy(value: Any) -> Array:
    """Return the values of an interface's array."""
    return np.asarray(value.detach() if hasattr(value, "detach") else value)
