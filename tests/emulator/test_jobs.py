"""Ids, statuses, and what the book forgets."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pennylane_qstore.emulator.jobs import Book, Ids, Job
from pennylane_qstore.emulator.latency import PROFILES, Durations, LatencyProfile, profile
from pennylane_qstore.emulator.run import Distribution
from pennylane_qstore.emulator.submission import CircuitInfo, Failure
from pennylane_qstore.errors import ConfigurationError


def make_job(book: Book, **changes: Any) -> Job:
    fields: dict[str, Any] = {
        "id": f"job {book.next_sequence}",
        "sequence": book.next_sequence,
        "type": "ionq.circuit.v1",
        "backend": "simulator",
        "gateset": "qis",
        "name": None,
        "metadata": None,
        "shots": 100,
        "noise": None,
        "settings": {},
        "session_id": None,
        "dry_run": False,
        "circuits": [CircuitInfo(None, 1, 1, 0, None)],
        "child_ids": [],
        "seed": 0,
        "submitted_at": 0.0,
        "ready_at": 1.0,
        "start_at": 2.0,
        "end_at": 3.0,
        "cost_usd": 0.0,
        "billed_usd": 0.0,
        "cost_model": "QCT",
        "request": b"{}",
    }
    return Job(**fields | changes)


def outcomes(count: int) -> list[Distribution]:
    states = np.arange(count, dtype=np.uint64)
    return [Distribution(states, np.full(count, 1 / count), None, 1, 0)]


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 2**33), st.integers(1, 50)), min_size=1, max_size=20))
def test_ids_are_version_7_unique_and_ascending(takes: list[tuple[float, int]]) -> None:
    ids = Ids(np.random.default_rng(0))
    times = sorted(now for now, _ in takes)
    found = [i for now, (_, count) in zip(times, takes, strict=True) for i in ids.take(now, count)]
    assert found == sorted(set(found))
    parsed = [uuid.UUID(i) for i in found]
    assert {(u.version, u.variant) for u in parsed} == {(7, uuid.RFC_4122)}
    assert parsed[0].int >> 80 == int(times[0] * 1000) or times[0] == 0


def test_a_status_is_a_function_of_the_time() -> None:
    book = Book()
    job = make_job(book)
    assert [job.status(t) for t in (0, 1, 2, 3, 99)] == ["submitted", "ready"] + ["started"] * 3
    job.results = outcomes(1)
    assert [job.status(t) for t in (0, 1, 2, 2.9, 3)] == [
        "submitted", "ready", "started", "started", "completed"
    ]  # fmt: skip
    job.failure = Failure("X", "y")
    assert [job.status(t) for t in (0, 1, 9)] == ["submitted", "failed", "failed"]
    job.canceled_at = 0.5
    assert job.status(0.5) == "canceled"


def test_what_was_sent_is_forgotten_before_the_results() -> None:
    book = Book(keep_requests=2)
    jobs = [make_job(book)]
    for _ in range(3):
        book.add(jobs[-1], 0.0)
        jobs.append(make_job(book))
    assert [job.request is None for job in jobs[:3]] == [True, False, False]
    assert len(book) == 3


def test_too_many_outcomes_push_the_oldest_jobs_out() -> None:
    book = Book(keep_outcomes=100)
    for _ in range(5):
        job = make_job(book, results=outcomes(40))
        book.add(job, 99.0)
    assert [job.id for job in book.all()] == ["job 3", "job 4"]
    assert book.find("job 0") is None


def test_unfinished_jobs_are_never_pushed_out() -> None:
    book = Book(keep=2, keep_outcomes=1)
    for _ in range(4):
        book.add(make_job(book), 0.0)
    assert len(book) == 4


def test_slots_of_a_backend_are_its_own() -> None:
    book = Book()
    durations = Durations(0.0, 0.0, 1.0, 10.0)
    starts = [book.schedule(b, 0.0, durations, 1)[1] for b in ("a", "a", "b", "a")]
    assert starts == [1.0, 11.0, 1.0, 21.0]


def test_profiles_by_name_number_and_fields() -> None:
    assert profile("q-store").mean(20, 500) == pytest.approx((0.5, 0.0, 1.499, 1.85))
    assert profile(2).mean(1, 1) == (0.0, 0.0, 0.0, 2.0)
    assert profile({"queue_s": 3.0}).queue_s == 3.0
    assert profile(PROFILES["qpu"], concurrency=7).concurrency == 7
    assert profile("none").instant
    assert not profile("qpu").instant
    rng = np.random.default_rng(1)
    drawn = [profile("qpu").draw(1, 100, rng).queue_s for _ in range(4000)]
    assert np.median(drawn) == pytest.approx(1181, rel=0.03)


@pytest.mark.parametrize(
    "bad", ["fast", {"odd": 1}, {"queue_s": -1}, {"queue_s": float("nan")}, None, True, -1]
)
def test_a_profile_that_makes_no_sense_is_refused(bad: Any) -> None:
    with pytest.raises(ConfigurationError):
        profile(bad)
    with pytest.raises(ConfigurationError):
        LatencyProfile(concurrency=0)
