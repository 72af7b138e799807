"""The measurements behind ``qstore bench``."""

import json

import pytest

from pennylane_qstore import bench
from pennylane_qstore.errors import ConfigurationError

EXPECTED_POSTS = {
    "v3.3.1, sequential": 20,
    "native gates alone": 20,
    "caching alone": 20,
    "connection pool alone": 20,
    "batch API alone": 1,
    "all but adaptive sizing": 1,
    "SPSA step, 20 samples, 2 points": 1,
}


def test_every_variant_is_what_it_says():
    said = []
    report = bench.v34(scale=0.02, report=said.append)
    assert {name: report.row(name).posts for name in EXPECTED_POSTS} == EXPECTED_POSTS
    sequential, batched = (
        report.row(name) for name in ("v3.3.1, sequential", "all but adaptive sizing")
    )
    assert batched.gates < sequential.gates, "native gates merge"
    assert batched.seconds < sequential.seconds
    assert sequential.seconds >= 20 * 1.7, "the service's own times are waited for"
    assert batched.seconds >= report.one_job_s * 0.999
    assert report.prepare_s[1] < report.prepare_s[2], "templates are for native gates"
    assert report.row("SPSA step, 20 samples, 2 points").circuits == 40
    assert len(said) == 3
    text = report.text()
    for words in ("Batch of 20 circuits (s)", "no measurement of IonQ's service", "(11 batches)"):
        assert words in text
    assert json.loads(json.dumps(report.as_dict()))["scale"] == 0.02
    assert [row[0] for row in report.table()] == list(bench.CLAIMS)


@pytest.mark.parametrize("options", [{"scale": 0.0}, {"scale": -1.0}, {"epochs": 0}])
def test_what_cannot_be_measured_is_refused(options):
    with pytest.raises(ConfigurationError):
        bench.v34(**options)


@pytest.mark.benchmark
def test_a_batch_takes_as_long_as_the_service_and_no_longer():
    report = bench.v34()
    one_job = report.row("all but adaptive sizing")
    assert one_job.seconds <= 1.03 * report.one_job_s
    sequential = report.row("v3.3.1, sequential")
    assert sequential.seconds > 7 * report.row("all (enable_all_v34_features)").seconds
    best = min(row.seconds for row in report.rows if row.circuits == bench.CIRCUITS)
    assert report.row("throughput policy, learnt").seconds <= 1.05 * best
