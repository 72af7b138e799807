"""A batch end to end: requests counted, errors typed, nothing lost."""

from __future__ import annotations

import threading

import pytest
from support.ledgers import intent
from support.results import outcomes, states
from support.threads import in_threads

from pennylane_qstore.emulator import Emulator, Fault, VirtualClock
from pennylane_qstore.errors import (
    AmbiguousSubmission,
    AuthenticationError,
    ConfigurationError,
    JobTimeout,
    QStoreError,
    ServiceError,
)
from pennylane_qstore.ionq.http.retry import RetryPolicy
from pennylane_qstore.ionq.ledger.ledger import State


def test_a_batch_is_three_requests_on_one_connection(emulator, client, marked_request):
    (result,) = client.run([marked_request(40)])
    assert outcomes(result) == [0, *range(1, 40)]
    polls = sum(1 for r in emulator.requests if r.path.count("/") == 3 and r.method == "GET")
    assert len(emulator.requests) == 2 + polls == result.requests
    assert result.polls == polls
    assert emulator.stats()["connections"] == 1
    assert emulator.billed_jobs == 1
    assert states(client) == [State.CONSUMED]
    stats = client.get_stats()
    assert (stats["posts"], stats["circuits"], stats["jobs"]) == (1, 40, 1)
    assert stats["api_calls_saved"] == 39
    assert stats["requests"] == len(emulator.requests)
    assert stats["connections_opened"] == 1


def test_ten_batches_share_one_connection(emulator, client, request_of):
    for seed in range(10):
        client.run([request_of(5, seed=seed)])
    assert emulator.stats()["connections"] == 1
    assert client.get_stats()["connection_reuse_rate"] > 0.9


def test_a_single_circuit_is_a_single_job(emulator, client, request_of):
    (result,) = client.run([request_of(1)])
    assert len(result.histograms) == 1
    assert result.histograms[0].probabilities.sum() == pytest.approx(1)
    assert emulator.jobs[0].type == "ionq.circuit.v1"


def test_requests_travel_together_and_results_keep_their_order(emulator, client, marked_request):
    requests = [marked_request(n) for n in (3, 1, 7, 2, 5, 4, 6)]
    results = client.run(requests)
    assert [len(r.histograms) for r in results] == [3, 1, 7, 2, 5, 4, 6]
    assert all(outcomes(r) == list(range(len(r.histograms))) for r in results)
    assert emulator.billed_jobs == 7
    assert emulator.stats()["connections"] <= 5


def test_no_requests_no_work(emulator, client):
    assert client.run([]) == []
    assert emulator.requests == []


def test_many_threads_may_use_one_client(emulator, client, marked_request):
    found = in_threads(lambda n: outcomes(client.run([marked_request(n)])[0]), range(1, 9))
    assert found == [list(range(n)) for n in range(1, 9)]
    assert emulator.billed_jobs == 8


def test_a_refused_key_is_an_authentication_error_and_nothing_is_retried(client_for, request_of):
    with Emulator(token="right") as emulator:
        client = client_for(emulator.url, api_key="wrong-canary")
        with pytest.raises(AuthenticationError, match="401") as refused:
            client.run([request_of(1)])
        assert "canary" not in repr(refused.value) + str(refused.value.details)
        assert len(emulator.requests) == 1
        assert states(client) == [State.REJECTED]


def test_a_refused_job_is_a_service_error_with_the_services_message(emulator, client, request_of):
    request = request_of(1, session_id="no-such-session")
    with pytest.raises(ServiceError) as refused:
        client.run([request])
    assert refused.value.details["status"] in (400, 404)
    assert emulator.billed_jobs == 0
    assert states(client) == [State.REJECTED]


def test_a_client_that_another_thread_closes_still_brings_what_it_was_asked_for(
    emulator, client_for, marked_request
):
    client = client_for(emulator.url, pool_size=1)
    results = client.run([marked_request(n) for n in (2, 3, 1)], progress=lambda _: client.close())
    assert [outcomes(result) for result in results] == [[0, 1], [0, 1, 2], [0]]


