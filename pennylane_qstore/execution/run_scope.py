"""The run that a device's jobs belong to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class RunScope:
    """The run that jobs belong to.

    Attributes:
        run: its name in the ledger; None for jobs of their own.
        part: name of what is executed beside the run's steps.
        budget_usd: limit of its spending over all its devices, in US dollars.
        progress: called with each change of a job's state; True shows a bar of each batch.
        account: name of the run that the budget is of; by default ``run``.
    """

    run: str | None = None
    part: str = ""
    budget_usd: float | None = None
    progress: bool | Callable[[Any], None] | None = None
    account: str | None = None
