"""The outcome of a rehearsal: in words, as a page for an allocation request, as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pennylane_qstore.prices import JobSize, PriceModel

_CONFIDENCE = 0.95
UNBOUNDED = (-np.inf, np.inf)
"""Bounds of a quality that may be any number."""


def interval(mean: float, half: float, bounds: tuple[float, float]) -> tuple[float, float]:
    """Return the interval of a mean, which does not reach beyond the bounds of its values.

    Student's t where nothing is bounded; else symmetric in the logarithm of the distance to a
    bound, in the logit between two, to which the half width is carried by the delta method
    (Oehlert, The American Statistician 46, 27, 1992; the logit interval: Brown, Cai, DasGupta,
    Statistical Science 16, 101, 2001).

    Args:
        mean: of the values.
        half: half width of the interval by Student's t.
        bounds: least and greatest value that there is, infinite where there is none.

    Returns:
        Its ends; those of Student's t for a mean at a bound or beyond.
    """
    below, above = mean - bounds[0], bounds[1] - mean
    if not half or min(below, above) <= 0 or np.isinf(min(below, above)):
        return mean - half, mean + half
    factor = np.exp(half * (1 / below + 1 / above))  # of the odds below : above
    if np.isinf(above):
        return bounds[0] + below / factor, bounds[0] + below * factor
    if np.isinf(below):
        return bounds[1] - above * factor, bounds[1] - above / factor
    width, odds = below + above, below / above
    return bounds[0] + width / (1 + factor / odds), bounds[1] - width / (1 + factor * odds)


@dataclass(frozen=True, slots=True)
class Trained:
    """A training that was rehearsed.

    Attributes:
        quality: reached.
        sizes: of its jobs.
        steps: made.
    """

    quality: float
    sizes: tuple[JobSize, ...]
    steps: int

    def usd(self, model: PriceModel) -> float:
        """Return what its jobs would cost, in US dollars."""
        return model.total(self.sizes)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The trainings of all seeds, made in one way.

    Attributes:
        way: as planned, or what was changed.
        qualities: one for each seed.
        usd: price of a training on average, in US dollars.
        steps: made on average.
        quality: mean.
        low, high: ends of the 95 % interval of the mean over seeds; NaN for one seed.
    """

    way: str
    qualities: tuple[float, ...]
    usd: float
    steps: float
    quality: float
    low: float
    high: float

    @classmethod
    def of(
        cls,
        way: str,
        trained: Sequence[Trained],
        model: PriceModel,
        bounds: tuple[float, float] = UNBOUNDED,
    ) -> Outcome:
        """Return the outcome of trainings.

        Args:
            way: as planned, or what was changed.
            trained: one for each seed.
            model: price list.
            bounds: least and greatest quality that there is.

        Returns:
            The outcome.
        """
        values = np.array([one.quality for one in trained])
        mean, low, high = float(values.mean()), float("nan"), float("nan")
        if len(values) > 1:
            from scipy.stats import t

            factor = float(t.ppf((1 + _CONFIDENCE) / 2, len(values) - 1))
            half = factor * float(values.std(ddof=1)) / len(values) ** 0.5
            low, high = interval(mean, half, bounds)
        usd = round(sum(one.usd(model) for one in trained) / len(trained), 2)
        steps = sum(one.steps for one in trained) / len(trained)
        return cls(way, tuple(values.tolist()), usd, steps, mean, low, high)

    @property
    def text(self) -> str:
        """Quality with its interval, and the price."""
        ends = "" if np.isnan(self.low) else f" [{self.low:.3f}, {self.high:.3f}]"
        return f"{self.quality:.3f}{ends}, ${self.usd:,.2f}, {self.steps:.0f} steps"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """The outcome of a rehearsal; costs are means of a training, evaluations not included.

    Attributes:
        backend: that would be paid; ``noise_model``: that was simulated.
        seeds: of the trainings.
        label: name of the quality.
        outcomes: as planned, with half and double the shots, with parts of the budget.
        usd: in US dollars, by price list; the first one priced the outcomes.
        published: date of each list.
        jobs, circuits, shots: numbers; shots summed over circuits.
        gates_2qe: two-qubit gate equivalents: two-qubit gates times shots, a one-qubit gate as the
            part that it costs by the first list.
        compute_s: on the machine by its published gate times, in seconds.
        queue_h: in the queue, in hours, one job after another, by latency profile.
        gate_fidelity: predicted for the gates of a mean circuit, by the product of the machine's
            published median fidelities.
    """

    backend: str
    noise_model: str
    seeds: tuple[int, ...]
    label: str
    outcomes: tuple[Outcome, ...]
    usd: dict[str, float]
    published: dict[str, str]
    jobs: float
    circuits: float
    shots: float
    gates_2qe: float
    compute_s: float
    queue_h: dict[str, float]
    gate_fidelity: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return all values by name, ready for JSON; None where there is no interval."""
        values = asdict(self)
        for outcome in values["outcomes"]:
            for name in ("low", "high"):
                outcome[name] = None if np.isnan(outcome[name]) else outcome[name]
        return values

    def lines(self) -> dict[str, str]:
        """Return the rehearsal in words, by label."""
        seeds = f"{len(self.seeds)} seed" + "s" * (len(self.seeds) > 1)
        dated = [f"${usd:,.2f} ({name}, {self.published[name]})" for name, usd in self.usd.items()]
        queue = [f"{hours:,.1f} h ({name})" for name, hours in self.queue_h.items()]
        return {
            "Rehearsed": f"{self.backend}, noise of {self.noise_model}, {seeds}; nothing was sent",
            "Quality": f"{self.label}, without noise: mean [95 % interval over seeds]",
            **{outcome.way.capitalize(): outcome.text for outcome in self.outcomes},
            "A training": f"{self.jobs:,.0f} jobs, {self.circuits:,.0f} circuits, "
            f"{self.shots:,.0f} shots",
            "Would cost": ", ".join(dated),
            "Gates": f"{self.gates_2qe:,.0f} two-qubit gate equivalents",
            "Fidelity": "unknown"
            if self.gate_fidelity is None
            else f"{self.gate_fidelity:.3f} predicted for the gates of a mean circuit",
            "On the machine": f"{self.compute_s / 3600:,.2f} h",
            "In the queue": ", ".join(queue),
        }

    def __str__(self) -> str:
        return "\n".join(f"{label}: {text}" for label, text in self.lines().items())

    def markdown(self) -> str:
        """Return a page for an allocation request."""
        plan = self.outcomes[0]
        rows = "\n".join(
            f"| {o.way} | {o.quality:.3f} | "
            + ("one seed" if np.isnan(o.low) else f"{o.low:.3f} to {o.high:.3f}")
            + f" | {o.steps:.0f} | {o.usd:,.2f} |"
            for o in self.outcomes
        )
        prices = "\n".join(
            f"| {name} | {self.published[name]} | {usd:,.2f} |" for name, usd in self.usd.items()
        )
        queue = "\n".join(
            f"* In the queue, job after job, by the profile `{name}`: {hours:,.1f} hours"
            for name, hours in self.queue_h.items()
        )
        return f"""# Resources for a training on {self.backend}

