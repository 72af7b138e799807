"""Checks of options and arguments: the value as it is used, or an error of one form.

Every message says what was wrong, and what is allowed: ``pool_size=0 is not allowed. Allowed: a
whole number, 1 or more.``
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennylane_qstore.errors import ConfigurationError


def installed(module: str, who: str, extra: str) -> Any:
    """Import what is only needed by some, and may not be installed.

    Args:
        module: its name.
        who: needs what, for the message.
        extra: of this package, which installs it.

    Returns:
        The module.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        message = f"{who}: pip install 'pennylane-qstore[{extra}]'."
        raise ConfigurationError(message) from error


def check(name: str, value: Any, valid: bool, allowed: str) -> None:
    """Refuse an option's value.

    Args:
        name: of the option.
        value: to be shown in the message.
        valid: the outcome of the check.
        allowed: the values that are, in words.

    Raises:
        ConfigurationError: ``valid`` is False.
    """
    if not valid:
        raise ConfigurationError(f"{name}={value!r} is not allowed. Allowed: {allowed}.")


MAX_ENTRIES = 2**27
"""Most numbers of one result: one GB of floats."""


def check_entries(name: str, entries: int, instead: str) -> None:
    """Refuse a result that would not fit into memory, before memory is asked for.

    Args:
        name: of the result.
        entries: its numbers of eight bytes each.
        instead: what to do, an imperative.

    Raises:
        ConfigurationError: there are more than :data:`MAX_ENTRIES`.
    """
    if entries > MAX_ENTRIES:
        raise ConfigurationError(
            f"{name} would take {entries * 8 / 1e9:,.1f} GB of memory. Allowed: "
            f"{MAX_ENTRIES * 8 / 1e9:.1f} GB. {instead}. Nothing was sent."
        )


def check_number(
    name: str,
    value: Any,
    *,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
    most: float | None = None,
    unit: str = "",
    optional: bool = False,
) -> Any:
    """Return a finite number as a float.

    Args:
        name: of the option.
        value: a number of any kind; no bool and no text.
        above: lower limit, itself excluded.
        least: lower limit, itself allowed.
        below: upper limit, itself excluded.
        most: upper limit, itself allowed.
        unit: plural noun for the message, such as ``"seconds"``.
        optional: let None pass.

    Returns:
        The number, or None.

    Raises:
        ConfigurationError: it is not finite, or out of the limits.
    """
    if optional and value is None:
        return None
    number = _as_float(value)
    valid = (
        bool(np.isfinite(number))
        and (above is None or number > above)
        and (least is None or number >= least)
        and (below is None or number < below)
        and (most is None or number <= most)
    )
    if not valid:
        words = f"a finite number of {unit}" if unit else "a finite number"
        words += _limits(above, least, below, most) + (", or None" if optional else "")
        check(name, value, valid, words)
    return number


def check_count(
    name: str, value: Any, *, least: int = 1, most: int | None = None, optional: bool = False
) -> Any:
    """Return a whole number, NumPy's included, as Python's own.

    Args:
        name: of the option.
        value: the number; no bool.
        least: lower limit.
        most: upper limit.
        optional: let None pass.

    Returns:
        The number, or None.

    Raises:
        ConfigurationError: it is not whole, or out of the limits.
    """
    if optional and value is None:
        return None
    valid = is_whole(value) and value >= least and (most is None or value <= most)
    if not valid:
        words = "a whole number" + _limits(None, least, None, most)
        check(name, value, valid, words + (", or None" if optional else ""))
    return int(value)


def check_one_of(name: str, value: Any, allowed: Sequence[Any]) -> Any:
    """Return a value that is one of a few.

    Args:
        name: of the option.
        value: compared as text where it is one, otherwise by identity.
        allowed: the values.

    Returns:
        The value.

    Raises:
        ConfigurationError: it is another one.
    """
    valid = any(value is a or (isinstance(value, str) and value == a) for a in allowed)
    check(name, value, valid, ", ".join(map(repr, allowed)))
    return value


