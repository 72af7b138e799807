"""Trace of a circuit builder: the angles as functions of its parameters, by one call.

A builder is any Python. It is called with stand-ins that allow sums and multiples, and refuse
everything else (comparisons, ``float()``, functions): so a builder that decides something by a
value, or turns by a sine of it, is recognised and never made a template of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from pennylane.pytrees import flatten, unflatten

Builder = Callable[[Any, Any], dict[str, Any]]


class Untraceable(Exception):  # noqa: N818 - never leaves the room
    """The builder does something with a parameter that is no sum and no multiple."""


class Symbol:
    """A sum of multiples of the parameters: a factor for each of them, and a constant behind."""

    __slots__ = ("factors",)

    def __init__(self, factors: NDArray[np.float64]) -> None:
        self.factors = factors

    def __add__(self, other: Any) -> Symbol:
        if isinstance(other, Symbol):
            return Symbol(self.factors + other.factors)
        factors = self.factors.copy()
        factors[-1] += _number(other)
        return Symbol(factors)

    __radd__ = __add__

    def __mul__(self, other: Any) -> Symbol:
        return Symbol(self.factors * _number(other))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Symbol:
        return Symbol(self.factors / _number(other))

    def __neg__(self) -> Symbol:
        return Symbol(-self.factors)

    def __pos__(self) -> Symbol:
        return self

    def __sub__(self, other: Any) -> Symbol:
        return self + (-other if isinstance(other, Symbol) else -_number(other))

    def __rsub__(self, other: Any) -> Symbol:
        return (-self).__add__(other)

    def _refuse(self, *_: Any) -> NoReturn:
        raise Untraceable

    __float__ = __int__ = __bool__ = __index__ = __complex__ = __abs__ = __round__ = _refuse
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __hash__ = _refuse
    __str__ = __repr__ = __format__ = __pow__ = __rtruediv__ = __mod__ = _refuse


class CircuitTemplate:
    """A circuit with its angles left open.

    Args:
        built: circuit that the builder made of symbols.
        parameters: number of parameters, inputs included.
    """

    def __init__(self, built: dict[str, Any], parameters: int) -> None:
        leaves, structure = flatten(built)
        leaves = [x.item() if isinstance(x, np.ndarray) and not x.ndim else x for x in leaves]
        if not all(isinstance(leaf, _PLAIN) for leaf in leaves):
            raise Untraceable
        self._skeleton = unflatten(leaves, structure)  # a symbol where an angle belongs
        rows = [leaf.factors for leaf in leaves if isinstance(leaf, Symbol)]
        self._matrix = np.array(rows).reshape(len(rows), parameters + 1)
        self.nbytes = self._matrix.nbytes

    def bind(self, values: NDArray[np.float64]) -> dict[str, Any]:
        """Return a new circuit for these values."""
        angles = self._matrix[:, :-1] @ values + self._matrix[:, -1]
        bound: dict[str, Any] = _filled(self._skeleton, iter(angles.tolist()))
        return bound


_PLAIN = (Symbol, bool, int, float, str, np.generic, type(None))
"""Types of what a circuit may hold beside lists and dictionaries."""


def trace(builder: Builder, parameters: Any, inputs: Any) -> CircuitTemplate | None:
    """Return the template of a builder that is affine in its parameters; None for another.

    Args:
        builder: called as ``builder(parameters, inputs)``.
        parameters: an array, for its shape and for a comparison with a circuit built plainly.
        inputs: an array, or None.

    Returns:
        The template, or None.
    """
    values = numbers_of(parameters, inputs)
    count = 0 if parameters is None else np.size(parameters)
    symbols = [Symbol(row) for row in np.eye(len(values), len(values) + 1)]
    try:
        built = builder(
            None if parameters is None else _shaped(symbols[:count], parameters),
            None if inputs is None else _shaped(symbols[count:], inputs),
        )
        template = CircuitTemplate(built, len(values))
        # A builder that looks at types takes another way with symbols: compare at generic values.
        probe = np.cos(1.7 * np.arange(1, len(values) + 1))
        direct = builder(
            None if parameters is None else probe[:count].reshape(np.shape(parameters)),
            None if inputs is None else probe[count:].reshape(np.shape(inputs)),
        )
        if not _alike(template.bind(probe), direct):
            return None
    except Exception:  # noqa: BLE001 - whatever a builder says to symbols; built plainly it may work
        return None
    # And lists add up to something else than arrays do.
    return template if _alike(template.bind(values), builder(parameters, inputs)) else None


def numbers_of(parameters: Any, inputs: Any) -> NDArray[np.float64]:
    """Return parameters and inputs in one row.

    Args:
        parameters: an array, or None.
        inputs: an array, or None.

    Returns:
        Float64 numbers, ``[parameters + inputs]``.
    """
    parts = [
        np.ravel(np.asarray(p, dtype=np.float64)) for p in (parameters, inputs) if p is not None
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def _number(value: Any) -> float:
    if isinstance(value, Symbol | complex) or np.ndim(value):
        raise Untraceable
    return float(value)


def _shaped(symbols: list[Symbol], like: Any) -> Any:
    array = np.empty(len(symbols), dtype=object)
    array[:] = symbols
    return array.reshape(np.shape(like))


def _filled(value: Any, angles: Iterator[float]) -> Any:
    """Return a skeleton with numbers for symbols; twice as fast as by ``unflatten``."""
    if isinstance(value, dict):
        return {key: _filled(item, angles) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_filled(item, angles) for item in value)
    return next(angles) if isinstance(value, Symbol) else value


def _alike(a: Any, b: Any) -> bool:
    """Return whether two circuits are the same, but for rounding of their angles."""
    (left, form), (right, other) = flatten(a), flatten(b)
    return bool(form == other) and all(map(_same, left, right))


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, float) and not isinstance(b, str) and b is not None:
        return bool(np.isclose(a, b, rtol=1e-9, atol=1e-9))
    return bool(a == b)
