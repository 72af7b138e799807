"""Seeds and grids on the command line: ``5`` for 1 to 5, ``3-5``, ``2,7``; ``lr=0.1,0.2``."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from pennylane_qstore.backends import MAX_SHOTS
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.validation import check, check_count, check_known

_PART = re.compile(r"(\d+)(?:-(\d+))?")

MAX_SEEDS = 10_000
MAX_SEED = 2**32 - 1
"""Largest seed of scikit-learn, which splits the tasks' data."""


def parse_seeds(text: str) -> tuple[int, ...]:
    """Return the seeds that a text names.

    Args:
        text: a number ``n`` alone for 1 to n, a range ``a-b`` with both ends, or several seeds
            and ranges with commas between them.

    Returns:
        Seeds, each once, in the order named.

    Raises:
        ConfigurationError: the text is none of these, or names too many.
    """
    parts = [part.strip() for part in text.split(",")]
    matches = [_PART.fullmatch(part) for part in parts]
    if len(parts) == 1 and parts[0].isdigit():
        ranges = [(1, int(parts[0]))]
    elif all(matches):
        ranges = [(int(m[1]), int(m[2] or m[1])) for m in matches if m]
    else:
        ranges = []
    count = sum(max(0, last - first + 1) for first, last in ranges)
    if (
        not 0 < count <= MAX_SEEDS
        or any(last < first for first, last in ranges)
        or max(last for _, last in ranges) > MAX_SEED
    ):
        raise ConfigurationError(
            f"--seeds {text!r} names no seeds. Allowed: a number (5 for 1 to 5), a range (1-5), "
            f"or a list (2,7); at most {MAX_SEEDS}, none above {MAX_SEED}."
        )
    return tuple(dict.fromkeys(s for first, last in ranges for s in range(first, last + 1)))


def chosen_seeds(
    seed: int | None, seeds: str | None, default: tuple[int, ...] = (1,)
) -> tuple[int, ...]:
    """Return the seeds of a command that has ``--seed`` and ``--seeds``.

    Args:
        seed: of ``--seed``.
        seeds: of ``--seeds``, see :func:`parse_seeds`.
        default: where it has neither.

    Returns:
        One seed or several.

    Raises:
        ConfigurationError: both were given, or ``seeds`` cannot be read.
    """
    if seed is not None and seeds is not None:
        raise ConfigurationError("--seed and --seeds exclude each other: give one of them.")
    if seeds is not None:
        return parse_seeds(seeds)
    return default if seed is None else (seed,)


def read_shots(text: str) -> int | str:
    """Return a number of shots, or ``"auto"``."""
    if text == "auto":
        return text
    check("shots", text, text.isdigit(), "a number of shots, or auto")
    return int(check_count("shots", int(text), most=MAX_SHOTS))


def _count(name: str, text: str) -> int:
    check(name, text, text.isdigit(), "a whole number")
    return int(check_count(name, int(text)))


def _lr(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    check("lr", text, 0 < value < float("inf"), "a finite number above 0")
    return value


GRID: dict[str, Callable[[str], Any]] = {
    "lr": _lr,
    "steps": lambda text: _count("steps", text),
    "batch-size": lambda text: _count("batch-size", text),
    "shots": read_shots,
    "noise-model": str,
}
"""Options that a grid may vary, each with the reader of its values."""


def parse_grid(texts: Sequence[str]) -> dict[str, list[Any]]:
    """Return the values of each option that a grid varies.

    Args:
        texts: ``name=value,value`` each.

    Returns:
        Values by name, with ``_`` for ``-``.

    Raises:
        ConfigurationError: another form, an option that cannot vary, or the same one twice.
    """
    grid: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals or not all(values.split(",")):
            raise ConfigurationError(f"--grid {text!r} is no name=value,value, as lr=0.1,0.2.")
        check_known("name", name, GRID, of="a grid")
        key = name.replace("-", "_")
        if key in grid:
            raise ConfigurationError(f"--grid names {name!r} twice: give all values in one.")
        grid[key] = list(dict.fromkeys(GRID[name](value.strip()) for value in values.split(",")))
    return grid
