"""Reports over seeds: the mean and the worst of each figure."""

import pytest

from pennylane_qstore.cli.train_report import summary, summary_lines, where

RUNS = [
    {"seed": 1, "test_accuracy": 0.9, "loss_last": 0.2, "cost_usd": 0.0, "task": "iris"},
    {"seed": 2, "test_accuracy": 0.7, "loss_last": 0.4, "cost_usd": 0.0, "task": "iris"},
]


def test_the_worst_accuracy_is_the_lowest_and_the_worst_loss_the_highest():
    report = summary(RUNS)
    assert report["runs"] == RUNS
    assert report["mean"] == pytest.approx({"test_accuracy": 0.8, "loss_last": 0.3, "cost_usd": 0})
    assert report["worst"] == {"test_accuracy": 0.7, "loss_last": 0.4, "cost_usd": 0.0}


def test_a_figure_that_a_run_does_not_have_has_no_mean():
    assert "test_accuracy" not in summary([RUNS[0], {"seed": 2, "loss_last": 1.0}])["mean"]
    assert "cost_usd" not in summary([RUNS[0] | {"cost_usd": None}])["mean"]


def test_in_words():
    lines = summary_lines(summary(RUNS))
    assert lines["Seeds"] == "1, 2"
    assert lines["Test accuracy over seeds"] == "mean 0.800, worst 0.700"
    assert lines["Last loss over seeds"] == "mean 0.300, worst 0.400"


@pytest.mark.parametrize(
    ("backend", "noise", "name"),
    [
        ("emulator", None, "the emulator"),
        ("emulator", "forte-1", "the emulator, noise of forte-1"),
        ("qpu.forte-1", None, "qpu.forte-1"),
    ],
)
def test_the_backend_is_named(backend, noise, name):
    assert where({"backend": backend, "noise_model": noise}) == name
