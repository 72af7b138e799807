"""Trainings of ``qstore train``: one, or several side by side that share their jobs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from pennylane_qstore.cli import summary_report, train_report
from pennylane_qstore.cli.output import labelled, show
from pennylane_qstore.cli.training import INTERRUPTED, NotBegun, Training

if TYPE_CHECKING:
    from pennylane_qstore.prices import JobSize
    from pennylane_qstore.sweeps.lockstep import Lockstep
    from pennylane_qstore.training.run_estimate import RunEstimate


class Together:
    """Several trainings that share their jobs and a budget.

    Args:
        folder: where their common account is kept; None keeps nothing.
        resume: whether they go on.
        budget_usd: limit of what they spend together, in US dollars; None without one.
    """

    def __init__(self, folder: Path | None, resume: bool, budget_usd: float | None) -> None:
        from pennylane_qstore.sweeps.lockstep import Lockstep
        from pennylane_qstore.sweeps.manifest import Manifest

        self._manifest = Manifest(folder, resume)
        self.lockstep = Lockstep(self._manifest.account, budget_usd)
        self._budget_usd = budget_usd

    def train(self, trainings: Sequence[Training]) -> list[Training | BaseException]:
        """Train side by side; return each training, or its error."""
        from pennylane_qstore.sweeps.lockstep import SharedProgress

        self._manifest.save()
        runs = [one.run for one in trainings if one.task is not None]
        if runs:
            runs[0].configure(callbacks=[SharedProgress(runs, self._budget_usd)])
        return [*self.lockstep.call([partial(_trained, one) for one in trainings])]


def _trained(training: Training) -> Training | BaseException:
    try:
        return training.train()
    except NotBegun as stop:  # the others are reported
        return stop


def estimate_of(trainings: Sequence[Training], prices: str | None = None) -> RunEstimate:
    """Return the price of trainings, whose common jobs have one floor price.

    Args:
        trainings: at least one.
        prices: a price list; by default a backend that bills is asked.

    Returns:
        The estimate.
    """
    from pennylane_qstore.sweeps.lockstep import shared_estimate
    from pennylane_qstore.training.run_estimate import summed

    alone = [training.estimate(prices) for training in trainings]
    if len(alone) == 1 or trainings[0].task is None:
        return summed(alone)
    runs = [training.run for training in trainings]
    return shared_estimate(runs, alone, runs[0].prices[-1])


def train_all(
    trainings: Sequence[Training],
    varied: Sequence[str],
    sweep: Together | None,
    out: Path,
    as_json: bool,
) -> None:
    """Train, and report; a training that fails does not stop the others.

    Args:
        trainings: at least one.
        varied: names of what a grid varies among them.
        sweep: of several trainings.
        out: folder of the files.
        as_json: print JSON.

    Raises:
        QStoreError: the first error of a training, after the others were reported.
        typer.Exit: after Ctrl-C.
    """
    ends: Sequence[Any] = (
        [one.train() for one in trainings] if sweep is None else sweep.train(trainings)
    )
    errors = [end for end in ends if isinstance(end, BaseException)]
    done = [one for one in ends if isinstance(one, Training)]
    if done:
        sizes = _sizes(done, None if sweep is None else sweep.lockstep)
        _report(done, varied, sizes, [one for one in trainings if one not in done], out, as_json)
    for error in errors:
        raise error


def _sizes(done: Sequence[Training], lockstep: Lockstep | None) -> list[JobSize]:
    """Return the sizes of all jobs: of earlier starts as far as they are known."""
    if lockstep is None or done[0].task is None:
        return [size for one in done for size in one.sizes]
    from pennylane_qstore.sweeps.lockstep import merged_sizes

    earlier = [[record.sizes for record in one.earlier] for one in done]
    if done[0].settings["noise_model"]:  # their noise has seeds: jobs of their own
        return [*(s for run in earlier for step in run for s in step), *lockstep.sizes]
    return [*merged_sizes(earlier), *lockstep.sizes]


def _report(
    done: Sequence[Training],
    varied: Sequence[str],
    sizes: Sequence[JobSize],
    failed: Sequence[Training],
    out: Path,
    as_json: bool,
) -> None:
    """Write and print the reports of trainings, whose jobs had some sizes, and their summary."""
    several = len(done) + len(failed) > 1
    pairs = [one.report() for one in done]
    reports = [report for report, _ in pairs]
    runs = [one.run for one in done if one.task is not None]
    report = summary_report.summary(reports, summary_report.together(reports, runs, sizes))
    lines: dict[str, Any] = {} if several and runs else pairs[0][1]
    if runs and (task := done[0].task) is not None:
        summary_report.draw(out, reports, runs, task, varied)
        if several:
            lines = summary_report.summary_lines(report, task, out, varied)
            train_report.write_history(out, report)
    if not (several and runs):
        lines = {"Seed": reports[0]["seed"], **lines}
    show(as_json, report, labelled(lines))
    stopped = [one for one, r in zip(done, reports, strict=True) if r.get("stopped") == "interrupt"]
    if stopped:
        names = ", ".join(str(one.settings["seed"]) for one in stopped)
        typer.echo(
            f"qstore: Interrupted; nothing more was sent. --resume goes on with seed {names}.",
            err=True,
        )
        raise typer.Exit(INTERRUPTED)
