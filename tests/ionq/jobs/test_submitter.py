"""Billed jobs for one submission, for every way in which an answer can be lost: at most one."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from types import SimpleNamespace

import aiohttp
import pytest
from support.ionq_fixtures import settle

from pennylane_qstore.emulator import Emulator, Fault
from pennylane_qstore.errors import (
    AmbiguousSubmission,
    ConnectionFailed,
    ServiceError,
)
from pennylane_qstore.ionq.http.requester import Transient
from pennylane_qstore.ionq.http.retry import RetryPolicy
from pennylane_qstore.ionq.http.transport import Traffic
from pennylane_qstore.ionq.jobs.call import begin_requests
from pennylane_qstore.ionq.jobs.decisions import SubmissionOutcome
from pennylane_qstore.ionq.jobs.row_lease import RowLease
from pennylane_qstore.ionq.jobs.submitter import Submitter, _Result, _Sending
from pennylane_qstore.ionq.ledger.lease import new_owner
from pennylane_qstore.ionq.ledger.ledger import JobKey, Ledger, State

SETTLE_S = 0.25
POLICY = RetryPolicy(settle_s=SETTLE_S, base_s=0.01, throttle_base_s=0.02)

# The service accepted the job; the client does not learn of it.
ACCEPTED = {
    "closed": {"kind": "close", "when": "after"},
    "reset": {"kind": "reset", "when": "after"},
    "truncated": {"kind": "truncate", "when": "after"},
    "nonsense": {"kind": "hostile", "when": "after", "body": "not_json"},
    "html": {"kind": "hostile", "when": "after", "body": "html"},
    "no id": {"kind": "hostile", "when": "after", "body": "types"},
    "redirect": {"kind": "redirect", "when": "after"},
    **{
        str(status): {"kind": "status", "when": "after", "status": status}
        for status in (408, 409, 500, 502, 503, 504, 520, 524)
    },
    "503 and a pause": {"kind": "status", "when": "after", "status": 503, "retry_after": 0.05},
}
# The same answers, but there is no job. (The emulator truncates only what it did answer.)
NOT_ACCEPTED = {
    name: {**fault, "when": "before"} for name, fault in ACCEPTED.items() if name != "truncated"
}


@pytest.mark.parametrize("times", [1, None], ids=["once", "always"])
@pytest.mark.parametrize("name", ACCEPTED)
@pytest.mark.parametrize("backend", ["simulator", "qpu.forte-1"])
def test_an_accepted_job_is_found_and_never_paid_twice(
    client_for, request_of, name, times, backend
):
    faults = [Fault(route="submit", times=times, **ACCEPTED[name])]
    with Emulator(faults=faults) as emulator:
        client = client_for(emulator.url, retry_policy=POLICY)
        result = client.run([request_of(3, backend)])[0]
        assert len(result.histograms) == 3
        assert emulator.billed_jobs == 1
        assert emulator.stats()["posts"] == 1
        assert client.get_stats()["reconciled"] == 1
        # A POST that goes out late on a busy machine has an entry of its own.
        events = [e.event for e in client.ledger.events() if e.event != "sending"]
        assert events[:4] == ["intent", "ambiguous", "submitted", "done"]


@pytest.mark.parametrize("times", [1, None], ids=["once", "always"])
@pytest.mark.parametrize("name", NOT_ACCEPTED)
def test_a_job_that_was_not_accepted_is_sent_again_only_where_it_is_free(
    client_for, request_of, name, times
):
    faults = [Fault(route="submit", times=times, **NOT_ACCEPTED[name])]
    policy = RetryPolicy(settle_s=0.02, base_s=0.001, attempts=3)
    with Emulator(faults=faults) as emulator:
        client = client_for(emulator.url, retry_policy=policy)
        end = settle(client, request_of(2))
        if times == 1:
            assert end.status == "completed"
            assert emulator.billed_jobs == 1
            assert emulator.stats()["posts"] == 2
        else:
            assert isinstance(end, AmbiguousSubmission)
            assert emulator.billed_jobs == 0
            assert emulator.stats()["posts"] == 3


@pytest.mark.parametrize("name", NOT_ACCEPTED)
def test_on_a_qpu_what_is_not_found_is_reported_and_not_sent_again(client_for, request_of, name):
    faults = [Fault(route="submit", times=None, **NOT_ACCEPTED[name])]
    with Emulator(faults=faults) as emulator:
        client = client_for(emulator.url, retry_policy=RetryPolicy(settle_s=0.02))
        with pytest.raises(AmbiguousSubmission) as doubt:
            client.run([request_of(2, "qpu.forte-1")])
        assert emulator.stats()["posts"] == 1
        (row,) = client.ledger.submissions()
        assert row.state is State.AMBIGUOUS
        assert row.token in str(doubt.value)
        assert doubt.value.details["submission"] == row.id


def test_on_a_qpu_the_user_may_choose_to_send_again(client_for, request_of):
    faults = [Fault("status", route="submit", status=502)]
    with Emulator(faults=faults) as emulator:
        client = client_for(
            emulator.url, retry_policy=RetryPolicy(settle_s=0.02), on_ambiguous="resubmit"
        )
        assert client.run([request_of(2, "qpu.forte-1")])[0].status == "completed"
        assert emulator.billed_jobs == 1


@pytest.mark.parametrize("retry_after", [1, "1"])
def test_429_is_waited_out_and_the_job_is_sent(client_for, request_of, fake_clock, retry_after):
    faults = [Fault("status", route="submit", status=429, retry_after=retry_after)]
    with Emulator(faults=faults) as emulator:
        client = client_for(emulator.url, retry_policy=POLICY, clock=fake_clock.clock())
        assert client.run([request_of(1)])[0].status == "completed"
        assert 1.0 <= max(fake_clock.sleeps) < 1.3
        assert emulator.billed_jobs == 1
        assert not any(r.method == "GET" and "/jobs?" in r.path for r in emulator.requests)


@pytest.mark.parametrize("retry_after", [None, "nan", "1e309", "-5", "soon"])
def test_429_without_a_sensible_pause_is_waited_out_too(client_for, request_of, retry_after):
    faults = [Fault("status", route="submit", status=429, retry_after=retry_after, times=2)]
    with Emulator(faults=faults) as emulator:
        assert client_for(emulator.url, retry_policy=POLICY).run([request_of(1)])[0]
        assert emulator.billed_jobs == 1


def test_429_for_ever_ends_as_rejected(client_for, request_of):
    faults = [Fault("status", route="submit", status=429, times=None)]
    with Emulator(faults=faults) as emulator:
        client = client_for(emulator.url, retry_policy=POLICY)
        with pytest.raises(ServiceError, match="429"):
            client.run([request_of(1)])
        assert emulator.stats()["posts"] == POLICY.throttled_attempts
        assert [row.state for row in client.ledger.submissions()] == [State.REJECTED]


def test_429_pauses_every_request_of_the_client(client_for, request_of):
    faults = [Fault("status", route="submit", status=429, retry_after=0.4)]
    with Emulator(faults=faults) as emulator:
        client_for(emulator.url, retry_policy=POLICY).run([request_of(1, seed=s) for s in range(4)])
        assert emulator.billed_jobs == 4
        assert emulator.stats()["posts"] == 5


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_refusals_are_final_and_no_job_is_looked_for(client_for, request_of, status):
    with Emulator(faults=[Fault("status", route="submit", status=status, times=None)]) as emulator:
        client = client_for(emulator.url)
        with pytest.raises(ServiceError):
            client.run([request_of(1)])
        assert len(emulator.requests) == 1
        assert [row.state for row in client.ledger.submissions()] == [State.REJECTED]


@pytest.mark.parametrize("outage_s", [0, 60])
def test_a_service_that_stays_away_is_waited_for_and_then_named(
    client_for, request_of, fake_clock, outage_s
):
    with Emulator() as emulator:
        url = emulator.url
    policy = replace(POLICY, outage_s=outage_s)
    client = client_for(url, retry_policy=policy, clock=fake_clock.clock())
    message = rf"127\.0\.0\.1.*surely not sent, in {outage_s} s .*the same call again sends it"
    with pytest.raises(ConnectionFailed, match=message):
        client.run([request_of(1)])
    assert [row.state for row in client.ledger.submissions()] == [State.REJECTED]
    if outage_s:
        assert outage_s <= fake_clock.ahead <= outage_s + policy.cap_s
    else:
        assert client.get_stats()["requests"] == policy.attempts


def test_an_intent_left_by_a_dead_process_is_adopted(tmp_path, client_for, request_of):
    """As if killed after the POST was accepted and before its answer was written down."""
    with Emulator() as emulator:
        ledger = Ledger(tmp_path / "ledger.sqlite3")
        client = client_for(emulator.url, ledger=ledger, retry_policy=POLICY)
        (job,) = begin_requests(ledger, emulator.url, [request_of(2)], [("r", 0, 0)])
        row = job.rows[0][0]

        async def post():
            async with aiohttp.ClientSession() as session:
                headers = {"Authorization": "apiKey k"}
                url = f"{emulator.url}/jobs"
                async with session.post(url, data=job.body, headers=headers) as answer:
                    return answer.status

        assert asyncio.run(post()) == 201
        ledger.release(row.id, row.owner)
        (result,) = client.run([request_of(2)], keys=[("r", 0, 0)])
        assert result.adopted
        assert emulator.billed_jobs == 1


def test_a_living_owner_is_waited_for(tmp_path, client_for, request_of):
    """Another process is about to send: its job is ours, once it has one."""
    with Emulator() as emulator:
        ledger = Ledger(tmp_path / "ledger.sqlite3")
        other = client_for(emulator.url, ledger=ledger)
        (job_result,) = other.run([request_of(2)])
        (job,) = begin_requests(ledger, emulator.url, [request_of(2)], [("r", 0, 0)])
        row = job.rows[0][0]
        got = []
        client = client_for(emulator.url, ledger=Ledger(ledger.path), retry_policy=POLICY)
        thread = threading.Thread(
            target=lambda: got.extend(client.run([request_of(2)], keys=[("r", 0, 0)]))
        )
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
        assert emulator.billed_jobs == 1
        ledger.submitted(row.id, job_result.job_id)
        thread.join(10)
        assert got[0].job_id == job_result.job_id
        assert emulator.billed_jobs == 1


def test_a_row_that_another_process_took_over_during_a_long_pause_is_left_to_it(
    client_for, request_of, fake_clock
):
    """A pause may outlast the lease; whoever sends then must be the only one."""
    with Emulator() as emulator:
        clock = fake_clock.clock()
        ledger = Ledger(now=clock.now)
        client = client_for(emulator.url, ledger=ledger, clock=clock)
        (first,) = client.run([request_of(2)])
        emulator.faults.add(Fault("status", route="submit", status=429, retry_after=290))
        sleep = fake_clock.sleep

        async def take_over(seconds):
            await sleep(seconds)
            (row,) = ledger.history(JobKey("r", 0, 0))
            if seconds > 100 and row.state is State.INTENT:
                assert ledger.claim(row.id, new_owner(), 60)  # the lease has run out
                ledger.submitted(row.id, first.job_id)

        fake_clock.sleep = take_over
        client._clock = fake_clock.clock()
        client.close()
        (second,) = client.run([request_of(2)], keys=[("r", 0, 0)])
        assert second.job_id == first.job_id
        assert emulator.billed_jobs == 1
        assert emulator.stats()["posts"] == 2  # the second was the one told to pause


def test_a_row_that_gets_its_job_just_before_its_lease_is_taken_is_not_sent_again(
    tmp_path, client_for, request_of
):
    """The state that counts is the one read while holding the lease."""

    class Late(Ledger):
        def claim(self, row, owner, lease_s):
            if self.get(row).state is State.INTENT and self.get(row).key:
                self.submitted(row, first.job_id)  # by the other process, at the last moment
            return super().claim(row, owner, lease_s)

    with Emulator() as emulator:
        ledger = Late(tmp_path / "ledger")
        client = client_for(emulator.url, ledger=ledger, retry_policy=RetryPolicy(settle_s=0))
        (first,) = client.run([request_of(2)])
        begin_requests(ledger, emulator.url, [request_of(2)], [("r", 0, 0)])
        (second,) = client.run([request_of(2)], keys=[("r", 0, 0)])
        assert second.job_id == first.job_id
        assert emulator.stats()["posts"] == 1
        ledger.close()


def test_a_stop_while_the_lease_is_looked_at_after_a_pause_leaves_nothing_in_doubt(
    tmp_path, request_of
):
    """The job was surely not sent: it is sent again without a question."""
    ledger = Ledger(tmp_path / "ledger")
    (begun,) = begin_requests(ledger, "http://127.0.0.1:9", [request_of(2)], [("r", 0, 0)])
    ((row, _),) = begun.rows

    async def pause(*_):
        return None

    async def stopped_after_a_pause():
        lease = RowLease(ledger, row.id, row.owner)

        async def look(_):
            asyncio.current_task().cancel()
            await asyncio.sleep(0)

        lease.is_still_held = look
        api = SimpleNamespace(pause=pause, policy=RetryPolicy())
        submitter = Submitter(api, ledger)
        sending = _Sending(row, b"{}", Traffic(), lease, True, SETTLE_S)
        waits = _Result(SubmissionOutcome.NOT_SENT, pause=Transient(ConnectionFailed("away")))
        await submitter._pause(sending, waits)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(stopped_after_a_pause())
    assert ledger.get(row.id).state is State.REJECTED
    ledger.close()
