"""Jobs on their way to the service: their run, their cost, their client."""

from __future__ import annotations

import contextlib
import dataclasses

import pennylane as qml
import pytest
from support.ledgers import intent

from pennylane_qstore.emulator import Emulator
from pennylane_qstore.errors import AmbiguousSubmission, JobFailed
from pennylane_qstore.execution.options import Options
from pennylane_qstore.execution.run_scope import RunScope
from pennylane_qstore.execution.sender import Sender
from pennylane_qstore.execution.stats import BatchMeter, Stats
from pennylane_qstore.ionq.jobs.request_runner import JobResult
from pennylane_qstore.ionq.ledger.ledger import Ledger
from pennylane_qstore.ionq.messages.job_request import JobRequest

REQUEST = JobRequest("qpu.forte-1", "native", 1, (b"[]",), 0, 100)
DONE = JobResult("id", [None], 0.1, 0.1, 0.1, 0.4, 1, 3, None, "completed", ("id",))


class Client:
    """Returns or raises what it is told; every job costs 2 dollars by estimate."""

    def __init__(self, outcome):
        self.outcome, self.calls, self.ledger = outcome, [], Ledger()

    def estimate(self, backend, **figures):
        return type("Estimate", (), {"cost_usd": 2.0, "execution_s": 1.0, "queue_s": 1.0})

    def run(self, requests, **options):
        prices, accounts = options["estimates"], options["accounts"]
        self.ledger.begin([intent(estimated_usd=usd, accounts=accounts) for usd in prices])
        self.calls.append(options)
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


def sender(outcome, **options):
    options = Options.of({"backend": "qpu.forte-1", "api_key": "k", **options})
    made = Sender(options, Stats())
    made._client = Client(outcome)
    return made


def send(made, *requests):
    meter = BatchMeter()
    with contextlib.suppress(JobFailed, AmbiguousSubmission, KeyboardInterrupt):
        made.send(requests, meter)
    return meter


@pytest.mark.parametrize(
    ("outcome", "spent_usd", "jobs"),
    [
        ([dataclasses.replace(DONE, cost_usd=1.5), DONE], 3.5, 2),
        (JobFailed("no", job_ids=["a"], errors=[None, JobFailed("no", job_ids=["a"])],
                   results=[dataclasses.replace(DONE, cost_usd=1.5), None]), 3.5, 1),
        (JobFailed("no", errors=[JobFailed("no")] * 2), 0.0, 0),
        (AmbiguousSubmission("who knows"), 4.0, 0),
        (KeyboardInterrupt(), 4.0, 0),
    ],
)  # fmt: skip
def test_what_may_be_billed_is_counted(outcome, spent_usd, jobs):
    meter = send(sender(outcome), REQUEST, REQUEST)
    assert meter.spent_usd == spent_usd
    assert len(meter.jobs) == jobs


def test_jobs_of_one_batch_sent_in_turn_share_its_budget():
    made = sender([DONE], budget_usd=3.0)
    meter = BatchMeter()
    made.send([REQUEST], meter)
    with pytest.raises(Exception, match=r"\$1.00 of the budget of \$3.00 is left"):
        made.send([REQUEST], meter)
    assert len(made.client.calls) == 1


def test_a_run_names_its_jobs_by_batch_and_place(tmp_path):
    made = sender([DONE, DONE], run="mine", ledger=tmp_path / "ledger")
    made._is_paid = lambda key: False
    send(made, REQUEST, REQUEST)
    made.send([REQUEST, REQUEST], BatchMeter(), first_chunk=100)
    first, second = (call["keys"] for call in made.client.calls)
    assert first == [("mine", 0, 0), ("mine", 0, 1)]
    assert second == [("mine", 1, 100), ("mine", 1, 101)]


def test_what_was_told_to_the_device_itself_stays_in_a_run():
    with Emulator() as emulator:
        options = {"base_url": emulator.url, "api_key": "k", "progress": print}
        made = Sender(Options.of(options), Stats())
        before = made.scope
        with made.in_run(RunScope("mine", "part", 5.0, repr)):
            assert made.scope == RunScope(None, "part", 5.0, print), "no ledger: no name"
        assert made.scope == before


def test_a_wait_has_an_end_but_on_a_computer():
    made = sender([DONE])
    send(made, REQUEST)
    assert made.client.calls[0]["max_wait"] is None
    with Emulator() as emulator:
        device = qml.device("qstore.ionq", wires=1, emulator=emulator)
        assert device.executor.sender.options.max_wait is None
        waits = []
        run = device.client.run
        device.client.run = lambda r, **o: waits.append(o["max_wait"]) or run(r, **o)
        qml.QNode(lambda: qml.expval(qml.Z(0)), device)()
    assert waits == [120.0]


def test_asking_for_the_rest_of_a_budget_does_not_start_the_emulator():
    for budget_usd in (None, 3.0):
        made = Sender(Options.of({"budget_usd": budget_usd}), Stats())
        assert made.left_usd == budget_usd
        assert made._client is None
