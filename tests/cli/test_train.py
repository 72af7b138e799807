"""``qstore train``: what it reports and writes, how it goes on, what it refuses."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from pennylane_qstore.cli.main import app
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.tasks.catalogue import TASKS

pytest.importorskip("sklearn")
run = CliRunner().invoke


@pytest.mark.parametrize("task", [*TASKS, "centroid"])
def test_train_reports_each_task_beside_its_baselines(task, tmp_path):
    result = run(app, ["train", "--task", task, "--out", str(tmp_path), *_steps(task, 4)])
    assert result.exit_code == 0, result.output
    assert "Constant guess" in result.stdout
    assert "POSTs" in result.stdout
    assert "on the emulator" in result.stdout
    if task != "centroid":
        assert (tmp_path / "training.png").exists()
        assert len(json.loads((tmp_path / "history.json").read_text())["history"]) == 4


def _steps(task, steps):
    return [] if task == "centroid" else ["--steps", str(steps)]


def test_a_training_that_is_done_and_resumed_is_told_again(tmp_path):
    def history(folder, *steps):
        for n in steps:
            options = ["--steps", str(n), "--seed", "2", "--resume", "--out", str(folder), "--json"]
            result = run(app, ["train", "--task", "bas", *options])
            assert result.exit_code == 0, result.output
        return json.loads((folder / "history.json").read_text())["history"]

    whole = history(tmp_path / "a", 6)
    again = history(tmp_path / "a", 6)
    assert again == whole


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--task", "bas", "--steps", "40"], "maxiter: 2 there, 40 here"),
        (["--task", "wine"], "name"),
    ],
)
def test_another_training_does_not_go_on_in_the_folder(change, said, tmp_path):
    first = run(app, ["train", "--task", "bas", "--steps", "2", "--out", str(tmp_path)])
    assert first.exit_code == 0
    other = run(app, ["train", *change, "--resume", "--out", str(tmp_path)])
    assert other.exit_code == 1
    assert said in other.stderr


@pytest.mark.parametrize(
    ("task", "option"),
    [("centroid", ["--steps", "3"]), ("centroid", ["--resume"]), ("bas", ["--batch-size", "5"])],
)
def test_options_that_would_have_no_effect_are_refused(task, option, tmp_path):
    result = run(app, ["train", "--task", task, *option, "--out", str(tmp_path / "new")])
    assert result.exit_code == 1
    assert f"{option[0]} has no effect" in result.stderr
    assert not (tmp_path / "new").exists()


def test_a_budget_holds_for_the_evaluation_too_and_the_history_is_told(tmp_path, monkeypatch):
    from pennylane_qstore.emulator import Emulator

    with Emulator(profile="none") as emulator:
        monkeypatch.setenv("IONQ_API_URL", emulator.url)
        monkeypatch.setenv("IONQ_API_KEY", "key")

        def train(budget):
            options = ["--task", "bas", "--backend", "qpu.forte-1", "--steps", "5", "--resume"]
            paths = ["--out", str(tmp_path), "--ledger", str(tmp_path / "ledger")]
            return run(app, ["train", *options, *paths, "--shots", "200", "--budget-usd", budget])

        early = train("40")
        assert early.exit_code == 1
        assert "before the first step" in early.stderr
        result = train("100")
        assert result.exit_code == 0, result.output
        assert "Not evaluated" in result.stdout
        assert "budget after 2 steps" in result.stdout
        assert emulator.stats()["billed_usd"] <= 100
        assert len(json.loads((tmp_path / "history.json").read_text())["history"]) == 2
        assert (tmp_path / "training.png").exists()


def test_an_unknown_task_is_named(tmp_path):
    result = run(app, ["train", "--task", "mnist", "--out", str(tmp_path)])
    assert result.exit_code == 1
    assert "'mnist'" in result.stderr
    assert "'centroid'" in result.stderr


def test_a_run_on_a_machine_is_not_replaced_by_accident(tmp_path, monkeypatch):
    from pennylane_qstore.emulator import Emulator

    with Emulator(profile="none") as emulator:
        monkeypatch.setenv("IONQ_API_URL", emulator.url)
        monkeypatch.setenv("IONQ_API_KEY", "key")
        options = ["train", "--task", "bas", "--backend", "qpu.forte-1", "--steps", "1", "--seed"]
        paths = ["1", "--out", str(tmp_path), "--ledger", str(tmp_path / "ledger")]
        first = run(app, [*options, *paths])
        assert first.exit_code == 0, first.output
        assert "Billed" in first.stdout
        second = run(app, [*options, *paths])
        assert second.exit_code == 1
        assert "Give resume=True (--resume)" in second.stderr
        paid = emulator.billed_jobs
        assert run(app, [*options, *paths, "--resume"]).exit_code == 0
        assert emulator.billed_jobs == paid


def test_train_reports_one_post_a_step(tmp_path):
    result = run(app, ["train", "--json", "--seed", "1", "--steps", "30", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    (report,) = json.loads(result.stdout)["runs"]
    assert report["posts"] == report["steps"] == 30
    assert report["circuits"] == 30 * 60
    assert report["requests"] >= 3 * 30
    assert report["jobs"] > report["posts"]  # calibration and evaluation
    assert report["shots"] == 500
    assert report["shots_total"] > 500 * report["circuits"]
    assert report["cost_usd"] == 0
    assert report["loss_last"] < report["loss_first"]
    assert report["test_accuracy"] > report["constant_accuracy"] + 0.2
    written = json.loads((tmp_path / "history.json").read_text())
    assert len(written["history"]) == 30
    assert (tmp_path / "training.png").read_bytes().startswith(b"\x89PNG")


def test_train_prints_a_summary(tmp_path):
    result = run(app, ["train", "--steps", "2", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    for line in ("Logistic regression", "Constant guess", "Requests per step", "on the emulator"):
        assert line in result.stdout


def test_the_same_seed_gives_the_same_run(tmp_path):
    arguments = ["train", "--json", "--seed", "3", "--steps", "3", "--out"]
    one, other = (
        json.loads((tmp_path / name / "history.json").read_text())["history"]
        for name in ("a", "b")
        if run(app, [*arguments, str(tmp_path / name)]).exit_code == 0
    )
    assert one == other


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--backend", "qpu.fort-1"], "Did you mean 'qpu.forte-1'"),
        (["--noise-model", "aria-7"], "Unknown noise model"),
        (["--batch-size", "1000"], "batch_size=1000"),
        (["--backend", "simulator"], "IONQ_API_KEY"),
    ],
)
def test_mistakes_are_one_line_on_stderr(arguments, message, tmp_path, monkeypatch):
    monkeypatch.delenv("IONQ_API_KEY", raising=False)
    monkeypatch.delenv("PENNYLANE_IONQ_API_KEY", raising=False)
    result = run(app, ["train", *arguments, "--out", str(tmp_path)])
    assert result.exit_code == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_several_seeds_are_runs_of_their_own_with_mean_and_worst(tmp_path):
    options = ["train", "--json", "--steps", "2", "--shots", "20"]
    several = run(app, [*options, "--seeds", "2,4", "--out", str(tmp_path)])
    assert several.exit_code == 0, several.output
    report = json.loads(several.stdout)
    assert [one["seed"] for one in report["runs"]] == [2, 4]
    accuracies = [one["test_accuracy"] for one in report["runs"]]
    assert report["mean"]["test_accuracy"] == pytest.approx(sum(accuracies) / 2)
    assert report["worst"]["test_accuracy"] == min(accuracies)
    losses = [one["loss_last"] for one in report["runs"]]
    assert report["worst"]["loss_last"] == max(losses)
    alone = run(app, [*options, "--seed", "4", "--out", str(tmp_path / "alone")])
    assert alone.exit_code == 0, alone.output
    histories = [
        json.loads((tmp_path / folder / "history.json").read_text())["history"]
        for folder in ("seed-4", "alone")
    ]
    assert histories[0] == histories[1]


def test_several_seeds_for_people(tmp_path):
    result = run(app, ["train", "--steps", "1", "--seeds", "2", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert result.stdout.count("Logistic regression") == 2
    assert "Test accuracy over seeds" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seed", "1", "--seeds", "2"], "exclude each other"),
        (["--seeds", "5-1"], "names no seeds"),
        (["--task", "tulips"], "Unknown task 'tulips'"),
        (["--task", "centroid", "--steps", "2"], "--steps has no effect"),
    ],
)
def test_options_that_do_not_go_together_are_refused_before_anything_runs(
    arguments, message, tmp_path
):
    result = run(app, ["train", *arguments, "--out", str(tmp_path / "none")])
    assert result.exit_code == 1
    assert message in result.stderr
    assert not (tmp_path / "none").exists()


def test_how_long_an_outage_may_last_reaches_the_client(tmp_path, monkeypatch):
    from pennylane_qstore.training.tasks import catalogue

    devices = []

    def nearest_centroid(device, shots):
        devices.append(device)
        raise ConfigurationError("seen")

    monkeypatch.setattr(catalogue, "nearest_centroid", nearest_centroid)
    for option in (["--outage-s", "7.5"], []):
        command = ["train", "--task", "centroid", *option, "--out", str(tmp_path)]
        assert run(app, command).stderr == "qstore: seen\n"
    policies = [device.client._options.retry_policy for device in devices]
    assert [policy.outage_s for policy in policies] == [7.5, 1800.0]


def test_options_reach_the_device(tmp_path, monkeypatch):
    options = {}

    def device(name, **settings):
        options.update(settings)
        raise ConfigurationError("seen")

    monkeypatch.setattr("pennylane.device", device)
    command = ["train", "--budget-usd", "30", "--seed", "4", "--noise-model", "aria-1"]
    paths = ["--out", str(tmp_path), "--ledger", str(tmp_path / "ledger")]
    assert run(app, [*command, *paths]).stderr == "qstore: seen\n"
    assert options == {
        "wires": 4, "backend": "emulator", "noise_model": "aria-1", "seed": 4,
        "budget_usd": 30.0, "ledger": tmp_path / "ledger", "retry_policy": None,
    }  # fmt: skip


def test_all_jobs_and_the_bill_are_counted_on_a_machine(tmp_path, monkeypatch):
    from pennylane_qstore.emulator import Emulator

    with Emulator(profile="none") as emulator:
        monkeypatch.setenv("IONQ_API_URL", emulator.url)
        monkeypatch.setenv("IONQ_API_KEY", "key")
        options = ["--task", "bas", "--backend", "qpu.forte-1", "--steps", "2", "--shots", "200"]
        paths = ["--out", str(tmp_path), "--ledger", str(tmp_path / "ledger"), "--json"]
        result = run(app, ["train", *options, *paths])
        assert result.exit_code == 0, result.output
        served, jobs = emulator.stats(), len(emulator.jobs)
    report = json.loads(result.stdout)
    assert report.keys() == {"runs", "mean", "worst"}
    (one,) = report["runs"]
    assert one["jobs"] == jobs > one["posts"] == 2
    assert one["shots"] == 200
    assert one["shots_total"] == 200 * served["circuits"] > 200 * one["circuits"]
    assert one["cost_usd"] == pytest.approx(served["billed_usd"])
    assert report["mean"]["cost_usd"] == report["worst"]["cost_usd"] == one["cost_usd"] > 0
