"""Waiting in the calling thread: what ends it, and what is left behind."""

from __future__ import annotations

import asyncio
import queue
import time

import pytest

from pennylane_qstore.errors import QStoreError
from pennylane_qstore.ionq.http.blocking import BlockingCall
from pennylane_qstore.ionq.http.event_loop import background_loop


class Interrupting(queue.SimpleQueue):
    """Is interrupted the first time somebody waits."""

    interrupted = False

    def get(self, *, timeout):
        if not self.interrupted:
            self.interrupted = True
            raise KeyboardInterrupt
        return super().get(timeout=timeout)


def interrupted_call(events, **options):
    call = BlockingCall(interrupt_message=lambda at_once: f"goodbye {at_once}", **options)
    call._events = events
    return call


def test_the_result_and_the_error_are_the_coroutines():
    async def fine():
        return 7

    async def wrong():
        raise QStoreError("no")

    assert BlockingCall().wait(fine()) == 7
    with pytest.raises(QStoreError, match="no"):
        BlockingCall().wait(wrong())


def test_events_are_told_in_order_before_the_end():
    told = []
    call = BlockingCall(told.append)

    async def count():
        for number in range(5):
            call.report(number + 1)

    call.wait(count())
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
        interrupted_call(Interrupting()).wait(work())
    assert tidied == [True]


def test_an_interrupt_at_the_very_end_does_not_wait_for_another_end():
    class Late(queue.SimpleQueue):
        def get(self, *, timeout):
            super().get(timeout=timeout)
            raise KeyboardInterrupt

    async def fine():
        return 7

    with pytest.raises(KeyboardInterrupt, match="goodbye False"):
        interrupted_call(Late()).wait(fine())


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
        interrupted_call(Interrupting()).wait(work())
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

    loop = background_loop().loop
    call_soon = loop.call_soon_threadsafe

    def interrupted(*arguments):
        monkeypatch.undo()
        if when == "after":
            call_soon(*arguments)
            time.sleep(0.05)
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "call_soon_threadsafe", interrupted)
    job = work()
    with pytest.raises(KeyboardInterrupt, match="goodbye False"):
        BlockingCall(interrupt_message=lambda at_once: f"goodbye {at_once}").wait(job)
    assert tidied == ([True] if when == "after" else [])
    assert job.cr_frame is None  # ended, or closed


def test_a_second_interrupt_leaves_at_once():
    class Twice(queue.SimpleQueue):
        def get(self, *, timeout):
            raise KeyboardInterrupt

    tidying = asyncio.Event()

    async def work():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await tidying.wait()
            raise

    call = interrupted_call(Twice())
    ended, interrupts = call._ended.wait, iter([KeyboardInterrupt])

    def wait(timeout):
        raise next(interrupts)

    call._ended.wait = wait
    with pytest.raises(KeyboardInterrupt, match="goodbye True"):
        call.wait(work())
    background_loop().loop.call_soon_threadsafe(tidying.set)
    assert ended(10)


def test_a_callback_that_raises_ends_the_call_and_its_error_says_so():
    stopped = []
    call = BlockingCall(lambda event: 1 / 0, lambda at_once: "the call was left")

    async def work():
        call.report("an event")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            stopped.append(True)
            raise

    with pytest.raises(ZeroDivisionError) as failed:
        call.wait(work())
    assert stopped == [True]
    assert failed.value.__notes__ == ["the call was left"]


def test_a_blocking_call_on_the_loops_own_thread_is_refused():
    async def nested():
        async def never():
            """Never begins."""

        BlockingCall().wait(never())

    with pytest.raises(QStoreError, match="own event loop"):
        BlockingCall().wait(nested())
