"""``qstore predict``: the answers of a saved model."""

from __future__ import annotations

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from pennylane_qstore.cli.main import app
from pennylane_qstore.training.saved_model import SavedModel, load_model
from pennylane_qstore.training.tasks.variational import Inputs, Variational

run = CliRunner().invoke
X = np.random.default_rng(3).normal(5.0, 2.0, (12, 2))


def predict(folder, *options):
    files = ["--model", str(folder / "model.json"), "--data", str(folder / "my.csv")]
    return run(app, ["predict", *files, *options])


@pytest.fixture
def model(tmp_path):
    (tmp_path / "my.csv").write_text("\n".join(["b,id,a", *(f"{b},row,{a}" for a, b in X)]))

    def make(**about):
        circuit = Variational(wires=2, layers=1)
        inputs = Inputs.learn(X, 2, ["a", "b"])
        saved = SavedModel(
            params=circuit.initial_params(1), circuit=circuit, inputs=inputs, **about
        )
        saved.save(tmp_path / "model.json")
        return saved

    return make


def test_columns_are_taken_by_their_names(model, tmp_path):
    saved = model(classes=("no", "yes"))
    result = predict(tmp_path)
    assert result.exit_code == 0, result.output
    assert result.stdout.split() == saved.predict(X).tolist()


def test_json_has_the_probabilities(model, tmp_path):
    saved = model(classes=(3, 7))
    found = json.loads(predict(tmp_path, "--json").stdout)
    assert found["predictions"] == saved.predict(X).tolist()
    assert found["classes"] == [3, 7]
    assert np.array(found["probabilities"]) == pytest.approx(saved.predict_proba(X))


def test_values_of_a_regression(model, tmp_path):
    saved = model(target=(100.0, 10.0))
    found = json.loads(predict(tmp_path, "--json").stdout)
    assert found == {"predictions": pytest.approx(saved.predict(X))}


def test_rows_are_written_with_their_predictions(model, tmp_path):
    saved = model(classes=("no", "yes"))
    out = tmp_path / "out.csv"
    result = predict(tmp_path, "--out", str(out))
    assert result.stdout == f"12 row(s) written to {out}.\n"
    rows = [*csv.DictReader(out.read_text().splitlines())]
    assert [row["prediction"] for row in rows] == saved.predict(X).tolist()
    assert [float(row["a"]) for row in rows] == X[:, 0].tolist()
    (tmp_path / "my.csv").write_bytes(out.read_bytes())
    again = predict(tmp_path, "--out", str(out))
    assert again.exit_code == 1
    assert "a column 'prediction' already" in again.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [("a,c\n1,2\n", "no column 'b'"), ("a,b\n1,2\n1,\n", "line 3, column 'b': is empty")],
)
def test_a_table_that_does_not_fit_is_refused(model, tmp_path, content, said):
    model(classes=("no", "yes"))
    (tmp_path / "my.csv").write_text(content)
    result = predict(tmp_path)
    assert result.exit_code == 1
    assert said in result.stderr


def test_a_damaged_model_is_refused(model, tmp_path):
    model(classes=("no", "yes"))
    path = tmp_path / "model.json"
    plain = json.loads(path.read_text())
    plain["params"]["weights"]["array"] = [[1.0]]
    path.write_text(json.dumps(plain))
    result = predict(tmp_path)
    assert result.exit_code == 1
    assert "Its parameters have shapes" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_model_trained_here_predicts_the_same_in_another_process(tmp_path):
    pytest.importorskip("sklearn")
    rows = [f"{a},{b},{'x' if a > 5 else 'y'}" for a, b in np.tile(X, (2, 1))]
    (tmp_path / "my.csv").write_text("\n".join(["a,b,kind", *rows]))
    files = ["--data", str(tmp_path / "my.csv"), "--target", "kind", "--steps", "2"]
    save = ["--save", str(tmp_path / "model.json"), "--out", str(tmp_path)]
    trained = run(app, ["train", *files, *save])
    assert trained.exit_code == 0, trained.output
    here = load_model(tmp_path / "model.json").predict(np.tile(X, (2, 1))).tolist()
    command = ["predict", "--model", "model.json", "--data", "my.csv"]
    there = subprocess.run(
        [sys.executable, "-m", "pennylane_qstore.cli.main", *command],
        cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert there.stdout.split() == here
