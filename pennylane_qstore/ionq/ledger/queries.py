"""Questions to the ledger: rows, events, money. Nothing is changed by them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from pennylane_qstore.errors import LedgerError
from pennylane_qstore.ionq.ledger.budgets import account_usd
from pennylane_qstore.ionq.ledger.connection import LedgerConnection
from pennylane_qstore.ionq.ledger.rows import (
    COLUMNS,
    PART_MARK,
    Event,
    JobKey,
    State,
    Submission,
    submission_of,
)


class LedgerQueries(LedgerConnection):
    """The part of a ledger that reads; arguments as for :class:`LedgerConnection`."""

    def get(self, row: int) -> Submission:
        """Return a row as it stands.

        Raises:
            LedgerError: there is none.
        """
        rows = self._select("WHERE id = ?", (row,))
        if not rows:
            raise no_such_row(row)
        return rows[0]

    def history(self, key: JobKey) -> list[Submission]:
        """Return all rows of a key, by attempt."""
        return self._select("WHERE run = ? AND step = ? AND chunk = ? ORDER BY attempt", key)

    def find(self, job_id: str) -> Submission | None:
        """Return the row of a job, or ``None``."""
        rows = self._select("WHERE job_id = ?", (job_id,))
        return rows[0] if rows else None

    def submissions(self, states: Iterable[State] | None = None) -> list[Submission]:
        """Return all rows in these states (by default all), oldest first."""
        if states is None:
            return self._select("ORDER BY id", ())
        values = tuple(states)
        marks = ", ".join("?" * len(values))
        return self._select(f"WHERE state IN ({marks}) ORDER BY id", values)

    def events(self, row: int | None = None) -> list[Event]:
        """Return the audit trail, of one row or of all, oldest first."""
        where, values = ("", ()) if row is None else ("WHERE submission = ?", (row,))
        query = f"SELECT submission, at, event, detail FROM events {where} ORDER BY seq"  # noqa: S608
        with self.reading() as db:
            return [Event(*entry) for entry in db.execute(query, values).fetchall()]

    def spent_usd(self, run: str | None = None) -> float:
        """Return the cost of all jobs (of a run): billed where known, else estimated.

        Args:
            run: its name; parts of it (:func:`part_of`) count too.

        Returns:
            US dollars.
        """
        query = (
            "SELECT coalesce(sum(coalesce(billed_usd, estimated_usd, 0)), 0) FROM submissions "
            "WHERE state <> 'rejected'"
        )
        values: tuple[str, ...] = ()
        if run is not None:
            # A range, for the index on runs: all names from "run#" on that begin with it.
            query += " AND (run = ? OR run >= ? AND run < ?)"
            values = (run, f"{run}{PART_MARK}", f"{run}{chr(ord(PART_MARK) + 1)}")
        with self.reading() as db:
            return float(db.execute(query, values).fetchone()[0])

    def account_usd(self, names: Iterable[str]) -> float:
        """Return the bills and reservations of an account, in US dollars.

        Args:
            names: of the account; a row that is charged to several of them counts once.
        """
        with self.reading() as db:
            return account_usd(db, tuple(names))

    def _select(self, where: str, values: Sequence[Any]) -> list[Submission]:
        with self.reading() as db:
            return self._rows(db, where, values)

    def _rows(self, db: sqlite3.Connection, where: str, values: Sequence[Any]) -> list[Submission]:
        # ``where`` is always one of this room's own literals; values are bound.
        query = f"SELECT {', '.join(COLUMNS)} FROM submissions {where}"  # noqa: S608
        return [submission_of(row) for row in db.execute(query, tuple(values)).fetchall()]


def no_such_row(row: int) -> LedgerError:
    """Return the error for a row that is not in the ledger."""
    return LedgerError(f"The ledger has no submission {row}.")
