"""The measurements behind ``qstore bench``."""

import json

import pytest
from typer.testing import CliRunner

from pennylane_qstore.bench import v34 as bench
from pennylane_qstore.cli.main import app
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

run = CliRunner().invoke


@pytest.fixture(scope="module")
def measured():
    """A hurried measurement, and what was said meanwhile."""
    said = []
    return bench.v34(scale=0.02, report=said.append), said


def test_every_variant_is_what_it_says(measured):
    report, said = measured
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


def test_the_report_has_the_pages_table_and_says_how_it_was_measured(measured):
    report, _ = measured
    text = report.text()
    for words in (
        *bench.CLAIMS,
        "no measurement of IonQ's service",
        "shortened to 0.02",
        "(11 batches)",
        "(5 x epoch)",
    ):
        assert words in text
    assert json.loads(json.dumps(report.as_dict()))["scale"] == 0.02
    assert [row[0] for row in report.table()] == list(bench.CLAIMS)


def test_the_command_prints_what_was_measured(measured, monkeypatch):
    asked = []

    def v34(**options):
        asked.append((options["scale"], options["epochs"]))
        options["report"]("measuring")
        return measured[0]

    monkeypatch.setattr(bench, "v34", v34)
    plain = run(app, ["bench", "--only", "v34"])
    as_json = run(app, ["bench", "--only", "v34", "--scale", "0.02", "--epochs", "1", "--json"])
    assert plain.exit_code == as_json.exit_code == 0
    assert asked == [(1.0, 5), (0.02, 1)]
    assert plain.stdout.rstrip() == measured[0].text().rstrip()
    assert plain.stderr == "measuring\n"
    assert json.loads(as_json.stdout)["table"][0][0] == "Batch of 20 circuits (s)"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only", "v34", "--scale", "0"], "scale=0.0"),
        (["--only", "v34", "--epochs", "0"], "epochs=0"),
        (["--only", "requests", "--scale", "0.1"], "--scale has no effect on --only requests"),
        (["--only", "v35"], "'requests', 'gradient', 'engine', 'compile', 'v34', 'cost'"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(arguments, words):
    result = run(app, ["bench", *arguments])
    assert result.exit_code == 1
    assert words in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("options", [{"scale": 0.0}, {"scale": -1.0}, {"epochs": 0}])
def test_nonsense_is_a_typed_error(options):
    with pytest.raises(ConfigurationError):
        bench.v34(**options)


@pytest.mark.benchmark
def test_a_batch_takes_as_long_as_the_service_and_no_longer():
    result = run(app, ["bench", "--only", "v34", "--epochs", "1", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    seconds = {row["name"]: row["seconds"] for row in found["rows"] if row["circuits"] == 20}
    assert seconds["all but adaptive sizing"] <= 1.03 * found["one_job_s"]
    assert seconds["v3.3.1, sequential"] > 7 * seconds["all (enable_all_v34_features)"]
    assert seconds["throughput policy, learnt"] <= 1.05 * min(seconds.values())
