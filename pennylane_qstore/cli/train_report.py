"""Reports of ``qstore train``: figures, lines for people, and the files in the folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pennylane_qstore.training.history import StepRecord
    from pennylane_qstore.training.run import TrainingRun

_METRICS = {"share": "share of bars and stripes", "accuracy": "mini-batch accuracy"}
_BASELINES = {
    "test, this model": "test_accuracy",
    "test, logistic regression": "baseline_accuracy",
    "test, constant": "constant_accuracy",
    "this model": "divergence",
    "classical tree": "tree_divergence",
    "constant": "uniform_divergence",
}
_HIGHER_IS_BETTER = ("test_accuracy", "baseline_accuracy", "constant_accuracy")
_AVERAGED = (
    *_HIGHER_IS_BETTER,
    *("divergence", "loss_first", "loss_last", "jobs", "circuits", "shots_total", "cost_usd"),
    *("seconds", "seconds_per_step"),
)
_OVER_SEEDS = {
    "test_accuracy": "Test accuracy",
    "divergence": "KL divergence",
    "loss_last": "Last loss",
}


def training_figures(
    run: TrainingRun, device: Any, own_steps: Sequence[StepRecord], shots: int
) -> dict[str, Any]:
    """Return the figures of a run that has ended.

    Args:
        run: with at least one step.
        device: it ran on, evaluation included.
        own_steps: steps made by this command; a resumed run has earlier ones.
        shots: of each circuit.

    Returns:
        Steps, circuits and HTTP requests of steps; jobs and shots in all, calibration and
        evaluation included; seconds, and US dollars billed.
    """
    losses = [record.loss for record in run.history]
    window = min(10, (len(losses) + 1) // 2)
    total, own, stats = _sums(run.history), _sums(own_steps), device.stats
    return {
        "steps": run.step,
        "stopped": run.stopped,
        "posts": total["posts"],
        "jobs": total["posts"] + stats["jobs"] - own["posts"],
        "circuits": total["circuits"],
        "requests": total["requests"],
        "shots_total": shots * (total["circuits"] + stats["circuits"] - own["circuits"]),
        "loss_first": _mean(losses[:window]),
        "loss_last": _mean(losses[-window:]),
        "seconds": round(total["seconds"], 3),
        "seconds_per_step": round(total["seconds"] / max(run.step, 1), 5),
        "cost_usd": run.spent_usd,
    }


def _sums(history: Sequence[StepRecord]) -> dict[str, Any]:
    counted = ("posts", "circuits", "requests", "seconds")
    return {name: sum(getattr(record, name) for record in history) for name in counted}


def training_lines(report: Mapping[str, Any], out: Path) -> dict[str, str]:
    """Return the report of a run in words, by label.

    Args:
        report: figures and settings.
        out: folder of the files written.

    Returns:
        Lines by label.
    """
    steps = report["steps"]
    lines = {
        "Loss": f"{report['loss_first']:.3f} -> {report['loss_last']:.3f} "
        "(means of the first and last steps)",
        "POSTs": f"{report['posts']} for {steps} steps "
        f"({report['jobs'] - report['posts']} more for calibration and evaluation)",
        "Requests per step": f"{report['requests'] / steps:.1f}, "
        f"circuits per step {report['circuits'] / steps:.0f}",
        "Time per step": f"{1e3 * report['seconds_per_step']:.1f} ms on {where(report)}",
        "Written": f"{out / 'history.json'}, {out / 'training.png'}, {out / 'checkpoint.json'}",
        **_billed(report),
    }
    if report["stopped"] != "steps":
        again = "; --resume goes on" if report["stopped"] in ("interrupt", "budget") else ""
        lines["Stopped by"] = f"{report['stopped']} after {steps} steps{again}"
    return lines


def centroid(
    device: Any, settings: Mapping[str, Any], out: Path
) -> tuple[dict[str, Any], dict[str, str]]:
    """Classify by the nearest centroid, one batch, and write ``centroid.json``.

    Args:
        device: to measure on.
        settings: of the command.
        out: folder of the file.

    Returns:
        Figures and settings; the same in words, by label.
    """
    from pennylane_qstore.training.tasks.catalogue import nearest_centroid

    figures = nearest_centroid(device, settings["shots"])
    stats = device.stats
    counted = {name: stats[name] for name in ("jobs", "circuits", "requests", "cost_usd")}
    shots = stats["circuits"] * settings["shots"]
    report = {**figures, "posts": stats["jobs"], **counted, "shots_total": shots, **settings}
    (out / "centroid.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    return report, {
        "Accuracy": f"{report['test_accuracy']:.3f} (all 150 flowers)",
        "Classical centroid": f"{report['baseline_accuracy']:.3f}",
        "Constant guess": f"{report['constant_accuracy']:.3f}",
        "Outcomes kept": f"{report['kept']:.3f} (one excitation)",
        "Distance error": f"{report['distance_error']:.2f} cm^2 (root mean square)",
        "POSTs": f"{report['posts']} for {report['circuits']} circuits on {where(report)}",
        "Written": f"{out / 'centroid.json'}",
        **_billed(report),
    }


def summary(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the runs of several seeds with the mean and the worst of each figure.

    Args:
        reports: one for each seed.

    Returns:
        ``runs``, ``mean`` and ``worst``; the worst accuracy is the lowest, of everything else
        the highest.
    """
    shared = [name for name in _AVERAGED if all(name in report for report in reports)]
    figures = {name: [report[name] for report in reports] for name in shared}
    figures = {name: values for name, values in figures.items() if None not in values}
    return {
        "runs": list(reports),
        "mean": {name: _mean(values) for name, values in figures.items()},
        "worst": {
            name: min(values) if name in _HIGHER_IS_BETTER else max(values)
            for name, values in figures.items()
        },
    }


