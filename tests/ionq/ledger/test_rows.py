"""Rows of the database and the submissions in them."""

from __future__ import annotations

import pytest
from support.ledgers import SERVICE, intent

from pennylane_qstore.ionq.ledger.ledger import JobKey, State, part_of
from pennylane_qstore.ionq.ledger.rows import COLUMNS, Submission, submission_of

VALUES = {
    "id": 1, "token": "t", "state": "done", "service": SERVICE, "backend": "simulator",
    "shots": 10, "circuits": 2, "qubits": 3, "payload_sha256": "a" * 64, "run": "r", "step": 4,
    "chunk": 5, "attempt": 0, "part": "[1,3]", "aggregation": None, "estimated_usd": 1.5,
    "billed_usd": None, "job_id": "j", "results": b"[]", "failure": None, "owner": None,
    "lease_until": 0.0, "created_at": 1.0, "updated_at": 2.0,
}  # fmt: skip


def test_columns_are_those_of_the_database(ledger):
    with ledger.reading() as database:
        names = [row[1] for row in database.execute("PRAGMA table_info(submissions)")]
    assert list(COLUMNS) == list(VALUES) == names


def test_a_row_becomes_a_submission():
    row = submission_of(tuple(VALUES.values()))
    assert row.state is State.DONE
    assert row.key == JobKey("r", 4, 5)
    assert row.part == (1, 3)
    plain = set(VALUES) - {"state", "run", "step", "chunk", "part"}
    assert {name: getattr(row, name) for name in plain} == {name: VALUES[name] for name in plain}


def test_a_row_without_a_key_or_a_part():
    row = submission_of(tuple((VALUES | {"run": None, "part": None}).values()))
    assert row.key is None
    assert row.part is None


def test_a_row_too_short_is_an_error():
    with pytest.raises(ValueError, match="shorter"):
        submission_of(tuple(VALUES.values())[:-1])


def test_an_intent_is_read_back_as_it_was_written(ledger):
    written = intent(
        JobKey("r", 1, 2), attempt=3, part=(0, 2), aggregation="voting", estimated_usd=4.5
    )
    ((row, fresh),) = ledger.begin([written])
    assert fresh
    assert isinstance(row, Submission)
    for name in ("service", "backend", "shots", "circuits", "qubits", "payload_sha256", "key",
                 "attempt", "part", "aggregation", "estimated_usd"):  # fmt: skip
        assert getattr(row, name) == getattr(written, name), name
    assert row.lease_until == row.created_at + written.lease_s


def test_parts_of_a_run_are_named_after_it():
    assert part_of("run", "") == "run"
    assert part_of("run", "evaluation").startswith("run")
    assert part_of("run", "evaluation") != part_of("run", "other")
