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
    command = ["train", "--task", task, "--seed", "1", "--out", str(tmp_path), *_steps(task, 3)]
    result = run(app, command)
    assert result.exit_code == 0, result.output
    references = [r.label for r in TASKS[task].references] if task in TASKS else []
    assert all(label in result.stdout for label in references or ["Constant guess"])
    assert "POSTs" in result.stdout
    assert "on the emulator" in result.stdout
    if task != "centroid":
        assert "Would cost" in result.stdout
        assert "Billed" not in result.stdout
        assert (tmp_path / "training.png").exists()
        assert len(json.loads((tmp_path / "history.json").read_text())["history"]) == 3


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
        (["--task", "bas", "--steps", "40"], "was planned for 2 steps"),
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
            return run(app, ["train", *options, *paths, "--shots", "20", "--budget-usd", budget])

        early = train("20")
        assert early.exit_code == 1
        assert "before the first step" in early.stderr
        result = train("60")
        assert result.exit_code == 0, result.output
        assert "Not evaluated" in result.stdout
        assert "budget after 2 steps" in result.stdout
        assert emulator.stats()["billed_usd"] <= 60
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
        paths = ["1", "--yes", "--out", str(tmp_path), "--ledger", str(tmp_path / "ledger")]
        first = run(app, [*options, *paths])
        assert first.exit_code == 0, first.output
        assert "Billed" in first.stdout
        second = run(app, [*options, *paths])
        assert second.exit_code == 1
        assert "was paid with $" in second.stderr
        assert "--force" in second.stderr
        free = run(app, ["train", "--task", "bas", "--steps", "1", "--out", str(tmp_path)])
        assert "was paid with $" in free.stderr
        paid = emulator.billed_jobs
        assert run(app, [*options, *paths, "--resume"]).exit_code == 0
        assert emulator.billed_jobs == paid


def test_train_reports_one_post_a_step(tmp_path, pictures):
    result = run(app, ["train", "--json", "--seed", "1", "--steps", "15", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    (report,) = json.loads(result.stdout)["runs"]
    assert report["posts"] == report["steps"] == 15
    assert report["batch_size"] is None
    assert report["circuits"] > 15 * 2 * 70  # several directions of all samples
    assert report["requests"] >= 3 * 15
    assert report["jobs"] == report["posts"] + 1  # the evaluation
    assert report["shots"] == "auto"
    assert report["shots_total"] > 20 * report["circuits"]
    assert report["cost_usd"] == 0
    assert report["loss_last"] < report["loss_first"]
    assert report["test_accuracy"] > report["constant_accuracy"] + 0.2
    written = json.loads((tmp_path / "history.json").read_text())
    assert len(written["history"]) == 15
    assert (tmp_path / "training.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "training.png").stat().st_size > 10_000


def test_train_prints_a_summary(tmp_path):
    result = run(app, ["train", "--seed", "1", "--steps", "2", "--out", str(tmp_path)])
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


def test_another_price_list_gives_another_shape_and_its_own_dollars(tmp_path):
    command = ["train", "--seed", "1", "--steps", "1", "--json", "--out", str(tmp_path)]
    reports = {}
    for prices in ("qpu.forte-1", "qpu.forte-1/circuit"):
        result = run(app, [*command, "--prices", prices])
        assert result.exit_code == 0, result.output
        reports[prices] = json.loads(result.stdout)
    for prices, report in reports.items():
        assert report["prices"] == report["runs"][0]["prices"] == prices
    job, circuit = (report["runs"][0] for report in reports.values())
    assert job["shots_total"] / job["circuits"] < circuit["shots_total"] / circuit["circuits"]
    assert circuit["would_cost_usd"] > job["would_cost_usd"]
    refused = run(app, [*command, "--prices", "qpu.forte"])
    assert refused.exit_code == 1
    assert "Did you mean 'qpu.forte-1'" in refused.stderr


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
    policies = [device.client.retry_policy for device in devices]
    assert [policy.outage_s for policy in policies] == [7.5, 1800.0]


def test_a_service_that_stays_away_ends_with_the_command_that_goes_on(tmp_path, monkeypatch):
    from pennylane_qstore.emulator import Emulator

    with Emulator() as emulator:
        monkeypatch.setenv("IONQ_API_URL", emulator.url)
        monkeypatch.setenv("IONQ_API_KEY", "key")
    command = ["train", "--backend", "simulator", "--task", "h2", "--seed", "1", "--steps", "2"]
    result = run(app, [*command, "--outage-s", "0", "--out", str(tmp_path)])
    assert result.exit_code == 1
    assert "surely not sent" in result.stderr
    assert result.stderr.endswith("This command with --resume goes on.\n")


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
        "budget_usd": 30.0, "ledger": tmp_path / "ledger", "outage_s": None,
        "on_ambiguous": "raise",
    }  # fmt: skip


def test_all_jobs_and_the_bill_are_counted_on_a_machine(tmp_path, monkeypatch):
    from pennylane_qstore.emulator import Emulator

    with Emulator(profile="none") as emulator:
        monkeypatch.setenv("IONQ_API_URL", emulator.url)
        monkeypatch.setenv("IONQ_API_KEY", "key")
        options = ["--task", "bas", "--backend", "qpu.forte-1", "--steps", "2", "--shots", "200"]
        paths = ["--out", str(tmp_path), "--ledger", str(tmp_path / "ledger"), "--json", "--yes"]
        result = run(app, ["train", *options, *paths])
        assert result.exit_code == 0, result.output
        served, jobs = emulator.stats(), len(emulator.jobs)
    report = json.loads(result.stdout)
    assert list(report) == [
        *("runs", "mean", "worst", "best", "shots", "jobs", "circuits", "shots_total", "cost_usd"),
        *("seconds", "prices", "would_cost_usd", "dearer_usd"),
    ]
    (one,) = report["runs"]
    assert one["jobs"] == jobs > one["posts"] == 2
    assert one["shots"] == 200
    assert one["shots_total"] == 200 * served["circuits"] > 200 * one["circuits"]
    assert one["cost_usd"] == pytest.approx(served["billed_usd"])
    assert report["mean"]["cost_usd"] == report["worst"]["cost_usd"] == one["cost_usd"] > 0
