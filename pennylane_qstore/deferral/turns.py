"""Turns of threads: PennyLane is not thread-safe, so one thread at a time records circuits."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

from pennylane_qstore.errors import QStoreError

TIMEOUT_S = 60.0
"""Seconds that a thread waits for its turn: the other one may be waiting for this one."""


class TurnLock:
    """A lock that its thread may take several times, and give up all at once for a while."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner: int | None = None
        self._depth = 0
        self._taken = 0
        self.at_service = False
        """True while the owner waits for a service, and so for no other thread."""

    @property
    def is_mine(self) -> bool:
        """True in the thread that holds the lock."""
        return self._owner == threading.get_ident()

    @property
    def is_free(self) -> bool:
        """True while no thread holds the lock."""
        return not self._lock.locked()

    def take(self, depth: int = 1) -> None:
        """Take the lock so many times.

        Raises:
            QStoreError: another thread held it for longer than :data:`TIMEOUT_S` and did not
                wait for a service.
        """
        if not depth:
            return
        if not self.is_mine:
            taken = self._taken
            while not self._lock.acquire(timeout=TIMEOUT_S):
                if self.at_service or self._taken != taken:
                    taken = self._taken
                    continue
                raise QStoreError(
                    f"Another thread has been in the middle of a step or a deferred() scope for "
                    f"{TIMEOUT_S:g} s. PennyLane is not thread-safe, so this one has to wait; "
                    "if the other one waits for this one, neither can go on. Take the steps in "
                    "one thread, or in processes of their own."
                )
            self._owner = threading.get_ident()
            self._taken += 1
        self._depth += depth

    def give_back(self) -> None:
        """Give the lock back once."""
        if self.is_mine:  # else it could not be taken again after waiting()
            self._depth -= 1
            if not self._depth:
                self.give_up()

    def give_up(self) -> int:
        """Give the lock back altogether; return how often it had been taken."""
        if not self.is_mine:
            return 0
        depth, self._depth, self._owner = self._depth, 0, None
        self._lock.release()
        return depth


def turn_lock() -> TurnLock:
    """Return this process's lock."""
    return _lock


@contextlib.contextmanager
def waiting(*, keep: bool = False) -> Iterator[None]:
    """Wait for something outside of this process: meanwhile other threads have their turn.

    Around nothing that builds operators or tapes: PennyLane is not thread-safe.

    Args:
        keep: the turn is kept, however long it takes; for what builds operators in this process.
    """
    if not _lock.is_mine:
        yield
        return
    depth = 0 if keep else _lock.give_up()
    if keep:
        _lock.at_service = True
    try:
        yield
    finally:
        if keep:
            _lock.at_service = False
        _lock.take(depth)


_lock = TurnLock()


def _after_fork() -> None:
    global _lock
    _lock = TurnLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
