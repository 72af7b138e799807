"""Places on a machine: who waits, who moves up, and never more at once than there are."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from support.emulator_wire import Wire
from support.stored_jobs import make_job

from pennylane_qstore.emulator import VirtualClock
from pennylane_qstore.emulator.service.queue import MachineQueue


def test_who_waits_behind_a_cancelled_job_moves_up() -> None:
    queue = MachineQueue(2)
    jobs = [make_job(turn_at=5.0, start_at=5.0, end_at=5.0 + 10 * k) for k in range(1, 6)]
    for job in jobs:
        queue.enter(job, 0.0)
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
        make_job(turn_at=float(turn), start_at=float(turn), end_at=float(turn + length))
        for turn, length in times
    ]
    for job in jobs:
        queue.enter(job, 0.0)
    before = [job.start_at for job in jobs]
    for k in canceled & set(range(len(jobs))):
        if jobs[k].end_at > now:
            jobs[k].canceled_at = float(now)
    queue.move_up(float(now))
    kept = [job for job in jobs if job.canceled_at is None]
    for job, start in zip(jobs, before, strict=True):
        assert job.turn_at <= job.start_at <= start
        assert sum(k.start_at <= job.start_at < k.end_at for k in kept) <= places


def test_a_machine_that_stood_idle_starts_a_job_when_its_turn_comes() -> None:
    queue = MachineQueue(1)
    first = make_job(turn_at=5.0, start_at=5.0, end_at=8.0)
    queue.enter(first, 0.0)
    later = make_job(turn_at=21.0, start_at=21.0, end_at=24.0)
    queue.enter(later, 20.0)
    assert (first.start_at, later.start_at, later.end_at) == (5.0, 21.0, 24.0)


def test_jobs_that_have_ended_hold_no_place() -> None:
    queue = MachineQueue(1)
    done = make_job(turn_at=0.0, start_at=0.0, end_at=10.0)
    waiting = make_job(turn_at=0.0, start_at=0.0, end_at=5.0)
    for job in (done, waiting):
        queue.enter(job, 0.0)
    assert queue.move_up(10.0) == []
    assert (waiting.start_at, waiting.end_at) == (10.0, 15.0)


def test_only_what_runs_takes_the_machines_time(serve: Callable[..., Wire]) -> None:
    profile = {"queue_s": 10.0, "execution_s": 100.0, "concurrency": 1}
    wire = serve(clock=VirtualClock(), profile=profile)
    qpu = {"backend": "qpu.forte-1"}
    wire.submit(**qpu, dry_run=True)
    wire.submit([{"gate": "x", "target": 40}], **qpu)  # fails
    jobs = [wire.submit(**qpu) for _ in range(3)]
    waits = lambda: [wire.job(job)["predicted_wait_time_ms"] for job in jobs]  # noqa: E731
    assert waits() == [10_000, 110_000, 210_000]
    wire("PUT", "/jobs/status/cancel", {"ids": jobs[1:2]})
    assert waits() == [10_000, None, 110_000]
    wire("DELETE", f"/jobs/{jobs.pop(0)}")
    assert waits() == [None, 10_000]
