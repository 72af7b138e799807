"""What an optimizer may be told: each option as it is used, or an error that names it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from pennylane_qstore.errors import ConfigurationError


def check(name: str, value: Any, valid: bool, allowed: str) -> None:
    """Refuse an option's value.

    Raises:
        ConfigurationError: it is not valid.
    """
    if not valid:
        raise ConfigurationError(f"{name}={value!r} is not allowed; it has to be {allowed}.")


@overload
def number(name: str, value: Any, *, above: float = ..., least: float = ...) -> float: ...
@overload
def number(
    name: str, value: Any, *, above: float = ..., least: float = ..., optional: bool
) -> float | None: ...
def number(
    name: str,
    value: Any,
    *,
    above: float = -np.inf,
    least: float = -np.inf,
    optional: bool = False,
) -> float | None:
    """A finite number as a float; None stays None where it is optional."""
    if optional and value is None:
        return None
    try:
        found = np.nan if isinstance(value, str | bool) else float(value)
    except (TypeError, ValueError):
        found = np.nan
    allowed = "a finite number"
    if above > -np.inf:
        allowed += f" above {above:g}"
    elif least > -np.inf:
        allowed += f", at least {least:g}"
    valid = bool(np.isfinite(found)) and found > above and found >= least
    check(name, value, valid, allowed + (", or None" if optional else ""))
    return found


def count(name: str, value: Any, least: int) -> int:
    """A whole number as an int."""
    check(name, value, _is_whole(value) and value >= least, f"a whole number, at least {least}")
    return int(value)


def positive_s(value: float, name: str) -> float:
    """Return a duration option, in seconds, checked.

    Raises:
        ConfigurationError: not a positive, finite number.
    """
    if isinstance(value, bool) or not (math.isfinite(value) and value > 0):
        raise ConfigurationError(f"{name} must be a positive number of seconds; got {value!r}.")
    return float(value)


def positive_int(value: int, name: str) -> int:
    """Return a number of things, checked.

    Raises:
        ConfigurationError: not an int, or less than 1.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{name} must be an int >= 1; got {value!r}.")
    return value


def bounds(pair: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bounds as two arrays."""
    try:
        low, high = (np.asarray(bound, dtype=np.float64) for bound in pair)
        valid = bool(np.all(low <= high))
    except (TypeError, ValueError):
        valid = False
    check("bounds", pair, valid, "(low, high) with low <= high, numbers or arrays")
    return low, high


def positions(argnums: Any) -> tuple[int, ...]:
    """One or several positions of arguments as a tuple."""
    several = argnums if isinstance(argnums, Sequence) else (argnums,)
    valid = all(map(_is_whole, several))
    check("argnums", argnums, valid, "a position or a list of positions, whole numbers")
    return tuple(int(i) for i in several)


def generator(seed: Any) -> np.random.Generator:
    """Chance, from a seed."""
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError):
        raise ConfigurationError(
            f"seed={seed!r} is not allowed; it has to be a whole number, at least 0, a "
            "numpy.random.Generator, or None."
        ) from None


def average_length(average: Any, maxiter: float | None) -> int:
    """How many iterates to keep."""
    if average is None:
        return 0
    steps = number("average", average, above=0)
    if steps >= 1:
        return round(steps)
    if maxiter is None:
        raise ConfigurationError(f"average={average} is a fraction of maxiter; give maxiter too.")
    return max(1, round(steps * maxiter))


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
