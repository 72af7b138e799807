"""A call: intents at its beginning, results or one error at its end."""

from __future__ import annotations

import pickle

import pytest
from support.results import outcomes

from pennylane_qstore.emulator import Fault
from pennylane_qstore.errors import (
    AmbiguousSubmission,
    ConfigurationError,
    JobFailed,
    JobTimeout,
    LedgerError,
    QStoreError,
)
from pennylane_qstore.ionq.jobs.call import begin_requests, collect_results, interrupt_message
from pennylane_qstore.ionq.jobs.request_runner import PendingRequest
from pennylane_qstore.ionq.ledger.ledger import JobKey, Ledger, State


def test_keys_must_fit_the_requests(client, request_of):
    with pytest.raises(ConfigurationError, match="2 keys"):
        client.run([request_of(1)] * 2, keys=[("r", 0, 0)])
    with pytest.raises(ConfigurationError, match="same key"):
        client.run([request_of(1)] * 2, keys=[("r", 0, 0)] * 2)


def test_a_key_with_another_payload_is_an_error(emulator, client, marked_request):
    client.run([marked_request(2)], keys=[("run", 0, 0)])
    with pytest.raises(LedgerError, match="another payload"):
        client.run([marked_request(3)], keys=[("run", 0, 0)])
    client.run([marked_request(3)], keys=[("run", 0, 1)])
    assert emulator.billed_jobs == 2


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


def test_intents_of_a_call_are_there_before_anything_is_sent(request_of):
    ledger = Ledger()
    keys = [("r", 0, 0), None]
    pending = begin_requests(
        ledger, "https://api.ionq.co/v0.4", [request_of(2), request_of(1)], keys, [1.5, None]
    )
    rows = ledger.submissions()
    assert [(row.state, row.circuits) for row in rows] == [(State.INTENT, 2), (State.INTENT, 1)]
    assert [row.estimated_usd for row in rows] == [1.5, None]
    assert [entry.key for entry in pending] == [JobKey("r", 0, 0), None]
    for entry, row in zip(pending, rows, strict=True):
        assert list(entry.rows) == [(row, True)]
        assert row.token.encode() in entry.body
        assert entry.body == entry.take_body(row)
        assert entry.body is None


def test_a_key_begun_before_is_not_begun_again(request_of):
    ledger = Ledger()
    for own in (True, False):
        (entry,) = begin_requests(ledger, "https://s/v0.4", [request_of(2)], [("r", 0, 0)])
        assert [mine for _, mine in entry.rows] == [own]
        assert (entry.body is not None) == own
    assert len(ledger.submissions()) == 1


@pytest.mark.parametrize("key", [("", 0, 0), (3, 0, 0)])
def test_a_key_without_a_name_is_refused(request_of, key):
    with pytest.raises(ConfigurationError, match="run name"):
        begin_requests(Ledger(), "https://s/v0.4", [request_of(1)], [key])


def test_an_interrupt_names_the_jobs_in_flight_and_the_way_on(tmp_path, request_of):
    ledger = Ledger(tmp_path / "a ledger")
    (entry,) = begin_requests(ledger, "https://s/v0.4", [request_of(1)], [("r", 0, 0)])
    assert interrupt_message([entry], ledger, False) == "Interrupted."
    assert "may have been cut off" in interrupt_message([entry], ledger, True)
    row = entry.rows[0][0]
    entry.record.row_ids.append(row.id)
    ledger.submitted(row.id, "job-1")
    message = interrupt_message([entry], ledger, False)
    assert "In flight: job-1. The same command again or `qstore resume" in message
    assert f"--ledger '{ledger.path}'" in message
    entry.key = None
    assert "The same command" not in interrupt_message([entry], ledger, False)
    ledger.close()


def test_that_a_job_may_exist_unseen_is_told_before_other_failures(request_of):
    ledger = Ledger()
    pending = begin_requests(ledger, "https://s/v0.4", [request_of(1), request_of(1)])
    ends = [JobTimeout("late", job_ids=["a"]), AmbiguousSubmission("lost", submission=2)]
    with pytest.raises(AmbiguousSubmission, match=r"lost \(2 of 2 jobs failed\.\)") as failed:
        collect_results(pending, ends, ledger)
    assert failed.value.details["failed"] == [0, 1]
    assert failed.value.details["errors"] == ends
    assert failed.value.job_ids == ("a",)
