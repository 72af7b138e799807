"""Objectives of every kind over a few samples, and the circuits that they call.

They are written as users write them: loops, accumulators, branches on a value, nested calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pennylane as qml

SAMPLES = 4


@dataclass(frozen=True, slots=True)
class Circuits:
    """The QNodes and data that objectives are made of.

    Attributes:
        each: results of a function for every item, in order: a loop, or ``map``.
        one: an expectation value.
        energy: of a Hamiltonian in two bases.
        several: two expectation values and probabilities.
        x: samples, ``[SAMPLES, 2]``.
        y: their labels, ``[SAMPLES]``.
        mean: the mean of a list of results, as it is written with this interface.
    """

    each: Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
    one: Callable[..., Any]
    energy: Callable[..., Any]
    several: Callable[..., Any]
    x: Any
    y: Any
    mean: Callable[[Any], Any]

    def outputs(self, w: Any) -> Iterator[tuple[Any, Any]]:
        """Return the circuit's output and the label of every sample."""
        return zip(self.each(lambda x: self.one(x, w), self.x), self.y, strict=True)


def _accumulator(c: Circuits, w: Any) -> Any:
    loss = 0.0
    for out, y in c.outputs(w):
        loss = loss + (y - out) ** 2
    return loss / SAMPLES


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


def _minibatch(c: Circuits, w: Any) -> Any:
    rows = [int(i) for i in np.random.default_rng(0).choice(SAMPLES, 2, replace=False)]
    outputs = c.each(lambda row: c.one(c.x[row], w), rows)
    return sum((out - c.y[row]) ** 2 for out, row in zip(outputs, rows, strict=True))


OBJECTIVES: dict[str, Callable[[Circuits, Any], Any]] = {
    "loop with list": lambda c, w: c.mean([(out - y) ** 2 for out, y in c.outputs(w)]),
    "loop with accumulator": _accumulator,
    "Hamiltonian in 2 bases": lambda c, w: sum(c.each(lambda x: c.energy(x, w), c.x)),
    "several measurements": lambda c, w: sum(
        a * b + p[0] for a, b, p in c.each(lambda x: c.several(x, w), c.x)
    ),
    "log-loss": lambda c, w: (
        -sum(qml.math.log(0.5 + 0.49 * y * out) for out, y in c.outputs(w)) / SAMPLES
    ),
    "broadcast": lambda c, w: ((c.one(c.x, w) - c.y) ** 2).sum() / SAMPLES,
    "QNode direct": lambda c, w: c.one(c.x[0], w),
    "early exit": _early_exit,
    "value-dependent branch": _branch,
    "nested QNodes": lambda c, w: sum(c.each(lambda x: c.one(c.one(x, w) * x, w), c.x)),
    "minibatch drawn inside": _minibatch,
}
BRANCHING = ("early exit", "value-dependent branch")
"""Objectives that look at a value to decide which circuit comes next."""


def expectation(x: Any, w: Any) -> Any:
    """Return one expectation value, or one for each row of ``x``.

    Args:
        x: a sample ``[2]``, or samples ``[B, 2]`` (radians).
        w: weights ``[1, 2, 3]`` (radians).

    Returns:
        The measurement of a quantum function.
    """
    _layers(x, w)
    return qml.expval(qml.Z(0))


def energy(x: Any, w: Any) -> Any:
    """Return the expectation of a Hamiltonian that needs two bases.

    Args:
        x: a sample ``[2]`` (radians).
        w: weights ``[1, 2, 3]`` (radians).

    Returns:
        The measurement of a quantum function.
    """
    _layers(x, w)
    return qml.expval(qml.Hamiltonian([0.5, 0.8], [qml.Z(0) @ qml.Z(1), qml.X(0)]))


def several_outputs(x: Any, w: Any) -> Any:
    """Return two expectations and the probabilities of a wire.

    Args:
        x: a sample ``[2]`` (radians).
        w: weights ``[1, 2, 3]`` (radians).

    Returns:
        The measurements of a quantum function.
    """
    _layers(x, w)
    return qml.expval(qml.Z(0)), qml.expval(qml.X(1)), qml.probs(wires=1)


def _layers(x: Any, w: Any) -> None:
    qml.AngleEmbedding(x, wires=range(2))
    qml.StronglyEntanglingLayers(w, wires=range(2))
