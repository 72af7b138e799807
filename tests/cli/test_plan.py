"""The price of a training is shown and agreed to before anything is sent, and only then."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from pennylane_qstore.cli import plan
from pennylane_qstore.cli.main import app
from pennylane_qstore.ionq.ledger.ledger import Ledger

pytest.importorskip("sklearn")


def posts(qpu):
    return qpu.stats()["posts"]


@pytest.mark.parametrize(("task", "steps"), [("iris", "2"), ("centroid", None)])
def test_without_a_budget_or_an_answer_nothing_is_sent(train, task, steps, qpu, tmp_path):
    result = train(task=task, steps=steps)
    assert result.exit_code == 2
    for said in ("Cost", "USD", "jobs", "circuits", "shots", "in the queue", "--budget-usd"):
        assert said in result.stderr
    assert posts(qpu) == 0
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("answer", "code"), [("yes\n", 0), ("y\n", 2), ("\n", 2)])
def test_a_price_is_agreed_to_by_typing_yes(train, answer, code, qpu, monkeypatch):
    monkeypatch.setattr(plan, "is_terminal", lambda: True)
    result = train(answer=answer)
    assert result.exit_code == code
    assert "Type yes" in result.stderr
    assert (posts(qpu) > 0) == (code == 0)


def test_a_dry_run_tells_what_is_billed_afterwards(train, qpu, tmp_path):
    result = train("--dry-run", "--json")
    assert result.exit_code == 0
    told = json.loads(result.stdout)["plan"]
    assert posts(qpu) == 0
    assert not (tmp_path / "out").exists()
    assert (told["currency"], told["paid"]) == ("USD", True)
    assert train("--yes").exit_code == 0
    assert posts(qpu) == told["jobs"]
    assert told["low_usd"] <= qpu.stats()["billed_usd"] <= told["high_usd"]
    assert told["low_usd"] < told["usd"] <= told["high_usd"]
    again = train("--dry-run")  # in the folder of a training that was paid
    assert f"${told['usd']:,.2f}" in again.stdout


@pytest.mark.parametrize(("budget_usd", "short"), [(1000.0, False), (10.0, True)])
def test_the_ledgers_own_budget_is_shown_with_the_price(train, tmp_path, budget_usd, short):
    Ledger(tmp_path / "ledger", budget_usd=budget_usd).close()
    for result in (train("--dry-run"), train()):
        line = next(x for x in result.output.splitlines() if x.startswith("Ledger's budget"))
        assert f"${budget_usd:,.2f} left of ${budget_usd:,.2f}" in line
        assert ("ends the training early" in line) is short
    told = json.loads(train("--dry-run", "--json").stdout)
    assert (told["ledger_budget_usd"], told["ledger_usd"]) == (budget_usd, 0.0)


@pytest.mark.parametrize(("task", "steps"), [("iris", "2"), ("centroid", None)])
def test_a_dry_run_without_a_key_is_of_the_published_prices(
    train, qpu, task, steps, monkeypatch, tmp_path
):
    asked = json.loads(train("--dry-run", "--json", task=task, steps=steps).stdout)["plan"]
    monkeypatch.delenv("IONQ_API_KEY")
    result = train("--dry-run", "--json", task=task, steps=steps)
    assert result.exit_code == 0, result.output
    assert "No API key: by the published prices" in result.stderr
    told = json.loads(result.stdout)
    assert told["runs"] == 1
    assert told["plan"]["prices"].startswith("price list qpu.forte-1")
    assert (told["plan"]["jobs"], told["plan"]["shots"]) == (asked["jobs"], asked["shots"])
    assert told["plan"]["low_usd"] == pytest.approx(asked["low_usd"], rel=0.02)
    assert posts(qpu) == 0
    assert "No IonQ API key" in train("--yes", task=task, steps=steps).stderr


def test_what_is_free_says_what_it_would_cost_only_when_asked(tmp_path):
    options = ["train", "--task", "iris", "--steps", "1", "--out", str(tmp_path)]
    asked = CliRunner().invoke(app, [*options, "--dry-run"])
    assert "Would cost" in asked.stdout
    assert "2026-05-25" in asked.stdout
    assert not list(tmp_path.iterdir())
    assert "Plan" not in CliRunner().invoke(app, options).output


def test_what_was_paid_is_replaced_by_force_only(train, qpu):
    assert train("--yes").exit_code == 0
    paid = posts(qpu)
    again = train("--yes")
    assert (again.exit_code, posts(qpu)) == (1, paid)
    assert "--force replaces it" in again.stderr
    assert f"was paid with ${qpu.stats()['billed_usd']:,.2f}" in again.stderr
    assert train("--yes", "--force").exit_code == 0
    assert posts(qpu) == 2 * paid


def test_a_paid_classification_is_not_replaced_either(train, qpu):
    assert train("--yes", task="centroid", steps=None).exit_code == 0
    again = train("--yes", task="centroid", steps=None)
    assert (again.exit_code, posts(qpu)) == (1, 1)
