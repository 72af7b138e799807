"""``qstore bench``: options that mean something for the table asked for."""

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from pennylane_qstore.bench import gradient_posts, posts
from pennylane_qstore.cli.main import app

run = CliRunner().invoke


def test_an_unknown_measurement_is_named():
    result = run(app, ["bench", "--only", "speed"])
    assert result.exit_code == 1
    assert "'requests'" in result.stderr


@pytest.mark.parametrize(
    "arguments", [["--only", "requests", "--scale", "1"], ["--only", "requests", "--epochs", "2"]]
)
def test_options_of_another_table_are_refused(arguments):
    result = run(app, ["bench", *arguments])
    assert result.exit_code == 1
    assert "has no effect on --only" in result.stderr


def test_the_table_of_requests(monkeypatch):
    cells = [
        posts.Cell("QNode direct", "numpy", way, plain=3, posts=1, step=1, allowed=1, difference=0)
        for way in posts.WAYS
    ]
    gradients = [
        replace(cell, way=way) for cell, way in zip(cells, gradient_posts.WAYS, strict=True)
    ]
    monkeypatch.setattr(posts, "table", lambda make, count: iter(cells))
    monkeypatch.setattr(gradient_posts, "table", lambda make, count: iter(gradients))
    shown = run(app, ["bench", "--only", "requests"])
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.count("1 (1)") == len(cells) + len(gradients)
    as_json = json.loads(run(app, ["bench", "--only", "requests", "--json"]).stdout)
    assert [cell["way"] for cell in as_json] == [*posts.WAYS, *gradient_posts.WAYS]
