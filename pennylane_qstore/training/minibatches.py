"""Data of a training run: the rows of each step."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.validation import check_count


class MiniBatches:
    """The rows of a step: a seeded shuffle per epoch, a function of the step alone.

    Args:
        rows: number of rows.
        size: of a batch; None for all rows.
        seed: of the shuffles.
        drop_last: leave the short batch at an epoch's end out, so that every step costs the
            same.

    Raises:
        ConfigurationError: a size that is not possible.
    """

    def __init__(self, rows: int, size: int | None, seed: int, *, drop_last: bool = False) -> None:
        size = rows if size is None else check_count("batch_size", size, most=rows)
        self.rows, self.size, self.seed = rows, size, seed
        self.per_epoch = rows // size if drop_last else -(-rows // size)

    def epoch(self, step: int) -> int:
        """Return the epoch of a step; both count from 1."""
        return (step - 1) // self.per_epoch + 1

    def __call__(self, step: int) -> NDArray[np.int64]:
        """Return the indices of a step's rows, ``[rows]``; steps count from 1."""
        if self.size == self.rows:
            return np.arange(self.rows)
        order = np.random.default_rng([self.seed, self.epoch(step)]).permutation(self.rows)
        start = (step - 1) % self.per_epoch * self.size
        return order[start : start + self.size]


def checked(data: Sequence[Any], name: str) -> tuple[Any, ...]:
    """Return arrays of one length, which is not 0.

    Args:
        data: one array, or several with one row per sample.
        name: of the option, for the message.

    Returns:
        The arrays.

    Raises:
        ConfigurationError: their lengths differ, or are 0.
    """
    parts = tuple(data) if isinstance(data, list | tuple) else (data,)
    lengths = {len(part) for part in parts}
    if len(lengths) != 1 or not parts:
        raise ConfigurationError(
            f"{name} needs arrays of one length, as (x, y); these have {sorted(lengths)}."
        )
    if not lengths.pop():
        raise ConfigurationError(f"{name} has no rows.")
    return parts


def digest(data: tuple[Any, ...] | None) -> str | None:
    """Return a short name of data; another process gives equal data the same one."""
    if data is None:
        return None
    content = hashlib.sha256()
    for part in data:
        array = np.ascontiguousarray(part.detach().cpu() if hasattr(part, "detach") else part)
        content.update(f"{array.dtype} {array.shape}".encode())
        content.update(array.tobytes())
    return content.hexdigest()[:16]
