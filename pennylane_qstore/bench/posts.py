"""How many POSTs a training step costs: objectives of every kind, in every interface.

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
from typing import Any

import numpy as np
import pennylane as qml
from numpy.typing import NDArray
from pennylane.devices import Device

from pennylane_qstore.deferral import scope as deferred
from pennylane_qstore.training.spsa import SPSAOptimizer

SAMPLES = 4
INTERFACES = ("numpy", "autograd", "torch", "jax", "jax.jit")
WAYS = ("stock", "stock deferred", "ours", "gather")
"""PennyLane's optimizer plainly and inside ``deferred()``, ours, and ours with the evaluations
handed to ``gather`` and the loops over samples to ``map``."""

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


@dataclass(frozen=True, slots=True)
class Circuits:
    """The QNodes and data that objectives are made of.

    Attributes:
        mean: the mean of a list of results, as it is written with this interface.
        log: the interface's logarithm.
        each: results of a function for every item, in order: a loop, or ``map``.
        one: an expectation value.
        energy: of a Hamiltonian in two bases.
        several: two expectation values and probabilities.
        x: samples, ``[SAMPLES, 2]``.
        y: their labels, ``[SAMPLES]``.
    """

    mean: Callable[[Any], Any]
    log: Callable[[Any], Any]
    each: Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
    one: Callable[..., Any]
    energy: Callable[..., Any]
    several: Callable[..., Any]
    x: Any
    y: Any

    def outputs(self, w: Any) -> Iterator[tuple[Any, Any]]:
        """The circuit's output and the label of every sample."""
        return zip(self.each(lambda x: self.one(x, w), self.x), self.y, strict=True)


def _list(c: Circuits, w: Any) -> Any:
    return c.mean([(out - y) ** 2 for out, y in c.outputs(w)])


def _accumulator(c: Circuits, w: Any) -> Any:
    loss = 0.0
    for out, y in c.outputs(w):
        loss = loss + (y - out) ** 2
    return loss / SAMPLES


def _hamiltonian(c: Circuits, w: Any) -> Any:
    return sum(c.each(lambda x: c.energy(x, w), c.x))


def _several(c: Circuits, w: Any) -> Any:
    return sum(a * b + p[0] for a, b, p in c.each(lambda x: c.several(x, w), c.x))


def _log_loss(c: Circuits, w: Any) -> Any:
    return -sum(c.log(0.5 + 0.49 * y * out) for out, y in c.outputs(w)) / SAMPLES


def _broadcast(c: Circuits, w: Any) -> Any:
    return ((c.one(c.x, w) - c.y) ** 2).sum() / SAMPLES


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
    def value(x: Any) -> Any:
        first = c.one(x, w)
        return first if first > 0 else c.one(2.0 * x, w)

    return sum(c.each(value, c.x))


def _nested(c: Circuits, w: Any) -> Any:
    return sum(c.each(lambda x: c.one(c.one(x, w) * x, w), c.x))


def _minibatch(c: Circuits, w: Any) -> Any:
    rows = [int(i) for i in np.random.default_rng(0).choice(SAMPLES, 2, replace=False)]
    outputs = c.each(lambda row: c.one(c.x[row], w), rows)
    return sum((out - c.y[row]) ** 2 for out, row in zip(outputs, rows, strict=True))


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
BRANCHING = ("early exit", "value-dependent branch")
"""Objectives that look at a value to decide which circuit comes next."""
LAZY = ("numpy", "autograd")
"""Interfaces whose results can be deferred."""


def allowed(objective: str, interface: str, way: str, calls: Sequence[int]) -> int:
    """The most POSTs that a way may take.

    Args:
        objective: a key of :data:`OBJECTIVES`.
        interface: of :data:`INTERFACES`.
        way: of :data:`WAYS`.
        calls: circuit calls of each of the step's evaluations.
    """
    lazy = interface in LAZY
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
        looks = objective in BRANCHING or objective == "loop with list"
        return min(sum(calls), (3 if looks else 2) * stages)
    if way == "ours" and not lazy:
        return max(calls)
    return stages


