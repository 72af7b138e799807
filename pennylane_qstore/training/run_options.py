"""Checks of a training run's options, before anything is read or sent."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.callbacks import Callback
from pennylane_qstore.training.history import COLUMNS
from pennylane_qstore.validation import check, check_flag, check_number

Resume = bool | Literal["edited"] | None


def check_functions(model: Any, loss: Any, metrics: Any, clock: Any) -> None:
    """Refuse what cannot be called.

    Args:
        model: the model.
        loss: of its outputs; None for a cost.
        metrics: functions by name; None for none.
        clock: of the run.

    Raises:
        ConfigurationError: one is no function; the message names it.
    """
    check("model", model, callable(model), "a function, a QNode or a torch module")
    check("loss", loss, loss is None or callable(loss), "a function, or None")
    valid = metrics is None or (
        isinstance(metrics, Mapping)
        and all(isinstance(name, str) and callable(metrics[name]) for name in metrics)
    )
    check("metrics", metrics, valid, "functions by name, such as {'accuracy': accuracy}, or None")
    taken = [name for name in metrics or () if name in COLUMNS or name.startswith("val_")]
    if taken:
        raise ConfigurationError(
            f"A metric cannot be named {taken[0]!r}: the history has a column of that name."
        )
    check("clock", clock, callable(clock), "a function that returns seconds")


def check_callbacks(callbacks: Any) -> None:
    """Refuse callbacks that cannot be called.

    Args:
        callbacks: of the run.

    Raises:
        ConfigurationError: not a list of callbacks and functions.
    """
    usable = isinstance(callbacks, Iterable) and all(
        isinstance(c, Callback) or (callable(c) and not isinstance(c, type)) for c in callbacks
    )
    check("callbacks", callbacks, usable, "a list of Callback objects, or functions of a record")


def check_kinds(
    name: Any, drop_last: Any, min_delta: Any, budget_usd: Any, resume: Any, progress: Any
) -> None:
    """Refuse settings of a wrong kind.

    Args:
        name: of the run.
        drop_last: True or False.
        min_delta: a number.
        budget_usd: US dollars, or None.
        resume: True, "edited", False or None.
        progress: "log", True, False or None.

    Raises:
        ConfigurationError: a value of another kind; the message names the option.
    """
    check("name", name, isinstance(name, str) and name != "", "a text")
    check_flag("drop_last", drop_last)
    check_number("min_delta", min_delta)
    check_number("budget_usd", budget_usd, least=0, unit="US dollars", optional=True)
    valid = resume in ("edited", None) or isinstance(resume, bool)
    check("resume", resume, valid, 'True, "edited", False or None')
    valid = progress in ("log", None) or isinstance(progress, bool)
    check("progress", progress, valid, '"log", True, False or None')


def check_path(checkpoint: Any) -> Path | None:
    """Return the path of a checkpoint.

    Args:
        checkpoint: a path; None for no checkpoint.

    Returns:
        The path, or None.

    Raises:
        ConfigurationError: it is none, or that of a folder or of anything else but a file.
    """
    if checkpoint is None:
        return None
    check("checkpoint", checkpoint, isinstance(checkpoint, str | Path), "a file's path, or None")
    path = Path(checkpoint)
    if not path.name or path.is_dir() or str(checkpoint).endswith(os.sep):
        raise ConfigurationError(
            f"checkpoint={str(checkpoint)!r} is a folder. Allowed: a file's path, or None."
        )
    real = Path(os.path.realpath(path))
    if real.is_symlink() or (real.exists() and not real.is_file()):
        raise ConfigurationError(
            f"checkpoint={str(checkpoint)!r} is a pipe, a device or a link in a circle. Allowed: a "
            "file's path, or None."
        )
    return path
