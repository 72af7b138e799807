"""Runs spread over the processes of an engine: PennyLane's executors, or a Dask client.

Each run is trained by one process, into its checkpoint, and read from there: it comes to what it
comes to here. The engine starts a run of a process that died again, which goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

from pennylane_qstore.training.run import TrainingRun
from pennylane_qstore.training.run_options import Resume
from pennylane_qstore.validation import check


@dataclass(frozen=True, slots=True)
class SpreadRun:
    """A run that another process is to train.

    Attributes:
        params: arguments of ``make_run``, by name.
        checkpoint: file of its state, on a disk that all processes see.
        steps: of the whole run.
        token: differs in every call, so that an engine never takes the outcome of another one.
        resume: as for the run.
    """

    params: Mapping[str, Any]
    checkpoint: Path
    steps: int
    token: str
    resume: Resume


def train_spread(make_run: Callable[..., TrainingRun], spread: SpreadRun) -> str | Exception:
    """Train a run into its checkpoint, in whatever process this is called.

    Args:
        make_run: returns the run of some arguments.
        spread: the run.

    Returns:
        Why the run stopped, or its error.
    """
    try:
        run = make_run(**spread.params)
        run.configure(checkpoint=spread.checkpoint, resume=spread.resume)
        return run.train(spread.steps).stopped or "steps"
    except Exception as error:  # noqa: BLE001 - the other runs go on
        return error


def spread(
    executor: Any,
    make_run: Callable[..., TrainingRun],
    runs: Sequence[tuple[Mapping[str, Any], Path, int]],
    resume: Resume = True,
) -> list[str | Exception]:
    """Train runs in the processes of an engine.

    Args:
        executor: of ``pennylane.concurrency.executors``, or a ``dask.distributed.Client``.
        make_run: returns the run of some arguments; processes other than Dask's import it.
        runs: arguments, checkpoint and number of steps of each.
        resume: how a run goes on that has a checkpoint already.

    Returns:
        For each run why it stopped, or its error.
    """
    has_map = callable(getattr(executor, "map", None))
    check("executor", executor, has_map, "an executor of PennyLane's, or a Dask client")
    token = token_hex(8)
    work = [SpreadRun(*run, token, resume) for run in runs]
    # Of one argument, PennyLane's executors would take each run for an argument of its own.
    ends = executor.map(train_spread, [make_run] * len(work), work)
    return [_outcome(end) for end in ends]


def _outcome(end: Any) -> str | Exception:
    """Return the outcome of a run: engines give it, or a future of it."""
    if not hasattr(end, "result"):
        outcome: str | Exception = end
        return outcome
    try:
        return _outcome(end.result())
    except Exception as error:  # noqa: BLE001 - the engine's own, of one run
        return error