def installed(interface: str) -> bool:
    """Whether an interface's library can be imported."""
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
    """
    for objective in OBJECTIVES:
        for interface in filter(installed, INTERFACES):
            with _double_precision(interface):
                cells = _cells(objective, interface, make_device(), posts)
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
        f"{'objective':<25}{'interface':<10}{''.join(f'{way:>18}' for way in WAYS)}  difference",
    ]
    for row in zip(*[iter(cells)] * len(WAYS), strict=True):
        counts = "".join(f"{_posts(cell):>18}" for cell in row)
        worst = max(cell.difference for cell in row)
        lines.append(f"{row[0].objective:<25}{row[0].interface:<10}{counts}  {worst:.0e}")
    if missing := [name for name in INTERFACES if not installed(name)]:
        lines += ["", f"Not installed: {', '.join(missing)}."]
    return "\n".join(lines)


def _posts(cell: Cell) -> str:
    parts = f"{cell.step} + {cell.posts - cell.step}" if cell.step < cell.posts else f"{cell.posts}"
    return f"{parts} ({cell.allowed})"


# --------------------------------------------------------------------------- cells of one row


def _cells(
    objective: str, interface: str, device: Device, posts: Callable[[Device], int]
) -> list[Cell]:
    """The step plainly, by either optimizer, then the same step every way."""
    kind = _kind(interface)
    loop, mapped = (_cost(objective, interface, device, loop=loop) for loop in (True, False))
    start = kind.parameters(_weights())
    if interface == "jax.jit":  # compiles, which is sent by itself
        loop(start)
        mapped(start)

    def sent_so_far() -> int:
        return posts(device)

    serial = SPSAOptimizer(maxiter=10, seed=0, mode="serial")
    plain = _step(serial, loop, start, sent_so_far)
    stock = _for_stock(loop, kind), qml.numpy.array(_weights(), requires_grad=True)
    stock_plain = _step(_stock(), *stock, sent_so_far)
    cells = []
    for way in WAYS:
        is_stock = way.startswith("stock")
        wanted, calls = stock_plain if is_stock else plain
        ours = _Gathered(device) if way == "gather" else SPSAOptimizer(maxiter=10, seed=0)
        cost, w = stock if is_stock else (mapped if way == "gather" else loop, start)
        with deferred.deferred() if way == "stock deferred" else contextlib.nullcontext():
            found, sent = _step(_stock() if is_stock else ours, cost, w, sent_so_far)
        cells.append(
            Cell(
                objective,
                interface,
                way,
                plain=sum(calls),
                posts=sum(sent),
                step=sum(sent[:-1]) if is_stock else sum(sent),
                allowed=allowed(objective, interface, way, calls),
                difference=max(
                    float(np.max(np.abs(f - v))) for f, v in zip(found, wanted, strict=True)
                ),
            )
        )
    return cells


def _stock() -> qml.SPSAOptimizer:
    return qml.SPSAOptimizer(maxiter=10)


class _Gathered(SPSAOptimizer):
    """The same step with its evaluations gathered by hand, as in a loop of one's own."""

    def __init__(self, device: Device) -> None:
        super().__init__(maxiter=10, seed=0)
        self._device = device

    def _values(self, objective_fn: Any, points: Any, kwargs: Any) -> list[Any]:
        return deferred.gather(self._device, *(lambda p=p: objective_fn(*p) for p in points))


def _step(
    optimizer: qml.SPSAOptimizer, cost: Cost, w: Any, posts: Callable[[], int]
) -> tuple[tuple[Array, Array], list[int]]:
    """Gradient and cost; POSTs from each call of the cost to the next."""
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
    gradient = (_to_numpy(w) - _to_numpy(new)) / optimizer.ak
    return (gradient, _to_numpy(loss)), [b - a for a, b in itertools.pairwise([*marks, posts()])]


# --------------------------------------------------------------------------- interfaces


