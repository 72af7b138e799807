"""IdGenerator, statuses, and what the store forgets."""

from __future__ import annotations

import uuid

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support.stored_jobs import make_job

from pennylane_qstore.emulator.service.job_store import IdGenerator, JobStore
from pennylane_qstore.emulator.simulation.run import Distribution


def outcomes(count: int) -> list[Distribution]:
    states = np.arange(count, dtype=np.uint64)
    return [Distribution(states, np.full(count, 1 / count), None, 1, 0)]


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 2**33), st.integers(1, 50)), min_size=1, max_size=20))
def test_ids_are_version_7_unique_and_ascending(takes: list[tuple[float, int]]) -> None:
    ids = IdGenerator(np.random.default_rng(0))
    times = sorted(now for now, _ in takes)
    found = [i for now, (_, count) in zip(times, takes, strict=True) for i in ids.take(now, count)]
    assert found == sorted(set(found))
    parsed = [uuid.UUID(i) for i in found]
    assert {(u.version, u.variant) for u in parsed} == {(7, uuid.RFC_4122)}
    assert parsed[0].int >> 80 == int(times[0] * 1000) or times[0] == 0
    after = IdGenerator(np.random.default_rng(0))
    after.follow(found[-1])
    assert after.take(times[0])[0] > found[-1]


def test_what_was_sent_is_forgotten_before_the_results() -> None:
    store = JobStore(keep_requests=2)
    jobs = [make_job(store)]
    for _ in range(3):
        store.add(jobs[-1], 0.0)
        jobs.append(make_job(store))
    assert [job.request is None for job in jobs[:3]] == [True, False, False]
    assert len(store) == 3


def test_too_many_outcomes_push_the_oldest_jobs_out() -> None:
    store = JobStore(keep_outcomes=100)
    for _ in range(5):
        job = make_job(store, results=outcomes(40))
        store.add(job, 99.0)
    assert [job.id for job in store.all()] == ["job 3", "job 4"]
    assert store.find("job 0") is None


def test_unfinished_jobs_are_never_pushed_out() -> None:
    store = JobStore(keep=2, keep_outcomes=1)
    for _ in range(4):
        store.add(make_job(store), 0.0)
    assert len(store) == 4
