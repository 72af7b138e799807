"""Options of ``qstore train``, ``estimate`` and ``rehearse`` for a table of the user's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pennylane_qstore.errors import ConfigurationError

if TYPE_CHECKING:
    from pennylane_qstore.training.tasks.own_data import OwnData

Data = Annotated[
    Path | None,
    typer.Option(
        help="A table of your own instead of a task: CSV in UTF-8, whose first line names the "
        "columns. A fifth of its rows, drawn by the seed, is tested on."
    ),
]
Target = Annotated[
    str | None, typer.Option(help="Column of --data that is learnt from the others.")
]
Features = Annotated[
    str | None,
    typer.Option(help="Columns to learn from, as age,height; by default all but the target."),
]
Kind = Annotated[
    str | None,
    typer.Option(
        help="classification or regression; by default classification for texts and for whole "
        "numbers of at most 10 values, each more than once, and regression for other numbers."
    ),
]
Save = Annotated[
    Path | None,
    typer.Option(help="File for the model learnt from --data; qstore predict takes it."),
]


def read_own_data(
    task: str | None,
    data: Path | None,
    target: str | None,
    features: str | None,
    kind: str | None,
    save: Path | None = None,
) -> OwnData | None:
    """Return the user's data, or None for a task.

    Args:
        task: of ``--task``.
        data: of ``--data``.
        target: of ``--target``.
        features: of ``--features``.
        kind: of ``--kind``.
        save: of ``--save``, where a command has it.

    Returns:
        The data.

    Raises:
        ConfigurationError: options that exclude each other, no such table, or a file that cannot
            be written.
    """
    if data is None:
        given = {"--target": target, "--features": features, "--kind": kind, "--save": save}
        needless = [option for option, value in given.items() if value is not None]
        if needless:
            raise ConfigurationError(f"{needless[0]} belongs to --data: give --data my.csv too.")
        return None
    if task is not None:
        raise ConfigurationError("--task and --data exclude each other: give one of them.")
    if target is None:
        raise ConfigurationError("--data needs --target, the name of the column that is learnt.")
    from pennylane_qstore.training.csv_table import read_csv
    from pennylane_qstore.training.tasks.own_data import OwnData

    columns = [name.strip() for name in features.split(",")] if features else []
    return OwnData.of(read_csv(data), target, columns, kind)


def own_settings(own: OwnData | None, data: Path | None) -> dict[str, Any]:
    """Return settings of a training on the user's data, for its reports; none of a task."""
    if own is None:
        return {}
    return {"task": own.name, "data": str(data), "target": own.target}


def check_save(path: Path | None, runs: int) -> None:
    """Refuse a file of a model that could not be written after a training that was paid."""
    if path is None:
        return
    if runs > 1:
        raise ConfigurationError(
            "--save keeps one model, and here several are trained: give --seed, and no --grid."
        )
    folder = path.absolute().parent
    while not folder.exists():
        folder = folder.parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ConfigurationError(f"--save {str(path)!r} cannot be written. Nothing was sent.")
