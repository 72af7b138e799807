"""Tapes that wait: copies that their caller cannot change, filled in when results have come.

Operations are not rebuilt: PennyLane's ``bind_new_parameters`` loses zero control values, reverses
compositions, and fails for ``evolve``. A copied operation has the attributes of the original, those
of the operations and arrays within it included; only the arrays are others.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from pennylane.measurements import MeasurementProcess
from pennylane.operation import Operator
from pennylane.ops import MeasurementValue
from pennylane.tape import QuantumScript
from scipy.sparse import sparray, spmatrix

from pennylane_qstore.deferral.array import DeferredArray
from pennylane_qstore.deferral.operands import Deferred, is_deferred, real

_Leaf = Callable[[Any], Any]


class OwnCopies(NamedTuple):
    """Circuits that nobody else can change.

    Attributes:
        circuits: the copies; what stands in several of them does so once.
        needs: the deferred arrays in them.
        hold_arrays: whether there are parameters with axes, one of which may be a batch.
    """

    circuits: tuple[QuantumScript, ...]
    needs: tuple[DeferredArray, ...]
    hold_arrays: bool


def own_copies(circuits: Sequence[QuantumScript]) -> OwnCopies:
    """Copy circuits so that nothing their caller does to an array changes them.

    Args:
        circuits: any circuits; those of a gradient share most of their operations.

    Returns:
        The copies, and what they hold.
    """
    needs: list[DeferredArray] = []
    hold_arrays = False

    def leaf(value: Any) -> Any:
        nonlocal hold_arrays
        hold_arrays = hold_arrays or value.ndim > 0
        if not is_deferred(value):
            return value.copy()
        # A node of its own: elements of the caller's may be assigned before this is sent.
        own = value.copy() if isinstance(value.standin, np.ndarray) else value
        if is_deferred(own):
            needs.append(own)
        return own

    replace = _Replacement(leaf)
    copies = tuple(_replaced(circuit, replace) for circuit in circuits)
    return OwnCopies(copies, tuple(needs), hold_arrays)


def with_results(circuit: QuantumScript) -> QuantumScript:
    """Return a circuit with real numbers for its deferred arrays, which are fetched."""
    return _replaced(circuit, _Replacement(lambda v: real(v) if is_deferred(v) else v))


def with_standins(circuit: QuantumScript) -> QuantumScript:
    """Return a circuit with made-up numbers of the same shapes for its deferred arrays."""
    return _replaced(circuit, _Replacement(lambda v: v.standin if is_deferred(v) else v))


def _replaced(circuit: QuantumScript, replace: _Replacement) -> QuantumScript:
    before = [*circuit.operations, *circuit.measurements]
    after = [replace(part) for part in before]
    if all(map(operator.is_, before, after)):
        return circuit
    count = len(circuit.operations)
    return circuit.copy(
        operations=after[:count],
        measurements=after[count:],
        trainable_params=circuit.trainable_params,
    )


class _Replacement:
    """Copy an object with other arrays; what holds none is shared, what stands twice does again.

    Args:
        leaf: returns the new array for an array, deferred or not.
    """

    def __init__(self, leaf: _Leaf) -> None:
        self.leaf = leaf
        self._done: dict[int, Any] = {}

    def __call__(self, value: Any) -> Any:
        way = _WAYS[type(value)]
        if way is None:
            return value
        key = id(value)
        if key not in self._done:
            self._done[key] = value  # for what refers to itself
            self._done[key] = way(self, value)
        return self._done[key]

    def array(self, value: Any) -> Any:
        return self.leaf(value)

    def sequence(self, value: Sequence[Any]) -> Any:
        items = [self(item) for item in value]
        if all(map(operator.is_, items, value)):
            return value
        make: Any = type(value)
        return make(*items) if hasattr(value, "_fields") else make(items)

    def mapping(self, value: dict[Any, Any]) -> Any:
        changes = self._changes(value)
        if not changes:
            return value
        out = copy.copy(value)
        out.update(changes)
        return out

    def attributes(self, value: Any) -> Any:
        changes = self._changes(vars(value))
        if not changes:
            return value
        out = object.__new__(type(value))
        out.__dict__.update(vars(value))
        out.__dict__.update(changes)
        return out

    def _changes(self, values: dict[Any, Any]) -> dict[Any, Any]:
        changes = {}
        for key, value in values.items():
            if _WAYS[type(value)] is not None:
                new = self(value)
                if new is not value:
                    changes[key] = new
        return changes


class _Ways(dict[type, Callable[[_Replacement, Any], Any] | None]):
    """The method that copies objects of a class, None where they are shared; looked up once."""

    def __missing__(self, kind: type) -> Callable[[_Replacement, Any], Any] | None:
        way = None
        if issubclass(kind, (Deferred, np.ndarray, spmatrix, sparray)):
            way = _Replacement.array
        elif issubclass(kind, Operator | MeasurementProcess | MeasurementValue | QuantumScript):
            way = _Replacement.attributes
        elif issubclass(kind, dict):  # a PauliSentence, too
            way = _Replacement.mapping
        elif issubclass(kind, list | tuple):
            way = _Replacement.sequence
        self[kind] = way
        return way


_WAYS = _Ways()
