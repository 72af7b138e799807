"""Seeds of ``qstore train``, side by side: common POSTs, a summary, Ctrl-C, errors of one."""

from __future__ import annotations

import json
import os
import signal

import pytest
from typer.testing import CliRunner

from pennylane_qstore.cli.main import app
from pennylane_qstore.cli.several import by_point, summary
from pennylane_qstore.errors import ConfigurationError

pytest.importorskip("sklearn")
run = CliRunner().invoke


def test_several_seeds_share_posts_and_have_mean_worst_and_best(tmp_path):
    options = ["train", "--json", "--steps", "2", "--shots", "20"]
    several = run(app, [*options, "--seeds", "2,4", "--out", str(tmp_path)])
    assert several.exit_code == 0, several.output
    report = json.loads(several.stdout)
    assert [one["seed"] for one in report["runs"]] == [2, 4]
    accuracies = [one["test_accuracy"] for one in report["runs"]]
    assert report["mean"]["test_accuracy"] == pytest.approx(sum(accuracies) / 2)
    assert report["worst"]["test_accuracy"] == min(accuracies)
    assert report["best"]["test_accuracy"] == max(accuracies)
    losses = [one["loss_last"] for one in report["runs"]]
    assert (report["best"]["loss_last"], report["worst"]["loss_last"]) == (min(losses), max(losses))
    assert [one["jobs"] for one in report["runs"]] == [3, 3]
    assert report["jobs"] == 3
    assert report["shots_total"] == sum(one["shots_total"] for one in report["runs"])
    assert report["cost_usd"] == 0
    assert report["prices"] == "qpu.forte-1"
    assert 0 < report["would_cost_usd"] <= sum(one["would_cost_usd"] for one in report["runs"])
    summary = json.loads((tmp_path / "history.json").read_text())["summary"]
    assert summary["mean"] == report["mean"]
    for seed in (2, 4):
        written = json.loads((tmp_path / f"seed-{seed}" / "history.json").read_text())
        assert len(written["history"]) == 2
    assert (tmp_path / "training.png").exists()


def test_seeds_that_were_stopped_go_on_together(tmp_path):
    def train(folder, *steps):
        for n in steps:
            paths = ["--out", str(tmp_path / folder), "--resume", "--json"]
            given = ["--task", "bas", "--seeds", "2", "--steps", n]
            result = run(app, ["train", *given, *paths])
            assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    whole, again = train("a", "3"), train("a", "3")
    assert [one["loss_last"] for one in again["runs"]] == [
        one["loss_last"] for one in whole["runs"]
    ]
    assert again["jobs"] == whole["jobs"] == 4


def test_several_seeds_do_not_go_on_as_one(tmp_path):
    options = ["train", "--task", "bas", "--steps", "1", "--out", str(tmp_path)]
    assert run(app, [*options, "--seeds", "2"]).exit_code == 0
    one = run(app, [*options, "--seed", "1", "--resume"])
    assert one.exit_code == 1
    assert "is of several trainings" in one.stderr


def test_ctrl_c_ends_all_seeds_after_their_step(tmp_path, monkeypatch):
    from pennylane_qstore.sweeps.lockstep import Lockstep

    checked = Lockstep.check

    def check(self, trained):
        if trained.step == 2 and not self._interrupt.requested:
            os.kill(os.getpid(), signal.SIGINT)
        checked(self, trained)

    monkeypatch.setattr(Lockstep, "check", check)
    options = ["train", "--task", "bas", "--seeds", "3", "--steps", "5", "--out", str(tmp_path)]
    result = run(app, options)
    assert result.exit_code == 130, result.output
    assert "--resume goes on with seed 1, 2, 3" in result.stderr
    histories = [
        json.loads((tmp_path / f"seed-{n}" / "history.json").read_text()) for n in (1, 2, 3)
    ]
    assert {one["summary"]["stopped"] for one in histories} == {"interrupt"}
    (steps,) = {one["summary"]["steps"] for one in histories}
    assert steps in (2, 3)
    monkeypatch.undo()
    assert run(app, [*options, "--resume"]).exit_code == 0


