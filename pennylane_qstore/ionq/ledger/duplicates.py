"""Second jobs with the token of a row: expected ones are reserved for, found ones recorded."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from pennylane_qstore.ionq.ledger import budgets
from pennylane_qstore.ionq.ledger.claims import LedgerClaims
from pennylane_qstore.ionq.ledger.rows import INTENT_COLUMNS, Account, Intent, Submission

_OF = "'of submission ' || "
_EXPECTED = "state = 'duplicate' AND job_id IS NULL"
_EXPECTED_OF = f"{_EXPECTED} AND failure = {_OF}?"


class LedgerDuplicates(LedgerClaims):
    """The part of a ledger that counts second jobs; arguments as for :class:`LedgerClaims`."""

    def expect_duplicate(self, row: int, accounts: Sequence[Account]) -> None:
        """Reserve the price of another POST of a row, durably: the job of the first may exist.

        Args:
            row: its number; nothing is reserved for one that is known to cost nothing.
            accounts: what the price is charged to; all of their budgets apply.

        Raises:
            BudgetExceeded: a budget does not hold the price once more.
            ConfigurationError: a budget cannot be kept.
        """
        first = self.get(row)
        values = {name: getattr(first, name) for name in INTENT_COLUMNS}
        intent = Intent(**values, accounts=tuple(accounts))
        if not intent.is_paid:
            return
        with budgets.sums_elsewhere(intent.accounts) as elsewhere, \
                self.changing("expect duplicate", durable=True) as db:  # fmt: skip
            copy = self._insert_duplicate(db, row, None)
            new, in_memory = [(copy, intent)], self.path is None
            budgets.reserve(db, new, elsewhere, process=self._process, in_memory=in_memory)

    def expected_duplicates(self, row: int) -> int:
        """Return how many jobs of a row are reserved for and have not been seen."""
        query = f"SELECT count(*) FROM submissions WHERE {_EXPECTED_OF}"  # noqa: S608
        with self.reading() as db:
            return int(db.execute(query, (row,)).fetchone()[0])

    def with_expected_duplicates(self) -> list[Submission]:
        """Return the rows of which a second job may exist unseen, oldest first."""
        expected = f"SELECT failure FROM submissions WHERE {_EXPECTED}"  # noqa: S608
        return self._select(f"WHERE {_OF}id IN ({expected}) ORDER BY id", ())

    def not_sent_again(self, row: int) -> None:
        """Free what is reserved for the last POST of a row: it surely created no job."""
        last = f"id = (SELECT max(id) FROM submissions WHERE {_EXPECTED_OF})"  # noqa: S608
        self._free(row, last, (row,))

    def no_duplicate(self, row: int, for_s: float = 0.0) -> None:
        """Free what is reserved for second jobs of a row: a look at the service found none.

        Args:
            row: its number.
            for_s: keep what has been reserved for less than this, in seconds.
        """
        self._free(row, f"{_EXPECTED_OF} AND created_at <= ?", (row, self._now() - for_s))

    def duplicate(self, row: int, job_id: str) -> None:
        """Record a second job with the token of a row, as one to be cancelled.

        Until its bill is known it counts as much as the row.

        Args:
            row: its number.
            job_id: of the second job.
        """
        with self.changing("duplicate") as db:
            if db.execute("SELECT 1 FROM submissions WHERE job_id = ?", (job_id,)).fetchone():
                return
            expected = db.execute(
                f"SELECT id FROM submissions WHERE {_EXPECTED} AND failure = {_OF}?",  # noqa: S608
                (row,),
            ).fetchone()
            if expected is None:
                self._insert_duplicate(db, row, job_id)
            else:
                db.execute(
                    "UPDATE submissions SET job_id = ?, updated_at = ? WHERE id = ?",
                    (job_id, self._now(), *expected),
                )
            self._log(db, row, "duplicate", job_id)

    def _free(self, row: int, where: str, values: Sequence[float]) -> None:
        if not self.expected_duplicates(row):
            return
        with self.changing("no duplicate") as db:
            freed = db.execute(
                f"UPDATE submissions SET state = 'rejected', updated_at = ? WHERE {where}",  # noqa: S608
                (self._now(), *values),
            )
            if freed.rowcount:
                self._log(db, row, "no duplicate", None)

    def _insert_duplicate(self, db: sqlite3.Connection, row: int, job_id: str | None) -> int:
        now = self._now()
        copy = db.execute(
            "INSERT INTO submissions (state, service, backend, shots, circuits, qubits, "  # noqa: S608
            "payload_sha256, attempt, estimated_usd, job_id, failure, created_at, updated_at) "
            "SELECT 'duplicate', service, backend, shots, circuits, qubits, payload_sha256, "
            f"attempt, estimated_usd, ?, {_OF}id, ?, ? FROM submissions WHERE id = ?",
            (job_id, now, now, row),
        ).lastrowid
        assert copy is not None  # noqa: S101  (an INSERT has a number)
        budgets.charge_alike(db, copy, row)
        if job_id is None:
            self._log(db, row, "expect duplicate", None)
        return copy
