"""Training runs side by side: what they send at the same time travels in common jobs.

Each run has a device of its own, with its own seed, and comes to what it comes to alone, bit for
bit; the ledger finds its part of a common job under the run's own name. A run stops, fails and goes
on for itself. Computers draw their shots for a whole job, so there runs are alike in distribution.

Jobs differ in their circuits alone to be one: runs with seeds for their noise, other shots or other
settings send jobs of their own, at the same time.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import zip_longest
from pathlib import Path
from secrets import token_hex
from typing import Any, TypeVar

import numpy as np

from pennylane_qstore.deferral.tasks import TaskGroup
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.execution.shared_jobs import SharedJobs
from pennylane_qstore.ionq.ledger.rows import Account, run_account
from pennylane_qstore.prices import JobSize, PriceModel
from pennylane_qstore.training.auto_shape import joined
from pennylane_qstore.training.callbacks import ProgressBar, Run
from pennylane_qstore.training.checkpoint import write
from pennylane_qstore.training.run import TrainingRun
from pennylane_qstore.training.run_estimate import RunEstimate, summed
from pennylane_qstore.training.run_options import Resume
from pennylane_qstore.training.stopping import Abandoned, Interrupt

Value = TypeVar("Value")


class Lockstep:
    """Runs that send their jobs together.

    Args:
        name: of the account that all are charged to; None for none.
        budget_usd: limit of what they spend together, in US dollars; None without one.
    """

    def __init__(self, name: str | None = None, budget_usd: float | None = None) -> None:
        account = None if name is None else Account((run_account(name),), budget_usd)
        self._interrupt = Interrupt()
        self._jobs = SharedJobs(account, self._interrupt.begin_batch, self._interrupt.saw)

    @property
    def sizes(self) -> list[JobSize]:
        """Sizes of the jobs that were sent."""
        return self._jobs.sizes

    def check(self, run: Run) -> None:
        """Stop a run after Ctrl-C; each one calls it after every step."""
        if self._interrupt.requested:
            run.stop("interrupt")

    def call(self, functions: Sequence[Callable[[], Value]]) -> list[Value | Exception]:
        """Call functions side by side.

        After Ctrl-C nothing more is sent: runs that :meth:`check` themselves end, all with the
        same step.

        Args:
            functions: each of a run, on devices that no other one uses.

        Returns:
            The value of each, or its error.
        """

        def outcome(function: Callable[[], Value]) -> Value | Exception:
            bring_back()
            try:
                return function()
            except Exception as error:  # noqa: BLE001 - the others go on
                return error

        bring_back = keep_random_states()
        self._interrupt.clear()
        group = TaskGroup([], send=self._send, keep=keep_random_states)
        with self._interrupt.handled():
            return group.run([partial(outcome, function) for function in functions])

    def _send(self, calls: Sequence[Any]) -> None:
        try:
            with self._interrupt.sending():
                self._jobs.send(calls)
        except KeyboardInterrupt:
            if not self._interrupt.abandoned:
                raise
            for call in calls:
                call.interrupt, call.finished = Abandoned(), True


def keep_random_states() -> Callable[[], None]:
    """Return a function that brings Python's, NumPy's and torch's generators back to here."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - stock SPSA's
    torch = sys.modules.get("torch")
    state = None if torch is None else torch.get_rng_state()

    def bring_back() -> None:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        if torch is not None and state is not None:
            torch.set_rng_state(state)

    return bring_back


def check_devices(devices: Sequence[Sequence[Any]]) -> None:
    """Refuse runs that use the same device.

    Args:
        devices: of each run.

    Raises:
        ConfigurationError: two runs use the same one.
    """
    seen: set[int] = set()
    for own in devices:
        ids = {id(device) for device in own}
        if ids & seen:
            raise ConfigurationError(
                "Two runs use the same device, so that their random numbers and bills would mix. "
                "Make the device inside make_run, where each run gets its own. Nothing was sent."
            )
        seen |= ids


