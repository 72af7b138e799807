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
    plt = pyplot()
    names, methods = _tasks_and_methods(rows)
    across = min(4, len(names))
    down = -(-len(names) // across)
    figure, axes = plt.subplots(
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
        axis.set(xscale="log", title=TASKS[name].title)
        axis.xaxis.set_minor_formatter("")
        axis.xaxis.set_tick_params(labelbottom=True)
        axis.title.set_fontsize("medium")
        axis.set_ylabel(TASKS[name].score.label, fontsize="small")
        if not TASKS[name].score.higher_is_better:
            axis.invert_yaxis()
        axis.spines[["top", "right"]].set_visible(False)
    for axis in axes.flat[len(names) :]:
        axis.set_axis_off()
    labelled: dict[str, Any] = {}
    for axis in axes.flat:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            labelled.setdefault(label, handle)
    figure.legend(
        labelled.values(), labelled.keys(), loc="outside upper center", ncols=5, fontsize="small"
    )
    figure.supxlabel(f"US dollars a training, by the price list {prices}", fontsize="medium")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def draw_lists(rows: Sequence[Row], path: str | Path) -> None:
    """Draw the dollars of each method by price list, a panel for each list, and write the picture.

    A floor for every circuit, instead of every job, changes the order of the methods.

    Args:
        rows: of :func:`.table`.
        path: of the picture.

    Raises:
        ConfigurationError: matplotlib is not installed.
    """
    plt = pyplot()
    names, methods = _tasks_and_methods(rows)
    figure, axes = plt.subplots(
        1, len(LISTS), figsize=(2.2 * len(LISTS) + 1, 0.3 * len(names) + 1.4), layout="constrained",
        squeeze=False, sharey=True,
    )  # fmt: skip
    for axis, (prices, column) in zip(axes.flat, LISTS.items(), strict=True):
        for place, method in enumerate(methods):
            marker, colour = _style(place)
            mine = [r for r in rows if r.method == method]
            usd, places = [r.usd[prices] for r in mine], [names.index(r.task) for r in mine]
            axis.plot(usd, places, marker, color=colour, ms=5, label=method)
        axis.set(xscale="log", title=column)
        axis.xaxis.set_minor_formatter("")
        axis.title.set_fontsize("medium")
        axis.grid(axis="y", alpha=0.2)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0, 0].set_yticks(range(len(names)), [TASKS[name].title for name in names])
    axes[0, 0].invert_yaxis()
    labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(*labels, loc="outside upper center", ncols=5, fontsize="small")
    figure.supxlabel("US dollars a training, by price list", fontsize="medium")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _tasks_and_methods(rows: Sequence[Row]) -> tuple[list[str], list[str]]:
    """Return the tasks, and the methods without those of other step sizes ("name/size")."""
    methods = dict.fromkeys(r.method for r in rows if "/" not in r.method)
    return list(dict.fromkeys(r.task for r in rows)), list(methods)


def _style(place: int) -> tuple[str, str]:
    """Return marker and colour of a method by its place."""
    return "osD^v"[place // len(COLOURS) % 5], COLOURS[place % len(COLOURS)]
