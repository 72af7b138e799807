"""The command ``qstore train``: a :class:`TrainingRun` of a task with a known answer."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pennylane_qstore.backends import is_qpu
from pennylane_qstore.cli import own_data, plan
from pennylane_qstore.cli.output import typed_errors
from pennylane_qstore.cli.seeds import GRID, MAX_SEED, chosen_seeds, parse_grid, read_shots
from pennylane_qstore.cli.several import Together, estimate_of, train_all
from pennylane_qstore.cli.training import Training
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.ionq.http.api_key import KEY_VARIABLES
from pennylane_qstore.prices import price_model
from pennylane_qstore.sweeps.trials import combinations, labels
from pennylane_qstore.validation import check_known

if TYPE_CHECKING:
    from pennylane_qstore.training.tasks.own_data import OwnData

_TASKS = (
    *("iris", "centroid", "bas", "wine", "cancer", "moons", "digits", "h2", "maxcut"),
    *("sine", "friedman", "rare", "few", "deep", "parity"),
)
_WITHOUT_ROWS = ("centroid", "bas", "h2", "maxcut")
_FREE_SEEDS = (1, 2, 3, 4, 5)  # one alone may be unlucky

Task = Annotated[str | None, typer.Option(help=f"{', '.join(_TASKS)}.", show_default="iris")]
Steps = Annotated[
    int | None,
    typer.Option(
        min=1, help="Training steps; by default 40 for iris, 100 for regressions, 80 for others."
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        min=1, help="Samples of a step; by default chosen, or all where --shots is a number."
    ),
]
Shots = Annotated[
    str, typer.Option(help="Shots per circuit: a number, or auto, chosen step by step.")
]
Seed = Annotated[
    int | None,
    typer.Option(min=0, max=MAX_SEED, help="Seed of weights, sampling and iris's split."),
]
Seeds = Annotated[
    str | None,
    typer.Option(
        help="Several seeds, one run each, that share POSTs: 5 (for 1 to 5), 1-5 or 2,7. For a "
        "task 1-5 is the default where nothing is billed."
    ),
]
Grid = Annotated[
    list[str] | None,
    typer.Option(help=f"Values to try, as lr=0.1,0.2, with each seed: of {', '.join(GRID)}."),
]
Prices = Annotated[
    str | None,
    typer.Option(
        help="Price list that shapes are chosen by, such as qpu.forte-1/circuit or braket.forte-1; "
        "by default the backend's own, and qpu.forte-1 where nothing is billed."
    ),
]
OutageS = Annotated[
    float | None,
    typer.Option(min=0, help="Seconds that the service may be away at a time; by default 1800."),
]
NoiseModel = Annotated[
    str | None, typer.Option(help="Noise of a simulator: aria-1, aria-2 or forte-1.")
]
Ambiguous = Annotated[
    str,
    typer.Option(help="Where a job may exist unseen: raise, or resubmit (may be paid twice)."),
]
BudgetUsd = Annotated[
    float | None,
    typer.Option(
        "--budget-usd", min=0, help="US dollars of all seeds; nothing is sent that exceeds them."
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Agree to the price that the plan shows.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print the plan and its price; nothing is sent.")
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Go on with the run in the folder, of the same options, step after step; qstore "
        "resume brings the jobs in the ledger to their end.",
    ),
]
Force = Annotated[
    bool, typer.Option("--force", help="Replace a training in the folder that was paid.")
]
Out = Annotated[
    Path,
    typer.Option(
        help="Folder for history.json, training.png and checkpoint.json; of several seeds, "
        "each has a folder seed-N in it, of a grid lr-0.1-seed-N."
    ),
]

Backend = Annotated[str, typer.Option(help="emulator, simulator or an IonQ QPU.")]
LedgerFile = Annotated[Path | None, typer.Option(help="File where jobs are recorded.")]
AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON object: runs, and their mean, worst and best."),
]


@typed_errors()
def train(
    task: Task = None,
    data: own_data.Data = None,
    target: own_data.Target = None,
    features: own_data.Features = None,
    kind: own_data.Kind = None,
    save: own_data.Save = None,
    steps: Steps = None,
    batch_size: BatchSize = None,
    shots: Shots = "auto",
    seed: Seed = None,
    seeds: Seeds = None,
    grid: Grid = None,
    noise_model: NoiseModel = None,
    backend: Backend = "emulator",
    prices: Prices = None,
    budget_usd: BudgetUsd = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    outage_s: OutageS = None,
    ledger: LedgerFile = None,
    on_ambiguous: Ambiguous = "raise",
    resume: Resume = False,
    force: Force = False,
    out: Out = Path(),
    as_json: AsJson = False,
) -> None:
    """Train on a task with a known answer, by default two Iris species, or on --data of your own.

    What bills shows its price first, and needs --budget-usd, --yes or a typed yes. centroid is
    Johri et al. 2021 (450 circuits in one request, nothing is trained), bas the Born machine of Zhu
    et al. 2019, h2 a molecule's ground state, maxcut QAOA; sine and friedman are regressions, the
    others variational classifiers.
    """
    own = own_data.read_own_data(task, data, target, features, kind, save)
    named, varied = task or "iris", parse_grid(grid or [])
    sizes = {"steps": steps, "batch_size": batch_size}
    check_grid(named, varied, {**sizes, "noise_model": noise_model})
    check_task(named, steps, batch_size, resume)
    chosen = chosen_seeds(seed, seeds, _default_seeds(named, backend, own))
    points = combinations(chosen, varied, None)
    folders = [out / name if len(points) > 1 else out for name in labels(points)]
    own_data.check_save(save, len(points))
    if resume or not (force or dry_run):
        plan.check_files(out, folders, resume, save)
    backend, prices, listed = _priced_at(backend, prices, dry_run and not resume)
    settings = {"task": named, **own_data.own_settings(own, data), "shots": read_shots(shots)}
    settings |= {"backend": backend, "noise_model": noise_model}
    sweep = Together(None if dry_run else out, resume, budget_usd) if len(points) > 1 else None
    options: dict[str, Any] = {"backend": backend, "ledger": ledger, "outage_s": outage_s}
    options |= {"on_ambiguous": on_ambiguous, "budget_usd": None if sweep else budget_usd}
    common: dict[str, Any] = {"own": own, "save": save, "lockstep": sweep and sweep.lockstep}
    common |= {"answers": {}, "prices": None if prices is None else price_model(prices)}
    common["resume"] = True if resume else (False if force or dry_run else None)
    trainings = [
        _training(settings, sizes, point, folder, options, common)
        for point, folder in zip(points, folders, strict=True)
    ]
    if _agreed(trainings, listed, budget_usd, dry_run, yes, as_json):
        train_all(trainings, list(varied), sweep, out, as_json)


def _default_seeds(task: str, backend: str, own: OwnData | None) -> tuple[int, ...]:
    """Return several seeds where they cost nothing and tell how a task goes; else one."""
    is_one = is_qpu(backend) or task == "centroid" or own is not None
    return (1,) if is_one else _FREE_SEEDS


def _training(
    settings: Mapping[str, Any],
    sizes: Mapping[str, int | None],
    point: Mapping[str, Any],
    folder: Path,
    options: dict[str, Any],
    common: Mapping[str, Any],
) -> Training:
    """Return the training of a seed and a point of the grid."""
    own = {name: value for name, value in point.items() if name not in sizes}
    given = {name: point.get(name, value) for name, value in sizes.items()}
    return Training({**settings, **own}, folder, options, **given, **common)


def _agreed(
    trainings: Sequence[Training],
    listed: str | None,
    budget_usd: float | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> bool:
    """Show the plan of what bills, or of a dry run; return whether to train."""
    if not (dry_run or trainings[0].bills):
        return True
    if listed is not None:
        typer.echo("qstore: No API key: by the published prices. With one IonQ is asked.", err=True)
    ledger = trainings[0].device.client.ledger if trainings[0].bills else None
    priced = plan.Plan(estimate_of(trainings, listed), len(trainings), budget_usd, ledger)
    if dry_run:
        priced.show(as_json=as_json)
    else:
        priced.agree(yes=yes)
    return not dry_run


def _priced_at(
    backend: str, prices: str | None, is_plan: bool
) -> tuple[str, str | None, str | None]:
    """Return the backend to plan on, its prices, and the list that holds where there is no key."""
    if not is_plan or not is_qpu(backend) or any(map(os.environ.get, KEY_VARIABLES)):
        return backend, prices, None
    return "emulator", prices or backend, backend  # the circuits are those of any backend


def check_grid(task: str, varied: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Refuse a grid of what is given as an option too, or has no effect on a task."""
    for name in varied:
        option = name.replace("_", "-")
        if given.get(name) is not None:
            raise ConfigurationError(f"Give --{option} or --grid {option}=..., and not both.")
        if task == "centroid" or (name == "batch_size" and task in _WITHOUT_ROWS):
            raise ConfigurationError(
                f"--grid {option} has no effect on the task {task!r}. Leave it out."
            )


def check_task(
    task: str, steps: int | None, batch_size: int | None = None, resume: bool = False
) -> None:
    """Refuse unknown tasks, and options that have no effect on a task."""
    check_known("task", task, _TASKS)
    for option, given, needless in (
        ("--steps", steps is not None, ("centroid",)),
        ("--batch-size", batch_size is not None, _WITHOUT_ROWS),
        ("--resume", resume, ("centroid",)),
    ):
        if given and task in needless:
            raise ConfigurationError(f"{option} has no effect on the task {task!r}. Leave it out.")
