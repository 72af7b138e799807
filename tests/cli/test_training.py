"""A paid training: within the budget of all seeds, interrupted, resumed as it was begun."""

from __future__ import annotations

import json
import os
import signal

import pytest

from pennylane_qstore.training.run import TrainingRun
from pennylane_qstore.training.tasks.task import Task

pytest.importorskip("sklearn")


def posts(qpu):
    return qpu.stats()["posts"]


def test_a_budget_is_that_of_all_seeds(train, qpu):
    whole = json.loads(train("--seeds", "2", "--dry-run", "--json").stdout)["plan"]
    budget_usd = 0.6 * whole["usd"]
    result = train("--seeds", "2", "--budget-usd", str(budget_usd), "--json")
    assert result.exit_code == 0, result.output
    assert "not exceeded" in result.stderr
    first, second = json.loads(result.stdout)["runs"]
    assert (first["stopped"], second["stopped"]) == ("budget", "budget")
    assert first["steps"] == second["steps"] == 1
    assert 0 < qpu.stats()["billed_usd"] <= budget_usd


def test_seeds_share_what_is_billed_as_the_plan_tells(train, qpu):
    told = json.loads(train("--seeds", "2", "--dry-run", "--json").stdout)
    assert told["runs"] == 2
    assert posts(qpu) == 0
    result = train("--seeds", "2", "--yes", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert posts(qpu) == told["plan"]["jobs"] == 2 + 1 == report["jobs"]
    billed = qpu.stats()["billed_usd"]
    assert told["plan"]["low_usd"] <= billed <= told["plan"]["high_usd"]
    assert report["cost_usd"] == pytest.approx(billed)
    again = train("--seeds", "2", "--yes", "--json", "--resume")
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout)["cost_usd"] == pytest.approx(billed)
    assert posts(qpu) == 3


def test_ctrl_c_ends_all_seeds_with_the_same_step(train, qpu, monkeypatch):
    trained = TrainingRun.train
    sent = []

    def interrupted(self, steps):
        self._observers.callbacks[1].on_step = press
        return trained(self, steps)

    def press(run, record):
        sent.append(posts(qpu))
        if len(sent) == 1:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(TrainingRun, "train", interrupted)
    result = train("--seeds", "2", "--yes")
    assert result.exit_code == 130, result.output
    assert posts(qpu) == sent[0] == 1
    assert "--resume goes on with seed 1, 2" in result.stderr
    resumed = train("--seeds", "2", "--yes", "--resume")
    assert resumed.exit_code == 0, resumed.output
    assert posts(qpu) == 2 + 1  # steps, evaluation


def test_ctrl_c_in_one_training_tells_that_it_is_not_evaluated(train, qpu, monkeypatch):
    trained = TrainingRun.train

    def interrupted(self, steps):
        self._observers.callbacks[-1].on_step = lambda *_: os.kill(os.getpid(), signal.SIGINT)
        return trained(self, steps)

    monkeypatch.setattr(TrainingRun, "train", interrupted)
    result = train("--yes")
    assert result.exit_code == 130, result.output
    assert "interrupt after 1 steps" in result.stdout
    assert "Not evaluated" in result.stdout
    assert posts(qpu) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--shots", "50"], "step_shots: 200 there, 50 here"),
        (["--backend", "qpu.aria-1"], "device.backend"),
        (["--steps", "3"], "was planned for 2 steps"),
        (["--prices", "braket.forte-1"], "prices: "),
        (["--backend", "emulator"], "is of one training"),
        (["--backend", "emulator", "--seed", "1"], "device.backend"),
        (
            ["--backend", "emulator", "--seed", "1", "--noise-model", "forte-1"],
            "device.noise_model: None there, 'forte-1'",
        ),
        (["--task", "wine"], "name: 'bas' there, 'wine' here"),
        (["--seed", "2"], "seed: 1 there, 2 here"),
        (["--seeds", "2"], "is of one training"),
    ],
)
def test_another_run_is_not_resumed(train, change, said, qpu):
    assert train("--yes").exit_code == 0
    paid = posts(qpu)
    result = train("--yes", "--resume", *change)
    assert (result.exit_code, posts(qpu)) == (1, paid)
    assert said in result.stderr


def test_ctrl_c_before_a_seeds_first_step_keeps_the_report_of_the_others(train, qpu, monkeypatch):
    trained = TrainingRun.train

    def interrupted(self, steps):
        if "seed-2" not in str(self._files.path):
            return trained(self, steps)
        self.stopped = "interrupt"
        return self

    monkeypatch.setattr(TrainingRun, "train", interrupted)
    result = train("--seeds", "3", "--yes", "--json")
    assert result.exit_code == 130, result.output
    report = json.loads(result.stdout)
    assert [one["seed"] for one in report["runs"]] == [1, 3]
    assert report["cost_usd"] == pytest.approx(qpu.stats()["billed_usd"])
    assert "Stopped by interrupt before the first step" in result.stderr


def test_what_is_done_and_evaluated_is_told_again_without_a_question(train, qpu):
    assert train("--yes").exit_code == 0
    paid = posts(qpu)
    again = train("--resume", "--json")
    assert again.exit_code == 0, again.output
    assert "nothing is left to send" in again.stderr
    assert json.loads(again.stdout)["cost_usd"] == pytest.approx(qpu.stats()["billed_usd"])
    assert posts(qpu) == paid
    told = json.loads(train("--resume", "--dry-run", "--json").stdout)
    assert told["plan"]["usd"] == 0


def test_an_evaluation_that_is_missing_is_priced_and_asked_for(train, qpu, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Task, "figures", lambda *_: os.kill(os.getpid(), signal.SIGINT))
        assert train("--yes").exit_code == 130
    paid = posts(qpu)
    asked = train("--resume")
    assert asked.exit_code == 2, asked.output
    assert "0: 1 jobs" in asked.stderr
    assert posts(qpu) == paid
    told = json.loads(train("--resume", "--dry-run", "--json").stdout)["plan"]
    assert told["evaluation_usd"] == told["usd"] > 0
    assert train("--resume", "--yes").exit_code == 0
    assert posts(qpu) == paid + told["jobs"]