def test_progress_is_told_in_the_calling_thread(emulator, client, request_of):
    told = []
    client.run([request_of(2)], progress=lambda p: told.append((p, threading.current_thread())))
    assert {thread for _, thread in told} == {threading.current_thread()}
    assert told[0][0].state == "submitting"
    assert told[-1][0].state == "completed"
    assert told[-1][0].job_id == emulator.jobs[0].id
    assert told[-1][0].circuits == 2


def test_an_error_in_a_progress_callback_ends_the_wait_and_keeps_the_job(client_for, request_of):
    def broken(progress):
        if progress.job_id:
            raise ZeroDivisionError("in the callback")

    with Emulator(profile=30.0) as emulator:
        client = client_for(emulator.url)
        with pytest.raises(ZeroDivisionError) as raised:
            client.run([request_of(1)], progress=broken)
        assert any(emulator.jobs[0].id in note for note in raised.value.__notes__)
        assert states(client) == [State.SUBMITTED]


def test_a_blocking_call_on_the_clients_own_loop_is_refused(client, request_of):
    from pennylane_qstore.ionq.http.event_loop import background_loop

    async def inside():
        client.run([request_of(1)])

    with pytest.raises(QStoreError, match="own event loop"):
        background_loop().submit(inside()).result(10)


def test_resume_brings_open_jobs_to_an_end(tmp_path, client_for, marked_request):
    path = tmp_path / "ledger.sqlite3"
    clock = VirtualClock()
    with Emulator(profile=60.0, clock=clock) as emulator:
        with pytest.raises(JobTimeout):
            client_for(emulator.url, ledger=path).run([marked_request(3)], max_wait=0.02)
        clock.advance(60.0)
        (row,) = client_for(emulator.url, ledger=path).resume()
        assert row.state is State.DONE
        from pennylane_qstore.ionq.jobs.packing import unpack

        assert [int(h.states[h.probabilities.argmax()]) for h in unpack(row.results)] == [0, 1, 2]
        assert emulator.billed_jobs == 1


# ---- money ------------------------------------------------------------------------------


def test_what_is_declared_absent_frees_all_its_posts_and_is_sent_anew(client_for, request_of):
    """Two POSTs were lost, and both are reserved for."""
    policy = RetryPolicy(settle_s=0.02, base_s=0.001, attempts=2)
    request, keys = request_of(1, "qpu.forte-1"), [("run", 0, 0)]
    with Emulator() as emulator:
        client = client_for(emulator.url, retry_policy=policy, on_ambiguous="resubmit")
        ledger = client.ledger
        emulator.faults.add(Fault("close", route="submit", when="before", times=2))
        with pytest.raises(AmbiguousSubmission, match=r"reconcile --absent 1`"):
            client.run([request], keys=keys, estimates=[3.0])
        assert ledger.spent_usd() == 6.0
        assert client.declare_absent(1).state is State.REJECTED
        assert ledger.spent_usd() == 0.0
        assert [event.event for event in ledger.events(1)][-2:] == ["rejected", "no duplicate"]
        client.run([request], keys=keys, estimates=[3.0])
        assert emulator.billed_jobs == 1
        (done,) = ledger.submissions([State.CONSUMED])
        assert client.declare_absent(done.id).state is State.CONSUMED  # its job is known


def test_what_another_service_may_have_is_not_declared_absent_here(tmp_path, client_for):
    with Emulator() as emulator:
        client = client_for(emulator.url, ledger=tmp_path / "ledger")
        ledger = client.ledger
        ((row, _),) = ledger.begin([intent()])
        with pytest.raises(ConfigurationError, match=r"is at https://api\.ionq\.co"):
            client.declare_absent(row.id)
        assert ledger.get(row.id).state is State.INTENT
