"""Waiting, in the calling thread, for what runs on the background loop.

The calling thread is where Ctrl-C arrives and where progress is shown. The first Ctrl-C lets
a POST that is on its way finish and stops everything else; the second leaves at once.
"""

from __future__ import annotations

import asyncio
import logging
import queue
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from pennylane_qstore.errors import QStoreError
from pennylane_qstore.ionq.http.event_loop import background_loop

logger = logging.getLogger(__name__)

_T = TypeVar("_T")
_WAKE_S = 1.0  # Windows does not interrupt a wait without a time limit


class Inbox:
    """What the loop tells the waiting thread: progress, and at last that it is done."""

    def __init__(self, callback: Callable[[Any], None] | None = None) -> None:
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._callback = callback
        self._ended = False

    def tell(self, event: object) -> None:
        """Pass an event to the callback, if there is one. From any thread."""
        if self._callback is not None:
            self._queue.put(event)

    def end(self) -> None:
        """Nothing more will come."""
        self._ended = True
        self._queue.put(None)

    def drain(self, *, quietly: bool = False) -> None:
        """Call the callback, here, until the end; which may be known from before.

        An interrupt may come when the end has just been taken from the line.
        """
        while not (self._ended and self._queue.empty()):
            try:
                event = self._queue.get(timeout=_WAKE_S)
            except queue.Empty:
                continue
            if event is None:
                return
            if self._callback is not None and not quietly:
                self._callback(event)


def drive(
    coroutine: Coroutine[Any, Any, _T],
    inbox: Inbox | None = None,
    farewell: Callable[[bool], str] | None = None,
) -> _T:
    """Run a coroutine on the background loop and wait for it here.

    Args:
        coroutine: what to run.
        inbox: its callback is called in this thread; what it raises ends the wait like
            Ctrl-C does.
        farewell: makes the message of an interrupt; told whether it leaves at once.

    Raises:
        KeyboardInterrupt: with that message.
    """
    inbox = inbox or Inbox()
    outcome: Future[_T] = Future()
    tasks: list[asyncio.Task[Any]] = []
    stopped = False

    async def started() -> None:
        tasks.extend(task for task in (asyncio.current_task(),) if task is not None)
        if stopped:  # before it began: it ends at its first wait, where it can tidy up
            stop()
        try:
            outcome.set_result(await coroutine)
        except asyncio.CancelledError:
            outcome.cancel()
        except BaseException as error:  # noqa: BLE001  (handed to the thread that waits)
            outcome.set_exception(error)
        finally:
            inbox.end()

    def stop() -> None:
        nonlocal stopped
        stopped = True
        for task in tasks:
            task.cancel()
        if not tasks:  # if it is on its way, it begins before this looks again
            background.loop.call_soon(lambda: None if tasks else inbox.end())

    background = background_loop()
    try:
        background.check_may_wait()
    except QStoreError:
        coroutine.close()
        raise
    try:
        # The loop may have sent something before this thread is back: from here on an
        # interrupt has something to stop.
        background.submit(started())
        inbox.drain()
    except BaseException as reason:
        try:
            background.loop.call_soon_threadsafe(stop)
            if not outcome.done():
                logger.warning(
                    "Interrupted. What is being sent is finished first; interrupt again to leave "
                    "at once."
                )
            inbox.drain(quietly=True)
        except KeyboardInterrupt:
            message = "Interrupted." if farewell is None else farewell(True)
            raise KeyboardInterrupt(message) from None
        _look_at(outcome)
        message = "Interrupted." if farewell is None else farewell(False)
        if isinstance(reason, KeyboardInterrupt):
            raise KeyboardInterrupt(message) from None
        reason.add_note(message)
        raise
    return outcome.result()


def _look_at(future: Future[Any]) -> None:
    """An error nobody looks at would be reported as lost; this one was given up knowingly."""
    failed = future.done() and not future.cancelled()
    if failed and (error := future.exception()) is not None:
        logger.debug("The interrupted call ended with %s.", error)