def summary_lines(report: Mapping[str, Any]) -> dict[str, str]:
    """Return the mean and the worst over seeds in words, by label."""
    mean, worst = report["mean"], report["worst"]
    return {"Seeds": ", ".join(str(run["seed"]) for run in report["runs"])} | {
        f"{label} over seeds": f"mean {mean[name]:.3f}, worst {worst[name]:.3f}"
        for name, label in _OVER_SEEDS.items()
        if name in mean
    }


def write_run(out: Path, report: Mapping[str, Any], run: TrainingRun) -> None:
    """Write ``history.json`` and ``training.png``.

    In ``history.json``, ``history`` is what two runs of the same seed agree on; ``measured`` is
    what they do not.

    Args:
        out: the folder.
        report: figures and settings.
        run: with its history.
    """
    from pennylane_qstore.training.plots import draw_learning_curves, learning_curve, pyplot

    history = [record.outcome() for record in run.history]
    measured = {name: run.table()[name] for name in ("seconds", "queue_s", "run_s", "cost_usd")}
    text = json.dumps({"summary": report, "history": history, "measured": measured}, indent=1)
    (out / "history.json").write_text(text, encoding="utf-8")
    plt = pyplot()
    on_loss = report["task"] == "bas"
    loss, metric = ("KL divergence", "share") if on_loss else ("loss", "accuracy")
    baselines = {
        f"{label}: {report[name]:.2f}": report[name]
        for label, name in _BASELINES.items()
        if name in report
    }
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    labels = {"loss": f"{loss} (nats)", metric: _METRICS[metric]}
    for axis, (name, label) in zip(axes, labels.items(), strict=True):
        lines = baselines if (name == "loss") == on_loss else None
        draw_learning_curves(
            [learning_curve(run.history, name, label=label)], lines=lines, axes=axis
        )
    figure.savefig(out / "training.png", dpi=150)
    plt.close(figure)


def where(report: Mapping[str, Any]) -> str:
    """Return the name of the backend, and the emulator's noise."""
    if report["backend"] == "emulator":
        noise = f", noise of {report['noise_model']}" if report["noise_model"] else ""
        return f"the emulator{noise}"
    return str(report["backend"])


def _billed(report: Mapping[str, Any]) -> dict[str, str]:
    cost = report["cost_usd"]
    return {"Billed": f"${cost:,.2f}"} if cost else {}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
