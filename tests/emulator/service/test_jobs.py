"""Ids, statuses, and what the book forgets."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pennylane_qstore.emulator.service.jobs import Book, Ids, Job
from pennylane_qstore.emulator.service.latency import PROFILES, LatencyProfile, profile
from pennylane_qstore.emulator.service.queue import MachineQueue
from pennylane_qstore.emulator.simulation.run import Distribution
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.server.service import CircuitInfo, Failure


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
    after = Ids(np.random.default_rng(0))
    after.follow(found[-1])
    assert after.take(times[0])[0] > found[-1]


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


def test_who_waits_behind_a_cancelled_job_moves_up() -> None:
    queue = MachineQueue(2)
    jobs = [make_job(Book(), turn_at=5.0, start_at=5.0, end_at=5.0 + 10 * k) for k in range(1, 6)]
    for job in jobs:
        queue.append(job, 0.0)
        queue.seat(job, 0.0)
    assert [(job.start_at, job.end_at) for job in jobs] == [
        (5, 15), (5, 25), (15, 45), (25, 65), (45, 95)
    ]  # fmt: skip
    jobs[2].canceled_at = 7.0
    assert queue.move_up(7.0) == jobs[3:]
    assert [(job.start_at, job.end_at) for job in jobs[3:]] == [(15, 55), (25, 75)]
    jobs[1].canceled_at = 10.0  # while it runs: its place is free at once
    queue.move_up(10.0)
    assert [(job.start_at, job.end_at) for job in jobs[3:]] == [(10, 50), (15, 65)]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=1, max_size=12),
    st.integers(1, 3),
    st.sets(st.integers(0, 11)),
    st.integers(0, 30),
)
def test_a_machine_never_runs_more_than_it_has_places_for(
    times: list[tuple[int, int]], places: int, canceled: set[int], now: int
) -> None:
    queue = MachineQueue(places)
    jobs = [
        make_job(Book(), turn_at=float(turn), start_at=float(turn), end_at=float(turn + length))
        for turn, length in times
    ]
    for job in jobs:
        queue.append(job, 0.0)
        queue.seat(job, 0.0)
    before = [job.start_at for job in jobs]
    for k in canceled & set(range(len(jobs))):
        if jobs[k].end_at > now:
            jobs[k].canceled_at = float(now)
    queue.move_up(float(now))
    kept = [job for job in jobs if job.canceled_at is None]
    for job, start in zip(jobs, before, strict=True):
        assert job.turn_at <= job.start_at <= start
        assert sum(k.start_at <= job.start_at < k.end_at for k in kept) <= places


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
