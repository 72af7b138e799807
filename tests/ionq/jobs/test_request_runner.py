"""One request, several jobs: failures sent again once, keys paid once."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from support.results import outcomes, states
from support.threads import in_threads

from pennylane_qstore.emulator import Emulator, Fault
from pennylane_qstore.errors import (
    JobFailed,
    JobTimeout,
    LedgerError,
)
from pennylane_qstore.ionq.jobs.call import begin_requests
from pennylane_qstore.ionq.jobs.packing import pack
from pennylane_qstore.ionq.ledger.ledger import Ledger, State


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


def test_a_key_that_failed_may_be_sent_again_by_the_next_call(emulator, client, marked_request):
    emulator.faults.add(Fault("fail", code="QuotaExhaustedError"))
    with pytest.raises(JobFailed):
        client.run([marked_request(2)], keys=[("run", 0, 0)])
    (result,) = client.run([marked_request(2)], keys=[("run", 0, 0)])
    assert outcomes(result) == [0, 1]


def test_two_threads_with_the_same_key_pay_once(client_for, marked_request):
    with Emulator(profile=0.2) as emulator:
        client = client_for(emulator.url)

        def work(_):
            return client.run([marked_request(2)], keys=[("run", 0, 0)])[0]

        assert [outcomes(r) for r in in_threads(work, range(4))] == [[0, 1]] * 4
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
    """Its service may be gone or not: who holds the lease is sending it."""

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
