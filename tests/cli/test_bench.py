"""``qstore bench``: options that mean something for the table asked for."""

import json
from dataclasses import replace

import pytest
from support.compilers import gate_by_gate
from typer.testing import CliRunner

from pennylane_qstore.bench import compile as compilers
from pennylane_qstore.bench import gradient_posts, posts
from pennylane_qstore.bench.compilers import OURS
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


QASM = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\nh q[0];\ncx q[0], q[1];\n'


def test_compilers_on_files(monkeypatch, tmp_path):
    monkeypatch.setattr(compilers, "installed", lambda: {**OURS, "rival": gate_by_gate})
    compare = compilers.compare  # in this process: a new one takes seconds to start
    monkeypatch.setattr(
        compilers, "compare", lambda *args, **kw: compare(*args, **{**kw, "limit_s": None})
    )
    (tmp_path / "one.qasm").write_text(QASM)
    (tmp_path / "two.qasm").write_text(QASM + "cx q[0], q[1];\n")
    options = ["bench", "--only", "compile", "--circuits", str(tmp_path)]
    shown = run(app, options)
    assert shown.exit_code == 0, shown.output
    assert "two-qubit gates, angle, pulses" in shown.stdout
    assert "2 circuits, family zz, at most 60 s each" in shown.stdout
    payload = json.loads(run(app, [*options, "--json", "--family", "ms", "--limit", "5"]).stdout)
    assert payload["family"] == "ms"
    assert len(payload["rows"]) == 2 * 5
    assert not any(row["problem"] for row in payload["rows"])
    assert payload["scores"][0]["rival"] == "rival"
    assert payload["losses"] == []


def test_a_file_that_cannot_be_read_is_named_before_anything_is_compiled(tmp_path):
    (tmp_path / "one.qasm").write_text(QASM)
    (tmp_path / "two.qasm").write_text(QASM.replace("cx", "warp"))
    result = run(app, ["bench", "--only", "compile", "--circuits", str(tmp_path)])
    assert result.exit_code == 1
    assert "two.qasm cannot be compared" in result.stderr
    assert "warp" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("option", [["--family", "xx"], ["--limit", "0"]])
def test_options_of_compilers_are_checked(option):
    result = run(app, ["bench", "--only", "compile", *option])
    assert result.exit_code == 1
    assert "is not allowed" in result.stderr
