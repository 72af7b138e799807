"""The job of a lost answer is found by its token, and its twins are cancelled."""

from __future__ import annotations

import pytest

from pennylane_qstore.emulator import Emulator, Fault, ServiceBehaviour
from pennylane_qstore.errors import (
    AmbiguousSubmission,
    QStoreError,
)
from pennylane_qstore.ionq.http import transport
from pennylane_qstore.ionq.http.retry import RetryPolicy
from pennylane_qstore.ionq.ledger.ledger import State

SETTLE_S = 0.25
POLICY = RetryPolicy(settle_s=SETTLE_S, base_s=0.01, throttle_base_s=0.02)


def settle(client, request, **options):
    try:
        return client.run([request], **options)[0]
    except QStoreError as error:
        return error


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
            emulator.url, retry_policy=RetryPolicy(settle_s=0.05, base_s=0.001, cap_s=0.01)
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
