"""The job of a lost answer is found by its token, and its twins are cancelled."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
from support.ledgers import intent
from support.scripted_service import api_with

from pennylane_qstore.emulator import Emulator, Fault, ServiceBehaviour
from pennylane_qstore.errors import (
    AmbiguousSubmission,
)
from pennylane_qstore.ionq.http import transport
from pennylane_qstore.ionq.http.retry import NotSent, ResponseLost, RetryPolicy
from pennylane_qstore.ionq.http.transport import Response, Traffic
from pennylane_qstore.ionq.jobs.call import begin_requests
from pennylane_qstore.ionq.jobs.job_finder import JobFinder
from pennylane_qstore.ionq.jobs.row_lease import RowLease
from pennylane_qstore.ionq.ledger.ledger import Ledger, State

SETTLE_S = 0.25
POLICY = RetryPolicy(settle_s=SETTLE_S, base_s=0.01, throttle_base_s=0.02)


@pytest.mark.parametrize("times", [1, None], ids=["once", "always"])
def test_a_job_accepted_late_is_found_within_the_settle_time(
    client_for, request_of, times, monkeypatch
):
    # The connection is cut first and the job made 0.15 s later, as a slow service may do.
    faults = [Fault("delay", route="submit", delay_s=0.15, times=times)]
    monkeypatch.setattr(transport, "_POST_S", 0.05)
    with Emulator(faults=faults) as emulator:
        client = client_for(emulator.url, retry_policy=RetryPolicy(settle_s=20.0))
        result = client.run([request_of(2)])[0]
        assert result.status == "completed"
        assert emulator.billed_jobs == 1
        assert emulator.stats()["posts"] == 1


def test_a_job_listed_late_is_found_within_the_settle_time(client_for, request_of):
    faults = [Fault("close", route="submit", when="after"), Fault("list_lag", delay_s=0.15)]
    with Emulator(faults=faults) as emulator:
        client = client_for(emulator.url, retry_policy=RetryPolicy(settle_s=20.0))
        assert client.run([request_of(2)])[0].status == "completed"
        assert emulator.stats()["posts"] == 1


@pytest.mark.parametrize("posts_lost", [1, 2])
def test_of_two_jobs_with_one_token_one_is_kept_and_the_other_cancelled(
    client_for, request_of, caplog, fake_clock, posts_lost
):
    # The first turns up in the list only after the settle time: the one stated limit. But
    # while the second is waited for, it is still looked for.
    faults = [
        Fault("close", route="submit", when="after", times=posts_lost),
        Fault("list_lag", delay_s=0.3),
    ]
    with Emulator(profile=1.0, faults=faults, clock=fake_clock.services) as emulator:
        client = client_for(
            emulator.url, retry_policy=RetryPolicy(settle_s=0.1), clock=fake_clock.clock()
        )
        assert client.run([request_of(2)])[0].status == "completed"
        assert emulator.stats()["posts"] == 2
        assert "accepted 2 times" in caplog.text
        duplicates = client.ledger.submissions([State.DUPLICATE])
        assert len(duplicates) == 1
        kept = client.ledger.submissions([State.CONSUMED])[0]
        assert {duplicates[0].job_id, kept.job_id} == {job.id for job in emulator.jobs}
        cancelled = {job.id for job in emulator.jobs if job.canceled_at is not None}
        assert cancelled == {duplicates[0].job_id}


def test_a_restart_that_waits_for_a_lost_job_shows_that_it_looks(
    tmp_path, client_for, request_of, fake_clock, caplog
):
    seen = []
    with Emulator() as emulator:
        ledger = Ledger(tmp_path / "ledger", now=fake_clock.clock().now)
        request = request_of(2, "qpu.forte-1")
        (job,) = begin_requests(ledger, emulator.url, [request], [("r", 0, 0)])
        ledger.release(job.rows[0][0].id, job.rows[0][0].owner)  # as a dead process does
        client = client_for(
            emulator.url, ledger=ledger, clock=fake_clock.clock(),
            retry_policy=RetryPolicy(settle_s=75.0),
        )  # fmt: skip
        with pytest.raises(AmbiguousSubmission):
            client.run([request], keys=[("r", 0, 0)], progress=seen.append)
    searching = [event.elapsed_s for event in seen if event.state == "searching"]
    assert len(searching) > 7
    assert searching[-1] == pytest.approx(75.0)
    assert max(b - a for a, b in pairwise(searching)) < 10.1
    assert "looked for, for 75 s" in caplog.text


def test_the_list_is_searched_over_pages_and_children_are_skipped(client_for, request_of):
    behaviour = ServiceBehaviour(page_limit=3, list_children=True)
    with Emulator(seed=2, behaviour=behaviour) as emulator:
        client = client_for(emulator.url, retry_policy=POLICY)
        client.run([request_of(4, seed=s) for s in range(6)])
        emulator.faults.add(
            Fault("close", route="submit", when="after"),
            Fault("list_shuffle", times=None),
            Fault("list_duplicates", times=None),
            Fault("list_children", times=None),
        )
        assert client.run([request_of(4, seed=9)])[0].status == "completed"
        assert emulator.billed_jobs == 7


def test_a_list_that_cannot_be_read_leaves_the_submission_ambiguous(client_for, request_of):
    faults = [
        Fault("close", route="submit", when="after"),
        Fault("status", route="list", status=500, times=None),
    ]
    with Emulator(faults=faults) as emulator:
        client = client_for(
            emulator.url,
            retry_policy=RetryPolicy(settle_s=0.05, base_s=0.001, cap_s=0.01, outage_s=0.0),
        )
        with pytest.raises(AmbiguousSubmission, match="cannot be read"):
            client.run([request_of(1)])
        assert emulator.stats()["posts"] == 1
        emulator.faults.clear()
        (row,) = client.reconcile()
        assert row.state is State.SUBMITTED
        (row,) = client.resume()
        assert row.state is State.DONE
        assert emulator.billed_jobs == 1


@pytest.mark.parametrize(
    ("answer", "waited_s"),
    [
        (NotSent("nobody there"), 600.0),
        (ResponseLost("cut off"), 600.0),
        (Response(503, b"{}"), 600.0),
        (NotSent("no valid certificate", permanent=True), 20.0),
        (Response(401, b"{}"), 20.0),
        (Response(200, b"no JSON"), 20.0),
    ],
    ids=["unreachable", "cut off", "503", "certificate", "key", "no JSON"],
)
def test_an_outage_is_waited_out_and_nothing_else(fake_clock, answer, waited_s):
    ledger = Ledger(now=fake_clock.clock().now)
    ((row, _),) = ledger.begin([intent()])
    policy = RetryPolicy(settle_s=10.0, outage_s=600.0)
    api, script = api_with(fake_clock, answer, policy=policy)
    finder = JobFinder(api, ledger)
    lease = RowLease(ledger, row.id, row.owner)
    look = finder.recover(row, Traffic(), settle_s=0.0, lease=lease)
    with pytest.raises(AmbiguousSubmission, match="cannot be read"):
        asyncio.run(look)
    assert waited_s <= fake_clock.ahead < waited_s + 100.0

    if waited_s == 600.0:
        back = Response(200, orjson.dumps({"jobs": [entry(7, 0, row.token)], "next": None}))
        script.answers = [answer] * 30 + [back]
        look = finder.recover(row, Traffic(), settle_s=0.0, lease=lease)
        assert asyncio.run(look) == "job-7"


def test_who_looks_by_hand_does_not_wait_out_an_outage(client_for, request_of, fake_clock):
    faults = [Fault("close", route="submit", when="after")]
    with Emulator(faults=faults) as emulator:
        away = Fault("status", route="list", status=503, times=None)
        emulator.faults.add(away)
        policy = RetryPolicy(settle_s=10.0, outage_s=600.0)
        client = client_for(emulator.url, retry_policy=policy, clock=fake_clock.clock())
        with pytest.raises(AmbiguousSubmission, match="cannot be read"):
            client.run([request_of(1)], max_wait=100.0)  # as long as a job is waited for
        assert 100.0 <= fake_clock.ahead < 200.0
        before_s = fake_clock.ahead
        (row,) = client.reconcile()
        assert row.state is State.AMBIGUOUS
        assert 20.0 <= fake_clock.ahead - before_s < 100.0


def listing(orders):
    """A service that lists jobs in such an order, three to a page; the clock is its own."""

    def answer(path):
        query = parse_qs(urlsplit(path).query)
        start = int(query.get("next", ["0"])[0])
        follow = str(start + 3) if start + 3 < len(orders) else None
        return Response(200, orjson.dumps({"jobs": orders[start : start + 3], "next": follow}))

    return answer


def entry(number, minutes, token=""):
    moment = datetime.fromtimestamp(1_790_000_000.0 + 60 * minutes, UTC)
    return {
        "id": f"job-{number}", "status": "completed", "backend": "qpu.forte-1",
        "submitted_at": moment.isoformat(), "metadata": {"qstore_token": token},
    }  # fmt: skip


OLD_MINUTES = -3 * 24 * 60


@pytest.mark.parametrize(
    "others",
    [
        [OLD_MINUTES] * 9,
        [OLD_MINUTES + k for k in range(9)],
        [OLD_MINUTES - k for k in range(9)],
        [OLD_MINUTES - k // 3 for k in range(9)],
    ],
    ids=["equal", "oldest first", "newest first, but for the last", "descending pages"],
)
def test_the_job_is_found_whatever_the_order_of_the_list(fake_clock, others):
    now = [1_790_000_000.0]
    ledger = Ledger(now=lambda: now[0])
    ((row, _),) = ledger.begin([intent()])
    jobs = [entry(number, minutes) for number, minutes in enumerate(others)]
    api, _ = api_with(fake_clock, listing([*jobs, entry(99, 0, row.token)]))
    finder = JobFinder(api, ledger)
    lease = RowLease(ledger, row.id, row.owner)
    look = finder.recover(row, Traffic(), settle_s=1.0, lease=lease)
    assert asyncio.run(look) == "job-99"


def test_a_long_list_that_is_newest_first_is_not_read_to_its_end(fake_clock):
    ledger = Ledger(now=lambda: 1_790_000_000.0)
    ((row, _),) = ledger.begin([intent()])
    jobs = [entry(number, -number) for number in range(40_000)]
    api, script = api_with(fake_clock, lambda path: None)

    def pages(path):
        start = int(parse_qs(urlsplit(path).query).get("next", ["0"])[0])
        page = {"jobs": jobs[start : start + 25], "next": str(start + 25)}
        return Response(200, orjson.dumps(page))

    script.answers = [pages]
    lease = RowLease(ledger, row.id, row.owner)
    look = JobFinder(api, ledger).recover(row, Traffic(), settle_s=0.0, lease=lease)
    assert asyncio.run(look) is None
    assert 100 <= len(script.asked) < 200


@pytest.mark.parametrize("minutes", [-60, 10, 3000])
def test_a_clock_that_was_set_between_two_starts_does_not_end_the_search(
    client_for, request_of, fake_clock, tmp_path, minutes
):
    """The job turns up only half a settle time after the restart."""
    lag = Fault("list_lag", delay_s=40.0)
    with Emulator(faults=[lag], clock=fake_clock.services) as emulator:
        clock = fake_clock.clock()
        policy = RetryPolicy(settle_s=75.0)
        first = client_for(
            emulator.url, clock=clock, retry_policy=policy, ledger=tmp_path / "ledger"
        )
        (pending,) = begin_requests(first.ledger, first.base_url, [request_of(1)], [("run", 0, 0)])
        first.call(first._api().create(pending.body, Traffic()))  # killed before the answer
        with sqlite3.connect(tmp_path / "ledger") as db:
            db.execute("UPDATE submissions SET lease_until = 0, owner = NULL")
        db.close()
        set_clock = replace(clock, now=lambda: clock.now() + 60 * minutes)
        again = client_for(
            emulator.url, clock=set_clock, retry_policy=policy, ledger=tmp_path / "ledger"
        )
        assert again.run([request_of(1)], keys=[("run", 0, 0)])[0].status == "completed"
        assert emulator.stats()["posts"] == 1
