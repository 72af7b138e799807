"""When to look: late by no more than a tenth, seldom enough, and together."""

from __future__ import annotations

import asyncio
import math
import random

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.scripted_service import api_with

from pennylane_qstore.emulator import Emulator, Fault
from pennylane_qstore.errors import JobTimeout, ServiceError
from pennylane_qstore.ionq.http.transport import Response, Traffic
from pennylane_qstore.ionq.jobs.poller import Durations, JobKind, Poller, next_delay_s

KIND = JobKind("simulator", 20, 500)


def simulate(job_s, *, round_trip_s, expected_s=None, predicted_s=None, seed=0):
    """Polls and lateness for a job of this length."""
    rng = random.Random(seed)
    elapsed, polls = 0.0, 0
    while True:
        ahead = None if predicted_s is None else max(predicted_s - elapsed, 0.0)
        elapsed += next_delay_s(
            elapsed_s=elapsed,
            polls=polls,
            round_trip_s=round_trip_s,
            predicted_s=ahead,
            expected_s=expected_s,
            rng=rng,
        )
        polls += 1
        if elapsed >= job_s:
            return polls, elapsed - job_s
        elapsed += round_trip_s


@given(st.floats(0.01, 20_000), st.integers())
def test_at_a_distance_a_result_is_late_by_a_tenth_at_most(job_s, seed):
    _, late = simulate(job_s, round_trip_s=0.06, seed=seed)
    assert late <= min(max(0.11 * 1.1 * job_s, 0.11), 16.5) + 0.06


def test_an_hour_takes_fewer_than_300_looks():
    polls, _ = simulate(3600, round_trip_s=0.06)
    assert polls < 300


@given(st.floats(0.001, 0.5), st.integers())
def test_next_door_a_batch_is_not_slowed_by_a_floor(job_s, seed):
    polls, late = simulate(job_s, round_trip_s=0.001, seed=seed)
    # Late by one round trip and one delay at most: after n looks 3 ms times 1.4 ** n. In the worst
    # case the delays before the end are 10 % shorter than that and the last one is 10 % longer. A
    # look at 2 + 0.9 (4.2 + 5.88) = 11.07 ms is followed by one 1 + 1.1 * 8.23 = 10.06 ms later.
    assert late <= max(0.91 * job_s, 0.0075)
    assert polls <= 26


@given(st.floats(0, 0.0095), st.one_of(st.none(), st.floats(0, 0.99)))
def test_a_small_job_next_door_is_looked_for_at_once(round_trip_s, expected_s):
    def delay(round_trip_s, polls):
        return next_delay_s(
            elapsed_s=0.0,
            polls=polls,
            round_trip_s=round_trip_s,
            predicted_s=None,
            expected_s=expected_s,
            rng=random.Random(0),
        )

    assert delay(round_trip_s, 0) == 0
    assert delay(round_trip_s, 1) > 0
    assert delay(0.05, 0) > 0


@given(st.floats(0.05, 50), st.integers())
def test_a_duration_seen_before_is_slept_through(job_s, seed):
    polls, late = simulate(job_s, round_trip_s=0.001, expected_s=job_s, seed=seed)
    assert polls <= 5
    assert late <= max(0.025 * job_s, 0.008)


@given(st.floats(0, 1e5), st.floats(0, 1e5), st.integers(0, 10_000), st.integers())
def test_a_long_duration_seen_before_is_not_trusted(elapsed_s, expected_s, polls, seed):
    delay = next_delay_s(
        elapsed_s=elapsed_s,
        polls=polls,
        round_trip_s=0.05,
        predicted_s=None,
        expected_s=expected_s,
        rng=random.Random(seed),
    )
    assert 0 < delay <= 60
    assert math.isfinite(delay)


def test_a_predicted_wait_is_slept_first_but_looked_at_again_within_a_minute():
    def delay(predicted_s):
        return next_delay_s(
            elapsed_s=1,
            polls=1,
            round_trip_s=0.05,
            predicted_s=predicted_s,
            expected_s=None,
            rng=random.Random(0),
        )

    assert delay(7.0) == 7.0
    assert delay(3600.0) == 60.0
    assert delay(0.0) == pytest.approx(0.1, rel=0.11)


