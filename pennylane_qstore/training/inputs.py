"""Rows of a table as features of a circuit: a linear map that is learnt from training rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.validation import check_count

Floats = NDArray[np.float64]
MOST_WIRES = 4
"""Wires by default, at most; more columns become principal components."""


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """The features ``(x - offset) @ matrix`` of rows ``x``.

    Attributes:
        offset: mean of each column, ``[columns]``.
        matrix: ``[columns, features]``.
        columns: names, where they are known.
    """

    offset: Floats
    matrix: Floats
    columns: tuple[str, ...] = ()

    @classmethod
    def learn(cls, x: Any, features: int, columns: Sequence[str] = ()) -> Inputs:
        """Return standardised columns, or their principal components where they are too many.

        Components are scaled by the deviation of the first. Fewer columns than features are given
        to several wires each. A column that never changes counts as zero.

        Args:
            x: training rows, ``[rows, columns]``.
            features: wanted, one for each wire.
            columns: their names.

        Returns:
            The map.
        """
        x = np.asarray(x, dtype=np.float64)
        offset, spread = x.mean(axis=0), x.std(axis=0)
        tiny = 10 * np.finfo(np.float64).eps * np.abs(offset)  # rounding of the mean
        matrix = np.diag(np.divide(1.0, spread, where=spread > tiny, out=np.zeros_like(spread)))
        count = x.shape[1]
        if count > features:
            _, sizes, axes = np.linalg.svd((x - offset) @ matrix, full_matrices=False)
            axes = axes * np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]
            kept = np.zeros((features, count))
            kept[: len(axes)] = axes[:features]
            first = sizes[0] / np.sqrt(len(x))
            matrix = matrix @ kept.T / (first if first > 0 else 1.0)
        else:
            matrix = matrix[:, np.arange(features) % count]
        return cls(offset, matrix, tuple(map(str, columns)))

    def __call__(self, x: Any) -> Floats:
        """Return features.

        Args:
            x: rows, ``[rows, columns]``.

        Returns:
            ``[rows, features]``.

        Raises:
            ConfigurationError: another number of columns, or numbers that are not finite.
        """
        try:
            rows = np.asarray(x, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"The rows hold what is no number: {error}") from error
        if rows.ndim != 2 or rows.shape[1] != len(self.offset):
            named = f" ({', '.join(self.columns)})" if self.columns else ""
            raise ConfigurationError(
                f"The model takes rows of {len(self.offset)} numbers{named}; these have the shape "
                f"{np.shape(x)}."
            )
        if not np.all(np.isfinite(rows)):
            raise ConfigurationError("The rows hold NaN or infinite numbers; leave such rows out.")
        return (rows - self.offset) @ self.matrix


def chosen_wires(wires: int | None, columns: int, least: int = 1) -> int:
    """Return the number of wires.

    Args:
        wires: as given.
        columns: of the data.
        least: wires that are measured.

    Returns:
        By default as many as there are columns, from ``least`` to 4 or ``least``.

    Raises:
        ConfigurationError: fewer than are measured.
    """
    if wires is None:
        return max(min(columns, MOST_WIRES), least)
    return int(check_count("wires", wires, least=least))
