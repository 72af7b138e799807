"""Operands of operations on deferred arrays: trees of tuples, lists and dictionaries."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Protocol

import numpy as np
from pennylane.numpy import tensor

from pennylane_qstore.compat.pennylane import called_by_an_optimizer


class Deferred:
    """Base of values that are not fetched yet.

    Attributes:
        standin: of an array, an array or scalar of its type, shape and dtype.
    """

    __slots__ = ()
    standin: Any

    @abstractmethod  # for mypy: no ABCMeta, since torch's tensors have a metaclass of their own
    def fetch(self) -> Any:
        """Return the real array, scalar or tensor."""


class Settling(Protocol):
    """A value that a scope settles."""

    def settle(self) -> None:
        """Compute the value, if that sends nothing that was not asked for."""


class Scope(Protocol):
    """Place in which results are deferred."""

    closed: bool
    """True once the scope is over: everything has been fetched."""

    def track(self, node: Settling) -> None:
        """Remember a value, for as long as others do."""

    def settle(self) -> None:
        """Settle all values that others still hold."""


class Source(Protocol):
    """Origin of the value of an expression's leaf."""

    @property
    def scope(self) -> Scope:
        """The scope it belongs to."""

    @property
    def ready(self) -> bool:
        """True where :meth:`fetch` returns or raises without sending anything."""

    def fetch(self) -> Any:
        """Return the value, fetched together with all that is pending if need be."""


def is_deferred(value: Any) -> bool:
    """Return True for a deferred array, fetched or not."""
    return issubclass(type(value), Deferred)  # isinstance() would be told its value's class


def real(tree: Any) -> Any:
    """Return a value with the deferred arrays in it replaced by real ones.

    Tuples, lists and dictionaries are looked into; what holds none is returned as it is.
    """
    if next(deferred_in(tree), None) is None:
        return tree
    return substituted(tree, lambda node: node.fetch())


_UNCHANGING = frozenset((float, int, np.float64))  # most operands; quickly told
_NUMERIC = (bool, int, float, complex, np.ndarray, np.generic, list, tuple)


def is_numeric(value: Any) -> bool:
    """Return True for what arithmetic with a deferred array may wait for."""
    return is_deferred(value) or isinstance(value, _NUMERIC)


def is_static(index: Any) -> bool:
    """Return True where an index tells the shape of what it selects."""
    if isinstance(index, tuple):
        return all(is_static(i) for i in index)
    if is_deferred(index):
        return False
    if isinstance(index, np.ndarray | list):
        return np.asarray(index).dtype != bool
    return not isinstance(index, bool | np.bool_)


def updates_parameters(inputs: tuple[Any, ...], frame: FrameType) -> bool:
    """Return True where PennyLane's own optimizer steps its parameters.

    The parameters that an optimizer returns have to be real tensors: they outlive the scope.

    Args:
        inputs: operands of an operation.
        frame: that does the operation.

    Returns:
        False for operands without a trainable tensor, and for code that is no optimizer's.
    """
    if not any(isinstance(i, tensor) and i.requires_grad for i in inputs):
        return False
    return called_by_an_optimizer(frame)


def deferred_in(tree: Any) -> Iterator[Deferred]:
    """Yield the deferred arrays of a tree, each as often as it stands there."""
    if is_deferred(tree):
        yield tree
    elif isinstance(tree, tuple | list):
        for item in tree:
            yield from deferred_in(item)
    elif isinstance(tree, dict):
        for item in tree.values():
            yield from deferred_in(item)


def substituted(
    tree: Any,
    value: Callable[[Deferred], Any],
    other: Callable[[Any], Any] = lambda leaf: leaf,
) -> Any:
    """Return a tree with its deferred arrays replaced, and what else is no tuple, list or dict.

    Args:
        tree: tuples, lists and dictionaries of anything.
        value: called with each deferred array.
        other: called with each other leaf.

    Returns:
        The tree of what these return.
    """
    if is_deferred(tree):
        return value(tree)
    if type(tree) in _UNCHANGING:
        return tree
    if isinstance(tree, tuple):
        items = [substituted(item, value, other) for item in tree]
        return type(tree)(*items) if hasattr(tree, "_fields") else tuple(items)
    if isinstance(tree, list):
        return [substituted(item, value, other) for item in tree]
    if isinstance(tree, dict):
        return {key: substituted(item, value, other) for key, item in tree.items()}
    return other(tree)


def copied(tree: Any) -> Any:
    """Return operands that nobody else can change any more: arrays are copied."""
    return substituted(tree, lambda node: node, _own)


def _own(leaf: Any) -> Any:
    return leaf.copy() if isinstance(leaf, np.ndarray) else leaf


def thaw(array: np.ndarray) -> list[np.ndarray]:
    """Allow writing to an array and, first, to what it is a view of; return all of these."""
    base = array.base
    thawed = thaw(base) if isinstance(base, np.ndarray) and not base.flags.writeable else []
    array.flags.writeable = True
    return [*thawed, array]


def standins(tree: Any) -> Any:
    """Return a tree with stand-ins of the same type, shape and dtype for its deferred arrays."""
    return substituted(tree, lambda node: node.standin)
