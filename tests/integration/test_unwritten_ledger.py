"""A ledger that cannot be written after a POST: ids and results are not lost with it."""

from __future__ import annotations

import pytest

from pennylane_qstore.emulator import Emulator
from pennylane_qstore.errors import LedgerError
from pennylane_qstore.ionq.ledger.ledger import Ledger, State


class FullDisk:
    """Fails these changes of a ledger, so many times each."""

    def __init__(self, *events, times=None):
        self.left = dict.fromkeys(events, times)

    def __call__(self, name):
        event = name.removeprefix("before:")
        if event == name or event not in self.left or self.left[event] == 0:
            return
        if self.left[event] is not None:
            self.left[event] -= 1
        raise LedgerError("The disk is full.")


@pytest.fixture
def service(fake_clock):
    with Emulator(seed=1, clock=fake_clock.services) as running:
        yield running


@pytest.fixture
def failing(tmp_path, service, client_for, fake_clock):
    """A client whose ledger fails at some changes, until its observer is taken away."""
    made = []

    def make(*events, **options):
        clock = fake_clock.clock()
        ledger = Ledger(tmp_path / "l", now=clock.now, observer=FullDisk(*events, **options))
        made.append(ledger)
        return client_for(service.url, ledger=ledger, clock=clock)

    yield make
    for ledger in made:
        ledger.close()


def ids(emulator):
    return {job.id for job in emulator.jobs}


@pytest.mark.parametrize("events", [["submitted"], ["submitted", "release"]], ids=" ".join)
def test_an_id_that_cannot_be_written_down_is_in_the_error_and_the_log(
    service, failing, request_of, caplog, events
):
    client = failing(*events)
    with pytest.raises(LedgerError, match="disk is full") as failed:
        client.run([request_of(2, "qpu.forte-1")], keys=[("r", 0, 0)])
    (job_id,) = ids(service)
    assert failed.value.job_ids == (job_id,)
    assert f"Job {job_id} exists" in caplog.text
    assert [row.state for row in client.ledger.submissions()] == [State.INTENT]
    client.ledger.observer = None
    (result,) = client.run([request_of(2, "qpu.forte-1")], keys=[("r", 0, 0)])
    assert result.job_id == job_id
    assert service.billed_jobs == 1


def test_an_id_that_only_the_error_knows_does_not_hide_behind_the_others(
    service, failing, request_of
):
    client = failing("submitted", times=1)
    with pytest.raises(LedgerError, match="1 of 2 jobs failed") as failed:
        client.run([request_of(1, "qpu.forte-1", seed=seed) for seed in range(2)])
    assert len(failed.value.job_ids) == 2
    assert set(failed.value.job_ids) == ids(service)
    assert sum(result is not None for result in failed.value.details["results"]) == 1


def test_results_that_cannot_be_stored_are_in_the_error(service, failing, request_of):
    client = failing("done")
    with pytest.raises(LedgerError, match="2 of 2 jobs failed") as failed:
        client.run([request_of(n, "qpu.forte-1") for n in (3, 1)])
    found = failed.value.details["results"]
    assert [len(result.histograms) for result in found] == [3, 1]
    assert all(h is not None for result in found for h in result.histograms)
    assert {result.job_id for result in found} == set(failed.value.job_ids) == ids(service)
    # Paid for: they can be fetched again.
    assert [row.state for row in client.ledger.submissions()] == [State.SUBMITTED] * 2


def test_a_bill_that_cannot_be_written_down_does_not_lose_the_results(failing, request_of, caplog):
    client = failing("billed")
    (result,) = client.run([request_of(2, "qpu.forte-1")])
    assert len(result.histograms) == 2
    assert result.cost_usd > 0
    assert f"The bill of job {result.job_id}" in caplog.text
    client.ledger.observer = None
    (row,) = client.reconcile()
    assert row.billed_usd == result.cost_usd


def test_results_that_cannot_be_marked_as_taken_are_returned(failing, request_of, caplog):
    client = failing("consumed")
    (result,) = client.run([request_of(2)])
    assert len(result.histograms) == 2
    assert [row.state for row in client.ledger.submissions()] == [State.DONE]
    assert f"The results of {result.job_id} are here" in caplog.text
