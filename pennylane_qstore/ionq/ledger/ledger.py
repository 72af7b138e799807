"""The ledger: what was about to be sent, what was sent, what came back, what it cost.

Contract of every row (one row is one POST that is meant to create at most one job):

* ``INTENT`` is on disk before the POST, with the token that the POST carries.
* ``SUBMITTED`` is on disk before anything else is done with the job id.
* ``DONE`` holds the results; ``CONSUMED`` says that the caller has them.
* ``REJECTED``: surely no job. ``AMBIGUOUS``: the answer was lost. ``FAILED``, ``CANCELED``:
  the job ended without (all) results. ``DUPLICATE``: a second job with the same token,
  which was cancelled; without an id one that may exist, since there was a second POST.
* A row with a key (run, step, chunk) is found again by it; another payload under the same
  key is an error. A job that several runs share has one row, and a share under the key of
  each (``Share``). Events are only ever appended. Files serve many processes and threads.
* Whoever sends or looks for a row holds its lease; nobody else does so until the lease has
  run out or its owner is dead.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson

from pennylane_qstore.ionq.ledger import budgets
from pennylane_qstore.ionq.ledger.database import forget_finished
from pennylane_qstore.ionq.ledger.duplicates import LedgerDuplicates
from pennylane_qstore.ionq.ledger.lease import new_owner
from pennylane_qstore.ionq.ledger.rows import (
    ENDED_STATES,
    INTENT_COLUMNS,
    OPEN_STATES,
    UNSENT_STATES,
    Account,
    Event,
    Intent,
    JobKey,
    State,
    Submission,
    is_paid,
    key_conflict,
    part_of,
    run_account,
)
from pennylane_qstore.validation import check_number

__all__ = [
    "ENDED_STATES", "OPEN_STATES", "UNSENT_STATES", "Account", "Event", "Intent", "JobKey",
    "Ledger", "State", "Submission", "is_paid", "key_conflict", "part_of", "run_account",
]  # fmt: skip

_NO_LEASE: dict[str, Any] = {"owner": None, "lease_until": 0.0}


class Ledger(LedgerDuplicates):
    """A ledger in a file, or in memory.

    Args:
        path: the file; ``None`` keeps the ledger in memory, for services that cost nothing.
        budget_usd: limit of what everybody who shares the ledger spends, in US dollars. It is
            kept in the file and holds for those who do not name it; the last one named counts.
        now: seconds since the epoch.
        observer: called with ``"before:<event>"`` and ``"after:<event>"`` around every
            change, for audits and for tests that end the process there.

    Raises:
        ConfigurationError: the budget is no number of dollars.
        LedgerError: the file cannot be opened, is no ledger, or is a newer version's.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        budget_usd: float | None = None,
        now: Callable[[], float] = time.time,
        observer: Callable[[str], None] | None = None,
    ) -> None:
        check_number("budget_usd", budget_usd, least=0, unit="US dollars", optional=True)
        file = None if path is None else Path(path).expanduser().absolute()
        super().__init__(file, now, observer)
        if budget_usd is not None:
            with self.changing("budget") as db:
                budgets.set_budget(db, budget_usd)

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (self.path, self.budget_usd)

    @property
    def budget_usd(self) -> float | None:
        """Limit of what everybody who shares the ledger spends, in US dollars; None for none."""
        with self.reading() as db:
            return budgets.ledger_budget(db)

    # ---- the protocol ---------------------------------------------------------------

    def begin(self, intents: Sequence[Intent]) -> list[tuple[Submission, bool]]:
        """Write intents down and reserve what they cost, durably, in one transaction.

        Args:
            intents: all or none of them are written down.

        Returns:
            For each intent its row, and whether it is new: a row that already has the same
            key and attempt is returned as it stands, with ``False``.

        Raises:
            BudgetExceeded: a budget does not hold the prices of the new rows.
            ConfigurationError: a budget cannot be kept: there is no price, or the budget is of
                several processes and the ledger of one.
            LedgerError: the key was used with another payload.
        """
        accounts = {account for intent in intents for account in intent.accounts}
        with budgets.sums_elsewhere(accounts) as elsewhere, \
                self.changing("intent", durable=True) as db:  # fmt: skip
            rows = [self._begin(db, intent) for intent in intents]
            new = [
                (row.id, intent)
                for (row, own), intent in zip(rows, intents, strict=True)
                if own and intent.is_paid
            ]
            if new:
                in_memory = self.path is None
                budgets.reserve(db, new, elsewhere, process=self._process, in_memory=in_memory)
            return rows

    def open_account(self, name: str, spent_usd: float) -> None:
        """Let an account that the ledger does not know begin with what it has spent elsewhere.

        Args:
            name: of the account.
            spent_usd: in US dollars.
        """
        check_number("spent_usd", spent_usd, least=0, unit="US dollars")
        with self.changing("account") as db:
            budgets.open_account(db, name, spent_usd)

    def sending(self, row: int) -> None:
        """Note that the POST goes out only now: the time to look for its job counts from here."""
        with self.changing("sending") as db:
            db.execute("UPDATE submissions SET updated_at = ? WHERE id = ?", (self._now(), row))
            self._log(db, row, "sending", None)

    def submitted(self, row: int, job_id: str) -> None:
        """Write down the id of a row's job, durably, and give the lease back.

        Args:
            row: its number.
            job_id: IonQ's id.
        """
        with self.changing("submitted", durable=True) as db:
            self._set(db, row, State.SUBMITTED, job_id, job_id=job_id, **_NO_LEASE)

    def ambiguous(self, row: int, reason: str, owner: str | None = None) -> None:
        """Write down that the answer to the POST was lost.

        Args:
            row: its number.
            reason: of the loss.
            owner: holder of the lease; if another has the row meanwhile, nothing is written.
        """
        with self.changing("ambiguous") as db:
            if self._is_unsent(db, row, owner):
                self._set(db, row, State.AMBIGUOUS, reason, failure=reason)

    def rejected(self, row: int, reason: str, owner: str | None = None) -> None:
        """Write down that surely no job was created, and give the lease back.

        Nothing is written if the row has a job meanwhile.

        Args:
            row: its number.
            reason: of the refusal.
            owner: holder of the lease; if another has the row meanwhile, nothing is written.
        """
        with self.changing("rejected") as db:
            if self._is_unsent(db, row, owner):
                self._set(db, row, State.REJECTED, reason, failure=reason, **_NO_LEASE)

    def done(self, row: int, results: bytes) -> None:
        """Store all results of a row.

        Args:
            row: its number.
            results: packed (see :func:`pennylane_qstore.ionq.jobs.packing.pack`).
        """
        with self.changing("done") as db:
            self._set(db, row, State.DONE, None, results=results, failure=None)

    def failed(self, row: int, failure: str, results: bytes | None = None) -> None:
        """Write down that the job ended without all results.

        Args:
            row: its number.
            failure: code and message.
            results: those that came, packed; ``None`` if none did.
        """
        with self.changing("failed") as db:
            self._set(db, row, State.FAILED, failure, failure=failure, results=results)

    def canceled(self, row: int, reason: str) -> None:
        """Write down that the job was cancelled or deleted, or cannot be reached ever again.

        Args:
            row: its number.
            reason: for the record.
        """
        with self.changing("canceled") as db:
            self._set(db, row, State.CANCELED, reason, failure=reason, **_NO_LEASE)

    def consumed(self, rows: Iterable[int]) -> None:
        """Write down that the caller has the results of these rows; only those done change."""
        with self.changing("consumed") as db:
            for row in rows:
                self._set(db, row, State.CONSUMED, None, only_from=State.DONE)
            if self.path is None:
                forget_finished(db)

    def billed(self, row: int, usd: float) -> None:
        """Write down the bill of a job.

        Args:
            row: its number.
            usd: the bill, in US dollars.
        """
        with self.changing("billed") as db:
            db.execute("UPDATE submissions SET billed_usd = ? WHERE id = ?", (usd, row))
            self._log(db, row, "billed", f"{usd} USD")

    def note(self, row: int, event: str, detail: str | None = None) -> None:
        """Append to the audit trail of a row.

        Args:
            row: its number.
            event: name of the event.
            detail: anything more.
        """
        with self.changing(event) as db:
            self._log(db, row, event, detail)

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
            rows = self._rows(
                db,
                "WHERE run = ? AND step = ? AND chunk = ? AND attempt = ?",
                (*key, intent.attempt),
            )
            if rows:
                return rows[0], False
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
        if key is not None and intent.attempt == 0:
            db.executemany(
                "INSERT OR REPLACE INTO shares VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (*s.key, s.payload_sha256, key.run, s.start, s.stop, s.fraction)
                    for s in intent.shares
                    if s.key is not None
                ],
            )
        self._log(db, row.id, "intent", row.token)
        return row, True

    def _is_unsent(self, db: sqlite3.Connection, row: int, owner: str | None) -> bool:
        """Return whether a row has no job, and nobody but ``owner`` is about to make one."""
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


def _reopened(path: Path | None, budget_usd: float | None) -> Ledger:
    return Ledger(path, budget_usd=budget_usd if path is None else None)
