"""A batch end to end: requests counted, errors typed, nothing lost."""

from __future__ import annotations

import asyncio
import pickle
import threading
from urllib.parse import urlsplit

import numpy as np
import pytest

from pennylane_qstore.emulator import Emulator, Fault, ServiceBehaviour, VirtualClock
from pennylane_qstore.errors import (
    AuthenticationError,
    ConfigurationError,
    InvalidResponse,
    JobCanceled,
    JobFailed,
    JobTimeout,
    LedgerError,
    QStoreError,
    ServiceError,
)
from pennylane_qstore.ionq.http.retry import RetryPolicy
from pennylane_qstore.ionq.http.transport import Traffic
from pennylane_qstore.ionq.jobs.call import begin_requests
from pennylane_qstore.ionq.jobs.request_runner import PendingRequest
from pennylane_qstore.ionq.jobs.results import fetch_results, pack
from pennylane_qstore.ionq.ledger.ledger import Ledger, State
from pennylane_qstore.ionq.messages.responses import JobState


def outcomes(result):
    """The outcome of each circuit of a marked request."""
    return [int(h.states[np.argmax(h.probabilities)]) for h in result.histograms]


def states(client):
    return [row.state for row in client.ledger.submissions()]


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
    found = {}

    def work(n):
        found[n] = outcomes(client.run([marked_request(n)])[0])

    threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n: list(range(n)) for n in range(1, 9)}
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


def test_max_wait_leaves_the_job_and_names_it(client_for, request_of):
    with Emulator(profile=30.0) as emulator:
        client = client_for(emulator.url)
        with pytest.raises(JobTimeout, match="resume") as late:
            client.run([request_of(1)], max_wait=0.05)
        (row,) = client.ledger.submissions()
        assert row.state is State.SUBMITTED
        assert late.value.job_ids == (row.job_id,)
        assert emulator.billed_jobs == 1


def test_a_cancelled_job_ends_the_wait(client_for, request_of):
    with Emulator(profile=30.0) as emulator:
        client = client_for(emulator.url)

        def cancel(progress):
            if progress.job_id is not None:
                client_for(emulator.url).cancel([progress.job_id])

        with pytest.raises(JobCanceled) as ended:
            client.run([request_of(3)], progress=cancel)
        assert ended.value.job_ids
        assert states(client) == [State.CANCELED]


def test_a_deleted_job_ends_the_wait(emulator, client, request_of):
    emulator.faults.add(Fault("status", route="job", status=404, times=None))
    with pytest.raises(JobCanceled, match="deleted"):
        client.run([request_of(1)])


def test_a_failed_job_is_sent_again_once(emulator, client, marked_request):
    emulator.faults.add(Fault("fail", code="InternalError"))
    (result,) = client.run([marked_request(4)])
    assert outcomes(result) == [0, 1, 2, 3]
    assert len(result.job_ids) == 2
    assert emulator.billed_jobs == 2  # the first job is the one that failed
    assert states(client) == [State.FAILED, State.CONSUMED]


def test_retry_failed_can_be_switched_off(emulator, client_for, marked_request):
    emulator.faults.add(Fault("fail", code="InternalError", message="ion lost"))
    client = client_for(emulator.url, retry_failed=False)
    with pytest.raises(JobFailed, match="ion lost") as failed:
        client.run([marked_request(2)])
    assert failed.value.details["code"] == "InternalError"
    assert failed.value.details["circuits"] == (0, 1)
    assert emulator.billed_jobs == 1


def test_what_cannot_work_is_not_sent_again(emulator, client, marked_request):
    emulator.faults.add(Fault("fail", code="QuotaExhaustedError", times=None))
    with pytest.raises(JobFailed) as failed:
        client.run([marked_request(2)])
    assert failed.value.details["code"] == "QuotaExhaustedError"
    assert emulator.billed_jobs == 1