The whole training was rehearsed on an emulator with the published gate noise of {self.noise_model},
once for each of the seeds {", ".join(map(str, self.seeds))}. Nothing was sent to a machine. Quality
({self.label}) is evaluated without noise; intervals hold the mean over seeds with 95 %.

## What one training takes

* Jobs: {self.jobs:,.0f}, of {self.circuits:,.0f} circuits and {self.shots:,.0f} shots in all
* Two-qubit gate equivalents: {self.gates_2qe:,.0f}
* On the machine: {self.compute_s:,.0f} seconds ({self.compute_s / 3600:,.2f} hours)
{queue}
* Price: {plan.usd:,.2f} USD by the first list below; evaluations afterwards are not included

| Price list | Of | USD |
| --- | --- | ---: |
{prices}

## What more or less would give

| Training | {self.label.capitalize()} | 95 % interval | Steps | USD |
| --- | ---: | ---: | ---: | ---: |
{rows}

![Quality and price](rehearsal.png)
"""

    def draw(self, axes: Any = None) -> Any:
        """Draw quality over price, with intervals and the single seeds.

        Args:
            axes: matplotlib Axes; made if not given.

        Returns:
            The axes.
        """
        from pennylane_qstore.training.plots import COLOURS, finished, new_axes

        axes = new_axes(axes, (6.5, 3.6))
        for colour, o in zip(COLOURS, self.outcomes, strict=False):
            half = None if np.isnan(o.low) else o.high - o.quality
            axes.scatter([o.usd] * len(o.qualities), o.qualities, s=12, color=colour, alpha=0.4)
            axes.errorbar(
                o.usd, o.quality, yerr=half, fmt="o", capsize=4, color=colour, label=o.way
            )
        axes.set(xlabel=f"USD of a training ({next(iter(self.usd))})", ylabel=self.label)
        return finished(axes)

    def save(self, folder: str | Path) -> Path:
        """Write ``rehearsal.md`` and its figure, ``rehearsal.png``, and return the page's path."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        figure = self.draw().figure
        figure.savefig(folder / "rehearsal.png", dpi=150)
        from pennylane_qstore.training.plots import pyplot

        pyplot().close(figure)
        page = folder / "rehearsal.md"
        page.write_text(self.markdown(), encoding="utf-8")
        return page
