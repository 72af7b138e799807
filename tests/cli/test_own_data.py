"""``qstore train --data``: a table of somebody's own, by the way of the tasks."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from pennylane_qstore.cli.main import app
from pennylane_qstore.training.saved_model import load_model

pytest.importorskip("sklearn")
run = CliRunner().invoke


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(1)
    x = rng.normal(5.0, 2.0, (40, 3))
    path = tmp_path / "flowers of mine.csv"
    rows = [f"{i},{a},{b},{c},{'big' if a > 5 else 'small'}" for i, (a, b, c) in enumerate(x)]
    path.write_text("\n".join(["id,a,b,c,kind", *rows]))
    return path


def train(table, folder, *options):
    command = ["train", "--data", str(table), "--target", "kind", "--features", "a,b,c"]
    return run(app, [*command, "--steps", "3", "--out", str(folder), *options])


def test_a_model_is_trained_reported_and_saved(table, tmp_path):
    result = train(table, tmp_path / "run", "--save", str(tmp_path / "m" / "model.json"), "--json")
    assert result.exit_code == 0, result.output
    (report,) = json.loads(result.stdout)["runs"]
    assert report["steps"] == 3
    assert report["seed"] == 1
    assert report["test_rows"] == 8
    assert report["target"] == "kind"
    assert 0 <= report["test_accuracy"] <= 1
    saved = load_model(tmp_path / "m" / "model.json")
    assert saved.classes == ("big", "small")
    assert saved.inputs.columns == ("a", "b", "c")
    assert saved.training["steps"] == 3
    assert saved.training["would_cost_usd"] > 0
    assert (tmp_path / "run" / "training.png").exists()


def test_a_run_on_own_data_goes_on_and_refuses_other_data(table, tmp_path):
    first = train(table, tmp_path, "--save", str(tmp_path / "a.json"))
    assert first.exit_code == 0, first.output
    again = train(table, tmp_path, "--resume", "--save", str(tmp_path / "b.json"))
    assert again.exit_code == 0, again.output
    assert (tmp_path / "a.json").read_text() == (tmp_path / "b.json").read_text()
    table.write_text(table.read_text().replace(",big", ",huge", 1).replace(",small", ",huge", 1))
    other = train(table, tmp_path, "--resume")
    assert other.exit_code == 1
    assert "checkpoint of another run (" in other.stderr


def test_seeds_share_their_jobs_as_for_a_task(table, tmp_path):
    result = train(table, tmp_path, "--seeds", "2", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["jobs"] == 4
    refused = train(table, tmp_path, "--seeds", "2", "--save", str(tmp_path / "m.json"))
    assert refused.exit_code == 1
    assert "--save keeps one model" in refused.stderr


def test_a_plan_is_priced_and_nothing_is_sent(table, tmp_path):
    result = train(table, tmp_path / "new", "--dry-run", "--json", "--backend", "qpu.forte-1")
    assert result.exit_code == 0, result.output
    plan = json.loads(result.stdout)["plan"]
    assert plan["jobs"] == 4
    assert plan["usd"] > 0
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--target", "kind"], "--target belongs to --data"),
        (["--save", "m.json"], "--save belongs to --data"),
        (["--data", "my.csv"], "--data needs --target"),
        (["--data", "my.csv", "--target", "y", "--task", "iris"], "exclude each other"),
        (["--data", "none.csv", "--target", "y"], "No such file"),
        (["--data", "my.csv", "--target", "z"], "no column 'z'"),
        (["--data", "my.csv", "--target", "y"], "line 4, column 'x': 'three' is no number"),
        (["--data", "my.csv", "--target", "x", "--kind", "other"], "kind"),
        (
            ["--data", "my.csv", "--target", "y", "--features", "w", "--save", "/"],
            "cannot be written",
        ),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [f"{'three' if i == 3 else i},{i % 2},{i}" for i in range(1, 13)]
    (tmp_path / "my.csv").write_text("\n".join(["x,y,w", *rows]))
    result = run(app, ["train", *options])
    assert result.exit_code == 1
    assert said in result.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"my.csv"}
