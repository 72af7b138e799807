"""Trackers: what they wrote, read back with their own readers."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pennylane as qml
import pytest
from support.training_runs import X, Y, make
from support.wandb_files import records

from pennylane_qstore import trackers
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.trackers import Tracker, row_of

KEY = "key-of-nobody-0123456789"
COLUMNS = ("loss", "accuracy", "spent_usd", "cost_usd", "posts", "circuits", "shots_total")


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """Nothing leaves this machine."""
    for name in ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        monkeypatch.setenv(name, "true")
    monkeypatch.setenv("WANDB_MODE", "offline")


def trained(folder, tracker, *steps, **options):
    """Train to each of some numbers of steps, every time as a program that starts anew does."""
    for number in steps:
        device = qml.device("qstore.ionq", wires=2, seed=3, api_key=KEY, backend="emulator")
        run = make(
            device=device, callbacks=[tracker()], checkpoint=folder / "run.json", resume=True,
            validation=(X[:4], Y[:4]), validate_every=2, name="iris run", **options,
        ).train(number)  # fmt: skip
    return run


def table(run):
    shots = [sum(size.shots_total for size in record.sizes) for record in run.history]
    return {**run.table(), "shots_total": shots}


def assert_no_key(folder):
    files = [path for path in Path(folder).rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []


def test_a_csv_file_is_a_table_of_all_steps(tmp_path):
    path = tmp_path / "log.csv"
    run = trained(tmp_path, lambda: trackers.CSV(path), 3, 5)
    pd.testing.assert_frame_equal(
        pd.read_csv(path), pd.DataFrame(table(run)), check_dtype=False, check_like=True
    )
    settings = json.loads((tmp_path / "log.settings.json").read_text())
    assert settings["run"] == run.run_id
    assert settings["optimizer"] == "SPSAOptimizer"
    assert settings["optimizer.maxiter"] == 20
    assert_no_key(tmp_path)


def test_json_lines_have_an_object_for_each_step(tmp_path):
    path = tmp_path / "log.jsonl"
    run = trained(tmp_path, lambda: trackers.JSONLines(path), 3, 5)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert rows == [trackers.row_of(record) for record in run.history]
    assert_no_key(tmp_path)


@pytest.mark.parametrize("kind", ["CSV", "JSONLines"])
def test_a_step_that_failed_after_it_was_written_is_there_once(kind, tmp_path):
    path = tmp_path / "log"
    tracker = getattr(trackers, kind)(path)

    def fail(record):
        if record.step == 2 and not failed:
            failed.append(record)
            raise OSError("no space left")

    failed = []
    run = make(callbacks=[tracker, fail])
    with pytest.raises(OSError, match="no space"):
        run.train(4)
    run.train(4)
    assert len(path.read_text().splitlines()) == (5 if kind == "CSV" else 4)


def test_a_tracker_that_a_run_gets_later_has_the_earlier_steps(tmp_path):
    trained(tmp_path, lambda: lambda record: None, 2)
    run = trained(tmp_path, lambda: trackers.JSONLines(tmp_path / "log.jsonl"), 3)
    steps = [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3] == [record.step for record in run.history]


def test_tensorboard_reads_the_event_files(tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = trained(tmp_path, lambda: trackers.TensorBoard(tmp_path / "tb"), 3, 5)
    events = reader.EventAccumulator(str(tmp_path / "tb" / run.run_id.replace(" ", "-"))).Reload()
    for name in COLUMNS:
        scalars = events.Scalars(name)
        assert [s.step for s in scalars] == [1, 2, 3, 4, 5]
        assert [s.value for s in scalars] == pytest.approx(table(run)[name])
    assert [s.step for s in events.Scalars("val_loss")] == [2, 4]
    (plugin,) = events.summary_metadata.values()
    assert plugin.plugin_data.plugin_name == "hparams"
    assert b"optimizer.maxiter" in plugin.plugin_data.content
    assert_no_key(tmp_path / "tb")


def test_tensorboard_drops_a_step_after_which_there_was_no_checkpoint(tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = trained(tmp_path, lambda: trackers.TensorBoard(tmp_path / "tb"), 3)
    late = trackers.TensorBoard(tmp_path / "tb")
    late.load_state_dict({"logged": 3})
    late._open(run)
    late._write(run, 4, {"loss": 7.0})
    late.on_stop(run)
    run = trained(tmp_path, lambda: trackers.TensorBoard(tmp_path / "tb"), 5)
    events = reader.EventAccumulator(str(tmp_path / "tb" / run.run_id.replace(" ", "-"))).Reload()
    losses = [s.value for s in events.Scalars("loss")]
    assert losses == pytest.approx(table(run)["loss"])


def test_mlflow_reads_metrics_parameters_and_the_end(tmp_path):
    mlflow = pytest.importorskip("mlflow")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    run = trained(tmp_path, lambda: trackers.MLflow("flowers", uri), 3, 5)
    client = mlflow.MlflowClient(tracking_uri=uri)
    place = client.get_experiment_by_name("flowers").experiment_id
    (found,) = client.search_runs([place])
    for name in COLUMNS:
        metrics = client.get_metric_history(found.info.run_id, name)
        assert [m.step for m in metrics] == [1, 2, 3, 4, 5]
        assert [m.value for m in metrics] == pytest.approx(table(run)[name])
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "iris run"
    assert found.data.params["optimizer.maxiter"] == "20"
    assert found.data.params["optimizer"].startswith("SPSAOptimizer(")
    assert found.data.tags["qstore.run"] == run.run_id.replace(" ", "-")
    assert_no_key(tmp_path)


def test_wandb_has_the_rows_of_an_offline_run(tmp_path):
    pytest.importorskip("wandb")
    run = trained(tmp_path, lambda: trackers.WandB("flowers", tmp_path), 3, 5)
    rows, config, ids = [], {}, set()
    for path in sorted((tmp_path / "wandb").glob("offline-run-*/*.wandb")):
        for record in records(path):
            if record.HasField("run"):
                ids.add(record.run.run_id)
                config |= {u.key: json.loads(u.value_json) for u in record.run.config.update}
            if record.HasField("history"):
                items = record.history.item
                rows.append({(i.key or i.nested_key[0]): json.loads(i.value_json) for i in items})
    assert ids == {run.run_id.replace(" ", "-")}
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5] == [row["_step"] for row in rows]
    for name in COLUMNS:
        assert [row[name] for row in rows] == pytest.approx(table(run)[name])
    assert config["optimizer.maxiter"] == 20
    assert config["optimizer"].startswith("SPSAOptimizer(")
    assert_no_key(tmp_path)


@pytest.mark.parametrize("kind", ["TensorBoard", "MLflow", "WandB"])
def test_a_library_that_is_missing_is_named_with_its_extra(kind, monkeypatch):
    for name in ("tensorboard", "tensorboard.compat.proto.event_pb2", "mlflow", "wandb"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigurationError, match=rf"pennylane-qstore\[{kind.lower()}\]"):
        getattr(trackers, kind)()


def test_nothing_is_imported_that_is_not_used():
    code = (
        "import sys, pennylane_qstore as q; q.trackers.CSV('log.csv'); "
        "print({'tensorboard', 'mlflow', 'wandb'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def evaluated(folder, tracker):
    """Train, evaluate twice, and in a later process once more and once anew."""
    run = trained(folder, tracker, 3)
    first = run.evaluate((X[:4], Y[:4]), exact=True)
    run.evaluate((X[:4], Y[:4]), exact=True)
    late = trained(folder, tracker, 3)
    assert late.evaluate((X[:4], Y[:4]), exact=True) == first
    last = late.evaluate(exact=True)
    return late, first, last


@pytest.mark.parametrize("kind", ["CSV", "JSONLines"])
def test_later_evaluations_are_beside_the_file_once_and_stay(kind, tmp_path):
    path = tmp_path / "log.csv"
    _, first, last = evaluated(tmp_path, lambda: getattr(trackers, kind)(path))
    steps = path.read_text()

    def rows():
        text = (tmp_path / "log.evaluations.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]

    about = {"step": 3, "exact": 1, "given_params": 0}
    assert rows() == [{**first, **about, "samples": 4}, {**last, **about, "samples": len(X)}]
    run = trained(tmp_path, lambda: getattr(trackers, kind)(path), 4)
    run.evaluate(params=np.zeros_like(run.params), exact=True)
    assert [row["given_params"] for row in rows()] == [0, 0, 1]
    assert path.read_text().startswith(steps)
    make(callbacks=[getattr(trackers, kind)(path)]).train(1)
    assert not (tmp_path / "log.evaluations.jsonl").exists()


def test_tensorboard_has_later_evaluations(tmp_path, monkeypatch):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    writer = pytest.importorskip("tensorboard.summary.writer.event_file_writer")
    # Files are read in the order of their names, which have the second that they were made in.
    seconds = itertools.count(1_700_000_000)
    monkeypatch.setattr(writer, "time", SimpleNamespace(time=lambda: next(seconds)))
    run, first, last = evaluated(tmp_path, lambda: trackers.TensorBoard(tmp_path / "tb"))
    run.train(4)
    events = reader.EventAccumulator(str(tmp_path / "tb" / run.run_id.replace(" ", "-"))).Reload()
    found = [(s.step, s.value) for s in events.Scalars("evaluation/loss")]
    assert {step for step, _ in found} == {3}
    assert found[-1][1] == pytest.approx(last["loss"])
    assert found[0][1] == pytest.approx(first["loss"])
    assert [s.step for s in events.Scalars("loss")] == [1, 2, 3, 4]


def test_mlflow_has_later_evaluations_and_keeps_the_end_of_the_training(tmp_path):
    mlflow = pytest.importorskip("mlflow")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    _, first, last = evaluated(tmp_path, lambda: trackers.MLflow("flowers", uri))
    client = mlflow.MlflowClient(tracking_uri=uri)
    (found,) = client.search_runs([client.get_experiment_by_name("flowers").experiment_id])
    assert found.info.status == "FINISHED"
    metrics = client.get_metric_history(found.info.run_id, "evaluation/loss")
    assert {metric.step for metric in metrics} == {3}
    assert {round(m.value, 9) for m in metrics} == {round(e["loss"], 9) for e in (first, last)}


def test_wandb_has_later_evaluations_in_the_summary(tmp_path):
    pytest.importorskip("wandb")
    _, _, last = evaluated(tmp_path, lambda: trackers.WandB("flowers", tmp_path))
    found = {}
    for path in sorted((tmp_path / "wandb").glob("offline-run-*/*.wandb")):
        for record in records(path):
            for item in record.summary.update if record.HasField("summary") else ():
                found[item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
    assert found["evaluation/loss"] == pytest.approx(last["loss"])
    assert found["evaluation/step"] == 3


class Notes(Tracker):
    """Notes what is asked of it."""

    def __init__(self):
        super().__init__()
        self.notes = []

    def _open(self, run):
        self.notes.append("open")

    def _write(self, run, step, row):
        self.notes.append((step, row))

    def _close(self):
        self.notes.append("close")


def test_values_of_a_row_are_numbers():
    row = row_of(make().train(2).history[-1])
    assert all(isinstance(value, int | float | np.number) for value in row.values())
    assert all(math.isfinite(value) for value in row.values())


def test_an_evaluation_opens_and_closes_what_is_not_open():
    notes = Notes()
    runs = []
    run = make(callbacks=[notes, lambda record: runs[0].evaluate(exact=True)])
    runs.append(run)
    run.train(1)
    opened, (step, row), (_, inside) = notes.notes
    assert (opened, step) == ("open", 1)
    assert row == row_of(run.history[0])
    assert inside["evaluation/samples"] == len(X)
    found = run.evaluate((X[:3], Y[:3]), exact=True)
    before, (step, figures), after = notes.notes[3:]
    assert (before, step, after) == ("open", 1, "close")
    assert figures["evaluation/loss"] == found["loss"]
    assert figures["evaluation/samples"] == 3
