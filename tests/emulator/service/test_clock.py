"""The virtual clock stands still, wakes sleepers in order, and never goes back."""

from __future__ import annotations

import asyncio
import threading

import pytest

from pennylane_qstore.emulator import VirtualClock
from pennylane_qstore.emulator.service.clock import RealClock


def test_time_stands_still_until_it_is_advanced() -> None:
    clock = VirtualClock(100.0)
    assert clock.now() == clock.now() == 100.0
    clock.advance(0.0)
    clock.advance(2.5)
    assert clock.now() == 102.5


def test_sleepers_wake_when_their_time_has_come_and_not_before() -> None:
    clock, woken = VirtualClock(), list[str]()

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(name)

    async def run() -> None:
        tasks = [
            asyncio.ensure_future(sleeper(name, seconds))
            for name, seconds in (("late", 30.0), ("early", 10.0), ("at once", 0.0))
        ]
        await asyncio.sleep(0)
        assert woken == ["at once"]
        clock.advance(9.9)
        await asyncio.sleep(0)
        assert woken == ["at once"]
        clock.advance(0.2)
        await asyncio.wait_for(tasks[1], 10)
        assert woken == ["at once", "early"]
        clock.advance(100)
        await asyncio.wait_for(asyncio.gather(*tasks), 10)

    asyncio.run(run())
    assert woken == ["at once", "early", "late"]


def test_another_thread_may_advance() -> None:
    clock = VirtualClock()

    async def run() -> None:
        task = asyncio.ensure_future(clock.sleep(60))
        await asyncio.sleep(0)
        thread = threading.Thread(target=clock.advance, args=(60,))
        thread.start()
        await asyncio.wait_for(task, 10)
        thread.join()

    asyncio.run(run())


def test_a_sleeper_that_was_cancelled_is_not_woken() -> None:
    clock = VirtualClock()

    async def run() -> None:
        task = asyncio.ensure_future(clock.sleep(60))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        clock.advance(60)
        await asyncio.sleep(0)
        assert task.cancelled()

    asyncio.run(run())


def test_an_automatic_clock_jumps_to_the_end_of_a_sleep() -> None:
    clock = VirtualClock(0.0, auto=True)
    asyncio.run(asyncio.wait_for(clock.sleep(3600), 10))
    assert clock.now() == 3600.0


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), 1e12])
def test_a_clock_does_not_go_back_nor_beyond_the_end_of_time(seconds: float) -> None:
    clock = VirtualClock()
    with pytest.raises(ValueError, match="clock"):
        clock.advance(seconds)


def test_the_real_clock_goes_on_by_itself() -> None:
    clock = RealClock()
    before = clock.now()
    asyncio.run(clock.sleep(-1.0))
    asyncio.run(clock.sleep(0.001))
    assert clock.now() > before
