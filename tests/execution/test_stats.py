"""Measured figures, and how they are shown."""

from types import SimpleNamespace

import numpy as np
import pennylane as qml
import pytest
from support.v34_runs import circuit

from pennylane_qstore.emulator import Emulator
from pennylane_qstore.execution import stats as stats_module
from pennylane_qstore.execution.stats import STAGES, BatchMeter, Stats
from pennylane_qstore.prices import JobSize

PROMISED = (
    "throughput_circuits_per_sec", "batch_submission_time_ms", "batch_execution_time_ms",
    "circuit_build_time_ms", "parameter_bind_time_ms", "circuits_per_second",
    "effective_parallelization", "cache_hit_rate", "cache_memory_mb", "api_calls_saved",
    "connection_reuse_rate", "queue_s", "run_s", "polls", "retries", "bytes_sent",
    "bytes_received", "cost_usd",
)  # fmt: skip
TRACKED = (
    "circuits", "gates", "jobs", "requests", "polls", "retries", "reconciled", "bytes_sent",
    "bytes_received", "queue_s", "run_s", "cost_usd",
)  # fmt: skip


def job(number=0, **values):
    base = {"job_id": f"job{number}", "job_ids": (), "requests": 3, "polls": 1, "submit_s": 0.5,
            "queue_s": 1.5, "run_s": 1.85, "total_s": 3.85, "cost_usd": None}  # fmt: skip
    return SimpleNamespace(**{**base, **values})


def request(circuits):
    return SimpleNamespace(size=JobSize(2 * circuits, circuits, circuits, 100))


def batch(stats, jobs, requests, seconds, sequential=False):
    meter = BatchMeter(sequential=sequential)
    with meter.stage("structure"):
        pass
    meter.seconds["service"] = seconds
    for job_, request_ in zip(jobs, requests, strict=True):
        meter.count(job_, request_, None)
    stats.add(meter, circuits_by_tape=[1])
    return stats.as_dict()


def test_the_times_of_a_batch_add_up():
    found = batch(Stats(), [job()], [request(20)], 4.0)
    parts = found["breakdown_s"]
    assert tuple(parts) == STAGES
    assert (parts["submit"], parts["queue"], parts["run"]) == (0.5, 1.5, 1.85)
    assert parts["start"] == pytest.approx(0.15), "4.0 s, and 3.85 s of the job"
    assert parts["fetch"] == pytest.approx(0.0)
    assert sum(parts.values()) == pytest.approx(sum(found["seconds"].values()))


def test_jobs_at_the_same_time_are_explained_by_the_longest():
    jobs = [job(0), job(1, queue_s=2.5, total_s=4.85)]
    parts = batch(Stats(), jobs, [request(10)] * 2, 5.0)["breakdown_s"]
    assert parts["queue"] == pytest.approx(2.5)


def test_jobs_one_after_another_add_up():
    found = batch(Stats(), [job(i) for i in range(2)], [request(1)] * 2, 8.0, sequential=True)
    assert found["breakdown_s"]["queue"] == 3.0
    assert found["effective_parallelization"] == pytest.approx(2 * 3.85 / 8.0)


def test_the_services_clock_never_makes_more_than_was_measured():
    parts = batch(Stats(), [job(queue_s=900.0)], [request(1)], 4.0)["breakdown_s"]
    assert sum(parts.values()) == pytest.approx(4.0, abs=0.01)
    assert min(parts.values()) >= 0


def test_all_circuits_of_a_job_are_in_flight_together():
    found = batch(Stats(), [job()], [request(20)], 3.85)
    assert found["effective_parallelization"] == pytest.approx(20)
    assert found["api_calls_saved"] == 19


def test_medians_and_percentiles_are_over_batches():
    stats = Stats()
    for submit_s in (0.1, 0.2, 0.9):
        found = batch(stats, [job(submit_s=submit_s)], [request(1)], 5.0)
    assert found["batch_submission_time_ms"] == pytest.approx(200.0)
    assert found["distribution"]["submit"]["max"] == pytest.approx(900.0)
    assert found["distribution"]["submit"]["p90"] == pytest.approx(760.0)