def test_one_failure_does_not_lose_the_others(emulator, client, marked_request):
    emulator.faults.add(Fault("fail", code="TooManyGates", skip=0))
    with pytest.raises(JobFailed, match="1 of 3 jobs failed") as failed:
        client.run([marked_request(2), marked_request(3), marked_request(1)])
    details = failed.value.details
    (bad,) = details["failed"]
    good = [i for i in range(3) if i != bad]
    assert [outcomes(details["results"][i]) for i in good] == [
        list(range([2, 3, 1][i])) for i in good
    ]
    assert len(failed.value.job_ids) == 3
    again = pickle.loads(pickle.dumps(failed.value))
    assert again.details["failed"] == [bad]


def test_an_unforeseen_failure_does_not_lose_the_others(
    emulator, client, marked_request, monkeypatch
):
    add = PendingRequest.add

    def broken(self, row, outcome):
        if self.record.index == 1:
            raise ZeroDivisionError("in the midst of it")
        add(self, row, outcome)

    monkeypatch.setattr(PendingRequest, "add", broken)
    with pytest.raises(QStoreError, match="ZeroDivisionError: in the midst") as failed:
        client.run([marked_request(2), marked_request(3), marked_request(1)])
    details = failed.value.details
    assert isinstance(failed.value.__cause__, ZeroDivisionError)
    assert details["failed"] == [1]
    assert [outcomes(details["results"][i]) for i in (0, 2)] == [[0, 1], [0]]
    assert len(set(failed.value.job_ids)) == emulator.billed_jobs == 3
    assert pickle.loads(pickle.dumps(failed.value)).job_ids == failed.value.job_ids


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


