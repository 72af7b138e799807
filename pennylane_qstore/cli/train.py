"""The command line about training: ``qstore train``, a thin face of :class:`TrainingRun`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from pennylane_qstore.cli.jobs import typed_errors
from pennylane_qstore.errors import BudgetExceeded, ConfigurationError

_TASKS = ("iris", "centroid", "bas", "wine", "cancer")


def train(
    task: Annotated[str, typer.Option(help=f"{', '.join(_TASKS)}.")] = "iris",
    steps: Annotated[
        int | None,
        typer.Option(
            min=1, help="Training steps; by default 300, 150 for bas, 200 for wine and cancer."
        ),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Rows of a mini-batch; by default 20.")
    ] = None,
    shots: Annotated[int, typer.Option(min=1, help="Shots per circuit.")] = 500,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of weights, sampling and iris's split.")
    ] = 1,
    noise_model: Annotated[str | None, typer.Option(help="aria-1, aria-2 or forte-1.")] = None,
    backend: Annotated[str, typer.Option(help="emulator, simulator or an IonQ QPU.")] = "emulator",
    budget_usd: Annotated[float | None, typer.Option(min=0, help="Stop before this.")] = None,
    ledger: Annotated[Path | None, typer.Option(help="File where jobs are recorded.")] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with the run in the folder, of the same options."),
    ] = False,
    out: Annotated[
        Path, typer.Option(help="Folder for history.json, training.png and checkpoint.json.")
    ] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train on a task with a known answer: by default two Iris classes (versicolor, virginica).

    centroid is Johri et al. 2021 (450 circuits in one request, nothing is trained), bas is the
    Born machine of Zhu et al. 2019, wine and cancer are variational classifiers.
    """
    with typed_errors():
        if task not in _TASKS:
            raise ConfigurationError(
                f"Unknown task {task!r}. Allowed: {', '.join(map(repr, _TASKS))}."
            )
        for option, given, needless in (
            ("--steps", steps is not None, ("centroid",)),
            ("--batch-size", batch_size is not None, ("centroid", "bas")),
            ("--resume", resume, ("centroid",)),
        ):
            if given and task in needless:
                raise ConfigurationError(f"{option} means nothing for the task {task!r}.")
        settings = {"task": task, "seed": seed, "shots": shots, "backend": backend}
        device = _device(settings, noise_model, budget_usd, ledger)
        settings["noise_model"] = noise_model
        out.mkdir(parents=True, exist_ok=True)
        if task == "centroid":
            report, lines = _classify(device, settings, out)
        else:
            report, lines = _train(device, settings, steps, batch_size or 20, resume, out)
    if as_json:
        typer.echo(json.dumps(report))
    else:
        width = max(map(len, lines)) + 1
        for label, text in lines.items():
            typer.echo(f"{label:<{width}}{text}")


def _device(
    settings: dict[str, Any], noise_model: str | None, budget_usd: float | None, ledger: Path | None
) -> Any:
    import pennylane as qml

    return qml.device(
        "qstore.ionq",
        wires=4,
        backend=settings["backend"],
        noise_model=noise_model,
        seed=settings["seed"],
        budget_usd=budget_usd,
        ledger=ledger,
    )


