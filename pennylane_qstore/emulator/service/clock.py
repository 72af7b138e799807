"""Clocks of the emulator: the machine's, or one that tests advance."""

from __future__ import annotations

import asyncio
import heapq
import threading
import time
from typing import Protocol

_END = 1e11
"""The year 5138: up to here, and a good while on, timestamps can be written."""


class Clock(Protocol):
    """A source of time."""

    def now(self) -> float:
        """Return the seconds since the epoch."""

    async def sleep(self, seconds: float) -> None:
        """Wait for so many seconds of this clock."""


class RealClock:
    """The machine's clock."""

    def now(self) -> float:
        """Return the seconds since the epoch."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait for so many seconds."""
        await asyncio.sleep(max(0.0, seconds))


class VirtualClock:
    """A clock that stands still until it is told to go on.

    Args:
        start: seconds since the epoch at which it starts.
        auto: when something sleeps on the clock, jump to the end of that sleep at once
            instead of waiting for :meth:`advance`.

    **Example**

    >>> clock = VirtualClock()
    >>> before = clock.now()
    >>> clock.advance(3600)
    >>> clock.now() - before
    3600.0
    """

    def __init__(self, start: float = 1_790_000_000.0, *, auto: bool = False) -> None:
        self._now = start
        self._auto = auto
        self._lock = threading.Lock()
        self._order = 0
        self._sleepers: list[
            tuple[float, int, asyncio.AbstractEventLoop, asyncio.Future[None]]
        ] = []

    def now(self) -> float:
        """Return the seconds since the epoch."""
        with self._lock:
            return self._now

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass, from any thread, and wake whose time has come.

        Raises:
            ValueError: the seconds are negative (a clock that goes back is a fault, see
                the ``clock_skew`` fault), or lead to the end of time.
        """
        if not seconds >= 0:
            raise ValueError(f"A clock advances by 0 seconds or more, not {seconds!r}.")
        with self._lock:
            if self._now + seconds > _END:
                raise ValueError(f"The clock ends before {seconds!r} seconds have passed.")
            self._now += seconds
            due = []
            while self._sleepers and self._sleepers[0][0] <= self._now:
                due.append(heapq.heappop(self._sleepers))
        for _, _, loop, future in due:
            loop.call_soon_threadsafe(_wake, future)

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock has been advanced by so many seconds."""
        if seconds <= 0:
            return
        if self._auto:
            self.advance(seconds)
            return
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        with self._lock:
            self._order += 1
            heapq.heappush(self._sleepers, (self._now + seconds, self._order, loop, future))
        await future


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