def test_one_slow_job_does_not_delay_the_next():
    durations = Durations()
    assert durations.expect(KIND) is None
    for seconds in (9.0, 0.1, 0.12):
        durations.remember(KIND, seconds)
    assert durations.expect(KIND) == 0.12
    assert durations.expect(KIND._replace(circuits=21)) is None


def test_durations_are_bounded():
    durations = Durations()
    for n in range(1000):
        durations.remember(KIND._replace(circuits=n), 1.0)
    assert durations.expect(KIND._replace(circuits=0)) is None
    assert durations.expect(KIND._replace(circuits=999)) == 1.0


def test_many_jobs_are_looked_at_in_one_request(client_for, request_of):
    with Emulator(profile=0.3, concurrency=50) as emulator:
        client = client_for(emulator.url)
        client.run([request_of(1, seed=s) for s in range(10)])
        looks = [r.path for r in emulator.requests if r.method == "GET" and "results" not in r.path]
        together = [path for path in looks if "ids=" in path]
        assert together
        assert max(path.count("ids=") for path in together) > 5
        assert len(looks) < 60  # one by one they would be a hundred and more


def test_jobs_missing_in_the_list_are_asked_for_by_themselves(client_for, request_of):
    faults = [Fault("list_lag", delay_s=100.0, times=None)]
    with Emulator(profile=0.1, concurrency=9, faults=faults) as emulator:
        results = client_for(emulator.url).run([request_of(2, seed=s) for s in range(4)])
        assert [len(r.histograms) for r in results] == [2] * 4


@pytest.mark.parametrize(
    "fault", [{"kind": "status", "status": 400}, {"kind": "hostile", "body": "types"}]
)
def test_a_list_that_does_not_do_is_done_without(client_for, request_of, fault):
    faults = [Fault(route="list", times=None, **fault)]
    with Emulator(profile=0.1, concurrency=9, faults=faults) as emulator:
        # One circuit each: the names of children are in a list, too.
        results = client_for(emulator.url).run([request_of(1, seed=s) for s in range(4)])
        assert [len(r.histograms) for r in results] == [1] * 4
        assert emulator.billed_jobs == 4


def test_the_second_batch_of_a_kind_is_expected(client_for, request_of, fake_clock):
    with Emulator(profile=0.4, clock=fake_clock.services) as emulator:
        client = client_for(emulator.url, clock=fake_clock.clock())
        first = client.run([request_of(3)])[0]
        second = client.run([request_of(3, seed=1)])[0]
        assert second.polls <= 5 < first.polls
        assert second.total_s < 0.4 * 1.25


@pytest.mark.parametrize("asking", [True, False])
def test_nobody_looks_for_a_job_that_nobody_waits_for(client_for, request_of, asking):
    faults = [Fault("delay", route="job", when="after", delay_s=30.0, times=None)]
    with Emulator(profile=0.0 if asking else 3.0, faults=faults if asking else None) as emulator:
        client = client_for(emulator.url)
        with pytest.raises(JobTimeout):
            client.run([request_of(1)], max_wait=0.2)
        poller = client._service().poller

        async def ended():
            tasks = {poller._task, *poller._asking}
            await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5.0)

        client.call(ended())


def answer_about(path):
    """A service whose list tells of nothing, and that refuses to tell of job b."""
    if "?" in path:
        return Response(200, b'{"jobs": [], "next": null}')
    job_id = path.rpartition("/")[2]
    if job_id == "b":
        return Response(400, b'{"message": "not this one"}')
    return Response(200, orjson.dumps({"id": job_id, "status": "completed"}))


def test_what_is_wrong_with_one_job_is_not_wrong_with_those_looked_at_with_it(fake_clock):
    api, script = api_with(fake_clock, answer_about)

    poller = Poller(api)

    async def wait(job_id):
        return await poller.wait(
            job_id, JobKind("simulator", 1, 1), Traffic(), since=api.clock.monotonic(),
            max_wait_s=None, report=lambda state: None,
        )  # fmt: skip

    async def scenario():
        return await asyncio.gather(*map(wait, "abc"), return_exceptions=True)

    a, b, c = asyncio.run(scenario())
    assert "ids=" in script.asked[0][1]  # they were looked at together
    assert (a.last.status, c.last.status) == ("completed", "completed")
    assert isinstance(b, ServiceError)
