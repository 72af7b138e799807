"""Cells of the table of costs: one training each, in worker processes, kept as they are done."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import pennylane as qml

from pennylane_qstore.bench.cost_methods import METHODS, Training
from pennylane_qstore.bench.text import silent
from pennylane_qstore.emulator import Emulator
from pennylane_qstore.emulator.service.latency import PROFILES
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.prices import JobSize, PriceModel
from pennylane_qstore.training.callbacks import duration_text
from pennylane_qstore.training.tasks.catalogue import TASKS

NOISE = "forte-1"
FILE = "cells.jsonl"
"""Name of the file in the folder of results: a line of JSON for each cell that is done."""


class Key(NamedTuple):
    """A cell.

    Attributes:
        task: of :data:`.TASKS`.
        method: of :data:`.METHODS`.
        seed: of everything random in it.
        most_steps: of the training; None for the method's own number.
    """

    task: str
    method: str
    seed: int
    most_steps: int | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """A training that has been made.

    Attributes:
        key: of the cell.
        quality: the task's score, evaluated without shots and noise.
        jobs: sizes of its jobs, and how many had each.
        seconds: it took on this machine.
    """

    key: Key
    quality: float
    jobs: tuple[tuple[JobSize, int], ...]
    seconds: float

    @property
    def counts(self) -> tuple[int, int, int]:
        """Shots, jobs and circuits of the whole training."""
        shots = sum(count * size.shots_total for size, count in self.jobs)
        circuits = sum(count * size.circuits for size, count in self.jobs)
        return shots, sum(count for _, count in self.jobs), circuits

    def usd(self, prices: PriceModel) -> float:
        """Return what the jobs would cost on a price list, in US dollars."""
        return sum(count * prices.price(size) for size, count in self.jobs)

    def hours(self, profile: str) -> float:
        """Return how long the jobs would take one after another on a latency profile."""
        mean = PROFILES[profile].mean
        return sum(n * sum(mean(size.circuits, size.shots)) for size, n in self.jobs) / 3600


def run_cell(key: Key) -> Cell:
    """Train on an emulator of its own, with the noise of a machine.

    Args:
        key: of the cell.

    Returns:
        The outcome.
    """
    task, start = TASKS[key.task], time.perf_counter()
    with Emulator(seed=key.seed, processes=0, workers=1) as emulator:
        device = qml.device(
            "qstore.ionq", wires=task.wires, seed=key.seed, emulator=emulator, noise_model=NOISE
        )

        def spent() -> int:
            return sum(job.shots * len(job.circuits) for job in emulator.jobs)

        training = Training(task, device, key.seed, spent, key.most_steps)
        params = METHODS[key.method].train(training)
        sizes = Counter(
            JobSize(
                sum(circuit.n_1q for circuit in job.circuits),
                sum(circuit.n_2q for circuit in job.circuits),
                len(job.circuits),
                job.shots,
            )
            for job in emulator.jobs
        )
    quality = task.quality(params, key.seed)
    return Cell(key, quality, tuple(sizes.items()), time.perf_counter() - start)


def stored(folder: Path) -> dict[Key, Cell]:
    """Return the cells that a folder holds.

    A last line that was cut off when the measurement was killed is left out.

    Args:
        folder: of results; it need not exist.

    Returns:
        Cells by key.

    Raises:
        ConfigurationError: another line is no cell.
    """
    path = folder / FILE
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    cells = {}
    for number, line in enumerate(lines, start=1):
        try:
            plain = json.loads(line)
            jobs = tuple((JobSize(*size), int(count)) for size, count in plain.pop("jobs"))
            cell = Cell(Key(*plain.pop("key")), jobs=jobs, **plain)
        except (ValueError, TypeError, KeyError) as error:
            if number == len(lines) and not line.endswith("\n"):
                break
            raise ConfigurationError(
                f"Line {number} of {str(path)!r} is no result of this measurement. Remove it, or "
                "take another folder."
            ) from error
        cells[cell.key] = cell
    return cells


def run_cells(
    keys: Sequence[Key],
    folder: Path,
    *,
    jobs: int = 1,
    report: Callable[[str], None] = silent,
) -> dict[Key, Cell]:
    """Run the cells that a folder does not hold yet, and keep each as soon as it is done.

    Args:
        keys: cells that are wanted, in the order in which they shall run.
        folder: of results; made if it is not there.
        jobs: cells at once, each in a process of its own; 1 runs them in this one.
        report: called with each cell that is done, and how long the others will take.

    Returns:
        All cells wanted, by key.
    """
    folder.mkdir(parents=True, exist_ok=True)
    cells = stored(folder)
    missing = [key for key in keys if key not in cells]
    if missing:
        report(f"{len(missing)} of {len(keys)} trainings are to be made")
    with _appending(folder / FILE) as append:
        for cell in _results(tuple(missing), jobs):
            append(json.dumps(asdict(cell)))
            cells[cell.key] = cell
            missing.remove(cell.key)
            left = duration_text(remaining_s(missing, cells) / jobs)
            report(
                f"{cell.key.task} {cell.key.method} {cell.key.seed}: {cell.quality:.4g} "
                f"({cell.seconds:.0f} s); {len(missing)} left, about {left}"
            )
    return {key: cells[key] for key in keys}


def remaining_s(missing: Sequence[Key], cells: Mapping[Key, Cell]) -> float:
    """Return how long cells will take, by those that are done.

    Args:
        missing: cells to run.
        cells: at least one that is done.

    Returns:
        Seconds, one cell after another: the mean of the same task and method, else of the same
        method, else of the task, else of all.
    """
    taken: dict[tuple[str, ...], list[float]] = {}
    for key, cell in cells.items():
        for label in _labels(key):
            taken.setdefault(label, []).append(cell.seconds)
    total = 0.0
    for key in missing:
        known = next(taken[label] for label in _labels(key) if label in taken)
        total += sum(known) / len(known)
    return total


def _labels(key: Key) -> tuple[tuple[str, ...], ...]:
    steps = str(key.most_steps)
    return (
        *((key.task, key.method, steps), ("method", key.method, steps)),
        *(("task", key.task, steps), ()),
    )


def _results(keys: Sequence[Key], jobs: int) -> Iterator[Cell]:
    """Yield outcomes as they come."""
    if jobs == 1:
        yield from map(run_cell, keys)
        return
    # Threads of NumPy's libraries would take the cores from each other.
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"))
    try:
        for future in as_completed([pool.submit(run_cell, key) for key in keys]):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _appending(path: Path) -> Iterator[Callable[[str], None]]:
    """Give a function that adds a line to a file, which is then on the disk."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    with path.open("a", encoding="utf-8") as file:
        file.truncate(len(text[: text.rfind("\n") + 1].encode()))  # a line that was cut off

        def append(line: str) -> None:
            file.write(f"{line}\n")
            file.flush()
            os.fsync(file.fileno())

        yield append
