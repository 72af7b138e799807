"""Waiting, in the calling thread, for what runs on the background loop.

The calling thread is where Ctrl-C arrives and where progress is shown. The first Ctrl-C lets
a POST that is on its way finish and stops everything else; the second leaves at once.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from typing import Any, NoReturn, TypeVar

from pennylane_qstore.errors import QStoreError
from pennylane_qstore.ionq.http.event_loop import background_loop

logger = logging.getLogger(__name__)

_T = TypeVar("_T")
_WAKE_S = 1.0  # Windows does not interrupt a wait without a time limit


class BlockingCall:
    """One coroutine on the background loop, and the thread that waits for its end.

    Args:
        progress: called in the thread that waits with what the coroutine reports; what it raises
            ends the wait like Ctrl-C does.
        interrupt_message: returns the message of an interrupt; its argument tells whether the
            call is left at once, without waiting for what is on its way.
    """

    def __init__(
        self,
        progress: Callable[[Any], None] | None = None,
        interrupt_message: Callable[[bool], str] | None = None,
    ) -> None:
        self._progress = progress
        self._message = interrupt_message or (lambda at_once: "Interrupted.")
        self._background = background_loop()
        self._events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._task: asyncio.Task[Any] | None = None
        self._ended = threading.Event()

    def report(self, event: object) -> None:
        """Queue an event for the callback, if there is one. From any thread."""
        if self._progress is not None:
            self._events.put(event)

    def wait(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine and block until it has ended.

        Returns:
            The coroutine's result.

        Raises:
            QStoreError: called on the loop's own thread.
            KeyboardInterrupt: interrupted, with the interrupt's message.
        """
        try:
            self._background.check_may_wait()
        except QStoreError:
            coroutine.close()
            raise
        try:
            # The loop may have sent something before this thread is back: from here on an
            # interrupt has something to stop.
            self._background.loop.call_soon_threadsafe(self._begin, coroutine)
            while not (self._ended.is_set() and self._events.empty()):
                try:
                    event = self._events.get(timeout=_WAKE_S)
                except queue.Empty:
                    continue
                if event is not None and self._progress is not None:
                    self._progress(event)
        except BaseException as reason:  # noqa: BLE001  (raised again, when the call has ended)
            self._leave(reason, coroutine)
        assert self._task is not None  # noqa: S101  (for the type checker: it has ended)
        if self._task.cancelled():  # since the interpreter exits
            raise CancelledError
        result: _T = self._task.result()
        return result

    def _leave(self, reason: BaseException, coroutine: Coroutine[Any, Any, Any]) -> NoReturn:
        """Stop the call, wait until it has tidied up, and raise what interrupted it."""
        try:
            self._background.loop.call_soon_threadsafe(self._stop, coroutine)
            if not self._ended.is_set():
                logger.warning(
                    "Interrupted. What is being sent is finished first; interrupt again to leave "
                    "at once."
                )
            while not self._ended.wait(_WAKE_S):
                pass
        except KeyboardInterrupt:
            raise KeyboardInterrupt(self._message(True)) from None
        # An error that nobody looks at counts as lost.
        if self._task is not None and not self._task.cancelled() and self._task.exception():
            logger.debug("The interrupted call ended with %s.", self._task.exception())
        message = self._message(False)
        if isinstance(reason, KeyboardInterrupt):
            raise KeyboardInterrupt(message) from None
        reason.add_note(message)
        raise reason

    # ---- on the loop ----------------------------------------------------------------

    def _begin(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._task = self._background.loop.create_task(coroutine)
        self._task.add_done_callback(self._end)

    def _stop(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        if self._task is None:  # it was not handed over, and will not be
            coroutine.close()
            self._ended.set()
        else:
            # Behind its first step: it ends at its first wait, where it can tidy up.
            self._background.loop.call_soon(self._task.cancel)

    def _end(self, _: asyncio.Task[Any]) -> None:
        self._ended.set()
        self._events.put(None)
