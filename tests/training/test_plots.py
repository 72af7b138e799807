"""Drawings: the labels and curves that they show."""

from __future__ import annotations

import numpy as np
import pytest

from pennylane_qstore.training import plots
from pennylane_qstore.training.history import StepRecord

pytest.importorskip("matplotlib").use("Agg")


@pytest.fixture(autouse=True)
def _close():
    yield
    plots.pyplot().close("all")


def history(losses, **fields):
    return [StepRecord(i, 1, float(v), **fields) for i, v in enumerate(losses, 1)]


def test_drawings_return_their_axes_and_say_what_they_show():
    runs = [history(np.linspace(1, s, 30), seconds=1.0, run_s=0.4, cost_usd=3.0) for s in (0, 0.2)]
    curves = [plots.learning_curve(runs, label="loss (nats)")]
    axes = plots.draw_learning_curves(curves, lines={"constant": 0.9})
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["loss (nats), mean of 2 runs, middle 68 %", "constant"]
    assert axes.get_ylabel() == "loss (nats)"
    times = plots.draw_step_times(plots.step_times(runs[0]))
    assert "machine: 0.4 s a step (40%)" in [t.get_text() for t in times.get_legend().get_texts()]
    costs = plots.draw_costs(plots.costs(runs[0], 100.0))
    assert costs.get_ylabel() == "US dollars"
    bars = plots.draw_comparison(plots.comparison([0.4, 0.6], [0.5, 0.5], shots=50))
    assert [t.get_text() for t in bars.get_xticklabels()] == ["0", "1"]
    regions = plots.decision_regions(lambda x: x[:, 0] > 0, [[-1, 0], [1, 1]], [0, 1])
    drawn = plots.draw_decision_regions(regions, names=["no", "yes"])
    assert [t.get_text() for t in drawn.get_legend().get_texts()] == ["no", "yes"]


@pytest.mark.parametrize("steps", [1, 2])
def test_short_runs_are_drawn_too(steps):
    records = history(range(steps), seconds=1.0)
    plots.draw_learning_curves([plots.learning_curve(records)])
    plots.draw_step_times(plots.step_times(records))
    plots.draw_costs(plots.costs(records)).figure.canvas.draw()
