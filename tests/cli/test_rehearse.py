"""``qstore rehearse``: figures of a task's training on a machine, for nothing and without a key."""

from __future__ import annotations

import pytest
from support.paid_jobs import ask
from support.tables import write_table

pytest.importorskip("sklearn")


def test_a_task_is_rehearsed_without_a_key(tmp_path, monkeypatch):
    monkeypatch.delenv("IONQ_API_KEY", raising=False)
    monkeypatch.delenv("PENNYLANE_IONQ_API_KEY", raising=False)
    plan = ["rehearse", "--steps", "2", "--seeds", "2", "--out", str(tmp_path)]
    told = ask(*plan, "--shots", "20", "--batch-size", "4", "--json")
    ways = [outcome["way"] for outcome in told["outcomes"]]
    assert ways[:3] == ["as planned", "half the shots", "double the shots"]
    assert ways[3:] == [f"{part} the budget" for part in ("an eighth of", "a quarter of", "half")]
    assert told["seeds"] == [1, 2]
    assert told["shots"] == 20 * told["circuits"]
    assert "Test accuracy" in (tmp_path / "rehearsal.md").read_text(encoding="utf-8")
    assert (tmp_path / "rehearsal.png").exists()


def test_words_name_the_machine_and_the_page(tmp_path):
    options = ["--task", "h2", "--backend", "qpu.aria-1", "--seeds", "7-7", "--steps", "1"]
    text = ask("rehearse", *options, "--shots", "10", "--out", str(tmp_path))
    assert "qpu.aria-1, noise of aria-1, 1 seed;" in text
    assert "braket.aria-1" in text
    assert "rehearsal.md" in text


def test_what_cannot_be_rehearsed_is_refused(tmp_path):
    assert "Nothing is trained" in ask("rehearse", "--task", "centroid", code=1)
    simulator = ["--backend", "simulator", "--out", str(tmp_path)]
    assert "not allowed" in ask("rehearse", *simulator, code=1)


def test_a_table_of_your_own_is_rehearsed(tmp_path):
    table = write_table(tmp_path)
    plan = ["rehearse", "--data", table, "--target", "kind", "--seeds", "7-7", "--steps", "1"]
    plan += ["--shots", "10", "--batch-size", "4", "--out", str(tmp_path)]
    text = ask(*plan)
    assert "kind of my.csv, 2 classes" in text
    assert "Test accuracy" in text
    assert "exclude each other" in ask(*plan, "--task", "iris", code=1)
    assert "belongs to --data" in ask("rehearse", "--target", "kind", code=1)
