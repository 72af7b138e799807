"""Claims: who of several processes takes a batch of a run, and who holds a row."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from pennylane_qstore.ionq.ledger.lease import is_alive
from pennylane_qstore.ionq.ledger.queries import LedgerQueries, no_such_row

_CLAIM = "INSERT OR IGNORE INTO claims (run, start, step) VALUES (?, ?, ?)"


class LedgerClaims(LedgerQueries):
    """The part of a ledger in which processes take batches and rows for themselves.

    Args:
        path: the file; ``None`` is a database in memory.
        now: seconds since the epoch.
        observer: called with ``"before:<event>"`` and ``"after:<event>"`` around every change.

    Raises:
        LedgerError: the file cannot be opened, is no ledger, or is a newer version's.
    """

    def __init__(
        self,
        path: Path | None,
        now: Callable[[], float],
        observer: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__(path, observer)
        self._now = now
        self._process = os.getpid()

    def claim_batch(self, run: str, start: str, payloads: Sequence[tuple[int, str]]) -> int:
        """Take a batch of a run that nobody of the same start of a program has taken.

        Args:
            run: name of the run.
            start: name of the start; copies of a device in many processes have it in common.
            payloads: chunk and payload hash of each request.

        Returns:
            The step: of an earlier start's batch with these payloads, or else a new one.
        """
        with self.changing("claim batch") as db:
            query = "SELECT step FROM claims WHERE run = ? AND start = ?"
            taken = {step for (step,) in db.execute(query, (run, start))}
            free = _same_batches(db, run, payloads) - taken
            query = (
                "SELECT coalesce(max(step) + 1, 0) FROM (SELECT step FROM payloads "
                "WHERE run = ? UNION ALL SELECT step FROM claims WHERE run = ?)"
            )
            step = min(free) if free else db.execute(query, (run, run)).fetchone()[0]
            db.execute(_CLAIM, (run, start, step))
            return int(step)

    def claim_batches(self, run: str, start: str, steps: Iterable[int]) -> None:
        """Take batches that this start of a program has numbered by itself so far.

        Args:
            run: name of the run.
            start: name of the start.
            steps: their numbers.
        """
        with self.changing("claim batch") as db:
            db.executemany(_CLAIM, [(run, start, step) for step in steps])

    def find_batches(self, run: str, payloads: Sequence[tuple[int, str]]) -> set[int]:
        """Return the steps of a run that have these payloads.

        Args:
            run: name of the run.
            payloads: chunk and payload hash of each request.

        Returns:
            Their numbers.
        """
        with self.reading() as db:
            return _same_batches(db, run, payloads)

    def payloads(self, run: str, step: int) -> dict[int, str]:
        """Return the payload hashes of a step, by chunk.

        Args:
            run: name of the run.
            step: its number.

        Returns:
            Hashes in hex; none where the ledger does not know the step.
        """
        query = "SELECT chunk, payload_sha256 FROM payloads WHERE run = ? AND step = ?"
        with self.reading() as db:
            return dict(db.execute(query, (run, step)).fetchall())

    def release_batches(self, run: str, start: str, steps: Iterable[int]) -> None:
        """Give batches back that failed and are to be taken again.

        Args:
            run: name of the run.
            start: name of the start.
            steps: from :meth:`claim_batch`.
        """
        with self.changing("release batches") as db:
            query = "DELETE FROM claims WHERE run = ? AND start = ? AND step = ?"
            db.executemany(query, [(run, start, step) for step in steps])

    def claim(self, row: int, owner: str, lease_s: float) -> bool:
        """Take, or prolong, the lease of a row.

        Args:
            row: its number.
            owner: from :func:`new_owner`.
            lease_s: time until others may take it, in seconds.

        Returns:
            Whether ``owner`` holds it now; ``False`` while another living owner does.

        Raises:
            LedgerError: there is no such row.
        """
        with self.changing("claim") as db:
            lease = db.execute(
                "SELECT owner, lease_until FROM submissions WHERE id = ?", (row,)
            ).fetchone()
            if lease is None:
                raise no_such_row(row)
            holder, until = lease
            free = holder is None or holder == owner or until < self._now()
            if not free and is_alive(holder):
                return False
            db.execute(
                "UPDATE submissions SET owner = ?, lease_until = ? WHERE id = ?",
                (owner, self._now() + lease_s, row),
            )
            return True

    def release(self, row: int, owner: str) -> None:
        """Give a lease back.

        Args:
            row: its number.
            owner: its holder; another's lease is left alone.
        """
        with self.changing("release") as db:
            db.execute(
                "UPDATE submissions SET owner = NULL, lease_until = 0 WHERE id = ? AND owner = ?",
                (row, owner),
            )

    def _log(self, db: sqlite3.Connection, row: int, event: str, detail: str | None) -> None:
        db.execute(
            "INSERT INTO events (submission, at, event, detail) VALUES (?, ?, ?, ?)",
            (row, self._now(), event, detail),
        )


def _same_batches(
    db: sqlite3.Connection, run: str, payloads: Sequence[tuple[int, str]]
) -> set[int]:
    query = "SELECT step FROM payloads WHERE run = ? AND chunk = ? AND payload_sha256 = ?"
    same = [{step for (step,) in db.execute(query, (run, *payload))} for payload in payloads]
    return set.intersection(*same) if same else set()