def test_a_seed_that_fails_does_not_stop_the_others(tmp_path, monkeypatch):
    from pennylane_qstore.training.run import TrainingRun

    trained = TrainingRun.train

    def train(self, steps):
        if "seed-2" in str(self._files.path):
            raise ConfigurationError("mine alone")
        return trained(self, steps)

    monkeypatch.setattr(TrainingRun, "train", train)
    command = ["train", "--task", "bas", "--seeds", "3", "--steps", "1", "--json"]
    result = run(app, [*command, "--out", str(tmp_path)])
    assert result.exit_code == 1
    assert "mine alone" in result.stderr
    assert [one["seed"] for one in json.loads(result.stdout)["runs"]] == [1, 3]


def test_several_seeds_for_people(tmp_path):
    result = run(app, ["train", "--steps", "1", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    for said in ("seeds 1, 2, 3, 4, 5", "worst", "best", "of 30 test samples", "by seed"):
        assert said in result.stdout
    for said in ("Logistic regression", "Would cost", "5 models together", "a model alone"):
        assert result.stdout.count(said) == 1


def test_a_grid_is_tried_with_every_seed(tmp_path):
    command = ["train", "--task", "bas", "--seeds", "2", "--steps", "2", "--json"]
    grid = ["--grid", "lr=0.1,0.5", "--out", str(tmp_path)]
    result = run(app, [*command, *grid])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert [(one["lr"], one["seed"]) for one in report["runs"]] == [
        (0.1, 1), (0.1, 2), (0.5, 1), (0.5, 2)
    ]  # fmt: skip
    assert report["jobs"] == 3
    for name in ("lr-0.1-seed-1", "lr-0.5-seed-2"):
        assert len(json.loads((tmp_path / name / "history.json").read_text())["history"]) == 2
    told = run(app, [*command[:-1], *grid, "--resume"])
    assert told.exit_code == 0, told.output
    assert "lr 0.1" in told.stdout
    assert "lr 0.5" in told.stdout
    assert (tmp_path / "training.png").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--grid", "rate=0.1"], "Unknown name 'rate'"),
        (["--grid", "lr"], "is no name=value,value"),
        (["--grid", "lr=0.1,zero"], "lr='zero'"),
        (["--grid", "lr=0.1", "--grid", "lr=0.2"], "twice"),
        (["--grid", "steps=1,2", "--steps", "3"], "not both"),
        (["--grid", "batch-size=2,3"], "no effect"),
        (["--grid", "shots=0"], "shots"),
    ],
)
def test_a_grid_that_cannot_be_tried_is_refused(options, said, tmp_path):
    result = run(app, ["train", "--task", "bas", "--out", str(tmp_path / "out"), *options])
    assert result.exit_code == 1
    assert said in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_seed_that_scikit_learn_does_not_take_is_refused(tmp_path):
    result = run(app, ["train", "--seed", str(2**32), "--out", str(tmp_path)])
    assert (result.exit_code, list(tmp_path.iterdir())) == (2, [])
    assert "4294967295" in result.output


RUNS = [
    {"seed": 1, "test_accuracy": 0.9, "loss_last": 0.2, "cost_usd": 0.0, "task": "iris"},
    {"seed": 2, "test_accuracy": 0.7, "loss_last": 0.4, "cost_usd": 0.0, "task": "iris"},
]


def test_the_worst_accuracy_is_the_lowest_and_the_worst_loss_the_highest():
    report = summary(RUNS, {"jobs": 3})
    assert report["runs"] == RUNS
    assert report["jobs"] == 3
    assert report["mean"] == pytest.approx({"test_accuracy": 0.8, "loss_last": 0.3, "cost_usd": 0})
    assert report["worst"] == {"test_accuracy": 0.7, "loss_last": 0.4, "cost_usd": 0.0}
    assert report["best"] == {"test_accuracy": 0.9, "loss_last": 0.2, "cost_usd": 0.0}


def test_a_figure_that_a_run_does_not_have_has_no_mean():
    assert "test_accuracy" not in summary([RUNS[0], {"seed": 2, "loss_last": 1.0}], {})["mean"]
    assert "cost_usd" not in summary([RUNS[0] | {"cost_usd": None}], {})["mean"]


def test_runs_are_grouped_by_the_point_of_the_grid():
    reports = [{"lr": lr, "batch_size": 4, "seed": seed} for lr in (0.1, 0.2) for seed in (1, 2)]
    assert by_point(["lr", "batch_size"], reports) == {
        "lr 0.1, batch-size 4": [0, 1],
        "lr 0.2, batch-size 4": [2, 3],
    }
    assert by_point([], reports) == {"": [0, 1, 2, 3]}
