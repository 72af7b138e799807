"""Waiting in the calling thread: what ends it, and what is left behind."""

from __future__ import annotations

import asyncio
import time

import pytest

from pennylane_qstore.errors import QStoreError
from pennylane_qstore.ionq.http.blocking import BlockingCall, CallState, ProgressQueue
from pennylane_qstore.ionq.http.event_loop import background_loop


class Interrupting(ProgressQueue):
    """Is interrupted the first time somebody waits."""

    def __init__(self):
        super().__init__()
        self.delivered = 0

    def deliver(self, *, quietly=False):
        self.delivered += 1
        if self.delivered == 1:
            raise KeyboardInterrupt
        super().deliver(quietly=quietly)


def test_the_result_and_the_error_are_the_coroutines():
    async def fine():
        return 7

    async def wrong():
        raise QStoreError("no")

    assert BlockingCall(fine()).wait() == 7
    with pytest.raises(QStoreError, match="no"):
        BlockingCall(wrong()).wait()


def test_events_are_told_in_order_before_the_end():
    told = []
    events = ProgressQueue(told.append)

    async def count():
        for number in range(5):
            events.put(number + 1)

    BlockingCall(count(), events).wait()
    assert told == [1, 2, 3, 4, 5]


def test_an_interrupt_before_the_beginning_ends_it_at_its_first_wait():
    tidied = []

    async def work():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            tidied.append(True)
            raise

    async def hold():
        # The loop is busy until the interrupt is there too: both come before the first step.

        time.sleep(0.2)

    background_loop().submit(hold())
    with pytest.raises(KeyboardInterrupt, match="goodbye False"):
        BlockingCall(work(), Interrupting(), lambda at_once: f"goodbye {at_once}").wait()
    assert tidied == [True]


def test_an_interrupt_at_the_very_end_does_not_wait_for_another_end():
    class Late(ProgressQueue):
        def deliver(self, *, quietly=False):
            super().deliver(quietly=quietly)
            if not quietly:
                raise KeyboardInterrupt

    async def fine():
        return 7

    with pytest.raises(KeyboardInterrupt, match="goodbye False"):
        BlockingCall(fine(), Late(), lambda at_once: f"goodbye {at_once}").wait()


def test_an_interrupt_waits_for_what_tidies_up():
    tidied = []

    async def work():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0.1)
            tidied.append(True)
            raise

    with pytest.raises(KeyboardInterrupt):
        BlockingCall(work(), Interrupting()).wait()
    assert tidied == [True]


@pytest.mark.parametrize("when", ["before it is on its way", "after"])
def test_an_interrupt_while_it_is_sent_off_stops_it_too(when, monkeypatch):
    # The loop may begin before the call that starts it has returned in this thread.
    tidied = []

    async def work():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            tidied.append(True)
            raise

    background = background_loop()
    submit = background.submit

    def interrupted(coroutine):
        if when == "after":
            submit(coroutine)
            time.sleep(0.05)
        else:
            coroutine.close()
        raise KeyboardInterrupt

    monkeypatch.setattr(background, "submit", interrupted)
    job = work()
    with pytest.raises(KeyboardInterrupt, match="goodbye False"):
        BlockingCall(job, interrupt_message=lambda at_once: f"goodbye {at_once}").wait()
    assert tidied == ([True] if when == "after" else [])
    job.close()


def test_a_call_goes_through_its_states():
    seen = []

    async def work():
        seen.append(call._state)

    call = BlockingCall(work())
    seen.append(call._state)
    call.wait()
    seen.append(call._state)
    assert seen == [CallState.SUBMITTED, CallState.RUNNING, CallState.ENDED]


def test_a_callback_that_raises_ends_the_call_and_its_error_says_so():
    stopped = []
    events = ProgressQueue(lambda event: 1 / 0)

    async def work():
        events.put("an event")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            stopped.append(True)
            raise

    with pytest.raises(ZeroDivisionError) as failed:
        BlockingCall(work(), events, lambda at_once: "the call was left").wait()
    assert stopped == [True]
    assert failed.value.__notes__ == ["the call was left"]


def test_a_blocking_call_on_the_loops_own_thread_is_refused():
    async def nested():
        async def never():
            """Never begins."""

        BlockingCall(never()).wait()

    with pytest.raises(QStoreError, match="own event loop"):
        BlockingCall(nested()).wait()
