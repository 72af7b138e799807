"""One background event loop per process, on its own daemon thread.

A loop that always runs sees the end of an idle connection, so that no POST is written into
one that is already closed; and it serves plain code, Jupyter's loop and many threads alike,
without a loop inside a loop.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from pennylane_qstore.compat.python import keep_forever
from pennylane_qstore.errors import QStoreError

_T = TypeVar("_T")
_EXIT_S = 1.0  # the interpreter waits this long for connections to close, no longer


class BackgroundLoop:
    """An event loop on a daemon thread. Use :func:`background_loop`, not this class."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        try:
            self.loop = asyncio.new_event_loop()
        except OSError as error:  # no file descriptors are left
            raise QStoreError(f"The client cannot start: {error.strerror}.") from None
        self._closers: set[Callable[[], Awaitable[None]]] = set()
        self._thread = threading.Thread(
            target=self.loop.run_forever, name="qstore-ionq", daemon=True
        )
        self._thread.start()

    def submit(self, coroutine: Coroutine[Any, Any, _T]) -> Future[_T]:
        """Start a coroutine on the loop, from any thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def check_may_wait(self) -> None:
        """Refuse to block the loop's own thread, which would wait for itself.

        Raises:
            QStoreError: called on that thread.
        """
        if threading.current_thread() is self._thread:
            raise QStoreError(
                "A blocking call was made on the client's own event loop (from a callback?); "
                "make it from another thread."
            )

    def at_exit(self, closer: Callable[[], Awaitable[None]]) -> None:
        """Register a call that has to be awaited before the loop stops."""
        self._closers.add(closer)

    def closed(self, closer: Callable[[], Awaitable[None]]) -> None:
        """Forget a registered call that has been made."""
        self._closers.discard(closer)

    def stop(self) -> None:
        """Close connections and end the thread, within about a second."""
        if self.pid != os.getpid() or not self._thread.is_alive():
            return
        with contextlib.suppress(TimeoutError):
            self.submit(self._close_all()).result(_EXIT_S)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(_EXIT_S)
        if not self._thread.is_alive():
            self.loop.close()

    async def _close_all(self) -> None:
        this = {asyncio.current_task()}
        ends_at = self.loop.time() + _EXIT_S / 2
        # A task may begin another one while it ends.
        while (tasks := asyncio.all_tasks() - this) and self.loop.time() < ends_at:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=_EXIT_S / 10)
        closers = [closer() for closer in self._closers]
        self._closers.clear()
        await asyncio.gather(*closers, return_exceptions=True)


_lock = threading.Lock()
_current: BackgroundLoop | None = None


def background_loop() -> BackgroundLoop:
    """Return the loop of this process; it is started when first asked for."""
    global _current
    current = _current
    if current is not None and current.pid == os.getpid():
        return current
    with _lock:
        if _current is None or _current.pid != os.getpid():
            _current = BackgroundLoop()
        return _current


def _forget_after_fork() -> None:
    # Only the forking thread lives on in the child: a lock held by another would stay held,
    # and the inherited loop has no thread to run it.
    global _current, _lock
    _lock = threading.Lock()
    if _current is not None:
        keep_forever(_current)
    _current = None


def _stop_at_exit() -> None:
    if _current is not None:
        _current.stop()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
atexit.register(_stop_at_exit)