def _weights() -> Array:
    """Where every step starts."""
    return np.random.default_rng(8).uniform(0, np.pi, (1, 2, 3))


def _cost(objective: str, interface: str, device: Device, *, loop: bool) -> Cost:
    """A cost whose loops over samples are loops, or go to ``map``."""
    x = np.random.default_rng(7).uniform(0, 1, (SAMPLES, 2))
    y = np.array([1.0, -1.0] * (SAMPLES // 2))
    kind = _kind(interface)
    compiled = interface == "jax.jit"
    whole = compiled and loop and objective not in BRANCHING
    one, energy, several = (
        kind.jit(node) if compiled and not whole else node
        for node in (qml.QNode(f, device) for f in (_one, _energy, _several_outputs))
    )
    circuits = Circuits(
        kind.mean,
        kind.log,
        _in_a_loop if loop else lambda f, items: deferred.map(device, f, items),
        one,
        energy,
        several,
        kind.data(x),
        kind.data(y),
    )

    def cost(w: Any) -> Any:
        return OBJECTIVES[objective](circuits, w)

    return kind.jit(cost) if whole else cost


def _in_a_loop(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
    return (function(item) for item in items)


def _for_stock(cost: Cost, kind: _Kind) -> Cost:
    """A cost of PennyLane tensors, the only parameters that the stock optimizer trains."""
    return lambda w: kind.result(cost(kind.parameters(w)))


@dataclass(frozen=True, slots=True)
class _Kind:
    """How data, parameters and results look in an interface."""

    data: Callable[[Any], Any]
    parameters: Callable[[Any], Any]
    result: Callable[[Any], Any]
    mean: Callable[[Any], Any]
    log: Callable[[Any], Any]
    jit: Callable[[Any], Any] = lambda function: function


def _kind(interface: str) -> _Kind:
    if interface == "numpy":
        return _Kind(np.asarray, np.asarray, lambda v: v, np.mean, np.log)
    if interface == "autograd":
        pnp = qml.numpy
        return _Kind(
            lambda v: pnp.array(v, requires_grad=False),
            lambda v: pnp.array(v, requires_grad=True),
            lambda v: v,
            np.mean,
            pnp.log,
        )
    if interface == "torch":
        import torch

        return _Kind(
            lambda v: torch.tensor(np.asarray(v)),
            lambda v: torch.tensor(np.asarray(v), requires_grad=True),
            _to_numpy,
            lambda values: torch.stack(values).mean(),
            torch.log,
        )
    import jax

    jnp = jax.numpy
    return _Kind(
        jnp.asarray,
        lambda v: jnp.asarray(np.asarray(v)),
        _to_numpy,
        lambda values: jnp.stack(values).mean(),
        jnp.log,
        jax.jit,
    )


def _double_precision(interface: str) -> contextlib.AbstractContextManager[Any]:
    if not interface.startswith("jax"):
        return contextlib.nullcontext()
    import jax

    # jax.experimental had it first
    enable_x64 = jax.enable_x64 if hasattr(jax, "enable_x64") else jax.experimental.enable_x64
    context: contextlib.AbstractContextManager[Any] = enable_x64(True)
    return context


def _to_numpy(value: Any) -> Array:
    return np.asarray(value.detach() if hasattr(value, "detach") else value)


# --------------------------------------------------------------------------- circuits


def _one(x: Any, w: Any) -> Any:
    _layers(x, w)
    return qml.expval(qml.Z(0))


def _energy(x: Any, w: Any) -> Any:
    _layers(x, w)
    return qml.expval(qml.Hamiltonian([0.5, 0.8], [qml.Z(0) @ qml.Z(1), qml.X(0)]))


def _several_outputs(x: Any, w: Any) -> Any:
    _layers(x, w)
    return qml.expval(qml.Z(0)), qml.expval(qml.X(1)), qml.probs(wires=1)


def _layers(x: Any, w: Any) -> None:
    qml.AngleEmbedding(x, wires=range(2))
    qml.StronglyEntanglingLayers(w, wires=range(2))
