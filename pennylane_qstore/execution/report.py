"""A report of statistics: as text, in a notebook, as a figure."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pennylane_qstore.validation import installed

LABELS: Mapping[str, tuple[str, str]] = {
    "batches": ("Batches", "{:,}"),
    "circuits": ("Circuits", "{:,}"),
    "operations": ("Gates before compilation", "{:,}"),
    "gates": ("Gates sent", "{:,}"),
    "jobs": ("Jobs (POSTs)", "{:,}"),
    "requests": ("HTTP requests", "{:,}"),
    "polls": ("of these, looks at jobs", "{:,}"),
    "retries": ("Retries", "{:,}"),
    "bytes_sent": ("Bytes sent", "{:,}"),
    "bytes_received": ("Bytes received", "{:,}"),
    "api_calls_saved": ("POSTs saved", "{:,}"),
    "connection_reuse_rate": ("Connections reused", "{:.1%}"),
    "cache_hit_rate": ("Templates found in the cache", "{:.1%}"),
    "cache_memory_mb": ("Memory of the cache", "{:.3f} MB"),
    "circuits_per_second": ("Circuits per second", "{:.2f}"),
    "effective_parallelization": ("Circuits in flight on average", "{:.2f}"),
    "circuit_build_time_ms": ("Building circuits (median of a batch)", "{:.3f} ms"),
    "parameter_bind_time_ms": ("Binding parameters (median)", "{:.3f} ms"),
    "batch_submission_time_ms": ("Submission (median)", "{:.1f} ms"),
    "batch_execution_time_ms": ("POST to results (median)", "{:.1f} ms"),
    "queue_s": ("Queue, all jobs", "{:.3f} s"),
    "run_s": ("Execution, all jobs", "{:.3f} s"),
    "cost_usd": ("Billed", "${:,.2f}"),
}
"""Statistics in the order shown, each with its label and format."""
NAMES: Mapping[str, str] = {
    "build": "building circuits",
    "bind": "binding parameters",
    "encode": "writing the job",
    "start": "before the first POST",
    "submit": "submission",
    "queue": "queue",
    "run": "execution",
    "fetch": "noticing and fetching",
    "results": "computing results",
}
"""Stages of a batch, as they are shown."""

_COLOURS = (
    "#1b9e77",
    "#66a61e",
    "#a6761d",
    "#666666",
    "#d95f02",
    "#bbbbbb",
    "#7570b3",
    "#e7298a",
    "#e6ab02",
)


class Breakdown(NamedTuple):
    """Mean time of a batch: names and seconds of its stages, in order."""

    names: tuple[str, ...]
    seconds: tuple[float, ...]

    @property
    def total_s(self) -> float:
        """Seconds of a batch."""
        return sum(self.seconds)


class StatsReport(dict[str, Any]):
    """Statistics by name, see :meth:`Stats.as_dict`; shows itself in a notebook."""

    def breakdown(self, since: Mapping[str, Any] | None = None) -> Breakdown:
        """Return the mean time of a batch by stage.

        Args:
            since: what had been measured before the batches that count; by default all count.
        """
        before = since or {"batches": 0, "breakdown_s": {}}
        batches = max(self["batches"] - before["batches"], 1)
        return Breakdown(
            tuple(NAMES[name] for name in self["breakdown_s"]),
            tuple(
                (seconds - before["breakdown_s"].get(name, 0.0)) / batches
                for name, seconds in self["breakdown_s"].items()
            ),
        )

    def report(self) -> str:
        """The figures as text."""
        width = max(len(label) for label, _ in LABELS.values())
        lines = [f"{label:<{width}}  {value}" for label, value in self._rows()]
        parts = self.breakdown()
        lines += ["", f"Where the {parts.total_s:.3f} s of a batch went"]
        for name, seconds in zip(*parts, strict=True):
            share = seconds / parts.total_s if parts.total_s else 0.0
            lines.append(f"{name:<{width}}  {seconds:9.4f} s  {share:6.1%}")
        return "\n".join(lines)

    def figure(self, axes: Any = None, *, since: Mapping[str, Any] | None = None) -> Any:
        """Draw where the time of a batch went.

        Args:
            axes: matplotlib Axes; made if not given.
            since: as of :meth:`breakdown`.

        Returns:
            The Axes.

        Raises:
            ConfigurationError: matplotlib is not installed.
        """
        parts = self.breakdown(since)
        if axes is None:
            plt = installed("matplotlib.pyplot", "Figures need matplotlib", "train")
            _, axes = plt.subplots(figsize=(9, 2.4), layout="constrained")
        at = 0.0
        for name, seconds, colour in zip(*parts, _COLOURS, strict=True):
            axes.barh(0, seconds, left=at, color=colour, label=f"{name}: {_duration(seconds)}")
            at += seconds
        axes.set(xlabel="seconds", yticks=[], title=f"A batch: {_duration(parts.total_s)}")
        axes.set_xlim(0, at or None)
        # Below the axis' own words, whatever the height of the axes: the padding is in letters.
        axes.legend(
            frameon=False, fontsize="small", ncols=3, loc="upper center",
            bbox_to_anchor=(0.5, 0.0), borderaxespad=4.5,
        )  # fmt: skip
        axes.spines[["top", "right", "left"]].set_visible(False)
        return axes

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(label)}</td><td style='text-align:right'>{html.escape(value)}"
            "</td></tr>"
            for label, value in self._rows()
        )
        parts = self.breakdown()
        bar = "".join(
            f"<div title='{html.escape(name)}: {_duration(seconds)}' style='width:"
            f"{100 * seconds / parts.total_s:.3f}%;background:{colour}'></div>"
            for name, seconds, colour in zip(*parts, _COLOURS, strict=True)
            if seconds > 0
        )
        legend = " ".join(
            f"<span style='white-space:nowrap'><span style='color:{colour}'>&#9632;</span> "
            f"{html.escape(name)} {_duration(seconds)}</span>"
            for name, seconds, colour in zip(*parts, _COLOURS, strict=True)
        )
        return (
            f"<table>{rows}</table><p>Where the {_duration(parts.total_s)} of a batch went</p>"
            f"<div style='display:flex;height:1.2em;max-width:48em'>{bar}</div><p>{legend}</p>"
        )

    def _rows(self) -> list[tuple[str, str]]:
        return [(label, form.format(self[name])) for name, (label, form) in LABELS.items()]


def _duration(seconds: float) -> str:
    """Return a duration as text, in s, ms or µs."""
    if seconds >= 0.1 or not seconds:
        return f"{seconds:.3g} s"
    return f"{1e3 * seconds:.3g} ms" if seconds >= 1e-4 else f"{1e6 * seconds:.3g} µs"


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """Return mean, median, percentiles and maximum of values; zeros where there are none."""
    array = np.array(values or [0.0])
    percentiles = np.percentile(array, [50, 90, 99, 100]).tolist()
    named = dict(zip(("median", "p90", "p99", "max"), percentiles, strict=True))
    return {"mean": float(array.mean()), **named}
