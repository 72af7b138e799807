"""Accounts and budgets: prices are reserved in the transaction that writes the intents down.

A row counts with its bill or, until that is known, with its estimate; so does one whose job may
exist unseen. Only rows that surely have no job do not count.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

from pennylane_qstore.errors import BudgetExceeded, ConfigurationError, LedgerError
from pennylane_qstore.ionq.ledger.rows import Account, Intent, damaged_error
from pennylane_qstore.prices import apart, exceeds

_WHOLE = ""  # the account of everybody who shares the ledger
_MOST_USD = 1e12
_DAMAGED = "min(CASE WHEN {} THEN NULL ELSE id END)".format(
    " AND ".join(
        f"typeof({usd}) IN ('null', 'real', 'integer') "
        f"AND coalesce({usd}, 0) BETWEEN 0 AND {_MOST_USD}"
        for usd in ("billed_usd", "estimated_usd")
    )
)
"""The first row whose money is none: columns take any value, and a sum would pass it over."""
_across_ledgers = threading.Lock()


@contextmanager
def sums_elsewhere(accounts: Collection[Account]) -> Iterator[Mapping[Account, float]]:
    """Yield what accounts have spent by other ledgers; until the end nobody here adds to it.

    Args:
        accounts: of the intents that are about to be written down.
    """
    shared = [account for account in accounts if account.elsewhere]
    if not shared:
        yield {}
        return
    # Ledgers have no transaction in common. Whoever spends from several is in one process.
    with _across_ledgers:
        yield {
            account: sum(ledger.account_usd(account.names) for ledger in account.elsewhere)
            for account in shared
        }


def reserve(
    db: sqlite3.Connection,
    new: Sequence[tuple[int, Intent]],
    elsewhere: Mapping[Account, float],
    *,
    process: int,
    in_memory: bool,
) -> None:
    """Charge new rows to their accounts and check all budgets; in the transaction of the rows.

    Args:
        db: in the transaction.
        new: numbers and intents of new rows that may cost money.
        elsewhere: spent by other ledgers, in US dollars.
        process: id of the process that opened the ledger.
        in_memory: whether the ledger ends with this process.

    Raises:
        BudgetExceeded: a budget does not hold them.
        ConfigurationError: a budget cannot be kept.
    """
    whole = Account((_WHOLE,), ledger_budget(db), process=process)
    prices: dict[Account, list[float | None]] = {whole: [intent.estimated_usd for _, intent in new]}
    for row, intent in new:
        for account, part in intent.charges:
            usd = intent.estimated_usd
            prices.setdefault(account, []).append(None if usd is None else part * usd)
            db.executemany(
                "INSERT INTO charges (account, submission, fraction) VALUES (?, ?, ?) "
                "ON CONFLICT DO UPDATE SET fraction = min(1, fraction + excluded.fraction)",
                [(name, row, part) for name in account.names],
            )
    for account, estimates in prices.items():
        if account.budget_usd is None:
            continue
        if in_memory and account.process != os.getpid():
            raise ConfigurationError(
                "A budget that processes share needs a ledger in a file: give the device "
                "ledger='jobs.sqlite3'. Nothing was sent."
            )
        if None in estimates:
            raise ConfigurationError(
                "budget_usd cannot be kept: the service gives no price in US dollars for "
                f"{new[0][1].backend}. Use a session with a cost limit instead. Nothing was sent."
            )
        asked_usd = sum(usd for usd in estimates if usd is not None)
        spent_usd = elsewhere.get(account, 0.0) + (
            sum_usd(db) if account is whole else account_usd(db, account.names)
        )
        if exceeds(spent_usd, account.budget_usd):
            left_usd = account.budget_usd - (spent_usd - asked_usd)
            raise budget_error(len(estimates), asked_usd, left_usd, account.budget_usd)


def charge_alike(db: sqlite3.Connection, row: int, other: int) -> None:
    """Charge a row to the accounts of another one.

    Args:
        db: in a transaction.
        row: number of the row.
        other: number of the row that is charged already.
    """
    db.execute(
        "INSERT OR IGNORE INTO charges (account, submission, fraction) "
        "SELECT account, ?, fraction FROM charges WHERE submission = ?",
        (row, other),
    )


def budget_error(jobs: int, asked_usd: float, left_usd: float, budget_usd: float) -> BudgetExceeded:
    """Return the error for jobs that a budget does not hold.

    Args:
        jobs: number of jobs.
        asked_usd: their estimates together, in US dollars.
        left_usd: rest of the budget, in US dollars.
        budget_usd: the budget, in US dollars.

    Returns:
        The error, not raised.
    """
    asked, left = apart(asked_usd, left_usd)
    return BudgetExceeded(
        f"This batch of {jobs} job(s) is estimated at {asked}, and {left} of "
        f"the budget of ${budget_usd:,.2f} is left. Nothing was sent. Raise budget_usd, or send "
        "fewer circuits or shots.",
        estimate_usd=asked_usd,
        left_usd=left_usd,
    )


def account_usd(db: sqlite3.Connection, names: Sequence[str]) -> float:
    """Return the bills and reservations of an account, in US dollars.

    Args:
        db: the ledger's.
        names: of the account; a row that is charged to several of them counts once.

    Returns:
        The sum, with what the account had spent when the ledger first knew it.
    """
    marks = ", ".join("?" * len(names))
    charged = (
        "JOIN (SELECT submission, max(fraction) AS fraction FROM charges "  # noqa: S608
        f"WHERE account IN ({marks}) GROUP BY submission) ON submission = id"
    )
    query = f"SELECT opening_usd FROM accounts WHERE name IN ({marks})"  # noqa: S608  (own text)
    openings = [_checked(usd, "opening_usd") for (usd,) in db.execute(query, tuple(names))]
    usd = sum_usd(db, values=names, joined=charged, fraction="fraction")
    return usd + sum(openings)


def sum_usd(
    db: sqlite3.Connection,
    where: str = "1",
    values: Sequence[str] = (),
    *,
    joined: str = "",
    fraction: str = "1",
) -> float:
    """Return the bills and reservations of rows that may have a job, in US dollars.

    Args:
        db: the ledger's.
        where: SQL that chooses rows.
        values: of the marks in ``joined`` and ``where``.
        joined: SQL that joins what chooses rows.
        fraction: the part of each row's price that counts, in SQL.

    Returns:
        The sum.

    Raises:
        LedgerError: a price or a bill of them is damaged.
    """
    query = (
        f"SELECT coalesce(sum(coalesce(billed_usd, estimated_usd, 0) * {fraction}), 0), "  # noqa: S608
        f"{_DAMAGED} FROM submissions {joined} WHERE state <> 'rejected' AND ({where})"
    )
    usd, damaged = db.execute(query, tuple(values)).fetchone()
    if damaged is not None:
        raise damaged_error(damaged, "its price or its bill is no number of dollars")
    return float(usd)


def _checked(usd: object, name: str) -> float:
    if isinstance(usd, int | float) and 0 <= usd <= _MOST_USD:
        return usd
    raise LedgerError(f"The ledger's {name} is damaged: {usd!r}. Restore the file from a backup.")


def open_account(db: sqlite3.Connection, name: str, spent_usd: float) -> None:
    """Let an account begin with what it has spent, unless the ledger knows it.

    Args:
        db: in a transaction.
        name: of the account.
        spent_usd: in US dollars.
    """
    db.execute(
        "INSERT INTO accounts (name, opening_usd) SELECT ?, ? WHERE NOT EXISTS "
        "(SELECT 1 FROM charges WHERE account = ?) ON CONFLICT DO NOTHING",
        (name, spent_usd, name),
    )


def set_budget(db: sqlite3.Connection, budget_usd: float) -> None:
    """Limit everybody who shares the ledger.

    Args:
        db: in a transaction.
        budget_usd: in US dollars.
    """
    db.execute(
        "INSERT INTO accounts (name, budget_usd) VALUES (?, ?) "
        "ON CONFLICT (name) DO UPDATE SET budget_usd = excluded.budget_usd",
        (_WHOLE, budget_usd),
    )


def ledger_budget(db: sqlite3.Connection) -> float | None:
    """Return the limit of everybody who shares the ledger, in US dollars, or None."""
    row = db.execute("SELECT budget_usd FROM accounts WHERE name = ?", (_WHOLE,)).fetchone()
    return None if row is None or row[0] is None else _checked(row[0], "budget_usd")


def _forget_after_fork() -> None:
    global _across_ledgers
    _across_ledgers = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
