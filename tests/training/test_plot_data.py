"""Data of the plots: curves, times, costs, comparisons and regions."""

from __future__ import annotations

import numpy as np
import pytest

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training import plot_data
from pennylane_qstore.training.history import StepRecord


def history(losses, **fields):
    return [StepRecord(i, 1, float(v), **fields) for i, v in enumerate(losses, 1)]


def test_a_curve_of_one_run_is_its_values_and_their_moving_mean():
    curve = plot_data.learning_curve(history(range(20)), window=3)
    np.testing.assert_array_equal(curve.raw, np.arange(20))
    np.testing.assert_allclose(curve.middle[1:-1], np.arange(1, 19))
    assert curve.middle[0] == 0.5  # fewer at the ends
    assert (curve.runs, curve.window) == (1, 3)


def test_a_band_holds_the_middle_two_thirds_of_the_runs():
    runs = [history(np.full(10, seed)) for seed in range(101)]
    curve = plot_data.learning_curve(runs, window=1)
    np.testing.assert_allclose(curve.low, 16)
    np.testing.assert_allclose(curve.high, 84)
    np.testing.assert_allclose(curve.middle, 50)
    assert len(plot_data.learning_curve([history(range(9)), history(range(7))]).steps) == 7


def test_metrics_that_some_steps_have_are_drawn_where_they_are():
    records = [
        StepRecord(i, 1, 0.0, {"val_loss": float(i)} if i % 2 == 0 else {}) for i in range(1, 9)
    ]
    curve = plot_data.learning_curve(records, "val_loss", window=1)
    assert curve.steps.tolist() == [2, 4, 6, 8]
    with pytest.raises(ConfigurationError, match="'accuracy'"):
        plot_data.learning_curve(records, "accuracy")


def test_the_time_of_a_step_adds_up():
    records = [
        StepRecord(1, 1, 0.0, seconds=10.0, queue_s=6.0, run_s=3.0),
        StepRecord(2, 1, 0.0, seconds=4.0, queue_s=6.0, run_s=2.0),  # jobs side by side
    ]
    times = plot_data.step_times(records)
    np.testing.assert_allclose(times.queue_s + times.run_s + times.rest_s, [10, 4])
    np.testing.assert_allclose(times.queue_s, [6, 3])
    assert (times.rest_s >= 0).all()


def test_costs_are_summed_up():
    """Calibration cost 5 dollars, something between the steps 1."""
    records = [
        StepRecord(step, step, 1.0, cost_usd=2.5, spent_usd=spent)
        for step, spent in ((1, 7.5), (2, 11.0))
    ]
    found = plot_data.costs(records, budget_usd=10)
    assert found.steps.tolist() == [0, 1, 2]
    assert found.total_usd.tolist() == [5.0, 7.5, 11.0]
    assert plot_data.costs([]).total_usd.tolist() == [0.0]


def test_a_comparison_has_bits_for_labels_and_errors_of_its_shots():
    found = plot_data.comparison([0.5, 0.5, 0, 0], [1, 0, 0, 0], shots=100)
    assert found.labels == ("00", "01", "10", "11")
    np.testing.assert_allclose(found.error, [0.05, 0.05, 0, 0])
    with pytest.raises(ConfigurationError, match="cannot be compared"):
        plot_data.comparison([1.0], [0.5, 0.5])


def test_decision_regions_ask_once_and_cover_the_data():
    asked = []

    def predict(x):
        asked.append(len(x))
        return x[:, 0] > x[:, 1]

    points = np.random.default_rng(0).normal(size=(20, 2))
    found = plot_data.decision_regions(predict, points, np.zeros(20), resolution=15)
    assert asked == [225]
    assert found.x[0] < points[:, 0].min() < points[:, 0].max() < found.x[-1]
    rows, columns = np.nonzero(found.classes)
    assert (found.x[columns] > found.y[rows]).all()
