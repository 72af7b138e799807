"""A hint, once per process, for loops that wait for a job of their own for each circuit."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from types import FrameType
from typing import Any, NamedTuple

from pennylane_qstore.compat.python import current_frame, stack
from pennylane_qstore.deferral.scope import current_scope
from pennylane_qstore.errors import QStoreEfficiencyWarning
from pennylane_qstore.execution.circuits import TapePlan

REPEATED = 10
"""Jobs that follow each other from one line before a hint is given."""

LINES = 4
"""Lines, or templates, that take turns in a loop, at most."""

_LIBRARIES = frozenset(
    ("autograd", "autoray", "contextlib", "functools", "jax", "numpy", "pennylane", "threading")
) | {"pennylane_qstore", "torch"}
_LOOPS = tuple(f"pennylane_qstore.{room}" for room in ("training", "bench", "cli", "v34"))
"""Loops of this package, which know what depends on what."""

_told = False


class RepeatedJobs:
    """Jobs of one circuit and one template that follow each other from one line.

    Those of a few other lines may stand between, as in a loop that calls two circuits.
    """

    def __init__(self) -> None:
        self._counts: dict[Any, int] = {}

    def see(self, plans: Sequence[TapePlan]) -> None:
        """Count a batch that is about to be sent; warn at the tenth of its kind.

        Args:
            plans: of the batch's tapes.

        Raises:
            QStoreEfficiencyWarning: where a filter makes errors of warnings. Nothing was sent.
        """
        global _told
        if _told:
            return
        single = len(plans) == 1 and not plans[0].batched
        line = _calling_line(current_frame(1)) if single else None
        if line is None:
            self._counts.clear()
            return
        key = plans[0].pieces[0].key, line
        if key not in self._counts and len(self._counts) == LINES:
            self._counts.clear()
        self._counts[key] = self._counts.get(key, 0) + 1
        if self._counts[key] < REPEATED:
            return
        _told = True
        warnings.warn_explicit(
            f"{REPEATED} jobs of one circuit each followed each other from "
            f"{os.path.basename(line.file)}:{line.number}, and each waits in the queue. "
            f"{_change(line)} That makes one job of them, as far as no circuit depends on another "
            "one's result. (Said once; warnings.simplefilter('ignore', "
            "pennylane_qstore.errors.QStoreEfficiencyWarning) turns it off.)",
            QStoreEfficiencyWarning,
            line.file,
            line.number,
        )


class _Line(NamedTuple):
    """A line of a user's program, and True where JAX calls the circuit for it."""

    file: str
    number: int
    by_jax: bool


def _calling_line(frame: FrameType) -> _Line | None:
    """Return the innermost line that is no library's; None in a loop of this package."""
    by_jax = False
    for caller in stack(frame):
        module = str(caller.f_globals.get("__name__", ""))
        if module.startswith(_LOOPS):
            return None
        library = module.split(".")[0]
        by_jax = by_jax or library == "jax"
        if library not in _LIBRARIES:
            return _Line(caller.f_code.co_filename, caller.f_lineno, by_jax)
    return None


def _change(line: _Line) -> str:
    if line.by_jax:
        return (
            "Differentiate with qstore.value_and_grad(cost), or hand the loop to "
            "qstore.map(device, function, samples)."
        )
    if current_scope() is not None:
        return (
            "This line looks at each result inside deferred(): keep the results in a list, and "
            "look at them after the loop."
        )
    return "Write `with qstore.deferred():` around the loop."
