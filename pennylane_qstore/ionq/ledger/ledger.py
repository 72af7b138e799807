"""The ledger: what was about to be sent, what was sent, what came back, what it cost.

Contract of every row (one row is one POST that is meant to create at most one job):

* ``INTENT`` is on disk before the POST, with the token that the POST carries.
* ``SUBMITTED`` is on disk before anything else is done with the job id.
* ``DONE`` holds the results; ``CONSUMED`` says that the caller has them.
* ``REJECTED``: surely no job. ``AMBIGUOUS``: the answer was lost. ``FAILED``, ``CANCELED``:
  the job ended without (all) results. ``DUPLICATE``: a second job with the same token,
  which was cancelled.
* A row with a key (run, step, chunk) is found again by it; another payload under the same
  key is an error. Events are only ever appended.
* Whoever sends or looks for a row holds its lease; nobody else does so until the lease has
  run out or its owner is dead.

Files are safe for many processes and threads. SQLite connections are closed before a fork
and opened again after it: the child would otherwise inherit locks it does not hold.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import orjson

from pennylane_qstore.errors import LedgerError
from pennylane_qstore.ionq.ledger.database import (
    journal_mode,
    open_database,
    prepare_file,
    transaction,
)
from pennylane_qstore.ionq.ledger.lease import is_alive, new_owner
from pennylane_qstore.ionq.ledger.rows import (
    COLUMNS,
    OPEN_STATES,
    UNSENT_STATES,
    Event,
    Intent,
    JobKey,
    State,
    Submission,
    submission,
)

__all__ = [
    "OPEN_STATES", "UNSENT_STATES", "Event", "Intent", "JobKey", "Ledger", "State", "Submission",
]  # fmt: skip

_T = TypeVar("_T")
# Rows an in-memory ledger keeps of what is finished, without and with a key.
_KEEP_IN_MEMORY = 1_000
_KEEP_KEYED_IN_MEMORY = 10_000


_PART = "#"


def part_of(run: str, part: str) -> str:
    """The name of what a run does beside its steps; no part is the run itself."""
    return f"{run}{_PART}{part}" if part else run


class Ledger:
    """A ledger in a file, or in memory.

    Args:
        path: the file; ``None`` keeps the ledger in memory, for services that cost nothing.
        now: seconds since the epoch.
        observer: called with ``"before:<event>"`` and ``"after:<event>"`` around every
            change, for audits and for tests that end the process there.

    Raises:
        LedgerError: the file cannot be opened, is no ledger, or is a newer version's.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        now: Callable[[], float] = time.time,
        observer: Callable[[str], None] | None = None,
    ) -> None:
        self.path = None if path is None else Path(path).expanduser().absolute()
        self._now = now
        self._observer = observer
        self._lock = threading.Lock()
        self._synchronous = ""
        self._writer: ThreadPoolExecutor | None = None
        self._mode = "MEMORY"
        if self.path is not None:
            prepare_file(self.path)
            self._mode = journal_mode(self.path)
        self._connection: sqlite3.Connection | None = self._connect()
        _open_ledgers.add(self)

    def __repr__(self) -> str:
        return f"Ledger({str(self.path) if self.path else 'in memory'})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Ledger, (self.path,)

    def close(self) -> None:
        """Close the file. The next call opens it again; a ledger in memory is gone."""
        with self._lock:
            self._disconnect()
            writer, self._writer = self._writer, None
        if writer is not None:
            writer.shutdown(wait=False)

    def check_writable(self) -> None:
        """Open a transaction and change nothing.

        Raises:
            LedgerError: the file cannot be written, or stays locked.
        """
        with self._change("check"):
            pass

    # ---- the protocol ---------------------------------------------------------------

    def begin(self, intents: Sequence[Intent]) -> list[tuple[Submission, bool]]:
        """Write intents down, durably, in one transaction.

        Returns:
            For each intent its row, and whether it is new: a row that already has the same
            key and attempt is returned as it stands, with ``False``.

        Raises:
            LedgerError: the key was used with another payload.
        """
        with self._change("intent", durable=True) as db:
            return [self._begin(db, intent) for intent in intents]

    def sending(self, row: int) -> None:
        """The POST goes out only now: whoever looks for its job counts the time from here."""
        with self._change("sending") as db:
            db.execute("UPDATE submissions SET updated_at = ? WHERE id = ?", (self._now(), row))
            self._log(db, row, "sending", None)

    def submitted(self, row: int, job_id: str) -> None:
        """The job exists and has this id. Durable; gives the lease back."""
        with self._change("submitted", durable=True) as db:
            self._set(db, row, State.SUBMITTED, job_id, job_id=job_id, owner=None, lease_until=0.0)

    def ambiguous(self, row: int, reason: str, owner: str | None = None) -> None:
        """The answer to the POST was lost. Says nothing if ``owner`` lost the row to another."""
        with self._change("ambiguous") as db:
            if self._is_unsent(db, row, owner):
                self._set(db, row, State.AMBIGUOUS, reason, failure=reason)

    def rejected(self, row: int, reason: str, owner: str | None = None) -> None:
        """No job was created, surely. Gives the lease back.

        Says nothing if the row has a job meanwhile, or if ``owner`` lost it to another.
        """
        with self._change("rejected") as db:
            if self._is_unsent(db, row, owner):
                self._set(
                    db, row, State.REJECTED, reason, failure=reason, owner=None, lease_until=0.0
                )

    def done(self, row: int, results: bytes) -> None:
        """All results are here (see ``collect.pack``)."""
        with self._change("done") as db:
            self._set(db, row, State.DONE, None, results=results, failure=None)

    def failed(self, row: int, failure: str, results: bytes | None = None) -> None:
        """The job ended without all results; ``results`` are those that came."""
        with self._change("failed") as db:
            self._set(db, row, State.FAILED, failure, failure=failure, results=results)

    def canceled(self, row: int, reason: str) -> None:
        """The job was cancelled or deleted, or cannot be reached ever again."""
        with self._change("canceled") as db:
            self._set(db, row, State.CANCELED, reason, failure=reason, owner=None, lease_until=0.0)

    def consumed(self, rows: Iterable[int]) -> None:
        """The caller has the results of these rows; those that are done are consumed."""
        with self._change("consumed") as db:
            for row in rows:
                self._set(db, row, State.CONSUMED, None, only_from=State.DONE)
            if self.path is None:
                db.execute(
                    "DELETE FROM submissions WHERE state = 'consumed' AND id <= "
                    "(SELECT max(id) FROM submissions) - CASE WHEN run IS NULL THEN ? ELSE ? END",
                    (_KEEP_IN_MEMORY, _KEEP_KEYED_IN_MEMORY),
                )
                db.execute(
                    "DELETE FROM events WHERE submission <= (SELECT max(id) FROM submissions) - ? "
                    "AND submission NOT IN (SELECT id FROM submissions)",
                    (_KEEP_IN_MEMORY,),
                )

    def duplicate(self, row: int, job_id: str) -> None:
        """A second job carries the token of ``row``; it is recorded as one to be cancelled."""
        with self._change("duplicate") as db:
            known = db.execute("SELECT 1 FROM submissions WHERE job_id = ?", (job_id,)).fetchone()
            if known is None:
                db.execute(
                    "INSERT INTO submissions (state, service, backend, shots, circuits, qubits, "
                    "payload_sha256, attempt, job_id, failure, created_at, updated_at) "
                    "SELECT 'duplicate', service, backend, shots, circuits, qubits, "
                    "payload_sha256, attempt, ?, 'of submission ' || id, ?, ? "
                    "FROM submissions WHERE id = ?",
                    (job_id, self._now(), self._now(), row),
                )
                self._log(db, row, "duplicate", job_id)

    def billed(self, row: int, usd: float) -> None:
        """What the job cost, in US dollars."""
        with self._change("billed") as db:
            db.execute("UPDATE submissions SET billed_usd = ? WHERE id = ?", (usd, row))
            self._log(db, row, "billed", f"{usd} USD")

    def note(self, row: int, event: str, detail: str | None = None) -> None:
        """Append to the audit trail of a row."""
        with self._change(event) as db:
            self._log(db, row, event, detail)

    # ---- leases ---------------------------------------------------------------------

    def claim(self, row: int, owner: str, lease_s: float) -> bool:
        """Take, or prolong, the lease of a row.

        Returns:
            Whether ``owner`` holds it now; ``False`` while another living owner does.
        """
        with self._change("claim") as db:
            found = db.execute(
                "SELECT owner, lease_until FROM submissions WHERE id = ?", (row,)
            ).fetchone()
            if found is None:
                raise LedgerError(f"The ledger has no submission {row}.")
            holder, until = found
            free = holder is None or holder == owner or until < self._now()
            if not free and is_alive(holder):
                return False
            db.execute(
                "UPDATE submissions SET owner = ?, lease_until = ? WHERE id = ?",
                (owner, self._now() + lease_s, row),
            )
            return True

    def release(self, row: int, owner: str) -> None:
        """Give a lease back."""
        with self._change("release") as db:
            db.execute(
                "UPDATE submissions SET owner = NULL, lease_until = 0 WHERE id = ? AND owner = ?",
                (row, owner),
            )

    # ---- reading --------------------------------------------------------------------

    def get(self, row: int) -> Submission:
        """The row as it stands.

        Raises:
            LedgerError: there is none.
        """
        rows = self._select("WHERE id = ?", (row,))
        if not rows:
            raise LedgerError(f"The ledger has no submission {row}.")
        return rows[0]

    def history(self, key: JobKey) -> list[Submission]:
        """All rows of a key, by attempt."""
        return self._select("WHERE run = ? AND step = ? AND chunk = ? ORDER BY attempt", key)

    def find(self, job_id: str) -> Submission | None:
        """The row of a job."""
        rows = self._select("WHERE job_id = ?", (job_id,))
        return rows[0] if rows else None

    def submissions(self, states: Iterable[State] | None = None) -> list[Submission]:
        """All rows in these states (by default all), oldest first."""
        if states is None:
            return self._select("ORDER BY id", ())
        wanted = tuple(states)
        marks = ", ".join("?" * len(wanted))
        return self._select(f"WHERE state IN ({marks}) ORDER BY id", wanted)

    def events(self, row: int | None = None) -> list[Event]:
        """The audit trail, of one row or of all, oldest first."""
        with self._read() as db:
            if row is None:
                found = db.execute("SELECT submission, at, event, detail FROM events ORDER BY seq")
            else:
                found = db.execute(
                    "SELECT submission, at, event, detail FROM events "
                    "WHERE submission = ? ORDER BY seq",
                    (row,),
                )
            return [Event(*entry) for entry in found.fetchall()]

    def spent_usd(self, run: str | None = None) -> float:
        """Billed cost, where known, else the estimate, of all jobs (of a run), in US dollars.

        Args:
            run: its name; parts of it (:func:`part_of`) count too.
        """
        query = (
            "SELECT coalesce(sum(coalesce(billed_usd, estimated_usd, 0)), 0) FROM submissions "
            "WHERE state NOT IN ('rejected', 'duplicate')"
        )
        with self._read() as db:
            if run is None:
                return float(db.execute(query).fetchone()[0])
            # A range, for the index on runs: all names from "run#" on that begin with it.
            mine = f"{query} AND (run = ? OR run >= ? AND run < ?)"
            first, last = f"{run}{_PART}", f"{run}{chr(ord(_PART) + 1)}"
            return float(db.execute(mine, (run, first, last)).fetchone()[0])

    async def off_loop(self, call: Callable[..., _T], *args: Any) -> _T:
        """Make a call of this ledger from the event loop without stalling it on the disk."""
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

    def _begin(self, db: sqlite3.Connection, intent: Intent) -> tuple[Submission, bool]:
        key = intent.key
        if key is not None:
            other = db.execute(
                "SELECT payload_sha256 FROM submissions WHERE run = ? AND step = ? AND chunk = ? "
                "AND payload_sha256 <> ?",
                (*key, intent.payload_sha256),
            ).fetchone()
            if other is not None:
                raise key_conflict(key)
            found = self._rows(
                db,
                "WHERE run = ? AND step = ? AND chunk = ? AND attempt = ?",
                (*key, intent.attempt),
            )
            if found:
                return found[0], False
        run, step, chunk = key or (None, None, None)
        now = self._now()
        token = secrets.token_hex(16)
        part = None if intent.part is None else orjson.dumps(intent.part).decode()
        owner, until = new_owner(), now + intent.lease_s
        cursor = db.execute(
            "INSERT INTO submissions (token, state, service, backend, shots, circuits, qubits, "
            "payload_sha256, run, step, chunk, attempt, part, aggregation, estimated_usd, owner, "
            "lease_until, created_at, updated_at) "
            "VALUES (?, 'intent', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (token, intent.service, intent.backend, intent.shots, intent.circuits, intent.qubits,
             intent.payload_sha256, run, step, chunk, intent.attempt, part, intent.aggregation,
             intent.estimated_usd, owner, until, now, now),
        )  # fmt: skip
        row = int(cursor.lastrowid or 0)
        self._log(db, row, "intent", token)
        fresh = Submission(
            row, token, State.INTENT, intent.service, intent.backend, intent.shots,
            intent.circuits, intent.qubits, intent.payload_sha256, key, intent.attempt,
            intent.part, intent.aggregation, intent.estimated_usd, None, None, None, None, owner,
            until, now, now,
        )  # fmt: skip
        return fresh, True

    def _is_unsent(self, db: sqlite3.Connection, row: int, owner: str | None) -> bool:
        """Whether a row has no job, and nobody but ``owner`` is about to make one."""
        state, holder = db.execute(
            "SELECT state, owner FROM submissions WHERE id = ?", (row,)
        ).fetchone()
        mine = owner is None or holder is None or holder == owner
        return mine and State(state) in UNSENT_STATES

    def _set(
        self,
        db: sqlite3.Connection,
        row: int,
        state: State,
        detail: str | None,
        only_from: State | None = None,
        **columns: Any,
    ) -> None:
        now = self._now()
        names = "".join(f", {name} = ?" for name in columns)
        old = "" if only_from is None else f" AND state = '{only_from.value}'"
        changed = db.execute(
            f"UPDATE submissions SET state = ?, updated_at = ?{names} WHERE id = ?{old}",  # noqa: S608
            (state.value, now, *columns.values(), row),
        )
        if changed.rowcount:
            self._log(db, row, state.value, detail)

    def _log(self, db: sqlite3.Connection, row: int, event: str, detail: str | None) -> None:
        db.execute(
            "INSERT INTO events (submission, at, event, detail) VALUES (?, ?, ?, ?)",
            (row, self._now(), event, detail),
        )

    def _select(self, where: str, values: Sequence[Any]) -> list[Submission]:
        with self._read() as db:
            return self._rows(db, where, values)

    def _rows(self, db: sqlite3.Connection, where: str, values: Sequence[Any]) -> list[Submission]:
        # ``where`` is always one of this module's own literals; values are bound.
        found = db.execute(f"SELECT {COLUMNS} FROM submissions {where}", tuple(values))  # noqa: S608
        return [submission(row) for row in found.fetchall()]

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _readable_errors(self):
            yield self._connection or self._connect()

    @contextmanager
    def _change(self, event: str, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """One transaction; ``durable`` ones reach the disk before this returns."""
        if self._observer is not None:
            self._observer(f"before:{event}")
        with self._lock, _readable_errors(self):
            db = self._connection or self._connect()
            level = "FULL" if durable else "NORMAL"
            if self.path is not None and level != self._synchronous:
                db.execute(f"PRAGMA synchronous={level}")
                self._synchronous = level
            try:
                with transaction(db):
                    yield db
            finally:
                if db.in_transaction and self.path is not None:
                    self._disconnect()  # not even rolled back: closing the file does that
        if self._observer is not None:
            self._observer(f"after:{event}")

    def _connect(self) -> sqlite3.Connection:
        self._connection = open_database(self.path, self._mode)
        self._synchronous = ""
        # A connection that is simply dropped is a ResourceWarning on newer Pythons.
        self._finalizer = weakref.finalize(self, self._connection.close)
        self._finalizer.atexit = False
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._finalizer.detach()
            connection.close()


def key_conflict(key: JobKey) -> LedgerError:
    """The error for a key that the ledger has with another payload."""
    return LedgerError(
        f"Run {key.run!r}, step {key.step}, chunk {key.chunk} is in the ledger with another "
        "payload: the run is not the same as before. Use a new run name, or the same program, "
        "data and seed."
    )


_open_ledgers: weakref.WeakSet[Ledger] = weakref.WeakSet()
_held_for_fork: list[Ledger] = []


@contextmanager
def _readable_errors(ledger: Ledger) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise LedgerError(f"{ledger!r} cannot be read or written: {error}.") from None


def _before_fork() -> None:
    _held_for_fork.extend(_open_ledgers)
    for ledger in _held_for_fork:
        ledger._lock.acquire()
        if ledger.path is not None:
            ledger._disconnect()


def _after_fork_in_parent() -> None:
    for ledger in _held_for_fork:
        ledger._lock.release()
    _held_for_fork.clear()


def _after_fork_in_child() -> None:
    for ledger in _held_for_fork:
        ledger._writer = None  # its thread stayed in the parent
        if ledger.path is None:
            ledger._disconnect()
        ledger._lock.release()
    _held_for_fork.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
