"""Questions to the ledger: rows, events, money. Nothing is changed by them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from pennylane_qstore.errors import LedgerError
from pennylane_qstore.ionq.ledger.budgets import account_usd, sum_usd
from pennylane_qstore.ionq.ledger.connection import LedgerConnection
from pennylane_qstore.ionq.ledger.rows import (
    COLUMNS,
    OPEN_STATES,
    PART_MARK,
    Event,
    JobKey,
    Share,
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
        """Return all rows of a key, by attempt; first those of a job that it shares."""
        own = self._select("WHERE run = ? AND step = ? AND chunk = ? ORDER BY attempt", key)
        query = (
            "SELECT shared, payload_sha256, start, stop, fraction FROM shares "
            "WHERE run = ? AND step = ? AND chunk = ?"
        )
        with self.reading() as db:
            found = db.execute(query, key).fetchone()
        if found is None:
            return own
        shared, sha, start, stop, fraction = found
        rows = self._select("WHERE run = ? ORDER BY attempt", (shared,))
        share = Share(key, sha, start, stop, fraction, shared=shared)
        return [*(replace(r, key=key, payload_sha256=sha, share=share) for r in rows), *own]

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

    def changed(self, since: int = 0) -> list[tuple[int, Submission, dict[str, float]]]:
        """Return the rows that have changed, for whoever follows the ledger.

        Args:
            since: number of an event; events count from 1.

        Returns:
            For each row with a newer event the number of its newest one, the row without its
            results, and by run the parts of its bill where several share it; oldest rows first.
        """
        columns = ("NULL" if name == "results" else name for name in COLUMNS)
        newer = "SELECT submission, max(seq) AS seq FROM events WHERE seq > ? GROUP BY submission"
        query = (
            f"SELECT seq, {', '.join(columns)} FROM ({newer}) JOIN submissions "  # noqa: S608
            "ON id = submission ORDER BY id"
        )
        with self.reading() as db:
            found = [(seq, submission_of(tuple(row))) for seq, *row in db.execute(query, (since,))]
            runs = {row.key.run for _, row in found if row.key is not None}
            parts: dict[str, dict[str, float]] = {}
            query = "SELECT shared, run, fraction FROM shares"
            for shared, run, fraction in db.execute(query) if runs else ():
                if shared in runs:
                    own = parts.setdefault(shared, {})
                    own[run] = own.get(run, 0.0) + fraction
        return [(seq, row, parts.get(row.key.run if row.key else "", {})) for seq, row in found]

    def spent_usd(self, run: str | None = None) -> float:
        """Return the cost of all jobs (of a run): billed where known, else estimated.

        Args:
            run: its name; parts of it (:func:`part_of`) count too.

        Returns:
            US dollars.
        """
        where = "1"
        values: tuple[str, ...] = ()
        if run is not None:
            # A range, for the index on runs: all names from "run#" on that begin with it.
            where = "run = ? OR run >= ? AND run < ?"
            values = (run, f"{run}{PART_MARK}", f"{run}{chr(ord(PART_MARK) + 1)}")
        with self.reading() as db:
            usd = sum_usd(db, where, values)
            if run is not None:
                parts = f"SELECT shared, fraction FROM shares WHERE {where}"  # noqa: S608
                joined = f"JOIN ({parts}) ON shared = submissions.run"
                usd += sum_usd(db, values=values, joined=joined, fraction="fraction")
            return usd

    def paid_jobs(self, run: str) -> int:
        """Return how many jobs of a run would be found again by their keys.

        Args:
            run: its name; parts of it do not count.

        Returns:
            The number of keys with a row that has, or may have, a job without a failure.
        """
        states = (*OPEN_STATES, State.DONE, State.CONSUMED)
        query = (
            "SELECT count(*) FROM (SELECT DISTINCT step, chunk FROM submissions "  # noqa: S608
            f"WHERE run = ? AND state IN ({', '.join('?' * len(states))}))"
        )
        with self.reading() as db:
            return int(db.execute(query, (run, *states)).fetchone()[0])

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