def test_a_client_that_cannot_send_writes_no_intent(
    tmp_path, emulator, client_for, request_of, monkeypatch
):
    path = tmp_path / "ledger.sqlite3"
    nowhere = client_for("https://127.0.0.1:1/v0.4", ledger=path, ca_bundle="/nowhere.pem")
    for name in ("IONQ_API_KEY", "PENNYLANE_IONQ_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    keyless = pickle.loads(pickle.dumps(client_for(emulator.url, ledger=path)))
    for client, why in ((nowhere, "ca_bundle"), (keyless, "API key")):
        with pytest.raises(ConfigurationError, match=why):
            client.run([request_of(1, "qpu.forte-1")], keys=[("r", 0, 0)])
        assert client.ledger.submissions() == []
    # The next run has no doubts about a job that cannot be.
    client_for(emulator.url, ledger=path).run([request_of(1, "qpu.forte-1")], keys=[("r", 0, 0)])
    assert emulator.billed_jobs == 1


# ---- keys: a run that starts again -------------------------------------------------------


def test_a_key_that_is_done_is_answered_from_the_ledger(
    tmp_path, emulator, client_for, marked_request
):
    path = tmp_path / "ledger.sqlite3"
    first = client_for(emulator.url, ledger=path)
    (one,) = first.run([marked_request(5)], keys=[("run", 3, 0)])
    before = len(emulator.requests)
    second = client_for(emulator.url, ledger=path)
    (two,) = second.run([marked_request(5)], keys=[("run", 3, 0)])
    assert len(emulator.requests) == before
    assert two.adopted
    assert not one.adopted
    assert two.job_ids == one.job_ids
    for a, b in zip(one.histograms, two.histograms, strict=True):
        assert (a.states == b.states).all()
        assert (a.probabilities == b.probabilities).all()
    assert second.get_stats()["adopted"] == 1


def test_a_key_in_flight_is_polled_not_paid_again(tmp_path, client_for, marked_request):
    clock = VirtualClock()
    with Emulator(profile=60.0, clock=clock) as emulator:
        path = tmp_path / "ledger.sqlite3"
        with pytest.raises(JobTimeout):
            client_for(emulator.url, ledger=path).run(
                [marked_request(3)], keys=[("run", 0, 0)], max_wait=0.02
            )
        clock.advance(60.0)
        (result,) = client_for(emulator.url, ledger=path).run(
            [marked_request(3)], keys=[("run", 0, 0)]
        )
        assert outcomes(result) == [0, 1, 2]
        assert result.adopted
        assert emulator.billed_jobs == 1


def test_a_key_with_another_payload_is_an_error(emulator, client, marked_request):
    client.run([marked_request(2)], keys=[("run", 0, 0)])
    with pytest.raises(LedgerError, match="another payload"):
        client.run([marked_request(3)], keys=[("run", 0, 0)])
    client.run([marked_request(3)], keys=[("run", 0, 1)])
    assert emulator.billed_jobs == 2


def test_a_key_that_failed_may_be_sent_again_by_the_next_call(emulator, client, marked_request):
    emulator.faults.add(Fault("fail", code="QuotaExhaustedError"))
    with pytest.raises(JobFailed):
        client.run([marked_request(2)], keys=[("run", 0, 0)])
    (result,) = client.run([marked_request(2)], keys=[("run", 0, 0)])
    assert outcomes(result) == [0, 1]


def test_two_threads_with_the_same_key_pay_once(client_for, marked_request):
    with Emulator(profile=0.2) as emulator:
        client = client_for(emulator.url)
        got = []

        def work():
            got.append(client.run([marked_request(2)], keys=[("run", 0, 0)])[0])

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [outcomes(r) for r in got] == [[0, 1]] * 4
        assert emulator.billed_jobs == 1


def test_a_job_of_an_emulator_that_is_gone_is_sent_to_the_new_one(
    tmp_path, client_for, marked_request
):
    path = tmp_path / "ledger.sqlite3"
    with Emulator(profile=30.0) as old, pytest.raises(JobTimeout):
        client_for(old.url, ledger=path).run([marked_request(2)], keys=[("r", 0, 0)], max_wait=0.05)
    with Emulator() as new:
        (result,) = client_for(new.url, ledger=path).run([marked_request(2)], keys=[("r", 0, 0)])
        assert outcomes(result) == [0, 1]


def test_a_paid_job_behind_another_port_of_this_machine_is_not_paid_again(
    tmp_path, client_for, request_of
):
    # It may be a tunnel to the real service, opened again: the job lives.
    path = tmp_path / "ledger.sqlite3"
    request = request_of(2, "qpu.forte-1")
    with Emulator(profile=30.0) as old:
        before = client_for(old.url, ledger=path)
        with pytest.raises(JobTimeout):
            before.run([request], keys=[("r", 0, 0)], max_wait=0.05)
    with Emulator() as new:
        client = client_for(new.url, ledger=path)
        with pytest.raises(LedgerError, match=urlsplit(before.base_url).netloc):
            client.run([request], keys=[("r", 0, 0)])
        assert new.billed_jobs == 0
        assert states(client) == [State.SUBMITTED]


def test_a_row_that_ends_elsewhere_while_it_is_given_up_keeps_its_results(
    tmp_path, emulator, client_for, request_of
):
    """Whether its service is gone or not: who holds the lease is sending it."""

    class Late(Ledger):
        def claim(self, row, owner, lease_s):
            if self.get(row).state is State.INTENT:  # by the other process, at the last moment
                self.submitted(row, "elsewhere")
                self.done(row, pack(first.histograms))
            return super().claim(row, owner, lease_s)

    (first,) = client_for(emulator.url).run([request_of(1)])
    ledger = Late(tmp_path / "ledger.sqlite3")
    begin_requests(ledger, "http://127.0.0.1:1/v0.4", [request_of(1)], [("r", 0, 0)])
    client = client_for(emulator.url, ledger=ledger)
    (second,) = client.run([request_of(1)], keys=[("r", 0, 0)])
    assert second.job_ids == ("elsewhere",)
    assert states(client) == [State.CONSUMED]
    assert emulator.billed_jobs == 1
    ledger.close()


def test_a_job_in_flight_elsewhere_is_not_paid_again(tmp_path, client_for, request_of):
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    with Emulator() as emulator:
        client = client_for(emulator.url, ledger=ledger)
        (job,) = begin_requests(ledger, "https://api.ionq.co/v0.4", [request_of(1)], [("r", 0, 0)])
        ledger.submitted(job.rows[0][0].id, "some-job")
        with pytest.raises(LedgerError, match=r"api\.ionq\.co"):
            client.run([request_of(1)], keys=[("r", 0, 0)])
        assert emulator.billed_jobs == 0


def test_keys_must_fit_the_requests(client, request_of):
    with pytest.raises(ConfigurationError, match="2 keys"):
        client.run([request_of(1)] * 2, keys=[("r", 0, 0)])
    with pytest.raises(ConfigurationError, match="same key"):
        client.run([request_of(1)] * 2, keys=[("r", 0, 0)] * 2)


def test_resume_brings_open_jobs_to_an_end(tmp_path, client_for, marked_request):
    path = tmp_path / "ledger.sqlite3"
    clock = VirtualClock()
    with Emulator(profile=60.0, clock=clock) as emulator:
        with pytest.raises(JobTimeout):
            client_for(emulator.url, ledger=path).run([marked_request(3)], max_wait=0.02)
        clock.advance(60.0)
        (row,) = client_for(emulator.url, ledger=path).resume()
        assert row.state is State.DONE
        from pennylane_qstore.ionq.jobs.results import unpack

        assert [int(h.states[h.probabilities.argmax()]) for h in unpack(row.results)] == [0, 1, 2]
        assert emulator.billed_jobs == 1


# ---- money ------------------------------------------------------------------------------


def test_the_cost_of_a_qpu_job_is_read_back_and_kept(client_for, request_of):
    with Emulator() as emulator:
        client = client_for(emulator.url)
        (result,) = client.run([request_of(3, "qpu.forte-1")], estimates=[12.5])
        assert result.cost_usd > 0
        (row,) = client.ledger.submissions()
        assert row.billed_usd == result.cost_usd
        assert row.estimated_usd == 12.5
        assert client.ledger.spent_usd() == result.cost_usd
        assert client.get_stats()["billed_usd"] == result.cost_usd
        assert client.cost_usd(result.job_id) == result.cost_usd


def test_on_a_qpu_the_order_of_children_is_never_believed(client_for, request_of):
    with Emulator() as emulator:
        client_for(emulator.url).run([request_of(3, "qpu.forte-1")])
        assert any("parent_job_id" in r.path for r in emulator.requests)


def test_a_simulator_is_not_asked_for_costs(emulator, client, request_of):
    client.run([request_of(1)])
    assert not any("cost" in r.path for r in emulator.requests)


def test_a_cost_that_cannot_be_read_does_not_lose_the_results(client_for, request_of):
    with Emulator(faults=[Fault("status", route="cost", status=500, times=None)]) as emulator:
        (result,) = client_for(emulator.url).run([request_of(2, "qpu.forte-1")])
        assert result.cost_usd is None
        assert len(result.histograms) == 2


def test_a_dry_run_is_priced_and_not_run(client_for, request_of):
    with Emulator() as emulator:
        (result,) = client_for(emulator.url).run([request_of(2, "qpu.forte-1", dry_run=True)])
        assert result.histograms == []
        assert result.status == "completed"
        assert emulator.billed_jobs == 0


# ---- matching children --------------------------------------------------------------------


@pytest.mark.parametrize("what", ["ids", "aggregate", "both"])
def test_shuffled_children_are_matched_by_name(client_for, marked_request, what):
    faults = [Fault("shuffle_children", what=what, times=None)]
    with Emulator(seed=3, faults=faults) as emulator:
        (result,) = client_for(emulator.url).run([marked_request(30)])
        assert outcomes(result) == list(range(30))


def test_children_without_names_are_taken_in_the_parents_order_with_a_warning(
    client_for, marked_request, caplog
):
    faults = [
        Fault("shuffle_children", what="aggregate", times=None),
        Fault("unnamed_children", times=None),
    ]
    with Emulator(seed=3, faults=faults) as emulator:
        (result,) = client_for(emulator.url).run([marked_request(10)])
        assert outcomes(result) == list(range(10))
        assert caplog.text.count("carry no circuit names") == 1


def test_a_circuit_missing_in_the_aggregate_is_read_by_itself(client_for, marked_request):
    with Emulator(faults=[Fault("missing_result")]) as emulator:
        (result,) = client_for(emulator.url).run([marked_request(6)])
        assert outcomes(result) == list(range(6))


def test_a_circuit_read_by_itself_is_aggregated_like_the_others(client_for, request_of):
    settings = {"error_mitigation": {"debiasing": True}}
    request = request_of(3, "qpu.forte-1", shots=500, settings=settings, aggregation="voting")
    with Emulator(faults=[Fault("missing_result")]) as emulator:
        client_for(emulator.url).run([request])
        read = [r.path for r in emulator.requests if "/results/" in r.path]
    assert len(read) == 2
    assert all(path.endswith("?aggregation=voting") for path in read)


def test_what_came_of_a_job_that_failed_in_part_is_aggregated_too():
    class Service:
        async def children(self, job_id, traffic):
            return [
                JobState("a", "completed", name="c0", parent_id=job_id),
                JobState("b", "failed", name="c1", parent_id=job_id),
            ]

        async def read_results(self, path, decode, traffic):
            paths.append(path)
            return decode(b'{"0": 1.0}')

    paths = []
    state = JobState("j", "failed")
    got = asyncio.run(
        fetch_results(Service(), state, Traffic(), circuits=2, qubits=1, aggregation="voting")
    )
    assert paths == ["/jobs/a/results/probabilities?aggregation=voting"]
    assert list(got.failures) == [1]


def test_a_circuit_too_many_is_refused(client_for, marked_request):
    with Emulator(faults=[Fault("extra_result", times=None)]) as emulator:
        client = client_for(emulator.url)
        with pytest.raises(InvalidResponse, match="not sent") as refused:
            client.run([marked_request(6)])
        assert refused.value.job_ids
        assert states(client) == [State.SUBMITTED]  # paid for: it can be fetched again


def test_children_listed_twice_or_in_pages_are_matched(client_for, marked_request):
    faults = [
        Fault("list_duplicates", times=None),
        Fault("shuffle_children", times=None),
        Fault("list_shuffle", times=None),
    ]
    behaviour = ServiceBehaviour(page_limit=4)
    with Emulator(seed=5, faults=faults, behaviour=behaviour) as emulator:
        (result,) = client_for(emulator.url).run([marked_request(11)])
        assert outcomes(result) == list(range(11))


HOSTILE = ["empty", "null", "array", "not_json", "html", "nan", "infinity", "negative", "sum",
           "key", "range", "types", "nested", "surrogate", "deep", "huge"]  # fmt: skip


@pytest.mark.parametrize("body", HOSTILE)
@pytest.mark.parametrize("circuits", [1, 3])
def test_hostile_results_are_refused(client_for, request_of, body, circuits):
    with Emulator(faults=[Fault("hostile", route="results", body=body, times=None)]) as emulator:
        client = client_for(emulator.url)
        with pytest.raises(InvalidResponse):
            client.run([request_of(circuits)])
        assert emulator.billed_jobs == 1
        assert states(client) == [State.SUBMITTED]


@pytest.mark.parametrize("body", HOSTILE)
def test_a_hostile_body_once_is_read_again(client_for, request_of, body):
    faults = [Fault("hostile", route=route, body=body) for route in ("job", "results")]
    with Emulator(faults=faults) as emulator:
        (result,) = client_for(emulator.url).run([request_of(2)])
        assert len(result.histograms) == 2
        assert emulator.billed_jobs == 1


def test_an_unknown_state_and_one_that_goes_back_are_waited_through(client_for, request_of):
    faults = [Fault("job_status", value="hibernating"), Fault("regress")]
    with Emulator(faults=faults) as emulator:
        (result,) = client_for(emulator.url).run([request_of(2)])
        assert result.polls >= 2


def test_a_dead_status_endpoint_never_leads_to_a_second_job(client_for, request_of, fake_clock):
    # Ten minutes of the client's clock without an answer to a single look.
    with Emulator(faults=[Fault("status", route="job", status=503, times=80)]) as emulator:
        client = client_for(
            emulator.url, clock=fake_clock.clock(), retry_policy=RetryPolicy(cap_s=20.0, base_s=1.0)
        )
        (result,) = client.run([request_of(2)])
        assert len(result.histograms) == 2
        assert fake_clock.ahead > 600
        assert emulator.billed_jobs == 1
        assert emulator.stats()["posts"] == 1
