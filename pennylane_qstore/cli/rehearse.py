"""The command ``qstore rehearse``: a task's training under a machine's noise, free."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pennylane_qstore.cli import own_data
from pennylane_qstore.cli.output import Json, labelled, show, typed_errors
from pennylane_qstore.cli.seeds import parse_seeds, read_shots
from pennylane_qstore.cli.train import BatchSize, Shots, Steps, check_task
from pennylane_qstore.errors import ConfigurationError

if TYPE_CHECKING:
    from pennylane_qstore.training.run import TrainingRun
    from pennylane_qstore.training.tasks.task import Task


@typed_errors()
def rehearse(
    task: Annotated[
        str | None,
        typer.Option(help="A task of qstore train that is trained.", show_default="iris"),
    ] = None,
    data: own_data.Data = None,
    target: own_data.Target = None,
    features: own_data.Features = None,
    kind: own_data.Kind = None,
    backend: Annotated[str, typer.Option(help="The machine.")] = "qpu.forte-1",
    seeds: Annotated[str, typer.Option(help="5 (for 1 to 5), 1-5 or 2,7.")] = "5",
    steps: Steps = None,
    batch_size: BatchSize = None,
    shots: Shots = "auto",
    out: Annotated[
        Path, typer.Option(help="Folder for rehearsal.md, a page with a figure, and its figure.")
    ] = Path(),
    as_json: Json = False,
) -> None:
    """Train with a machine's noise, for nothing: quality, price and time to expect there.

    A task, or --data of your own; also with half and double the shots, and parts of the budget.
    Nothing is sent to a machine.
    """
    import pennylane as qml

    from pennylane_qstore.backends import backend as backend_of
    from pennylane_qstore.training import rehearsal
    from pennylane_qstore.training.tasks.task import averaged

    own = own_data.read_own_data(task, data, target, features, kind)
    if own is None:
        named = task or "iris"
        check_task(named, steps, batch_size)
        entry = _trained(named)
    else:
        named, entry = own.name, own.task
    machine = backend_of(backend)
    number: Any = read_shots(shots)

    def make_run(seed: int) -> TrainingRun:
        noise = machine.noise if machine.is_qpu else None
        device = qml.device("qstore.ionq", wires=entry.wires, seed=seed, noise_model=noise)
        prices = backend if machine.is_qpu else None
        return entry.make(
            device, seed=seed, steps=steps, batch_size=batch_size, shots=number, prices=prices,
            name=named,
        )  # fmt: skip

    found = rehearsal.rehearse(
        make_run,
        backend,
        parse_seeds(seeds),
        quality=lambda run, seed: entry.quality(averaged(run), seed),
        label=entry.score.label,
        bounds=entry.score.bounds,
    )
    page = found.save(out)
    show(as_json, found.as_dict(), labelled({"Task": entry.title, **found.lines(), "Page": page}))


def _trained(name: str) -> Task:
    """Return a task; refuse one in which nothing is trained."""
    from pennylane_qstore.training.tasks.catalogue import TASKS

    if name not in TASKS:
        raise ConfigurationError(
            f"Nothing is trained in the task {name!r}. Allowed: {list(TASKS)}."
        )
    return TASKS[name]
