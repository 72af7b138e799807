"""One job's life, whoever asks for it: wait, fetch, store, bill."""

from __future__ import annotations

import numpy as np
import pytest
from support.ledgers import SERVICE
from support.results import outcomes, states

from pennylane_qstore.emulator import Emulator, Fault, VirtualClock
from pennylane_qstore.errors import (
    JobCanceled,
    JobFailed,
    JobTimeout,
    LedgerError,
)
from pennylane_qstore.ionq.http.retry import RetryPolicy
from pennylane_qstore.ionq.jobs.packing import pack
from pennylane_qstore.ionq.jobs.results import CircuitFailure, JobRecord
from pennylane_qstore.ionq.ledger.ledger import Intent, Ledger, State
from pennylane_qstore.ionq.messages.histograms import Histogram


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


def test_a_dry_run_is_priced_and_not_run(client_for, request_of):
    with Emulator() as emulator:
        (result,) = client_for(emulator.url).run([request_of(2, "qpu.forte-1", dry_run=True)])
        assert result.histograms == []
        assert result.status == "completed"
        assert emulator.billed_jobs == 0


# ---- matching children --------------------------------------------------------------------


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


# ------------------------------------------------------------------ rows that have ended


HISTOGRAM = Histogram(np.array([1], dtype=np.uint64), np.array([1.0]))


def stored_row(ledger, end, *values, circuits=2):
    """A row that was submitted as "job-1" and then ended."""
    ((row, _),) = ledger.begin([Intent(SERVICE, "qpu.forte-1", 10, circuits, 3, "a" * 64)])
    ledger.submitted(row.id, "job-1")
    ledger.billed(row.id, 1.5)
    getattr(ledger, end)(row.id, *values)
    return ledger.get(row.id)


def complete(client, row, record=None, make_body=None):
    return client.call(client._runner().complete(row, record or JobRecord(), make_body))


def test_stored_results_are_given_without_a_request(emulator, client):
    record = JobRecord()
    row = stored_row(client.ledger, "done", pack([HISTOGRAM, HISTOGRAM]))
    outcome = complete(client, row, record)
    assert [h.states.tolist() for h in outcome.histograms] == [[1], [1]]
    assert (outcome.failures, outcome.qubits) == ({}, 3)
    assert (record.job_ids, record.row_ids, record.cost_usd) == (["job-1"], [row.id], 1.5)
    assert emulator.stats()["requests"] == 0


def test_stored_results_of_a_part_name_what_failed(client):
    row = stored_row(client.ledger, "failed", "SystemCancel: late", pack([None, HISTOGRAM]))
    outcome = complete(client, row)
    assert outcome.histograms[0] is None
    assert outcome.failures == {0: CircuitFailure("failed", "SystemCancel: late", "job-1")}


def test_a_row_without_results_is_a_failure_of_every_circuit(client):
    outcome = complete(client, stored_row(client.ledger, "failed", "NoSuch: thing"))
    assert outcome.histograms == [None, None]
    assert set(outcome.failures) == {0, 1}


def test_a_cancelled_row_is_an_error_to_who_cannot_send_it_again(client):
    row = stored_row(client.ledger, "canceled", "by hand")
    with pytest.raises(JobCanceled, match="job-1"):
        complete(client, row)
    outcome = complete(client, row, make_body=lambda row: b"never called")
    assert outcome.failures[0] == CircuitFailure("canceled", "by hand", "job-1")


def test_stored_results_of_another_number_are_refused(client):
    row = stored_row(client.ledger, "done", pack([HISTOGRAM]))
    with pytest.raises(LedgerError, match="1 results for 2 circuits"):
        complete(client, row)


def test_the_results_of_a_foreign_job_are_read_and_not_written_down(
    emulator, client, client_for, marked_request
):
    stranger = client_for(emulator.url, ledger=Ledger())
    (result,) = stranger.run([marked_request(3)])
    outcome = client.call(client._runner().read_foreign(result.job_id, JobRecord()))
    assert [int(h.states[0]) for h in outcome.histograms] == outcomes(result)
    assert client.ledger.submissions() == []
    assert outcome.run_s is not None


def test_a_foreign_job_that_nobody_knows_is_an_error(client):
    with pytest.raises(LedgerError, match="does not know it"):
        client.call(client._runner().read_foreign("no-such-job", JobRecord()))


def test_what_resume_asks_for_is_told_as_progress(tmp_path, client_for, request_of):
    events = []
    with Emulator(profile=0.3) as emulator:
        first = client_for(emulator.url, ledger=tmp_path / "l")
        with pytest.raises(JobTimeout):
            first.run([request_of(2)], max_wait=0.05)
        (row,) = client_for(emulator.url, ledger=tmp_path / "l").resume(progress=events.append)
    assert row.state is State.DONE
    assert {event.job_id for event in events} == {row.job_id}
    assert events[-1].state == "completed"
    assert {event.circuits for event in events} == {2}


def test_a_dry_run_that_fails_is_no_price(client_for, request_of):
    faults = [Fault("fail", code="TooManyGates", times=None)]
    with Emulator(faults=faults) as emulator, pytest.raises(JobFailed):
        client_for(emulator.url).run([request_of(2, "qpu.forte-1", dry_run=True)])
