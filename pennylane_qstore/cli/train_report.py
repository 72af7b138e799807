"""Reports of ``qstore train``: figures, lines for people, and the files in the folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pennylane_qstore.prices import JobSize, PriceModel
    from pennylane_qstore.training.run import TrainingRun


def training_figures(run: TrainingRun, sizes: Sequence[JobSize]) -> dict[str, Any]:
    """Return the figures of a run that has ended.

    Args:
        run: with at least one step.
        sizes: of all its jobs, evaluation included.

    Returns:
        Steps, circuits and HTTP requests of steps; jobs, shots and US dollars in all, evaluation
        included, billed and by a price list; seconds.
    """
    from pennylane_qstore.training.auto_shape import charged_by
    from pennylane_qstore.training.history import loss_at_ends

    first, last = loss_at_ends(run.history)
    posts, circuits, requests, seconds = (
        sum(getattr(record, name) for record in run.history)
        for name in ("posts", "circuits", "requests", "seconds")
    )
    return {
        "steps": run.step,
        "stopped": run.stopped,
        "posts": posts,
        "circuits": circuits,
        "requests": requests,
        "loss_first": first,
        "loss_last": last,
        "seconds": round(seconds, 3),
        "seconds_per_step": round(seconds / max(run.step, 1), 5),
        "cost_usd": run.spent_usd,
        **priced(sizes, charged_by(run.prices, run.history)),
    }


def priced(sizes: Sequence[JobSize], model: PriceModel) -> dict[str, Any]:
    """Return numbers and prices of jobs.

    Args:
        sizes: of the jobs.
        model: price list.

    Returns:
        Jobs, shots, the list's name, US dollars by it, and with a floor for every circuit where
        the list has one for every job.
    """
    floored = model.per == "job" and model.floor_usd > 0
    dearer = model.per_circuit.total(sizes) if floored else None
    return {
        "jobs": len(sizes),
        "shots_total": sum(size.shots_total for size in sizes),
        "prices": model.name,
        "would_cost_usd": round(model.total(sizes), 2),
        "dearer_usd": None if dearer is None else round(dearer, 2),
    }


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
        f"({report['jobs'] - report['posts']} more for the evaluation)",
        "Requests per step": f"{report.get('requests', 0) / steps:.1f}, "
        f"circuits per step {report['circuits'] / steps:.0f}",
        "Time per step": f"{1e3 * report['seconds_per_step']:.1f} ms on {where(report)}",
        "Written": f"{out / 'history.json'}, {out / 'training.png'}, {out / 'checkpoint.json'}",
        **cost_lines(report),
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
    from pennylane_qstore.training.tasks.task import evaluated_shots

    shots = evaluated_shots(settings["shots"])
    figures = nearest_centroid(device, shots)
    stats = device.stats
    counted = {name: stats[name] for name in ("jobs", "circuits", "requests", "cost_usd")}
    total = stats["circuits"] * shots
    report = {**figures, "posts": stats["jobs"], **counted, "shots_total": total, **settings}
    billed = {"Billed": f"${report['cost_usd']:,.2f}"} if report["cost_usd"] else {}
    (out / "centroid.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    return report, {
        "Accuracy": f"{report['test_accuracy']:.3f} (all 150 flowers)",
        "Classical centroid": f"{report['baseline_accuracy']:.3f}",
        "Constant guess": f"{report['constant_accuracy']:.3f}",
        "Outcomes kept": f"{report['kept']:.3f} (one excitation)",
        "Distance error": f"{report['distance_error']:.2f} cm^2 (root mean square)",
        "POSTs": f"{report['posts']} for {report['circuits']} circuits on {where(report)}",
        "Written": f"{out / 'centroid.json'}",
        **billed,
    }


def write_history(out: Path, report: Mapping[str, Any], run: TrainingRun | None = None) -> None:
    """Write the ``history.json`` of a run, or the summary of several.

    There ``history`` is what two runs of the same seed agree on; ``measured`` is what they do not.

    Args:
        out: the folder.
        report: figures and settings.
        run: with its history; None for several, each of which has its own.
    """
    content: dict[str, Any] = {"summary": report}
    if run is not None:
        content["history"] = [record.outcome() for record in run.history]
        table, names = run.table(), ("seconds", "queue_s", "run_s", "cost_usd")
        content["measured"] = {name: table[name] for name in names}
    (out / "history.json").write_text(json.dumps(content, indent=1), encoding="utf-8")


def where(report: Mapping[str, Any]) -> str:
    """Return the name of the backend, and the emulator's noise."""
    if report["backend"] == "emulator":
        noise = f", noise of {report['noise_model']}" if report["noise_model"] else ""
        return f"the emulator{noise}"
    return str(report["backend"])


def cost_lines(report: Mapping[str, Any], of: str = "") -> dict[str, str]:
    """Return dollars in words, by label: what was billed, or else what a price list asks.

    Args:
        report: of :func:`priced`, with what was billed.
        of: what the price is of, in words.

    Returns:
        A line by label.
    """
    if report["cost_usd"]:
        return {"Billed": f"${report['cost_usd']:,.2f}{of}"}
    terms = str(report["prices"])
    if report.get("dearer_usd") is not None:
        terms += f", floor per job; ${report['dearer_usd']:,.0f} with a floor per circuit"
    return {"Would cost": f"${report['would_cost_usd']:,.0f}{of} ({terms})"}


def mean_of(values: Sequence[float]) -> float:
    """Return the mean of some values."""
    return sum(values) / len(values)
