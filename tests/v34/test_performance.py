"""PerformanceTracker: figures by step and epoch, and notes on them."""

import pytest

from pennylane_qstore.v34 import (
    PerformanceTracker,
)


def test_the_tracker_measures_by_step_and_epoch(tmp_path):
    tracker = PerformanceTracker(tmp_path, save_interval=2)
    assert tracker.get_statistics() == {} == tracker.estimate_speedup()
    for i in range(4):
        tracker.log_batch(
            i, i // 2, 1.0 - 0.1 * i, 0.5, 20, 4000.0, 0.01, {"template_hit_rate": 0.9}
        )
    for epoch in range(2):
        tracker.log_epoch(epoch)
    stats = tracker.get_statistics()
    assert stats["circuits_per_second"] == pytest.approx(5.0)
    assert stats["ms_per_circuit"] == pytest.approx(200.0)
    assert (stats["total_batches"], stats["total_epochs"]) == (4, 2)
    assert stats["avg_cache_hit_rate"] == 0.9
    assert tracker.get_convergence_data()["loss"] == pytest.approx([1.0, 0.9, 0.8, 0.7])
    assert (tmp_path / "statistics.json").exists()
    assert tracker.identify_bottlenecks() == []
    tracker.reset()
    assert tracker.get_statistics() == {}


def test_a_speed_up_in_time_needs_a_measured_baseline():
    tracker = PerformanceTracker()
    tracker.log_batch(0, 0, 1.0, 0.5, 20, 4000.0, 0.01)
    assert tracker.estimate_speedup()["circuit_reduction"] == pytest.approx(4.8)
    assert tracker.estimate_speedup()["time_speedup"] is None
    assert tracker.estimate_speedup(96, 35_000.0)["time_speedup"] == pytest.approx(8.75)


def test_the_tracker_names_what_stands_out():
    tracker = PerformanceTracker()
    for i, took in enumerate((1000.0, 1000.0, 9000.0)):
        tracker.log_batch(i, 0, 1.0, 0.5, 1, took, 0.01, {"template_hit_rate": 0.2})
    notes = " ".join(tracker.identify_bottlenecks())
    assert "three times the median" in notes
    assert "20%" in notes
    assert "use_batch_api" in notes
