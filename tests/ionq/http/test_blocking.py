"""Waiting in the calling thread: what ends it, and what is left behind."""

from __future__ import annotations

import asyncio
import time

import pytest

from pennylane_qstore.errors import QStoreError
from pennylane_qstore.ionq.http.blocking import Inbox, drive
from pennylane_qstore.ionq.http.event_loop import background_loop


class Interrupting(Inbox):
    """Is interrupted the first time somebody waits."""

    def __init__(self):
        super().__init__()
        self.drained = 0

    def drain(self, *, quietly=False):
        self.drained += 1
        if self.drained == 1:
            raise KeyboardInterrupt
        super().drain(quietly=quietly)


def test_the_result_and_the_error_are_the_coroutines():
    async def fine():
        return 7

    async def wrong():
        raise QStoreError("no")

    assert drive(fine()) == 7
    with pytest.raises(QStoreError, match="no"):
        drive(wrong())


def test_events_are_told_in_order_before_the_end():
    told = []
    inbox = Inbox(told.append)

    async def count():
        for number in range(5):
            inbox.tell(number + 1)

    drive(count(), inbox)
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
        drive(work(), Interrupting(), lambda at_once: f"goodbye {at_once}")
    assert tidied == [True]


def test_an_interrupt_at_the_very_end_does_not_wait_for_another_end():
    class Late(Inbox):
        def drain(self, *, quietly=False):
            super().drain(quietly=quietly)
            if not quietly:
                raise KeyboardInterrupt

    async def fine():
        return 7

    with pytest.raises(KeyboardInterrupt, match="goodbye False"):
        drive(fine(), Late(), lambda at_once: f"goodbye {at_once}")


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
        drive(work(), Interrupting())
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
        drive(job, farewell=lambda at_once: f"goodbye {at_once}")
    assert tidied == ([True] if when == "after" else [])
    job.close()
