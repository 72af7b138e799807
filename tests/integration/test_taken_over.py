"""Two on one ledger, clocks that jump, services that forget for a moment: still paid once."""

from __future__ import annotations

import os
import signal
import threading

import pytest
from support.waiting import wait_until

from pennylane_qstore.emulator import Emulator, Fault, VirtualClock
from pennylane_qstore.errors import AmbiguousSubmission, JobCanceled
from pennylane_qstore.ionq.http.retry import RetryPolicy
from pennylane_qstore.ionq.http.transport import Traffic
from pennylane_qstore.ionq.jobs.call import begin_requests
from pennylane_qstore.ionq.ledger.ledger import JobKey, Ledger, State

KEY = ("r", 0, 0)
QPU = "qpu.forte-1"


def lose(ledger, key=KEY):
    """As if the process that holds a key's row had stood still longer than its lease."""
    (row,) = ledger.history(JobKey(*key))
    ledger.release(row.id, row.owner)


def test_a_job_that_is_unknown_for_a_moment_is_not_given_up(tmp_path, client_for, request_of):
    with Emulator() as emulator:
        emulator.faults.add(Fault("status", route="job", status=404, times=2))
        client = client_for(emulator.url, ledger=tmp_path / "ledger")
        (result,) = client.run([request_of(2, QPU)], keys=[KEY])
        assert result.status == "completed"
        assert emulator.billed_jobs == 1


def test_a_job_that_stays_unknown_is_given_up_after_the_settle_time(
    client_for, request_of, fake_clock
):
    faults = [Fault("status", route="job", status=404, times=None)]
    with Emulator(faults=faults) as emulator:
        client = client_for(
            emulator.url, clock=fake_clock.clock(), retry_policy=RetryPolicy(settle_s=50.0)
        )
        with pytest.raises(JobCanceled, match="deleted"):
            client.run([request_of(2, QPU)])
        assert 50.0 <= fake_clock.ahead < 70.0


@pytest.mark.parametrize("moment", ["history", "begin"])
def test_of_two_who_want_to_send_a_failed_job_again_one_does(
    tmp_path, client_for, request_of, moment
):
    with Emulator(faults=[Fault("fail", route="submit")]) as emulator:
        ledger = Ledger(tmp_path / "ledger")
        client = client_for(emulator.url, ledger=ledger)
        other = client_for(emulator.url, ledger=ledger.path)
        call, quicker = getattr(ledger, moment), []

        def late(*arguments):
            if not quicker and [r.state for r in ledger.submissions()] == [State.FAILED]:
                quicker.extend(other.run([request_of(1, QPU)], keys=[KEY]))
            return call(*arguments)

        setattr(ledger, moment, late)
        (result,) = client.run([request_of(1, QPU)], keys=[KEY])
        assert result.job_ids[-1:] == quicker[0].job_ids
        assert len(emulator.jobs) == 2
        ledger.close()


def test_what_waits_in_line_is_not_sent_after_an_interrupt(
    tmp_path, client_for, request_of, caplog
):
    clock = VirtualClock()
    faults = [Fault("delay", route="submit", when="after", delay_s=60.0, times=None)]
    with Emulator(profile=60.0, clock=clock, faults=faults) as emulator:
        client = client_for(emulator.url, ledger=tmp_path / "ledger", pool_size=2)

        def interrupt():
            wait_until(lambda: emulator.billed_jobs >= 2)
            os.kill(os.getpid(), signal.SIGINT)
            wait_until(lambda: "interrupt again" in caplog.text)
            while working.is_set():  # those two get their answers
                clock.advance(60.0)

        working = threading.Event()
        working.set()
        stop = threading.Thread(target=interrupt)
        stop.start()
        try:
            with pytest.raises(KeyboardInterrupt, match="In flight"):
                client.run([request_of(1, QPU, seed=n) for n in range(12)])
        finally:
            working.clear()
            stop.join()
        assert emulator.stats()["posts"] == 2
        states = [row.state for row in client.ledger.submissions()]
        assert sorted(states) == sorted([State.SUBMITTED] * 2 + [State.REJECTED] * 10)


@pytest.mark.parametrize("ended", [True, False], ids=["to its end", "in flight"])
def test_an_interrupt_in_a_pause_says_nothing_of_a_row_that_another_has(
    tmp_path, client_for, request_of, ended
):
    faults = [Fault("status", route="submit", status=429, retry_after=250)]
    clock = VirtualClock()
    with Emulator(faults=faults, profile=0.0 if ended else 60.0, clock=clock) as emulator:
        ledger = Ledger(tmp_path / "ledger")
        client = client_for(emulator.url, ledger=ledger)
        other = client_for(
            emulator.url, ledger=ledger.path, on_ambiguous="resubmit",
            retry_policy=RetryPolicy(settle_s=0.05),
        )  # fmt: skip

        def take_over():
            wait_until(lambda: emulator.stats()["posts"] == 1)
            lose(ledger)
            if ended:
                other.run([request_of(1, QPU)], keys=[KEY])
            else:
                other.call(submit())
            os.kill(os.getpid(), signal.SIGINT)

        async def submit():
            (row,) = ledger.history(JobKey(*KEY))
            body = request_of(1, QPU).body(row.token)
            await other._runner().submitter.submit(row, body, Traffic())

        thread = threading.Thread(target=take_over)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            client.run([request_of(1, QPU)], keys=[KEY])
        thread.join()
        (row,) = ledger.history(JobKey(*KEY))
        assert row.state is (State.CONSUMED if ended else State.SUBMITTED)
        assert emulator.billed_jobs == 1
        ledger.close()


def test_a_row_that_another_took_while_it_waited_in_line_is_not_sent(
    tmp_path, client_for, request_of
):
    clock = VirtualClock()
    faults = [Fault("delay", route="submit", when="after", delay_s=60.0)]
    with Emulator(faults=faults, clock=clock) as emulator:
        ledger = Ledger(tmp_path / "ledger")
        short = RetryPolicy(settle_s=0.05)
        client = client_for(emulator.url, ledger=ledger, pool_size=1, retry_policy=short)
        other = client_for(
            emulator.url, ledger=ledger.path, on_ambiguous="resubmit", retry_policy=short
        )
        got = []
        requests = [request_of(1, QPU, seed=7), request_of(1, QPU)]
        waiting = threading.Thread(
            target=lambda: got.extend(client.run(requests, keys=[None, KEY]))
        )
        waiting.start()
        wait_until(lambda: emulator.billed_jobs == 1)
        lose(ledger)
        (result,) = other.run([request_of(1, QPU)], keys=[KEY])
        while waiting.is_alive():
            clock.advance(60.0)
            waiting.join(0.01)
        assert got[1].job_ids == result.job_ids
        assert emulator.billed_jobs == 2
        ledger.close()


def test_after_a_clock_was_set_back_the_search_is_not_long(
    tmp_path, client_for, request_of, fake_clock
):
    ahead = Ledger(tmp_path / "ledger", now=lambda: fake_clock.began + 3600.0)
    with Emulator(clock=fake_clock.services) as emulator:
        begin_requests(ahead, emulator.url, [request_of(1, QPU)], [KEY])
        lose(ahead)
        ahead.close()
        clock = fake_clock.clock()
        ledger = Ledger(tmp_path / "ledger", now=clock.now)
        client = client_for(
            emulator.url, ledger=ledger, clock=clock, retry_policy=RetryPolicy(settle_s=75.0)
        )
        with pytest.raises(AmbiguousSubmission):
            client.run([request_of(1, QPU)], keys=[KEY])
        assert 75.0 <= fake_clock.ahead < 100.0
        ledger.close()
