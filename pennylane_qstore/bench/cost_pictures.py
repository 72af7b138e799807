"""Pictures of the table of costs: quality against dollars, and dollars by price list."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pennylane_qstore.bench.cost import LISTS, Row
from pennylane_qstore.training.plots import COLOURS, pyplot
from pennylane_qstore.training.tasks.catalogue import TASKS
from pennylane_qstore.validation import check_known


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
