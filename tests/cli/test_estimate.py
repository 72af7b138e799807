"""``qstore estimate``: the price of a job by the service, of a training by a price list."""

from __future__ import annotations

import pytest
from support.paid_jobs import ask
from support.tables import write_table

from pennylane_qstore.emulator import Emulator


def test_a_job_is_priced_by_the_service(monkeypatch):
    monkeypatch.setenv("IONQ_API_KEY", "k")
    with Emulator() as emulator:
        told = ask("estimate", "--circuits", "3", "--base-url", emulator.url, "--json")
        assert told["cost_usd"] > 0
        assert "x 500 shots" in ask("estimate", "--base-url", emulator.url)
        assert emulator.stats()["posts"] == 0


def test_a_training_is_priced_without_a_key(monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.delenv("IONQ_API_KEY", raising=False)
    monkeypatch.delenv("PENNYLANE_IONQ_API_KEY", raising=False)
    told = ask("estimate", "--task", "iris", "--steps", "3", "--json")["plan"]
    assert told["jobs"] == 3 + 1
    assert 4 * 25.79 <= told["usd"] <= 4 * 60
    assert told["dearer_usd"] >= 25.79 * told["circuits"] - 1
    text = ask("estimate", "--task", "iris", "--steps", "3", "--backend", "qpu.aria-1")
    assert "qpu.aria-1, 2026-05-25" in text
    assert "Unknown task" in ask("estimate", "--task", "tulips", code=1)


def test_a_training_on_a_table_of_your_own_is_priced(tmp_path, monkeypatch):
    monkeypatch.delenv("IONQ_API_KEY", raising=False)
    monkeypatch.delenv("PENNYLANE_IONQ_API_KEY", raising=False)
    plan = ["estimate", "--data", write_table(tmp_path), "--target", "kind", "--steps", "3"]
    assert ask(*plan, "--json")["plan"]["jobs"] == 3 + 1
    few = ask(*plan, "--features", "length", "--json")["plan"]
    assert few["jobs"] == 3 + 1
    assert "exclude each other" in ask(*plan, "--task", "iris", code=1)
    assert "belongs to --data" in ask("estimate", "--kind", "regression", code=1)