def merged_sizes(plans: Sequence[Sequence[Sequence[JobSize]]]) -> list[JobSize]:
    """Return the sizes of the jobs of runs that share them, step by step.

    Args:
        plans: of each run, the sizes of the jobs of each step.

    Returns:
        One size for each step and number of shots.
    """
    merged: list[JobSize] = []
    for step in zip_longest(*plans, fillvalue=()):
        by_shots: dict[Any, list[JobSize]] = {}
        for size in (size for sizes in step for size in sizes):
            by_shots.setdefault((size.shots, size.mitigated), []).append(size)
        merged += [joined(group) for group in by_shots.values()]
    return merged


class SharedProgress(ProgressBar):
    """A progress bar, or lines, for the first of several runs, which stands for all.

    Args:
        runs: all of them.
        budget_usd: of all of them, in US dollars; None without one.
        shown: as for :class:`.ProgressBar`.
    """

    def __init__(
        self, runs: Sequence[Run], budget_usd: float | None, shown: bool | str | None = None
    ) -> None:
        super().__init__(shown)
        self._runs, self._budget_usd = runs, budget_usd

    def _title(self, run: Run) -> str:
        return f"{run.name} x {len(self._runs)}"

    def _dollars(self, run: Run) -> tuple[float, float | None]:
        spent_usd = sum(one.spent_usd for one in self._runs)
        return spent_usd, None if self._budget_usd is None else self._budget_usd - spent_usd


def shared_estimate(
    runs: Sequence[TrainingRun],
    alone: Sequence[RunEstimate],
    model: PriceModel,
) -> RunEstimate:
    """Return the estimate of runs that share their jobs.

    Args:
        runs: all of them.
        alone: the estimate of each by itself.
        model: price list, by which sharing is reckoned.

    Returns:
        The sum, with one floor price for each common job.
    """
    if any(device.job_limits.circuits == 1 for run in runs for device in run.devices):
        return summed(alone)
    total, ends = summed(alone), [1 + one.steps for one in alone]
    planned = [one.sizes for one in alone]
    total = replace(total, step_usd=sum(one.step_usd for one in alone))
    parts = dict.fromkeys(("low_usd", "usd", "high_usd", "dearer_usd"), planned)
    parts["first_usd"] = [plan[:1] for plan in planned]
    parts["step_usd"] = [plan[1:end] for plan, end in zip(planned, ends, strict=True)]
    parts["evaluation_usd"] = [plan[end:] for plan, end in zip(planned, ends, strict=True)]

    def shared_usd(name: str) -> float:
        apart_usd = sum(model.total(sizes) for plan in parts[name] for sizes in plan)
        common_usd = model.total(merged_sizes(parts[name]))
        usd: float = getattr(total, name)
        return round(usd * common_usd / apart_usd if apart_usd else usd, 2)

    shared: dict[str, Any] = {name: shared_usd(name) for name in parts}
    return replace(
        total,
        **shared,
        jobs=len(merged_sizes(planned)),
        queue_s=None if total.queue_s is None else max(one.queue_s or 0.0 for one in alone),
        steps=max(one.steps for one in alone),
    )


class Manifest:
    """The file ``sweep.json`` in the folder of a sweep.

    Args:
        folder: of the sweep; None keeps nothing.
        resume: True (or "edited") goes on, False begins anew, None refuses to replace a sweep.

    Attributes:
        account: name under which the ledger has what all trials have spent together.
        pruned: labels of the trials that were pruned.

    Raises:
        ConfigurationError: there is a sweep, and nobody said what to do with it; or it is damaged.
    """

    def __init__(self, folder: Path | None, resume: Resume) -> None:
        self.path = None if folder is None else folder / "sweep.json"
        self.account = f"sweep-{token_hex(8)}"
        self.pruned: set[str] = set()
        if self.path is None or not self.path.exists() or resume is False:
            return
        if resume is None:
            raise ConfigurationError(
                f"{str(self.path)!r} is an earlier sweep. Give resume=True (--resume) to go on "
                "with it, or resume=False (--force) to replace it by a new one."
            )
        try:
            kept: Any = json.loads(self.path.read_text(encoding="utf-8"))
            self.account, self.pruned = str(kept["account"]), set(map(str, kept["pruned"]))
        except (ValueError, TypeError, KeyError):
            raise ConfigurationError(f"The sweep {str(self.path)!r} is damaged.") from None

    def save(self) -> None:
        """Write the file, atomically."""
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write(self.path, {"account": self.account, "pruned": sorted(self.pruned)})