def check_flag(name: str, value: Any) -> bool:
    """Return True or False, NumPy's included, as Python's own.

    Args:
        name: of the option.
        value: the flag.

    Returns:
        The flag.

    Raises:
        ConfigurationError: it is something else.
    """
    check(name, value, isinstance(value, bool | np.bool_), "True or False")
    return bool(value)


def check_known(kind: str, name: Any, known: Iterable[str], *, of: str = "") -> None:
    """Refuse a name that is not known, and suggest the nearest one that is.

    Args:
        kind: of the thing that is named, such as ``"option"``.
        name: to look up.
        known: all names.
        of: whose names these are.

    Raises:
        ConfigurationError: the name is not among them.
    """
    names = list(known)
    if name not in names:
        raise ConfigurationError(unknown(kind, name, names, of=of))


def unknown(kind: str, name: Any, known: Iterable[str], *, of: str = "") -> str:
    """Return the message for a name that is not known; arguments as of :func:`check_known`.

    Args:
        kind: of the thing that is named.
        name: that was not found.
        known: all names.
        of: whose names these are.

    Returns:
        A sentence with the nearest known name, and all of them.
    """
    names = list(known)
    near = difflib.get_close_matches(str(name), names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    owner = f" of {of}" if of else ""
    return f"Unknown {kind} {name!r}{owner}.{hint} Allowed: {', '.join(map(repr, names))}."


def check_bounds(pair: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the bounds of parameters as two arrays.

    Raises:
        ConfigurationError: they are no numbers, or low is above high.
    """
    try:
        low, high = (np.asarray(bound, dtype=np.float64) for bound in pair)
        valid = bool(np.all(low <= high))
    except (TypeError, ValueError):
        valid = False
    check("bounds", pair, valid, "(low, high) with low <= high, numbers or arrays")
    return low, high


def check_positions(argnums: Any) -> tuple[int, ...]:
    """Return one or several positions of arguments as a tuple.

    Raises:
        ConfigurationError: one is no whole number.
    """
    several = argnums if isinstance(argnums, Sequence) else (argnums,)
    valid = all(map(is_whole, several))
    check("argnums", argnums, valid, "a position or a list of positions, whole numbers")
    return tuple(int(i) for i in several)


def check_seed(seed: Any) -> np.random.Generator:
    """Return the random generator of a seed.

    Raises:
        ConfigurationError: it is no seed.
    """
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError):
        allowed = "a whole number, 0 or more, a numpy.random.Generator, or None"
        raise ConfigurationError(f"seed={seed!r} is not allowed. Allowed: {allowed}.") from None


def check_seeds(seeds: int | Iterable[int]) -> tuple[int, ...]:
    """Return seeds.

    Args:
        seeds: so many, from 1, or a list of them.

    Returns:
        Each of them.

    Raises:
        ConfigurationError: a number is not whole, or negative.
    """
    many = range(1, check_count("seeds", seeds) + 1) if isinstance(seeds, int) else seeds
    return tuple(int(check_count("seeds", seed, least=0)) for seed in many)


def is_whole(value: Any) -> bool:
    """Tell whether a value is a whole number; a bool is none."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Tell whether a value is a finite real number; bools and texts are none."""
    return bool(np.isfinite(_as_float(value)))


def _as_float(value: Any) -> float:
    try:
        return np.nan if isinstance(value, str | bool | np.bool_) else float(value)
    except (TypeError, ValueError, OverflowError):
        return np.nan


def _limits(
    above: float | None, least: float | None, below: float | None, most: float | None
) -> str:
    low = above if above is not None else least
    high = below if below is not None else most
    if low is None and high is None:
        return ""
    if high is None:
        return f" above {low:,.15g}" if above is not None else f", {low:,.15g} or more"
    upper = f"below {high:,.15g}" if below is not None else f"at most {high:,.15g}"
    if low is None:
        return f", {upper}"
    if above is not None:
        return f" above {low:,.15g}, {upper}"
    return (
        f" from {low:,.15g}, {upper}" if below is not None else f" from {low:,.15g} to {high:,.15g}"
    )
