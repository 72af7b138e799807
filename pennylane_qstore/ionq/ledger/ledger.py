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

Files are safe for many processes and threads (see :mod:`connection`).
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import orjson

from pennylane_qstore.errors import LedgerError
from pennylane_qstore.ionq.ledger.connection import LedgerConnection
from pennylane_qstore.ionq.ledger.lease import is_alive, new_owner
from pennylane_qstore.ionq.ledger.rows import (
    COLUMNS,
    INTENT_COLUMNS,
    OPEN_STATES,
    PART_MARK,
    UNSENT_STATES,
    Event,
    Intent,
    JobKey,
    State,
    Submission,
    key_conflict,
    part_of,
    submission_of,
)

__all__ = [
    "OPEN_STATES", "UNSENT_STATES", "Event", "Intent", "JobKey", "Ledger", "State", "Submission",
    "key_conflict", "part_of",
]  # fmt: skip

_T = TypeVar("_T")
# Rows an in-memory ledger keeps of what is finished, without and with a key.
_KEEP_IN_MEMORY = 1_000
_KEEP_KEYED_IN_MEMORY = 10_000
_NO_LEASE: dict[str, Any] = {"owner": None, "lease_until": 0.0}


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
        self.connection = LedgerConnection(self.path, observer)

    def __repr__(self) -> str:
        return repr(self.connection)

    def __reduce__(self) -> tuple[Any, ...]:
        return Ledger, (self.path,)

    def close(self) -> None:
        """Close the file. The next call opens it again; a ledger in memory is gone."""
        self.connection.close()

    def check_writable(self) -> None:
        """Open a transaction and change nothing.

        Raises:
            LedgerError: the file cannot be written, or stays locked.
        """
        with self.connection.changing("check"):
            pass

    async def off_loop(self, call: Callable[..., _T], *args: Any) -> _T:
        """Make a call of this ledger from the event loop without stalling it on the disk.

        Args:
            call: a method of this ledger.
            args: of the call.

        Returns:
            What the call returns.
        """
        return await self.connection.off_loop(call, *args)

    # ---- the protocol ---------------------------------------------------------------

    def begin(self, intents: Sequence[Intent]) -> list[tuple[Submission, bool]]:
        """Write intents down, durably, in one transaction.

        Returns:
            For each intent its row, and whether it is new: a row that already has the same
            key and attempt is returned as it stands, with ``False``.

        Raises:
            LedgerError: the key was used with another payload.
        """
        with self.connection.changing("intent", durable=True) as db:
            return [self._begin(db, intent) for intent in intents]

    def sending(self, row: int) -> None:
        """The POST goes out only now: whoever looks for its job counts the time from here."""
        with self.connection.changing("sending") as db:
            db.execute("UPDATE submissions SET updated_at = ? WHERE id = ?", (self._now(), row))
            self._log(db, row, "sending", None)

    def submitted(self, row: int, job_id: str) -> None:
        """The job exists and has this id. Durable; gives the lease back."""
        with self.connection.changing("submitted", durable=True) as db:
            self._set(db, row, State.SUBMITTED, job_id, job_id=job_id, **_NO_LEASE)

    def ambiguous(self, row: int, reason: str, owner: str | None = None) -> None:
        """The answer to the POST was lost. Says nothing if ``owner`` lost the row to another."""
        with self.connection.changing("ambiguous") as db:
            if self._is_unsent(db, row, owner):
                self._set(db, row, State.AMBIGUOUS, reason, failure=reason)

    def rejected(self, row: int, reason: str, owner: str | None = None) -> None:
        """No job was created, surely. Gives the lease back.

        Says nothing if the row has a job meanwhile, or if ``owner`` lost it to another.
        """
        with self.connection.changing("rejected") as db:
            if self._is_unsent(db, row, owner):
                self._set(db, row, State.REJECTED, reason, failure=reason, **_NO_LEASE)

    def done(self, row: int, results: bytes) -> None:
        """All results are here (see ``collect.pack``)."""
        with self.connection.changing("done") as db:
            self._set(db, row, State.DONE, None, results=results, failure=None)

    def failed(self, row: int, failure: str, results: bytes | None = None) -> None:
        """The job ended without all results; ``results`` are those that came."""
        with self.connection.changing("failed") as db:
            self._set(db, row, State.FAILED, failure, failure=failure, results=results)

    def canceled(self, row: int, reason: str) -> None:
        """The job was cancelled or deleted, or cannot be reached ever again."""
        with self.connection.changing("canceled") as db:
            self._set(db, row, State.CANCELED, reason, failure=reason, **_NO_LEASE)

    def consumed(self, rows: Iterable[int]) -> None:
        """The caller has the results of these rows; those that are done are consumed."""
        with self.connection.changing("consumed") as db:
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
        with self.connection.changing("duplicate") as db:
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
        with self.connection.changing("billed") as db:
            db.execute("UPDATE submissions SET billed_usd = ? WHERE id = ?", (usd, row))
            self._log(db, row, "billed", f"{usd} USD")

    def note(self, row: int, event: str, detail: str | None = None) -> None:
        """Append to the audit trail of a row."""
        with self.connection.changing(event) as db:
            self._log(db, row, event, detail)

    # ---- leases ---------------------------------------------------------------------

    def claim(self, row: int, owner: str, lease_s: float) -> bool:
        """Take, or prolong, the lease of a row.

        Returns:
            Whether ``owner`` holds it now; ``False`` while another living owner does.
        """
        with self.connection.changing("claim") as db:
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
        with self.connection.changing("release") as db:
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
        where, values = ("", ()) if row is None else ("WHERE submission = ?", (row,))
        query = f"SELECT submission, at, event, detail FROM events {where} ORDER BY seq"  # noqa: S608
        with self.connection.reading() as db:
            return [Event(*entry) for entry in db.execute(query, values).fetchall()]

    def spent_usd(self, run: str | None = None) -> float:
        """Billed cost, where known, else the estimate, of all jobs (of a run), in US dollars.

        Args:
            run: its name; parts of it (:func:`part_of`) count too.
        """
        query = (
            "SELECT coalesce(sum(coalesce(billed_usd, estimated_usd, 0)), 0) FROM submissions "
            "WHERE state NOT IN ('rejected', 'duplicate')"
        )
        values: tuple[str, ...] = ()
        if run is not None:
            # A range, for the index on runs: all names from "run#" on that begin with it.
            query += " AND (run = ? OR run >= ? AND run < ?)"
            values = (run, f"{run}{PART_MARK}", f"{run}{chr(ord(PART_MARK) + 1)}")
        with self.connection.reading() as db:
            return float(db.execute(query, values).fetchone()[0])

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
        now = self._now()
        values = {name: getattr(intent, name) for name in INTENT_COLUMNS}
        values["run"], values["step"], values["chunk"] = key or (None, None, None)
        values["part"] = None if intent.part is None else orjson.dumps(intent.part).decode()
        values |= {
            "token": secrets.token_hex(16),
            "state": State.INTENT.value,
            "owner": new_owner(),
            "lease_until": now + intent.lease_s,
            "created_at": now,
            "updated_at": now,
        }
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        insert = f"INSERT INTO submissions ({names}) VALUES ({marks})"  # noqa: S608  (own names)
        cursor = db.execute(insert, tuple(values.values()))
        (row,) = self._rows(db, "WHERE id = ?", (cursor.lastrowid,))
        self._log(db, row.id, "intent", row.token)
        return row, True

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
        with self.connection.reading() as db:
            return self._rows(db, where, values)

    def _rows(self, db: sqlite3.Connection, where: str, values: Sequence[Any]) -> list[Submission]:
        # ``where`` is always one of this module's own literals; values are bound.
        query = f"SELECT {', '.join(COLUMNS)} FROM submissions {where}"  # noqa: S608
        return [submission_of(row) for row in db.execute(query, tuple(values)).fetchall()]
