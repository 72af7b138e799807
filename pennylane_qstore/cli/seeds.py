"""Seeds on the command line: ``5`` for 1 to 5, ``3-5``, ``2,7``."""

from __future__ import annotations

import re

from pennylane_qstore.errors import ConfigurationError

_PART = re.compile(r"(\d+)(?:-(\d+))?")

MAX_SEEDS = 10_000


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
    if not 0 < count <= MAX_SEEDS or any(last < first for first, last in ranges):
        raise ConfigurationError(
            f"--seeds {text!r} names no seeds. Allowed: a number (5 for 1 to 5), a range (1-5), "
            f"or a list (2,7); at most {MAX_SEEDS}."
        )
    return tuple(dict.fromkeys(s for first, last in ranges for s in range(first, last + 1)))


def chosen_seeds(seed: int | None, seeds: str | None) -> tuple[int, ...]:
    """Return the seeds of a command that has ``--seed`` and ``--seeds``; 1 where it has neither.

    Args:
        seed: of ``--seed``.
        seeds: of ``--seeds``, see :func:`parse_seeds`.

    Returns:
        One seed or several.

    Raises:
        ConfigurationError: both were given, or ``seeds`` cannot be read.
    """
    if seed is not None and seeds is not None:
        raise ConfigurationError("--seed and --seeds exclude each other: give one of them.")
    return (1 if seed is None else seed,) if seeds is None else parse_seeds(seeds)