def test_a_batch_that_failed_leaves_nothing_behind(monkeypatch):
    read = iter([0.0, 0.02, 1.0, 1.001])
    monkeypatch.setattr(stats_module, "time", SimpleNamespace(perf_counter=lambda: next(read)))
    stats, failed = Stats(), BatchMeter()
    with failed.stage("structure"):
        pass
    stats.add(failed, complete=False)
    found = batch(stats, [job()], [request(1)], 4.0)
    assert found["distribution"]["build"]["max"] == pytest.approx(1.0)
    assert found["batches"] == 1


def test_every_sum_is_that_of_the_records():
    stats = Stats()
    for cost_usd, estimate_usd in ((2.0, 9.0), (None, 3.0), (None, None)):
        meter = BatchMeter()
        meter.count(job(cost_usd=cost_usd), request(20), estimate_usd)
        meter.requests += 2
        stats.add(meter, circuits_by_tape=[15, 5], operations=100)
    totals = stats.totals()
    assert totals["cost_usd"] == 2.0, "billed"
    assert stats.spent_usd == 5.0, "billed or estimated"
    assert totals["requests"] == 3 * (3 + 2)
    assert (totals["batches"], totals["executions"], totals["circuits"]) == (3, 6, 60)
    assert stats.last.increments()["circuits"] == 20
    assert stats.last.spent_usd == 0.0


def test_what_a_failed_batch_cost_is_counted():
    stats, meter = Stats(), BatchMeter()
    meter.count(job(cost_usd=1.5), request(3), None)
    meter.spent_usd += 0.5  # a job that exists, but gave no results
    record = stats.add(meter, complete=False)
    assert (record.batches, record.jobs, record.cost_usd, record.spent_usd) == (0, 1, 1.5, 2.0)
    assert stats.totals()["batches"] == 0
    assert stats.totals()["cost_usd"] == 1.5
    assert stats.spent_usd == 2.0


def test_bytes_and_retries_are_those_since_the_batch_before():
    stats = Stats()
    for sent in (100, 250):
        stats.add(BatchMeter(), {"bytes_sent": sent, "retries": 1})
    assert stats.last.client["bytes_sent"] == 150
    assert stats.last.client["retries"] == 0


def test_every_promised_name_is_measured_on_the_device():
    with Emulator(profile={"queue_s": 0.02, "execution_s": 0.03}) as emulator:
        dev = qml.device("qstore.ionq", wires=2, emulator=emulator, cache=10, seed=1)
        before = dev.stats
        run = circuit(dev)
        with qml.Tracker(dev) as tracker:
            for _ in range(3):
                run(np.linspace(0, 1, 20))
        found = dev.stats
    assert before["circuits"] == 0, "a snapshot does not change"
    assert set(PROMISED) <= set(found)
    assert found["circuits"] == 60
    assert found["jobs"] == emulator.stats()["posts"] == 3
    assert found["requests"] == emulator.stats()["requests"]
    assert found["bytes_sent"] == emulator.stats()["bytes"]
    assert found["api_calls_saved"] == 57
    assert 1 < found["effective_parallelization"] <= 20
    assert 0 < found["cache_hit_rate"] < 1
    assert found["cache_memory_mb"] > 0
    assert found["connection_reuse_rate"] > 0.8
    assert found["queue_s"] >= 0.059
    assert found["run_s"] >= 0.089
    assert found["batch_execution_time_ms"] >= 50
    for name in ("circuit_build_time_ms", "parameter_bind_time_ms", "circuits_per_second"):
        assert found[name] > 0
    assert tracker.totals["executions"] == found["circuits"]
    for name in TRACKED:
        assert tracker.totals[name] == pytest.approx(found[name]), name
    assert len(tracker.history["bytes_sent"]) == 3


def test_times_and_money_are_floats_where_nothing_was_sent():
    report, record = qml.device("qstore.ionq", wires=1).stats, BatchMeter().record()
    assert all(type(report[name]) is float for name in ("queue_s", "run_s", "cost_usd"))
    assert all(type(getattr(record, name)) is float for name in ("queue_s", "run_s", "cost_usd"))
    assert type(report["requests"]) is type(record.requests) is int
