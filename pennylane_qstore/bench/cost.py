"""The price of a trained model: tasks with known answers, ways to train, quality and US dollars.

Every cell is one training on the emulator with the noise of Forte 1, evaluated afterwards without
noise and shots. Nothing is billed there: dollars are those that a price list asks for the jobs that
were sent (:mod:`pennylane_qstore.prices`), hours those of the jobs, one after another, on the
emulator's ``qpu`` profile (its queue is what IonQ has shown for Forte 1; the rest is plausible, not
measured). Both are computed from the jobs, not waited for.

Compared are (:mod:`pennylane_qstore.bench.cost_methods`):

* ``spsa-500``, ``spsa-100``, ``spsa-20``: ``qml.SPSAOptimizer``, 300 steps of 20 samples (all of
  a smaller set) and two points, at so many shots. Its step size is calibrated from 25 pairs of
  points so that the first step changes a parameter by 0.2 radians; ``.../0.1`` and ``.../0.4`` are
  other first steps. ``spsa-500 best`` is the one of the three that did best on the task's mean,
  chosen by the very seeds that are reported: an advantage that ours are not given.
* ``adam``: PennyLane's, with parameter-shift gradients, at as many shots as ours; step sizes of
  0.03, 0.1 and 0.3. ``shot-adaptive`` and ``qnspsa``: PennyLane's, where the loss is one QNode.
* ``shared``: ours, 40 steps of 10 samples and 10 directions (20 without samples) that they share;
  ``per-sample``: 100 samples, each with a direction of its own; as many circuits and shots.
  ``auto``: 80 steps (30 without samples) whose samples, directions and shots ``TrainingRun``
  chooses for the price list ``qpu.forte-1``, ``auto-circuit`` for ``qpu.forte-1/circuit``. One
  setting for all tasks, with no best of several.

All are scored at the mean of their last quarter of iterates, and all send a step as few jobs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from pennylane_qstore.bench.cost_cells import NOISE, Cell, Key, run_cells
from pennylane_qstore.bench.cost_methods import METHODS
from pennylane_qstore.bench.text import aligned, silent
from pennylane_qstore.prices import PRICES
from pennylane_qstore.training.plots import COLOURS, pyplot
from pennylane_qstore.training.tasks.catalogue import TASKS
from pennylane_qstore.validation import check_count, check_known

LISTS: Mapping[str, str] = {
    "qpu.forte-1": "USD/job",
    "qpu.forte-1/circuit": "USD/circuit",
    "azure.aria-1": "Azure",
    "braket.forte-1": "Braket",
    "compute-second": "QCT",
}
"""Price lists, and their columns."""
PROFILE = "qpu"


@dataclass(frozen=True, slots=True)
class Row:
    """A task and a method, over seeds.

    Attributes:
        task: of :data:`.TASKS`.
        method: of :data:`.METHODS`, or a family's name and ``" best"``.
        seeds: how many.
        mean, worst: of the quality; the worst is the least where higher is better, else the most.
        shots, jobs, circuits: of a training, on average.
        usd: of a training on average, by price list.
        hours: of a training on average, on the latency profile.
    """

    task: str
    method: str
    seeds: int
    mean: float
    worst: float
    shots: float
    jobs: float
    circuits: float
    usd: Mapping[str, float]
    hours: float


def compare(
    folder: str | Path,
    *,
    tasks: str = "*",
    methods: str = "*",
    seeds: Sequence[int] = tuple(range(1, 11)),
    steps: int | None = None,
    jobs: int = 1,
    report: Callable[[str], None] = silent,
) -> list[Row]:
    """Run what is missing in a folder, seed by seed, and return the table.

    Args:
        folder: of results, each kept as soon as it is there: a measurement that was stopped goes
            on. Results of other settings in it are not looked at.
        tasks: names or patterns of tasks with commas between them, such as ``"iris,d*"``.
        methods: names or patterns of methods.
        seeds: of the trainings.
        steps: most steps of a training; None for each method's own number.
        jobs: trainings at once.
        report: called with each training that is done, and how long the others will take.

    Returns:
        Rows, task by task in the order of the catalogue.

    Raises:
        ConfigurationError: a pattern fits nothing, or a number is not positive.
    """
    check_count("steps", steps, optional=True)
    check_count("jobs", jobs)
    chosen, ways = _matching("task", tasks, TASKS), _matching("method", methods, METHODS)
    keys = [
        Key(task, method, seed, steps)
        for seed in seeds
        for task in chosen
        for method in ways
        if task in (METHODS[method].tasks or (task,))
        and not (method == "per-sample" and TASKS[task].load is None)
    ]
    return table(run_cells(keys, Path(folder), jobs=jobs, report=report))


def table(cells: Mapping[Key, Cell]) -> list[Row]:
    """Return the rows of cells, the best of every family that is there whole among them."""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for key in sorted(cells, key=lambda key: (list(TASKS).index(key.task), _place(key.method))):
        groups.setdefault((key.task, key.method), []).append(cells[key])
    rows = [_row(task, method, group) for (task, method), group in groups.items()]
    found = []
    for i, row in enumerate(rows):
        found.append(row)
        family = METHODS[row.method].family
        sizes = [name for name, method in METHODS.items() if method.family == family]
        here = [r for r in rows if r.task == row.task and r.method in sizes]
        is_last = not any(r in here for r in rows[i + 1 :])
        if is_last and len(here) == len(sizes) > 1:
            best = (max if TASKS[row.task].score.higher_is_better else min)(
                here, key=lambda r: r.mean
            )
            found.append(replace(best, method=f"{family} best"))
    return found


def text(rows: Sequence[Row]) -> str:
    """Return the rows as a table, with what has to be said beside it."""
    cells: list[tuple[str, ...]] = [
        ("task", "method", "score", "worst", "shots", "jobs", "circuits", *LISTS.values(), "hours")
    ]
    for r in rows:
        counts = (f"{r.shots:.2g}", f"{r.jobs:.0f}", f"{r.circuits:.0f}")
        usd = (f"{r.usd[name]:,.0f}" for name in LISTS)
        quality = (f"{r.mean:.3f}", f"{r.worst:.3f}")
        cells.append((r.task, r.method, *quality, *counts, *usd, f"{r.hours:.0f}"))
    scores: dict[str, list[str]] = {}
    for task in dict.fromkeys(r.task for r in rows):
        scores.setdefault(TASKS[task].score.label, []).append(task)
    named = "; ".join(f"{label}: {', '.join(names)}" for label, names in scores.items())
    lists = ", ".join(f"{column}: {name}" for name, column in LISTS.items())
    seeds = sorted({r.seeds for r in rows})
    notes = (
        f"\nscore: mean of {' or '.join(map(str, seeds))} seeds, trained with the noise of "
        f"{NOISE}, evaluated without.\n{named}.\nUS dollars, billed by nobody: {lists}.\n"
        f"hours: of the jobs, one after another, on the profile {PROFILE!r}.\n"
        "best: of three step sizes, by these seeds."
    )
    return "\n".join([*aligned(cells, left=2), notes])


def _row(task: str, method: str, cells: Sequence[Cell]) -> Row:
    qualities = [cell.quality for cell in cells]
    worst = (min if TASKS[task].score.higher_is_better else max)(qualities)
    shots, jobs, circuits = np.mean([cell.counts for cell in cells], axis=0).tolist()
    usd = {name: float(np.mean([cell.usd(PRICES[name]) for cell in cells])) for name in LISTS}
    hours = float(np.mean([cell.hours(PROFILE) for cell in cells]))
    mean = float(np.mean(qualities))
    return Row(task, method, len(cells), mean, worst, shots, jobs, circuits, usd, hours)


def _place(method: str) -> tuple[int, str]:
    family = METHODS[method].family
    return [m.family for m in METHODS.values()].index(family), method


def _matching(kind: str, patterns: str, names: Iterable[str]) -> list[str]:
    """Return the names that patterns with commas between them fit, in their own order.

    Raises:
        ConfigurationError: a pattern fits none.
    """
    wanted = [pattern.strip() for pattern in patterns.split(",")]
    known = list(names)
    for pattern in wanted:
        if not any(fnmatchcase(name, pattern) for name in known):
            check_known(kind, pattern, known)
    return [name for name in known if any(fnmatchcase(name, pattern) for pattern in wanted)]


def draw(rows: Sequence[Row], path: str | Path, prices: str = "qpu.forte-1") -> None:
    """Draw quality against US dollars, a panel for each task, and write the picture.

    A point is a method's mean; the line goes to its worst seed.

    Args:
        rows: of :func:`.table`.
        path: of the picture.
        prices: a price list of :data:`LISTS`.

    Raises:
        ConfigurationError: the list has no column, or matplotlib is not installed.
    """
    check_known("price list", prices, LISTS)
    names, methods = _tasks_and_methods(rows)
    across = min(4, len(names))
    down = -(-len(names) // across)
    figure, axes = pyplot().subplots(
        down, across, figsize=(2.9 * across, 2.4 * down + 0.6), layout="constrained",
        squeeze=False, sharex=True,
    )  # fmt: skip
    for axis, name in zip(axes.flat, names, strict=False):
        for r in rows:
            if r.task == name and r.method in methods:
                marker, colour = _style(methods.index(r.method))
                usd = r.usd[prices]
                axis.plot([usd, usd], [r.mean, r.worst], color=colour, lw=1, alpha=0.6)
                axis.plot(usd, r.mean, marker, color=colour, ms=5, ls="", label=r.method)
        _frame(axis, TASKS[name].title)
        axis.xaxis.set_tick_params(labelbottom=True)
        axis.set_ylabel(TASKS[name].score.label, fontsize="small")
        if not TASKS[name].score.higher_is_better:
            axis.invert_yaxis()
    for axis in axes.flat[len(names) :]:
        axis.set_axis_off()
    labelled: dict[str, Any] = {}
    for axis in axes.flat:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            labelled.setdefault(label, handle)
    _save(figure, labelled.values(), labelled, f"the price list {prices}", path)


def draw_lists(rows: Sequence[Row], path: str | Path) -> None:
    """Draw the dollars of each method by price list, a panel for each list, and write the picture.

    A floor for every circuit, instead of every job, changes the order of the methods.

    Args:
        rows: of :func:`.table`.
        path: of the picture.

    Raises:
        ConfigurationError: matplotlib is not installed.
    """
    names, methods = _tasks_and_methods(rows)
    figure, axes = pyplot().subplots(
        1, len(LISTS), figsize=(2.2 * len(LISTS) + 1, 0.3 * len(names) + 1.4), layout="constrained",
        squeeze=False, sharey=True,
    )  # fmt: skip
    for axis, (prices, column) in zip(axes.flat, LISTS.items(), strict=True):
        for place, method in enumerate(methods):
            marker, colour = _style(place)
            mine = [r for r in rows if r.method == method]
            usd, places = [r.usd[prices] for r in mine], [names.index(r.task) for r in mine]
            axis.plot(usd, places, marker, color=colour, ms=5, label=method)
        _frame(axis, column)
        axis.grid(axis="y", alpha=0.2)
    axes[0, 0].set_yticks(range(len(names)), [TASKS[name].title for name in names])
    axes[0, 0].invert_yaxis()
    handles, labels = axes[0, 0].get_legend_handles_labels()
    _save(figure, handles, labels, "price list", path)


def _tasks_and_methods(rows: Sequence[Row]) -> tuple[list[str], list[str]]:
    """Return the tasks, and the methods without those of other step sizes ("name/size")."""
    methods = dict.fromkeys(r.method for r in rows if "/" not in r.method)
    return list(dict.fromkeys(r.task for r in rows)), list(methods)


def _frame(axis: Any, title: str) -> None:
    axis.set(xscale="log", title=title)
    axis.xaxis.set_minor_formatter("")
    axis.title.set_fontsize("medium")
    axis.spines[["top", "right"]].set_visible(False)


def _save(figure: Any, handles: Any, labels: Any, by: str, path: str | Path) -> None:
    """Write a picture whose methods are named at its top."""
    figure.legend(handles, labels, loc="outside upper center", ncols=5, fontsize="small")
    figure.supxlabel(f"US dollars a training, by {by}", fontsize="medium")
    figure.savefig(path, dpi=150)
    pyplot().close(figure)


def _style(place: int) -> tuple[str, str]:
    """Return marker and colour of a method by its place."""
    return "osD^v"[place // len(COLOURS) % 5], COLOURS[place % len(COLOURS)]
