"""The command ``qstore train``: a :class:`TrainingRun` of a task with a known answer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pennylane_qstore.cli import train_report
from pennylane_qstore.cli.errors import typed_errors
from pennylane_qstore.cli.output import labelled, show
from pennylane_qstore.cli.seeds import chosen_seeds
from pennylane_qstore.errors import BudgetExceeded, ConfigurationError
from pennylane_qstore.validation import check_known

_TASKS = ("iris", "centroid", "bas", "wine", "cancer")

Steps = Annotated[
    int | None,
    typer.Option(
        min=1, help="Training steps; by default 300, 150 for bas, 200 for wine and cancer."
    ),
]
BatchSize = Annotated[int | None, typer.Option(min=1, help="Rows of a mini-batch; by default 20.")]
Seed = Annotated[
    int | None,
    typer.Option(min=0, help="Seed of weights, sampling and iris's split; by default 1."),
]
Seeds = Annotated[
    str | None,
    typer.Option(help="Several seeds, one run each: 5 (for 1 to 5), 1-5 or 2,7."),
]
OutageS = Annotated[
    float | None,
    typer.Option(min=0, help="Seconds that the service may be away while a job is waited for."),
]
Out = Annotated[
    Path,
    typer.Option(
        help="Folder for history.json, training.png and checkpoint.json; of several seeds, "
        "each has a folder seed-N in it."
    ),
]


@typed_errors()
def train(
    task: Annotated[str, typer.Option(help=f"{', '.join(_TASKS)}.")] = "iris",
    steps: Steps = None,
    batch_size: BatchSize = None,
    shots: Annotated[int, typer.Option(min=1, help="Shots per circuit.")] = 500,
    seed: Seed = None,
    seeds: Seeds = None,
    noise_model: Annotated[
        str | None, typer.Option(help="Noise of a simulator: aria-1, aria-2 or forte-1.")
    ] = None,
    backend: Annotated[str, typer.Option(help="emulator, simulator or an IonQ QPU.")] = "emulator",
    budget_usd: Annotated[
        float | None, typer.Option(min=0, help="US dollars; the run stops before it exceeds them.")
    ] = None,
    outage_s: OutageS = None,
    ledger: Annotated[Path | None, typer.Option(help="File where jobs are recorded.")] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with the run in the folder, of the same options."),
    ] = False,
    out: Out = Path(),
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON object: runs, and their mean and worst."),
    ] = False,
) -> None:
    """Train on a task with a known answer: by default two Iris classes (versicolor, virginica).

    centroid is Johri et al. 2021 (450 circuits in one request, nothing is trained), bas is the
    Born machine of Zhu et al. 2019, wine and cancer are variational classifiers.
    """
    import pennylane as qml

    _check(task, steps, batch_size, resume)
    options: dict[str, Any] = {"backend": backend, "noise_model": noise_model}
    options |= {"budget_usd": budget_usd, "ledger": ledger}
    options |= {"retry_policy": _retry_policy(outage_s)}
    chosen = chosen_seeds(seed, seeds)
    reports = []
    for one in chosen:
        folder = out / f"seed-{one}" if len(chosen) > 1 else out
        folder.mkdir(parents=True, exist_ok=True)
        device = qml.device("qstore.ionq", wires=4, seed=one, **options)
        settings = {"task": task, "seed": one, "shots": shots, "backend": backend}
        settings["noise_model"] = noise_model
        if task == "centroid":
            report, lines = train_report.centroid(device, settings, folder)
        else:
            report, lines = _train(device, settings, steps, batch_size or 20, resume, folder)
        reports.append(report)
        if not as_json:
            blank = [""] * (len(chosen) > 1)
            typer.echo("\n".join([*labelled({"Seed": one, **lines}), *blank]))
    summary = train_report.summary(reports)
    if as_json or len(chosen) > 1:
        show(as_json, summary, labelled(train_report.summary_lines(summary)))


def _check(task: str, steps: int | None, batch_size: int | None, resume: bool) -> None:
    """Refuse unknown tasks, and options that have no effect on a task."""
    check_known("task", task, _TASKS)
    for option, given, needless in (
        ("--steps", steps is not None, ("centroid",)),
        ("--batch-size", batch_size is not None, ("centroid", "bas")),
        ("--resume", resume, ("centroid",)),
    ):
        if given and task in needless:
            raise ConfigurationError(f"{option} has no effect on the task {task!r}. Leave it out.")


def _retry_policy(outage_s: float | None) -> Any:
    """Return the policy of an outage's length in seconds; None for the default one."""
    from pennylane_qstore.ionq.http.retry import RetryPolicy

    return None if outage_s is None else RetryPolicy(outage_s=outage_s)


def _train(
    device: Any, settings: dict[str, Any], steps: int | None, size: int, resume: bool, out: Path
) -> tuple[dict[str, Any], dict[str, str]]:
    """Train, evaluate and write; return the report and its lines."""
    from pennylane_qstore.training.tasks.catalogue import TASKS

    task, seed, shots = TASKS[settings["task"]], settings["seed"], settings["shots"]
    total = task.steps if steps is None else steps
    own_steps: list[Any] = []
    run = task.make(
        device,
        seed=seed,
        steps=total,
        batch_size=size,
        shots=shots,
        checkpoint=out / "checkpoint.json",
        # None on a QPU: a repeated command is refused, and never starts a second paid run.
        resume=True if resume else (None if device.target.backend.is_qpu else False),
        name=settings["task"],
        callbacks=[own_steps.append],
    )
    run.train(total)
    if not run.history:
        raise ConfigurationError(
            f"Stopped by {run.stopped} before the first step: there is nothing to report. "
            "--resume goes on."
        )
    try:
        figures, not_evaluated = task.figures(run, seed, shots), None
    except BudgetExceeded as error:  # what was trained is not lost by that
        figures, not_evaluated = {}, str(error)
    measured = train_report.training_figures(run, device, own_steps, shots)
    report = {**measured, **figures, "batch_size": size, **settings}
    train_report.write_run(out, report, run)
    results = task.lines(report) if not_evaluated is None else {"Not evaluated": not_evaluated}
    return report, {"Task": task.title, **results, **train_report.training_lines(report, out)}
