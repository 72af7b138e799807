"""The connection to a ledger's database: transactions, threads, forks, the event loop.

SQLite connections are closed before a fork and opened again after it: the child would
otherwise inherit locks that it does not hold, and its closing would drop the parent's.

A sync of the disk takes longer than all else that a change does. Calls from the loop that have to
reach the disk therefore share one: what waits while the disk is busy is one transaction after it.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pennylane_qstore.compat.python import also_unmade
from pennylane_qstore.errors import LedgerError
from pennylane_qstore.ionq.ledger.database import (
    journal_mode,
    open_database,
    prepare_file,
    transaction,
)

_T = TypeVar("_T")


class _Call:
    """A call that waits for the writer, and what became of it."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self.future: Future[Any] = Future()
        self.error: BaseException | None = None
        self._result: Any = None
        self._call = call

    def make(self) -> None:
        self.error = None
        try:
            self._result = self._call()
        except BaseException as error:  # noqa: BLE001  (whoever waits is told)
            self.error = error

    def tell(self) -> None:
        if self.error is None:
            self.future.set_result(self._result)
        else:
            self.future.set_exception(self.error)


class LedgerConnection:
    """One connection of this process, for all its threads.

    Args:
        path: the file; ``None`` is a database in memory.
        observer: called with ``"before:<event>"`` and ``"after:<event>"`` around every change.

    Raises:
        LedgerError: the file cannot be opened, is no ledger, or is a newer version's.
    """

    def __init__(self, path: Path | None, observer: Callable[[str], None] | None = None) -> None:
        self.path = path
        self.observer = observer
        self.database: sqlite3.Connection | None = None
        self._lock = threading.Lock()
        self._changer: int | None = None  # the thread that is in the midst of a change
        self._grouper: int | None = None  # the thread that makes several calls in one transaction
        self._changed: list[str] = []  # the changes of that transaction so far
        self._synchronous = ""
        self._writer: ThreadPoolExecutor | None = None
        self._waiting: deque[_Call] = deque()
        self._mode = "MEMORY"
        if path is not None:
            prepare_file(path)
            self._mode = journal_mode(path)
        self._connect()
        _open_connections.add(self)

    @also_unmade
    def __repr__(self) -> str:
        return f"Ledger({str(self.path) if self.path else 'in memory'})"

    def close(self) -> None:
        """Close the file. The next call opens it again; a database in memory is gone."""
        with self._lock:
            self._disconnect()
            writer, self._writer = self._writer, None
        if writer is not None:
            writer.shutdown(wait=False)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give the database to read from, to one thread at a time.

        A change reads what it has written so far.

        Raises:
            LedgerError: it cannot be read.
        """
        mine = threading.get_ident() in (self._changer, self._grouper)
        with nullcontext() if mine else self._lock, self._readable_errors():
            yield self.database or self._connect()

    @contextmanager
    def changing(self, event: str, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """Give the database for one transaction, all or nothing.

        A change inside another one of the same thread is part of it, and not observed by itself.

        Args:
            event: name for the observer.
            durable: whether it has to reach the disk before this returns (before the caller is
                told, in :meth:`off_loop_synced`); inside another change that one has to be durable.

        Yields:
            The database, in the transaction.

        Raises:
            LedgerError: it cannot be written; nothing was.
        """
        if self._changer == threading.get_ident():
            assert not durable or self._synchronous in ("FULL", "")  # noqa: S101  (own callers)
            with self.reading() as database:
                yield database
            return
        self._observe(f"before:{event}")
        in_group = self._grouper == threading.get_ident()
        with self.reading() if in_group else self._transaction(durable=durable) as database:
            self._changer = threading.get_ident()
            try:
                yield database
            finally:
                self._changer = None
        if in_group:
            self._changed.append(event)
        else:
            self._observe(f"after:{event}")

    async def off_loop(self, call: Callable[..., _T], *args: Any) -> _T:
        """Make a call from the event loop without stalling it on the disk.

        Args:
            call: a method of the ledger.
            args: of the call.

        Returns:
            What the call returns.
        """
        if self.path is None:
            return call(*args)
        try:
            future = self._in_line(lambda: call(*args))
        except RuntimeError:
            # The interpreter is shutting down and takes no more work; what is known of a
            # paid job is written down all the same.
            return call(*args)
        return await asyncio.wrap_future(future)

    async def off_loop_synced(self, call: Callable[..., _T], *args: Any) -> _T:
        """Make a call with a durable change; calls that wait at the same time share its sync.

        Args:
            call: a method of the ledger that takes no lock beside the ledger's own. If it raises,
                it has changed nothing.
            args: of the call.

        Returns:
            What the call returns, once what it has changed is on the disk.
        """
        if self.path is None:
            return call(*args)
        waiting = _Call(partial(call, *args))
        self._waiting.append(waiting)
        try:
            self._in_line(self._make_waiting)
        except RuntimeError:  # as above
            self._make_waiting()
        result: _T = await asyncio.wrap_future(waiting.future)
        return result

    # ---- private --------------------------------------------------------------------

    def check_writable(self) -> None:
        """Open a transaction and change nothing.

        Raises:
            LedgerError: the file cannot be written, or stays locked.
        """
        with self.changing("check"):
            pass

    @contextmanager
    def _transaction(self, *, durable: bool) -> Iterator[sqlite3.Connection]:
        """Give the database in a transaction of its own."""
        with self.reading() as database:
            level = "FULL" if durable else "NORMAL"
            if self.path is not None and level != self._synchronous:
                database.execute(f"PRAGMA synchronous={level}")
                self._synchronous = level
            try:
                with transaction(database):
                    yield database
            finally:
                if database.in_transaction and self.path is not None:
                    self._disconnect()  # not even rolled back: closing the file does that

    def _in_line(self, call: Callable[[], _T]) -> Future[_T]:
        """Let the thread that writes make a call."""
        if self._writer is None:
            self._writer = ThreadPoolExecutor(1, thread_name_prefix="qstore-ledger")
        return self._writer.submit(call)

    def _make_waiting(self) -> None:
        """Make the calls that wait for a sync in one transaction, or each alone if that fails."""
        calls = []
        while self._waiting:
            call = self._waiting.popleft()
            if call.future.set_running_or_notify_cancel():
                calls.append(call)
        try:
            if len(calls) < 2 or not self._make_together(calls):
                for call in calls:
                    call.make()
        except BaseException as error:  # noqa: BLE001  (nobody may wait for ever)
            for call in calls:
                call.error = call.error or error
        for call in calls:
            call.tell()

    def _make_together(self, calls: Sequence[_Call]) -> bool:
        """Make calls in one transaction; return False if it failed, and nothing is written."""
        self._changed = []
        try:
            with self._transaction(durable=True) as database:
                self._grouper = threading.get_ident()
                try:
                    for call in calls:
                        database.execute("SAVEPOINT call")
                        call.make()
                        if call.error is not None:
                            database.execute("ROLLBACK TO call")
                        database.execute("RELEASE call")
                finally:
                    self._grouper = None
        except LedgerError:
            return False
        for event in self._changed:
            self._observe(f"after:{event}")
        return True

    def _observe(self, moment: str) -> None:
        if self.observer is not None:
            self.observer(moment)

    @contextmanager
    def _readable_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise LedgerError(f"{self!r} cannot be read or written: {error}.") from None

    def _connect(self) -> sqlite3.Connection:
        self.database = open_database(self.path, self._mode)
        self._synchronous = ""
        # A connection that is simply dropped is a ResourceWarning on newer Pythons.
        self._finalizer = weakref.finalize(self, self.database.close)
        self._finalizer.atexit = False
        return self.database

    def _disconnect(self) -> None:
        database, self.database = self.database, None
        if database is not None:
            self._finalizer.detach()
            database.close()

    def _before_fork(self) -> None:
        self._lock.acquire()  # no thread may be in the midst of a transaction
        if self.path is not None:
            self._disconnect()

    def _after_fork_in_child(self) -> None:
        self._writer = None  # its thread stayed in the parent
        self._waiting.clear()
        if self.path is None:
            self._disconnect()
        self._lock.release()


_open_connections: weakref.WeakSet[LedgerConnection] = weakref.WeakSet()
_held_for_fork: list[LedgerConnection] = []


def _before_fork() -> None:
    _held_for_fork.extend(_open_connections)
    for connection in _held_for_fork:
        connection._before_fork()


def _after_fork_in_parent() -> None:
    for connection in _held_for_fork:
        connection._lock.release()
    _held_for_fork.clear()


def _after_fork_in_child() -> None:
    for connection in _held_for_fork:
        connection._after_fork_in_child()
    _held_for_fork.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
