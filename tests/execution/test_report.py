"""Statistics, shown as text, in a notebook and as a figure."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pennylane_qstore.execution.report import quantiles
from pennylane_qstore.execution.stats import BatchMeter, Stats
from pennylane_qstore.prices import JobSize


def add(stats, queue_s, circuits):
    meter = BatchMeter()
    meter.seconds["service"] = 8.0
    job = SimpleNamespace(
        job_id="job", job_ids=(), requests=3, polls=1, submit_s=0.5, queue_s=queue_s, run_s=1.85,
        total_s=8.0, cost_usd=None,
    )  # fmt: skip
    meter.count(job, SimpleNamespace(size=JobSize(2, 1, circuits, 100)), None)
    stats.add(meter, circuits_by_tape=[1])
    return stats.as_dict()


def report():
    return add(Stats(), 1.5, 20)


def test_the_report_names_everything():
    found = report()
    text, page = found.report(), found._repr_html_()
    for label in ("Circuits per second", "Queue, all jobs", "noticing and fetching"):
        assert label in text
        assert label in page


def test_a_report_of_nothing_is_possible():
    found = Stats().as_dict()
    assert "Circuits" in found.report()
    assert "<table>" in found._repr_html_()


def test_the_figure_draws_every_stage():
    plt = pytest.importorskip("matplotlib")
    plt.use("Agg")
    import matplotlib.pyplot as pyplot

    found = report()
    axes = found.figure()
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == pytest.approx(list(found.breakdown().seconds))
    pyplot.close(axes.figure)


def test_the_breakdown_of_later_batches_leaves_out_the_earlier_ones():
    stats = Stats()
    before = add(stats, 1.0, 1)
    after = add(stats, 3.0, 20)

    def queue_s(parts):
        return dict(zip(*parts, strict=True))["queue"]

    assert queue_s(after.breakdown()) == pytest.approx(2.0)
    assert queue_s(after.breakdown(before)) == pytest.approx(3.0)


@pytest.mark.parametrize("values", [[], [0.0]])
def test_quantiles_of_nothing_are_zero(values):
    assert set(quantiles(values).values()) == {0.0}


def test_quantiles():
    found = quantiles(range(1, 102))
    assert found == {"mean": 51.0, "median": 51.0, "p90": 91.0, "p99": 100.0, "max": 101.0}
