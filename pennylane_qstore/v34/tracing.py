"""Trace of a circuit builder: the angles as functions of its parameters, by one call.

A builder is any Python. It is called with stand-ins that allow sums and multiples, and refuse
everything else (comparisons, ``float()``, functions): so a builder that decides something by a
value, or turns by a sine of it, is recognised and never made a template of.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

Builder = Callable[[Any, Any], dict[str, Any]]


class Untraceable(Exception):  # noqa: N818 - never leaves the room
    """The builder does something with a parameter that is no sum and no multiple."""


class Symbol:
    """``constant + sum(factor * parameter)``; ``factors`` by the parameter's number."""

    __slots__ = ("constant", "factors")

    def __init__(self, factors: Mapping[int, float], constant: float = 0.0) -> None:
        self.factors = dict(factors)
        self.constant = constant

    def __add__(self, other: Any) -> Symbol:
        if isinstance(other, Symbol):
            numbers = self.factors.keys() | other.factors.keys()
            factors = {i: self.factors.get(i, 0.0) + other.factors.get(i, 0.0) for i in numbers}
            return Symbol(factors, self.constant + other.constant)
        return Symbol(self.factors, self.constant + _number(other))

    __radd__ = __add__

    def __mul__(self, other: Any) -> Symbol:
        factor = _number(other)
        return Symbol({i: f * factor for i, f in self.factors.items()}, self.constant * factor)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Symbol:
        return self * (1.0 / _number(other))

    def __neg__(self) -> Symbol:
        return self * -1.0

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
        symbols: list[Symbol] = []
        self._skeleton = _taken_out(built, symbols)
        self._matrix = np.zeros((len(symbols), parameters))
        self._offset = np.array([symbol.constant for symbol in symbols])
        for row, symbol in enumerate(symbols):
            for column, factor in symbol.factors.items():
                self._matrix[row, column] = factor
        self.nbytes = self._matrix.nbytes + self._offset.nbytes

    def bind(self, values: NDArray[np.float64]) -> dict[str, Any]:
        """Return a new circuit for these values."""
        angles = iter((self._matrix @ values + self._offset).tolist())
        bound: dict[str, Any] = _put_in(self._skeleton, angles)
        return bound


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
    symbols = [Symbol({i: 1.0}) for i in range(len(values))]
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


class _Open:
    """Place of an angle in a skeleton."""

    __slots__ = ()


_OPEN = _Open()


def _number(value: Any) -> float:
    if isinstance(value, Symbol | complex) or np.ndim(value):
        raise Untraceable
    return float(value)


def _shaped(symbols: list[Symbol], like: Any) -> Any:
    array = np.empty(len(symbols), dtype=object)
    array[:] = symbols
    return array.reshape(np.shape(like))


def _taken_out(value: Any, symbols: list[Symbol]) -> Any:
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if isinstance(value, Symbol):
        symbols.append(value)
        return _OPEN
    if isinstance(value, dict):
        return {key: _taken_out(item, symbols) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_taken_out(item, symbols) for item in value)
    if value is None or isinstance(value, bool | int | float | str | np.generic):
        return value
    raise Untraceable


def _put_in(value: Any, angles: Any) -> Any:
    if value is _OPEN:
        return next(angles)
    if isinstance(value, dict):
        return {key: _put_in(item, angles) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_put_in(item, angles) for item in value)
    return copy.copy(value)


def _alike(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(_alike(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        same = isinstance(b, list | tuple) and len(a) == len(b)
        return same and all(_alike(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, float) and not isinstance(b, str) and b is not None:
        return bool(np.isclose(a, b, rtol=1e-9, atol=1e-9))
    return bool(a == b)
