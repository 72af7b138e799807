"""The connection to a ledger's database: transactions, threads, forks, the event loop.

SQLite connections are closed before a fork and opened again after it: the child would
otherwise inherit locks that it does not hold, and its closing would drop the parent's.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
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
        self._changer: int | None = None  # the thread whose transaction is open
        self._synchronous = ""
        self._writer: ThreadPoolExecutor | None = None
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
        if (database := self._in_change()) is not None:
            yield database
            return
        with self._lock, self._readable_errors():
            yield self.database or self._connect()

    @contextmanager
    def changing(self, event: str, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """Give the database for one transaction, all or nothing.

        A change inside another one of the same thread is part of it, and not observed by itself.

        Args:
            event: name for the observer.
            durable: whether it has to reach the disk before this returns; inside another change
                that one has to be durable.

        Yields:
            The database, in the transaction.

        Raises:
            LedgerError: it cannot be written; nothing was.
        """
        if (database := self._in_change()) is not None:
            assert not durable or self._synchronous in ("FULL", "")  # noqa: S101  (own callers)
            yield database
            return
        self._observe(f"before:{event}")
        with self.reading() as database:
            level = "FULL" if durable else "NORMAL"
            if self.path is not None and level != self._synchronous:
                database.execute(f"PRAGMA synchronous={level}")
                self._synchronous = level
            try:
                with transaction(database):
                    self._changer = threading.get_ident()
                    yield database
            finally:
                self._changer = None
                if database.in_transaction and self.path is not None:
                    self._disconnect()  # not even rolled back: closing the file does that
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
        loop = asyncio.get_running_loop()
        try:
            if self._writer is None:
                self._writer = ThreadPoolExecutor(1, thread_name_prefix="qstore-ledger")
            future = loop.run_in_executor(self._writer, lambda: call(*args))
        except RuntimeError:
            # The interpreter is shutting down and takes no more work; what is known of a
            # paid job is written down all the same.
            return call(*args)
        return await future

    # ---- private --------------------------------------------------------------------

    def check_writable(self) -> None:
        """Open a transaction and change nothing.

        Raises:
            LedgerError: the file cannot be written, or stays locked.
        """
        with self.changing("check"):
            pass

    def _in_change(self) -> sqlite3.Connection | None:
        """Return the database if this thread is in the midst of a change, else None."""
        return self.database if self._changer == threading.get_ident() else None

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
