"""Jobs that were sent and not waited for, as the client finds them again."""

import asyncio

import pytest

from pennylane_qstore.emulator import Emulator, Fault
from pennylane_qstore.errors import JobCanceled, JobFailed, LedgerError
from pennylane_qstore.ionq.client import IonQClient
from pennylane_qstore.ionq.http.retry import RetryPolicy
from pennylane_qstore.ionq.ledger.ledger import Ledger
from pennylane_qstore.ionq.ledger.rows import JobKey, State
from pennylane_qstore.ionq.messages.job_request import JobRequest

FLIP = b'[{"gate":"gpi","target":0,"phase":0.0}]'
QPU = "qpu.forte-1"


def request(circuits=2, backend="simulator"):
    return JobRequest(backend, "native", 1, (FLIP,) * circuits, circuits, 100)


def keys(count, run="handle"):
    return [JobKey(run, 0, chunk) for chunk in range(count)]


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "jobs.sqlite")


def client(emulator, ledger):
    policy = RetryPolicy(settle_s=0.05, base_s=0.01)
    return IonQClient("key", base_url=emulator.url, ledger=ledger, retry_policy=policy)


def fetched(client, requests, keys):
    return client.call(client.fetching(requests, keys))


def test_jobs_are_created_without_waiting_and_fetched_by_another_client(ledger):
    with Emulator(profile={"execution_s": 0.05}) as emulator:
        first = client(emulator, ledger)
        sent = first.run([request(), request(1)], keys=keys(2), wait=False)
        assert [job.status for job in sent] == ["submitted"] * 2
        assert [job.keys for job in sent] == [(key,) for key in keys(2)]
        assert all(h is None for job in sent for h in job.histograms)
        other = client(emulator, Ledger(ledger.path))
        found = fetched(other, [request(), request(1)], keys(2))
        assert [len(job.histograms) for job in found] == [2, 1]
        assert found[0].histograms[0].states.tolist() == [1]
        assert other.states(keys(2)) == ["completed"] * 2
        assert emulator.stats()["posts"] == 2
        assert {row.state for row in ledger.submissions()} == {State.CONSUMED}


def test_on_a_loop_of_the_caller(ledger):
    with Emulator() as emulator:
        one = client(emulator, ledger)

        async def both():
            return await one.on_loop(one.fetching([request()], keys(1)))

        one.run([request()], keys=keys(1), wait=False)
        (job,) = asyncio.run(both())
        assert job.status == "completed"


def test_a_lost_answer_is_found_when_the_job_is_fetched(ledger):
    with Emulator(faults=[Fault("close", route="submit", when="after")]) as emulator:
        one = client(emulator, ledger)
        one.run([request(backend=QPU)], keys=keys(1), wait=False)
        (job,) = fetched(one, [request()], keys(1))
        assert job.job_ids == (emulator.jobs[0].id,)
        assert len(emulator.jobs) == 1


def test_states_are_the_services_while_jobs_go_on(ledger):
    with Emulator(profile={"execution_s": 600.0}) as emulator:
        one = client(emulator, ledger)
        many = 30  # more than one page
        jobs = one.run([request(1)] * many, keys=keys(many), wait=False)
        assert set(one.states(keys(many))) <= {"submitted", "ready", "started"}
        one.cancel([jobs[0].job_id])
        assert one.states(keys(1)) == ["canceled"]
        with pytest.raises(JobCanceled):
            fetched(one, [request(1)], keys(1))


def test_failures_stay_failures_and_nothing_is_sent_again(ledger):
    with Emulator(faults=[Fault("fail", "submit")]) as emulator:
        one = client(emulator, ledger)
        one.run([request(1)], keys=keys(1), wait=False)
        for _ in range(2):
            with pytest.raises(JobFailed, match="on purpose"):
                fetched(one, [request(1)], keys(1))
        assert one.states(keys(1)) == ["failed"]
        assert emulator.stats()["posts"] == 1
        # The same call again is asked to send it, and does.
        one.run([request(1)], keys=keys(1), wait=False)
        assert fetched(one, [request(1)], keys(1))[0].status == "completed"
        assert emulator.stats()["posts"] == 2


def test_what_an_earlier_start_has_submitted_is_adopted(ledger):
    with Emulator() as emulator:
        first = client(emulator, ledger).run([request()], keys=keys(1), wait=False)
        again = client(emulator, ledger).run([request()], keys=keys(1), wait=False)
        assert again[0].job_ids == first[0].job_ids
        fetched(client(emulator, ledger), [request()], keys(1))
        (done,) = client(emulator, ledger).run([request()], keys=keys(1), wait=False)
        assert done.status == "completed"
        assert emulator.stats()["posts"] == 1


def test_another_ledger_has_no_such_job(ledger):
    with Emulator() as emulator, pytest.raises(LedgerError, match="no job of"):
        fetched(client(emulator, ledger), [request()], keys(1))
