"""Summaries of several runs: worst and best of each figure, and the points of a grid."""

from __future__ import annotations

import pytest

from pennylane_qstore.cli.summary_report import by_point, summary

RUNS = [
    {"seed": 1, "test_accuracy": 0.9, "loss_last": 0.2, "cost_usd": 0.0, "task": "iris"},
    {"seed": 2, "test_accuracy": 0.7, "loss_last": 0.4, "cost_usd": 0.0, "task": "iris"},
]


def test_the_worst_accuracy_is_the_lowest_and_the_worst_loss_the_highest():
    report = summary(RUNS, {"jobs": 3})
    assert report["runs"] == RUNS
    assert report["jobs"] == 3
    assert report["mean"] == pytest.approx({"test_accuracy": 0.8, "loss_last": 0.3, "cost_usd": 0})
    assert report["worst"] == {"test_accuracy": 0.7, "loss_last": 0.4, "cost_usd": 0.0}
    assert report["best"] == {"test_accuracy": 0.9, "loss_last": 0.2, "cost_usd": 0.0}


def test_a_figure_that_a_run_does_not_have_has_no_mean():
    assert "test_accuracy" not in summary([RUNS[0], {"seed": 2, "loss_last": 1.0}], {})["mean"]
    assert "cost_usd" not in summary([RUNS[0] | {"cost_usd": None}], {})["mean"]


def test_runs_are_grouped_by_the_point_of_the_grid():
    reports = [{"lr": lr, "batch_size": 4, "seed": seed} for lr in (0.1, 0.2) for seed in (1, 2)]
    assert by_point(["lr", "batch_size"], reports) == {
        "lr 0.1, batch-size 4": [0, 1],
        "lr 0.2, batch-size 4": [2, 3],
    }
    assert by_point([], reports) == {"": [0, 1, 2, 3]}
