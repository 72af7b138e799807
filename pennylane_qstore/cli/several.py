"""Trainings of ``qstore train``: one, or several that share their jobs, and their summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from pennylane_qstore.cli import train_report
from pennylane_qstore.cli.output import labelled, show
from pennylane_qstore.cli.train_report import cost_lines, mean_of, priced, where
from pennylane_qstore.cli.training import INTERRUPTED, NotBegun, Training

if TYPE_CHECKING:
    from pennylane_qstore.prices import JobSize
    from pennylane_qstore.sweeps.lockstep import Lockstep
    from pennylane_qstore.training.run import TrainingRun
    from pennylane_qstore.training.run_estimate import RunEstimate
    from pennylane_qstore.training.tasks.task import Task


class Together:
    """Several trainings that share their jobs and a budget.

    Args:
        folder: where their common account is kept; None keeps nothing.
        resume: whether they go on.
        budget_usd: limit of what they spend together, in US dollars; None without one.
    """

    def __init__(self, folder: Path | None, resume: bool, budget_usd: float | None) -> None:
        from pennylane_qstore.sweeps.lockstep import Lockstep, Manifest

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
    report = summary(reports, together(reports, runs, sizes))
    lines: dict[str, Any] = {} if several and runs else pairs[0][1]
    if runs and (task := done[0].task) is not None:
        draw(out, reports, runs, task, varied)
        if several:
            lines = summary_lines(report, task, out, varied)
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


_HIGHER_IS_BETTER = (
    *("test_accuracy", "baseline_accuracy", "constant_accuracy"),
    *("test_r_squared", "test_average_precision", "cut_ratio"),
)
_AVERAGED = (
    *_HIGHER_IS_BETTER,
    *("divergence", "energy_error", "loss_first", "loss_last", "jobs", "circuits"),
    *("shots_total", "cost_usd", "would_cost_usd", "dearer_usd", "seconds", "seconds_per_step"),
)


def summary(reports: Sequence[Mapping[str, Any]], together: Mapping[str, Any]) -> dict[str, Any]:
    """Return the runs of several seeds with the mean, the worst and the best of each figure.

    Args:
        reports: one for each seed.
        together: figures of all runs together.

    Returns:
        ``runs``, ``mean``, ``worst`` and ``best``, then the figures of all together. High scores
        are good ones; of everything else the lowest is the best.
    """
    shared = [name for name in _AVERAGED if all(name in report for report in reports)]
    figures = {name: [report[name] for report in reports] for name in shared}
    figures = {name: values for name, values in figures.items() if None not in values}
    ends = {
        name: (min(values), max(values))[:: 1 if name in _HIGHER_IS_BETTER else -1]
        for name, values in figures.items()
    }
    return {
        "runs": list(reports),
        "mean": {name: mean_of(values) for name, values in figures.items()},
        "worst": {name: worst for name, (worst, _) in ends.items()},
        "best": {name: best for name, (_, best) in ends.items()},
        **together,
    }


def together(
    reports: Sequence[Mapping[str, Any]], runs: Sequence[TrainingRun], sizes: Sequence[JobSize]
) -> dict[str, Any]:
    """Return the figures of all runs together.

    Args:
        reports: one for each seed.
        runs: those that were trained; none for a task without training.
        sizes: of all jobs, evaluations included.

    Returns:
        Shots (as set), and sums: jobs, circuits, shots, US dollars, seconds. Runs side by side have
        taken as long as one.
    """
    from pennylane_qstore.training.auto_shape import charged_by

    counted = ("jobs", "circuits", "shots_total", "cost_usd")
    sums = {name: sum(report[name] for report in reports) for name in counted}
    found = {"shots": reports[0]["shots"], **sums}
    if runs:
        history = [record for run in runs for record in run.history]
        is_shared = len(runs) > 1 and "requests" not in reports[0]
        seconds = [report["seconds"] for report in reports]
        found |= {"seconds": max(seconds) if is_shared else sum(seconds)}
        found |= priced(sizes, charged_by(runs[0].prices, history))
    return found


def by_point(varied: Sequence[str], reports: Sequence[Mapping[str, Any]]) -> dict[str, list[int]]:
    """Return the places of the reports at each point of a grid, by its name.

    Args:
        varied: names of what the grid varies; without any, all are at one point.
        reports: of the runs.

    Returns:
        Places among the reports.
    """
    points: dict[str, list[int]] = {}
    for i, report in enumerate(reports):
        name = ", ".join(f"{name.replace('_', '-')} {report[name]}" for name in varied)
        points.setdefault(name, []).append(i)
    return points


def summary_lines(
    report: Mapping[str, Any], task: Task, out: Path, varied: Sequence[str] = ()
) -> dict[str, str]:
    """Return the outcome over seeds in words, by label.

    Args:
        report: of :func:`summary`.
        task: that was trained.
        out: folder of the files written.
        varied: names of what a grid varies.

    Returns:
        Lines by label.
    """
    runs, mean = report["runs"], report["mean"]
    seeds = ", ".join(dict.fromkeys(str(run["seed"]) for run in runs))
    lines = {"Task": f"{task.title}, seeds {seeds}"}
    name = task.figure
    if name in mean:
        lines[task.score.label] = (
            f"mean {mean[name]:.3f}, worst {report['worst'][name]:.3f}, "
            f"best {report['best'][name]:.3f}"
        )
        if runs[0]["test_rows"]:
            lines[task.score.label] += f" (of {runs[0]['test_rows']} test samples)"
        for point, places in by_point(varied, runs).items():
            values = [runs[i][name] for i in places]
            mean_text = f"mean {mean_of(values):.3f}: " if point else ""
            texts = " ".join(f"{value:.3f}" for value in values)
            lines[f"  {point or 'by seed'}"] = f"{mean_text}{texts}"
        lines |= {r.label: f"{mean_of([run[r.name] for run in runs]):.3f}" for r in task.references}
    steps = max(run["steps"] for run in runs)
    of_all = report["circuits"] / steps
    cost = cost_lines(report, f" for the {len(runs)} models together")
    alone = cost_lines({**mean, "prices": report["prices"]})
    return lines | {
        "Loss": f"{mean['loss_first']:.3f} -> {mean['loss_last']:.3f} "
        "(means of the first and last steps)",
        "POSTs": f"{report['jobs']} for {steps} steps of {len(runs)} models, and to evaluate them",
        "Circuits per step": f"{of_all:,.0f}, {of_all / len(runs):,.0f} a model",
        "Time": f"{report['seconds']:.0f} s on {where(runs[0])}",
        **cost,
        "  a model alone": next(iter(alone.values())),
        "Written": f"{out / 'history.json'}, {out / 'training.png'}; "
        f"history and checkpoint of each in {out / '*seed-N'}",
    }


def draw(
    out: Path,
    reports: Sequence[Mapping[str, Any]],
    runs: Sequence[TrainingRun],
    task: Task,
    varied: Sequence[str] = (),
) -> None:
    """Draw loss and score over steps as ``training.png``; of several runs, with bands.

    Args:
        out: the folder.
        reports: of the runs.
        runs: with their histories.
        task: that was trained.
        varied: names of what a grid varies; each of its points has a curve.
    """
    from pennylane_qstore.training.plots import draw_learning_curves, learning_curve, pyplot

    plt = pyplot()
    score = task.score
    on_loss = score.function is task.loss
    metric = next(reversed(runs[0].history[-1].metrics))
    named = {"this model": task.figure, **{r.label.strip(): r.name for r in task.references}}
    means = {
        label: mean_of([report[name] for report in reports])
        for label, name in named.items()
        if all(name in report for report in reports)
    }
    baselines = {f"{label}: {mean:.2f}": mean for label, mean in means.items()}
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    labels = {"loss": score.label if on_loss else "loss", metric: metric.replace("_", " ")}
    points = by_point(varied, reports)
    for axis, (name, label) in zip(axes, labels.items(), strict=True):
        lines = baselines if (name == "loss") == on_loss else None
        curves = [
            learning_curve([runs[i].history for i in places], name, label=point or label)
            for point, places in points.items()
        ]
        draw_learning_curves(curves, lines=lines, axes=axis)
        axis.set_ylabel(label)
    figure.savefig(out / "training.png", dpi=150)
    plt.close(figure)
