"""Waiting, in the calling thread, for what runs on the background loop.

The calling thread is where Ctrl-C arrives and where progress is shown. The first Ctrl-C lets
a POST that is on its way finish and stops everything else; the second leaves at once.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import queue
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Generic, NoReturn, TypeVar

from pennylane_qstore.errors import QStoreError
from pennylane_qstore.ionq.http.event_loop import background_loop

logger = logging.getLogger(__name__)

_T = TypeVar("_T")
_WAKE_S = 1.0  # Windows does not interrupt a wait without a time limit


class ProgressQueue:
    """Events from the loop, handed to a callback in the thread that waits.

    Args:
        callback: gets every event; without one, events are dropped.
    """

    def __init__(self, callback: Callable[[Any], None] | None = None) -> None:
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._callback = callback
        self._closed = False

    def put(self, event: object) -> None:
        """Queue an event for the callback, if there is one. From any thread."""
        if self._callback is not None:
            self._queue.put(event)

    def close(self) -> None:
        """Note that no event will follow. From any thread."""
        self._closed = True
        self._queue.put(None)

    def deliver(self, *, quietly: bool = False) -> None:
        """Call the callback, in this thread, with every event until the queue is closed.

        Args:
            quietly: drop the events; only wait for the end.
        """
        # It may have been closed before: an interrupt can come when the end has just been taken
        # from the queue, and this is called again.
        while not (self._closed and self._queue.empty()):
            try:
                event = self._queue.get(timeout=_WAKE_S)
            except queue.Empty:
                continue
            if event is None:
                return
            if self._callback is not None and not quietly:
                self._callback(event)


class CallState(enum.Enum):
    """Progress of a blocking call. Only the loop's thread changes it."""

    SUBMITTED = "handed to the loop, which may not have begun it"
    RUNNING = "its task runs"
    STOPPING = "interrupted; it tidies up"
    ENDED = "it has a result or an error, or never began"


class BlockingCall(Generic[_T]):
    """A coroutine on the background loop, and the thread that waits for its end.

    Args:
        coroutine: what to run.
        progress: its callback is called in the thread that waits; what it raises ends the wait
            like Ctrl-C does.
        interrupt_message: returns the message of an interrupt; its argument tells whether the
            call is left at once, without waiting for what is on its way.
    """

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, _T],
        progress: ProgressQueue | None = None,
        interrupt_message: Callable[[bool], str] | None = None,
    ) -> None:
        self._coroutine = coroutine
        self._progress = progress or ProgressQueue()
        self._message = interrupt_message or (lambda at_once: "Interrupted.")
        self._background = background_loop()
        self._outcome: Future[_T] = Future()
        self._task: asyncio.Task[Any] | None = None
        self._state = CallState.SUBMITTED

    def wait(self) -> _T:
        """Run the coroutine and block until it has ended.

        Returns:
            The coroutine's result.

        Raises:
            QStoreError: called on the loop's own thread.
            KeyboardInterrupt: interrupted, with the interrupt's message.
        """
        try:
            self._background.check_may_wait()
        except QStoreError:
            self._coroutine.close()
            raise
        try:
            # The loop may have sent something before this thread is back: from here on an
            # interrupt has something to stop.
            self._background.submit(self._run())
            self._progress.deliver()
        except BaseException as reason:  # noqa: BLE001  (raised again, when the call has ended)
            self._leave(reason)
        return self._outcome.result()

    def _leave(self, reason: BaseException) -> NoReturn:
        """Stop the call, wait until it has tidied up, and raise what interrupted it."""
        try:
            self._background.loop.call_soon_threadsafe(self._stop)
            if not self._outcome.done():
                logger.warning(
                    "Interrupted. What is being sent is finished first; interrupt again to leave "
                    "at once."
                )
            self._progress.deliver(quietly=True)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(self._message(True)) from None
        self._log_error()
        message = self._message(False)
        if isinstance(reason, KeyboardInterrupt):
            raise KeyboardInterrupt(message) from None
        reason.add_note(message)
        raise reason

    def _log_error(self) -> None:
        """Look at the error of an interrupted call: one that nobody looks at counts as lost."""
        if self._outcome.done() and not self._outcome.cancelled():
            error = self._outcome.exception()
            if error is not None:
                logger.debug("The interrupted call ended with %s.", error)

    # ---- on the loop ----------------------------------------------------------------

    async def _run(self) -> None:
        self._task = asyncio.current_task()
        if self._state is CallState.STOPPING:
            self._cancel()  # it ends at its first wait, where it can tidy up
        else:
            self._state = CallState.RUNNING
        try:
            self._outcome.set_result(await self._coroutine)
        except asyncio.CancelledError:
            self._outcome.cancel()
        except BaseException as error:  # noqa: BLE001  (handed to the thread that waits)
            self._outcome.set_exception(error)
        finally:
            self._end()

    def _stop(self) -> None:
        if self._state is CallState.SUBMITTED:
            # If it is on its way to the loop, it begins before this looks again.
            self._background.loop.call_soon(self._end_unless_begun)
        elif self._state is CallState.RUNNING:
            self._cancel()
        if self._state is not CallState.ENDED:
            self._state = CallState.STOPPING

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _end_unless_begun(self) -> None:
        if self._task is None:
            self._end()

    def _end(self) -> None:
        self._state = CallState.ENDED
        self._progress.close()
