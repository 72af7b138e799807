"""The background loop: one for each process, on a thread of its own, stopped tidily."""

from __future__ import annotations

import asyncio
import threading

import pytest
from support.threads import in_threads

from pennylane_qstore.errors import QStoreError
from pennylane_qstore.ionq.http.event_loop import BackgroundLoop, background_loop


@pytest.fixture
def loop():
    """A loop beside the process's own."""
    background = BackgroundLoop()
    yield background
    background.stop()


def test_all_threads_get_the_same_loop():
    loops = in_threads(lambda _: background_loop(), range(8))
    assert set(map(id, loops)) == {id(background_loop())}


def test_coroutines_run_on_the_loops_own_thread(loop):
    async def where():
        return threading.current_thread()

    thread = loop.submit(where()).result(10)
    assert thread is loop._thread
    assert thread.daemon


def test_only_the_loops_own_thread_may_not_wait(loop):
    async def wait():
        loop.check_may_wait()

    loop.check_may_wait()
    with pytest.raises(QStoreError, match="own event loop"):
        loop.submit(wait()).result(10)


def test_stopping_cancels_tasks_then_closes_and_ends_the_thread(loop):
    order = []

    async def task():
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            order.append("cancelled")
            raise

    async def close():
        order.append("closed")

    async def forgotten():
        order.append("never")

    loop.at_exit(close)
    loop.at_exit(forgotten)
    loop.closed(forgotten)
    begun = loop.submit(task())
    loop.submit(asyncio.sleep(0)).result(10)
    loop.stop()
    assert order == ["cancelled", "closed"]
    assert begun.cancelled()
    assert not loop._thread.is_alive()
    assert loop.loop.is_closed()
    loop.stop()  # once more does nothing


def test_a_closer_that_fails_does_not_keep_the_others_from_closing(loop):
    closed = []

    async def fails():
        raise OSError("broken")

    async def close():
        closed.append(True)

    loop.at_exit(fails)
    loop.at_exit(close)
    loop.stop()
    assert closed == [True]