def _train(
    device: Any, settings: dict[str, Any], steps: int | None, size: int, resume: bool, out: Path
) -> tuple[dict[str, Any], dict[str, str]]:
    from pennylane_qstore.training.tasks.catalogue import TASKS

    task, seed, shots = TASKS[settings["task"]], settings["seed"], settings["shots"]
    total = task.steps if steps is None else steps
    paid = device.target.backend.is_qpu
    made_here: list[Any] = []
    run = task.make(
        device,
        seed=seed,
        steps=total,
        batch_size=size,
        shots=shots,
        checkpoint=out / "checkpoint.json",
        # Nobody loses a paid run by forgetting a word.
        resume=True if resume else (None if paid else False),
        name=settings["task"],
        callbacks=[made_here.append],
    )
    run.train(total)
    if not run.history:
        raise ConfigurationError(
            f"Stopped by {run.stopped} before the first step: there is nothing to report. "
            "--resume goes on."
        )
    try:
        figures, untold = task.figures(run, seed, shots), None
    except BudgetExceeded as error:  # what was trained is not lost by that
        figures, untold = {}, str(error)
    losses = [record.loss for record in run.history]
    few = min(10, (len(losses) + 1) // 2)
    seconds = sum(record.seconds for record in run.history)
    report = {
        "steps": run.step,
        "stopped": run.stopped,
        "posts": sum(record.posts for record in run.history),
        "eval_posts": device.stats["jobs"] - sum(record.posts for record in made_here),
        "circuits": sum(record.circuits for record in run.history),
        "requests": sum(record.requests for record in run.history),
        **figures,
        "loss_first": _mean(losses[:few]),
        "loss_last": _mean(losses[-few:]),
        "seconds": round(seconds, 3),
        "seconds_per_step": round(seconds / max(run.step, 1), 5),
        "cost_usd": run.spent_usd,
        "batch_size": size,
        **settings,
    }
    _write(out, report, run)
    results = task.lines(report) if untold is None else {"Not evaluated": untold}
    return report, {**results, **_lines(report, out)}


def _write(out: Path, report: dict[str, Any], run: Any) -> None:
    """What two runs of the same seed have to agree on, beside what was measured."""
    from pennylane_qstore.training.plots import draw_learning_curves, learning_curve, pyplot

    history = [record.outcome() for record in run.history]
    measured = {name: run.table()[name] for name in ("seconds", "queue_s", "run_s", "cost_usd")}
    on_loss = report["task"] == "bas"
    text = json.dumps({"summary": report, "history": history, "measured": measured}, indent=1)
    (out / "history.json").write_text(text, encoding="utf-8")
    plt = pyplot()
    loss, metric = ("KL divergence", "share") if on_loss else ("loss", "accuracy")
    _, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    lines = {
        f"{label}: {report[name]:.2f}": report[name]
        for label, name in _LINES.items()
        if name in report
    }
    draw_learning_curves(
        [learning_curve(run.history, label=f"{loss} (nats)")],
        lines=lines if on_loss else None,
        axes=axes[0],
    )
    draw_learning_curves(
        [learning_curve(run.history, metric, label=_METRICS[metric])],
        lines=None if on_loss else lines,
        axes=axes[1],
    )
    axes[0].figure.savefig(out / "training.png", dpi=150)
    plt.close(axes[0].figure)


def _lines(report: dict[str, Any], out: Path) -> dict[str, str]:
    steps = report["steps"]
    lines = {
        "Loss": f"{report['loss_first']:.3f} -> {report['loss_last']:.3f} "
        "(means of the first and last steps)",
        "POSTs": f"{report['posts']} for {steps} steps "
        f"({report['eval_posts']} more for calibration and evaluation)",
        "Requests per step": f"{report['requests'] / steps:.1f}, "
        f"circuits per step {report['circuits'] / steps:.0f}",
        "Time per step": f"{1e3 * report['seconds_per_step']:.1f} ms on {_where(report)}",
        "Written": f"{out / 'history.json'}, {out / 'training.png'}, {out / 'checkpoint.json'}",
    }
    if report["cost_usd"]:
        lines["Billed"] = f"${report['cost_usd']:,.2f}"
    if report["stopped"] != "steps":
        again = "; --resume goes on" if report["stopped"] in ("interrupt", "budget") else ""
        lines["Stopped by"] = f"{report['stopped']} after {steps} steps{again}"
    return lines


def _classify(
    device: Any, settings: dict[str, Any], out: Path
) -> tuple[dict[str, Any], dict[str, str]]:
    """The nearest centroid: one batch, nothing to resume."""
    from pennylane_qstore.training.tasks.catalogue import nearest_centroid

    figures = nearest_centroid(device, settings["shots"])
    stats = device.stats
    counted = {name: stats[name] for name in ("circuits", "requests", "cost_usd")}
    report = {**figures, "posts": stats["jobs"], **counted, **settings}
    (out / "centroid.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    lines = {
        "Accuracy": f"{report['test_accuracy']:.3f} (all 150 flowers)",
        "Classical centroid": f"{report['baseline_accuracy']:.3f}",
        "Constant guess": f"{report['constant_accuracy']:.3f}",
        "Outcomes kept": f"{report['kept']:.3f} (one excitation)",
        "Distance error": f"{report['distance_error']:.2f} cm^2 (root mean square)",
        "POSTs": f"{report['posts']} for {report['circuits']} circuits on {_where(report)}",
        "Written": f"{out / 'centroid.json'}",
    }
    if report["cost_usd"]:
        lines["Billed"] = f"${report['cost_usd']:,.2f}"
    return report, lines


def _where(report: dict[str, Any]) -> str:
    if report["backend"] == "emulator":
        noise = f", noise of {report['noise_model']}" if report["noise_model"] else ""
        return f"the emulator{noise}"
    return str(report["backend"])


_METRICS = {"share": "share of bars and stripes", "accuracy": "mini-batch accuracy"}
_LINES = {
    "test, this model": "test_accuracy",
    "test, logistic regression": "baseline_accuracy",
    "test, constant": "constant_accuracy",
    "this model": "divergence",
    "classical tree": "tree_divergence",
    "constant": "uniform_divergence",
}


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
